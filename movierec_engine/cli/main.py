"""`movierec`: the platform from the command line, its commands grouped by what one wants."""

import sys

import click

from movierec_engine import __version__
from movierec_engine.cli import (
    backup,
    estimate,
    export,
    feedback,
    judge,
    off_policy,
    release,
    rules,
    serve,
    start,
    store,
    train,
)
from movierec_engine.cli.console import log_to_console, read_env_file
from movierec_engine.cli.options import CommandGroup

SECTIONS: dict[str, list[click.Command]] = {
    "Start": [start.demo, start.data],
    "Train": [estimate.estimate, train.train, train.tune, train.backtest],
    "Judge": [
        judge.evaluate,
        judge.compare,
        judge.report,
        judge.canaries,
        judge.strong_generalization,
        judge.elicitation,
        judge.dials,
        judge.cold_items,
        off_policy.offpolicy,
    ],
    "Release": [release.models],
    "Serve": [serve.serve, export.export, rules.rules],
    "Keep": [backup.backup, backup.restore, store.store, feedback.feedback],
}


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    sections={heading: [str(command.name) for command in commands] for heading, commands in SECTIONS.items()},
)
@click.version_option(__version__, prog_name="movierec")
def cli() -> None:
    """A movie recommendation platform: raw ratings in, evaluated models and a served index out.

    Start with `movierec demo`. A model is named by a word and settings by key=value, in every command: `movierec train
    ease`, `movierec evaluate ease device=cpu`. `movierec COMMAND --help` has examples.
    """


for commands in SECTIONS.values():
    for command in commands:
        cli.add_command(command)


def main() -> None:
    read_env_file()
    if sys.argv[1:2] != ["serve"]:  # the server sets up its own log
        log_to_console()
    cli.main(prog_name="movierec")
