"""Options that several commands have."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

ARTIFACTS = click.option(
    "--artifacts",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: os.environ.get("MOVIEREC_ARTIFACTS") or "artifacts",
    show_default="MOVIEREC_ARTIFACTS, else artifacts",
    help="The artifact store.",
)

DATA = click.option(
    "--data",
    "data_set",
    default="",
    metavar="NAME",
    help="The data set.",
    show_default="the only one in the store, else data.name of configs/",
)


def trained_model(default: str | None = None) -> Callable[[F], F]:
    """The options that name a trained model: --data, --model, --device and --version."""
    options = (
        DATA,
        click.option(
            "--model",
            required=default is None,
            default=default,
            show_default=bool(default),
            help="The model, such as lightgcn.",
        ),
        click.option(
            "--device", help="The kind of device that it was trained on: cpu, cuda or mps.", show_default="any"
        ),
        click.option("--version", help="A version of it, or the beginning of one.", show_default="the newest"),
    )

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


FORCE = click.option("--force", is_flag=True, help="Do it in spite of a pin, of low recall or of a leak.")
REASON = click.option("--reason", default="", help="Why; it is recorded with the decision.")
OVERRIDES = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting in Hydra's syntax, such as release.tolerance=0.002; repeat for more.",
)
