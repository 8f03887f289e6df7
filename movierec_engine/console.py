"""How the command line speaks: log lines on standard error, one sentence for an error, tables for results."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dotenv import load_dotenv
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from movierec_engine.errors import ConfigError, MovierecError

errors = Console(stderr=True)


def read_env_file() -> None:
    """Take settings and secrets from `.env` in the working folder; what the environment has already stays."""
    load_dotenv(Path.cwd() / ".env")


def log_to_console(*names: str) -> None:
    """Show the log of packages, at least the engine's: pretty on a terminal, plain lines elsewhere."""
    handler: logging.Handler = RichHandler(console=errors, show_path=False, show_level=False, omit_repeated_times=False)
    if not errors.is_terminal:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    for name in {"movierec_engine", *names}:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """Print an error that is the user's to mend as one sentence and exit: 2 for a wrong setting, 1 for anything else.

    With HYDRA_FULL_ERROR=1 in the environment the stack trace is shown instead.
    """
    try:
        yield
    except MovierecError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        print_error(error)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        errors.print("stopped")
        sys.exit(130)


def print_error(error: MovierecError) -> None:
    errors.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False, emoji=False)


def exit_code(error: MovierecError) -> int:
    return 2 if isinstance(error, ConfigError) else 1
