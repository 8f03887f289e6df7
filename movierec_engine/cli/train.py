"""Commands that train: one model, a search for its best settings, and a rehearsal over time."""

import sys
from collections.abc import Sequence

import click

from movierec_engine.cli.console import log_to_console, one_sentence_errors, read_env_file
from movierec_engine.cli.options import ARTIFACTS, FORMAT, Verb, run_settings
from movierec_engine.cli.tables import Format, print_line, print_tables
from movierec_engine.errors import ConfigError
from movierec_engine.store.storage import Location

WORDS = click.argument("words", metavar="[MODEL] [KEY=VALUE]...", nargs=-1)
MODEL = click.option("--model", default="", show_default="lightgcn", help="MODEL by another grammar.")
DEVICE = click.option("--device", default="", show_default="auto", help="auto, cpu, cuda, cuda:N or mps.")


class Train(Verb):
    """`movierec train`, whose help lists the settings of the model that is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["words"] = list(args)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from movierec_engine.cli.settings_help import in_hydras_syntax, settings_help
        from movierec_engine.models.registry import model_names

        super().format_epilog(ctx, formatter)
        words = [word.removeprefix("--").removeprefix("model=") for word in ctx.meta["words"]]
        model = next((word for word in words if word in model_names()), "lightgcn")
        with formatter.section("Models"):
            formatter.write_text(", ".join(model_names()))
        with formatter.section(f"Settings, with the defaults of {model}"):
            rows = [(f"{one.key}={in_hydras_syntax(one.default)}", one.meaning) for one in settings_help(model)]
            formatter.write_dl(rows, col_max=44)


@click.command(
    cls=Train,
    settings=True,
    examples=[
        "train ease",
        "train lightgcn model.embedding_dim=128 trainer.max_epochs=5 device=cpu",
        "train ease --help                                   # the settings of ease",
        "train ease data.split=global_time --format json",
        "train ease --cfg job                                # show the settings, train nothing",
        "train --multirun model=ease,als seed=1,2,3          # every combination",
    ],
)
@WORDS
@MODEL
@DEVICE
@FORMAT
@click.option("--multirun", "-m", is_flag=True, help="Train every combination of comma-separated values.")
@click.option("--cfg", "-c", type=click.Choice(["job", "hydra", "all"]), help="Show the settings, train nothing.")
@click.option("--package", "-p", help="Of --cfg: this group alone, such as trainer.")
@click.option("--resolve", is_flag=True, help="Of --cfg: with references between settings resolved.")
def train(
    words: tuple[str, ...],
    model: str,
    device: str,
    form: Format,
    multirun: bool,
    cfg: str | None,
    package: str | None,
    resolve: bool,
) -> None:
    """Prepare the data, train, evaluate and index one model.

    KEY=VALUE are settings in Hydra's syntax; those that there are, with their defaults, stand below.
    """
    from movierec_engine.cli import hydra_job

    if any(word.startswith("sweep=") for word in words):  # configs/sweep/ is a group in Hydra's eyes
        raise ConfigError("sweep=... is no setting of a training; run movierec tune MODEL")
    options = ["--multirun"] * multirun + ["--resolve"] * resolve
    options += ["--cfg", cfg] if cfg else []
    options += ["--package", package] if package else []
    hydra_job.run([*options, *run_settings(words, model, device)], form)


@click.command(
    cls=Verb,
    settings=True,
    examples=[
        "tune lightgcn",
        "tune ease n_trials=50 data.split=global_time",
        "tune als 'model.l2=tag(log, interval(0.001, 1))' model.embedding_dim=64",
        "tune als,ease,lightgcn --minutes 20                # share the time",
        "tune lightgcn --n-trials 40 --n-jobs 4             # four at a time",
    ],
)
@WORDS
@MODEL
@DEVICE
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Time in all, instead of a number of trials.")
@click.option(
    "--n-trials",
    type=click.IntRange(1),
    show_default="20, or as many as the minutes allow",
    help="How many trials at most, for each model.",
)
@click.option(
    "--n-jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Trials at the same time, without --minutes: processes here, or on the Ray cluster of trainer.ray_address.",
)
@click.option("--space", default="", show_default="the model's name", help="A search space of configs/sweep/.")
@FORMAT
def tune(
    words: tuple[str, ...],
    model: str,
    device: str,
    minutes: float | None,
    n_trials: int | None,
    n_jobs: int,
    space: str,
    form: Format,
) -> None:
    """Search the best settings of one model, or of several, with Optuna, by validation.

    With --minutes the default is the first trial, settings are tried on a share of the users where there are enough,
    bad ones are given up early, and the best are measured on all users beside the default: the end is never worse than
    the default on validation, and says how much better, with an interval. Test is not looked at.

    With --n-trials alone each trial is trained on everything and is a version in the store, never the newest of its
    model. Both ways the best is trained again by the command that is printed, and the same command goes on where a
    killed one stopped.

    The search space is configs/sweep/MODEL.yaml, with Hydra's sweeps as values: interval(0.001, 0.1), tag(log,
    interval(...)), range(1, 5) or choice(32, 64). The same syntax as KEY=VALUE adds a setting or replaces one; a plain
    value there holds in all trials.
    """
    from movierec_engine.cli.study_tables import sweep_table
    from movierec_engine.tuning.sweep import search
    from movierec_engine.tuning.timed_sweep import nothing_to_tune, search_timed

    asked = run_settings(words, model, device)
    named = next((word.removeprefix("model=") for word in asked if word.startswith("model=")), "lightgcn")
    models = [one for one in named.split(",") if one]
    for one in models:
        if told := nothing_to_tune(one):
            print_line(told, form)
    models = [one for one in models if not nothing_to_tune(one)]
    asked = [word for word in asked if not word.startswith("model=")]
    asked += [f"n_trials={n_trials}"] * (n_trials is not None) + [f"n_jobs={n_jobs}"] * (n_jobs > 1)
    asked += [f"space={space}"] * bool(space)
    swept = (
        search_timed(models, asked, minutes)
        if minutes and models
        else [search([f"model={one}", *asked]) for one in models]
    )
    if swept:
        print_tables([sweep_table(one) for one in swept], form)


@click.command(
    cls=Verb,
    settings=True,
    examples=["backtest ease", "backtest ease windows=6 metric=recall@20 model.l2=500"],
)
@ARTIFACTS
@WORDS
@MODEL
@DEVICE
@click.option("--windows", default=4, show_default=True, type=click.IntRange(1, 1000), help="How many tests.")
@click.option(
    "--first-train-share",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="The oldest share of the interactions, which the first window trains on.",
)
@click.option("--metric", default="ndcg@10", show_default=True, help="What to print.")
@FORMAT
def backtest(
    artifacts: Location,
    words: tuple[str, ...],
    model: str,
    device: str,
    windows: int,
    first_train_share: float,
    metric: str,
    form: Format,
) -> None:
    """Train up to a moment, test on what came next, move on and train again.

    KEY=VALUE are settings as of `movierec train`. Each window tests on equally many interactions. What an interrupted
    backtest has finished is not made again. The models of the windows are never served.
    """
    from movierec_engine.cli.study_tables import backtest_table
    from movierec_engine.config import load_settings
    from movierec_engine.pipeline.backtest import backtest as run
    from movierec_engine.store import ArtifactStore

    settings = load_settings(run_settings(words, model, device))
    made = run(ArtifactStore(artifacts), settings, windows, first_train_share)
    print_tables([backtest_table(made, metric)], form)
    print_line(f"backtest: {made.folder}", form)


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m movierec_engine.train`."""
    _main(train, "python -m movierec_engine.train", arguments)


def tune_main(arguments: Sequence[str] | None = None) -> None:
    """`python -m movierec_engine.sweep`."""
    _main(tune, "python -m movierec_engine.sweep", arguments)


def _main(command: Verb, name: str, arguments: Sequence[str] | None) -> None:
    read_env_file()
    log_to_console()
    with one_sentence_errors():
        command.main(list(sys.argv[1:] if arguments is None else arguments), name, standalone_mode=False)
