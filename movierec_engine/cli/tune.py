"""The command line of a search for a model's best settings."""

import sys
from collections.abc import Sequence

from movierec_engine.cli.console import log_to_console, one_sentence_errors, read_env_file
from movierec_engine.tuning import sweep


def main(arguments: Sequence[str] | None = None) -> None:
    """Search with the settings and the number of trials of the command line."""
    read_env_file()
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(arguments):
        print(sweep.__doc__)
        return
    log_to_console()
    with one_sentence_errors():
        sweep.search(arguments)
