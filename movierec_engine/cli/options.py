"""The grammar that all commands share: the model as a word, settings as key=value, and the options that many have.

`evaluate ease`, `evaluate model=ease` and `evaluate --model ease` mean the same, as `device=cpu` and `--device cpu` do.
"""

import difflib
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from movierec_engine.cli.console import one_sentence_errors
from movierec_engine.errors import ConfigError
from movierec_engine.store import kinds
from movierec_engine.store.storage import Location, is_url

if TYPE_CHECKING:
    from movierec_engine.store import Artifact, ArtifactStore

F = TypeVar("F", bound=Callable[..., Any])


class _OneSentence(click.Command):
    """A command whose errors are one sentence, when it is the program."""

    def main(self, *arguments: Any, standalone_mode: bool = True, **others: Any) -> Any:
        run: Any = super().main
        if not standalone_mode:
            return run(*arguments, standalone_mode=False, **others)
        with one_sentence_errors():
            code = run(*arguments, standalone_mode=False, **others)
        sys.exit(code if isinstance(code, int) else 0)


class Verb(_OneSentence):
    """A command whose options may be given as key=value too, with examples at the end of its help."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), settings: bool = False, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.examples = examples
        self.settings = settings
        """Whether key=value may also be a setting of configs/, such as trainer.max_epochs=5."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._as_options(ctx, args))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}movierec {example}\n")

    def _as_options(self, ctx: click.Context, args: Sequence[str]) -> list[str]:
        """The words of a command line, with `key=value` as `--key=value` where that is one of the options."""
        takes_value = {
            name: not option.is_flag
            for option in self.get_params(ctx)
            if isinstance(option, click.Option)
            for name in option.opts
        }
        words: list[str] = []
        for number, word in enumerate(args):
            key, equals, value = word.partition("=")
            option = f"--{key.replace('_', '-')}"
            if word == "--":
                return [*words, *args[number:]]
            if not equals or word.startswith("-") or (number and takes_value.get(args[number - 1])):
                words.append(word)
            elif takes_value.get(option):
                words.append(f"{option}={value}")
            elif self.settings:
                words.append(word)
            else:
                known = [name.lstrip("-") for name, valued in takes_value.items() if valued and name.startswith("--")]
                raise click.UsageError(f"{ctx.info_name} takes no {key}=...{nearest_of(key, known)}", ctx)
        return words


class CommandGroup(_OneSentence, click.Group):
    """A group of commands, listed by what one wants, each with its whole first sentence."""

    command_class = Verb

    def __init__(self, *arguments: Any, sections: Mapping[str, Sequence[str]] | None = None, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.sections = sections
        """Heading -> the names of its commands; none: one list, in the order of definition."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, names in (self.sections or {"Commands": self.list_commands(ctx)}).items():
            with formatter.section(heading):
                rows = [(name, inspect.cleandoc(self.commands[name].help or "").split("\n\n")[0]) for name in names]
                formatter.write_dl([(name, " ".join(sentence.split())) for name, sentence in rows])


def nearest_of(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` with the closest known word, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


@dataclass(frozen=True)
class ModelChoice:
    """A trained model as a command line names it."""

    model: str
    device: str
    version: str
    data_set: str

    def find(self, store: "ArtifactStore") -> "Artifact":
        """The trained model. Raises StoreError where there is none, ConfigError where none is named."""
        from movierec_engine import pipeline
        from movierec_engine.pipeline.data import choose_data_set

        of = choose_data_set(store, kinds.TRAINED_MODEL, self.data_set)
        if not self.model:
            trained = sorted({slot.model for slot in store.slots(kinds.TRAINED_MODEL, of)})
            raise ConfigError(f"name a model to measure; trained on {of} are {', '.join(trained) or 'none yet'}")
        return pipeline.find_trained_model(store, of, self.model, self.device, self.version)


def trained_model(default: str = "") -> Callable[[F], F]:
    """The word and the options that name a trained model; the command is given a `ModelChoice` as `chosen`."""

    def decorate(command: F) -> F:
        @wraps(command)
        def with_choice(*, words: tuple[str, ...], model: str, data_set: str, **others: Any) -> Any:
            device, version = others.pop("device"), others.pop("version")
            name, of_device, of_version = one_model(words, model, device, version)
            return command(chosen=ModelChoice(name or default, of_device, of_version, data_set), **others)

        decorated: Any = with_choice
        for parameter in reversed((WORDS, model_option(default), DEVICE, VERSION, DATA)):
            decorated = parameter(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate


def one_model(words: Sequence[str], model: str, device: str = "", version: str = "") -> tuple[str, str, str]:
    """Model, device and version, of `ease`, `ease/cpu` or `ease/cpu/VERSION` and of the options.

    Raises click.UsageError where they name more than one model.
    """
    names = list(dict.fromkeys([*words, *([model] if model else [])]))
    if len(names) > 1:
        raise click.UsageError(f"one model at a time, not {' and '.join(names)}", click.get_current_context())
    parts = [*(names[0].split("/", 2) if names else []), "", "", ""]
    return parts[0], device or parts[1], version or parts[2]


def settings_among(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of models and the settings, key=value, among the words of a command line."""
    settings = tuple(word for word in words if "=" in word or word.startswith(("~", "+")))
    return tuple(word for word in words if word not in settings), settings


def run_settings(words: Sequence[str], model: str = "", device: str = "") -> list[str]:
    """Settings of a run of one model from `ease trainer.max_epochs=5`, `--model ease` and `--device cpu`."""
    names, settings = settings_among(words)
    name, on, _ = one_model(names, model, device)
    return [*([f"model={name}"] if name else []), *([f"device={on}"] if on else []), *settings]


def model_option(default: str = "") -> Callable[[F], F]:
    return click.option("--model", default="", show_default=default or None, help="MODEL by another grammar.")


WORDS = click.argument("words", metavar="[MODEL]", nargs=-1)
DEVICE = click.option(
    "--device", default="", show_default="any", help="The kind of device that it was trained on: cpu, cuda or mps."
)
VERSION = click.option(
    "--version", default="", show_default="the newest", help="A version of it, or the beginning of one."
)


class StoreLocation(click.Path):
    """An artifact store: a folder, or the URL of an object store."""

    name = "folder or URL"

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Location:
        return str(value) if is_url(value) else super().convert(value, param, ctx)  # type: ignore[return-value]


ARTIFACTS = click.option(
    "--artifacts",
    type=StoreLocation(),
    default=lambda: os.environ.get("MOVIEREC_ARTIFACTS") or "artifacts",
    show_default="MOVIEREC_ARTIFACTS, else artifacts",
    help="The artifact store: a folder, or a URL such as s3://bucket/prefix.",
)

DATA = click.option(
    "--data",
    "data_set",
    default="",
    metavar="NAME",
    help="The data set.",
    show_default="the only one in the store, else data.name of configs/",
)

FORMAT = click.option(
    "--format",
    "form",
    default="table",
    show_default=True,
    type=click.Choice(["table", "json", "csv"]),
    help="How to print: a table for people, or everything in full precision for programs.",
)
