"""`movierec`: the platform from the command line."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from movierec_engine import __version__
from movierec_engine.cli import release
from movierec_engine.cli.console import log_to_console, one_sentence_errors, read_env_file
from movierec_engine.cli.options import ARTIFACTS, DATA, trained_model
from movierec_engine.errors import ConfigError
from movierec_engine.store import kinds

if TYPE_CHECKING:
    from movierec_engine.store import Artifact, ArtifactStore


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="movierec")
def cli() -> None:
    """A movie recommendation platform: raw ratings in, evaluated models and a served index out.

    Start with `movierec demo`.
    """


@cli.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED)
def train(overrides: tuple[str, ...]) -> None:
    """Prepare the data, train, evaluate and index one model.

    OVERRIDES are settings in Hydra's syntax: model=lightgcn trainer.max_epochs=5 device=cpu. `movierec train --help`
    lists what there is, `--cfg job` shows the resolved settings, `--multirun` sweeps over comma-separated values.
    """
    from movierec_engine.cli import train as training

    training.main(list(overrides))


@cli.command()
@ARTIFACTS
@trained_model()
def canaries(artifacts: Path, data_set: str, model: str, device: str | None, version: str | None) -> None:
    """Check that nothing leaks from test into a trained model.

    Its split, graph and memory are looked at, and it is trained twice again with the same settings: beside an item that
    only test has, which it must not find, and on shuffled preferences, with which it must not beat popularity. The exit
    code is 1 when a check fails.
    """
    from movierec_engine import pipeline
    from movierec_engine.pipeline.canaries import findings_table
    from movierec_engine.store import ArtifactStore

    log_to_console()
    with one_sentence_errors():
        store = ArtifactStore(artifacts)
        trained = _trained(store, data_set, model, device, version)
        made = pipeline.run_canaries(store, trained)
        console = Console()
        console.print(findings_table(made))
        console.print(f"findings: {made.folder}", soft_wrap=True, highlight=False, markup=False)
    if not made.facts["passed"]:
        sys.exit(1)


@cli.command()
@ARTIFACTS
@trained_model()
@click.option(
    "--folds", default=5, show_default=True, type=click.IntRange(min=2), help="Parts that the users are held out in."
)
def strong_generalization(
    artifacts: Path, data_set: str, model: str, device: str | None, version: str | None, folds: int
) -> None:
    """Measure how good a trained model is for people whom it was not trained on.

    All users with 15 or more train interactions are held out in turn, in folds. For each fold the model is trained
    again without its users, who then come as new users with one, three, five and ten of their own movies. From how many
    on that is better than popularity is decided on their validation items; the table shows their test items. Both
    curves are written to the store, and the model's index is built again with that number.
    """
    from movierec_engine.pipeline.index import renew_index
    from movierec_engine.pipeline.strong_generalization import fold_in_table, measure_strong_generalization
    from movierec_engine.store import ArtifactStore

    log_to_console()
    with one_sentence_errors():
        store = ArtifactStore(artifacts)
        trained = _trained(store, data_set, model, device, version)
        made = measure_strong_generalization(store, trained, folds=folds)
        console = Console()
        console.print(fold_in_table(made))
        console.print(f"curve: {made.folder}", soft_wrap=True, highlight=False, markup=False)
        if index := renew_index(store, trained):
            console.print(f"index that goes by it: {index.folder}", soft_wrap=True, highlight=False, markup=False)
            console.print(f"`movierec models challenge {model}` puts it to the gate", highlight=False)


@cli.command()
@ARTIFACTS
@trained_model(default="ease")
@click.option("--questions", default=5, show_default=True, type=click.IntRange(1, 100), help="How many movies at most.")
def elicitation(
    artifacts: Path, data_set: str, model: str, device: str | None, version: str | None, questions: int
) -> None:
    """Choose the movies to ask a new user about: those whose answers tell most.

    They are chosen by the validation items of some users, and compared with the most popular movies on the test items
    of the others.
    """
    from movierec_engine.pipeline.elicitation import elicitation_table, measure_elicitation
    from movierec_engine.store import ArtifactStore

    with one_sentence_errors():
        store = ArtifactStore(artifacts)
        trained = _trained(store, data_set, model, device, version)
        made = measure_elicitation(store, trained, questions)
        console = Console()
        console.print(elicitation_table(made))
        console.print(f"elicitation: {made.folder}", soft_wrap=True, highlight=False, markup=False)


PROTOCOL = click.option(
    "--protocol",
    help="full, given, uniform:N[:SEED] or popularity:N[:SEED]; only reports by the same one are compared.",
    show_default="the one the split is made for: full, or given where candidates came with the data",
)


@cli.command()
@ARTIFACTS
@PROTOCOL
@trained_model(default="")
@click.option(
    "--lists",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Lists that another system made: CSV or Parquet with user_id, movie_id, and rank or score.",
)
@click.option("--name", default="", help="What the report of the lists is called.", show_default="the file's name")
def evaluate(
    artifacts: Path,
    protocol: str | None,
    data_set: str,
    model: str,
    device: str | None,
    version: str | None,
    lists: Path | None,
    name: str,
) -> None:
    """Measure a trained model, or lists that another system made, on test, and write the report to the store.

    The report holds every metric with its 95 % interval, each user's own metrics, the rank of every test item, the
    lists, and the metrics by kinds of users and items. `movierec compare` compares reports.
    """
    from movierec_engine import pipeline
    from movierec_engine.evaluation.protocols import Protocol
    from movierec_engine.evaluation.report import REPORT_FILE, EvaluationReport, report_table
    from movierec_engine.pipeline.data_sets import choose_data_set
    from movierec_engine.store import ArtifactStore

    with one_sentence_errors():
        store = ArtifactStore(artifacts)
        chosen = Protocol.parse(protocol) if protocol else None
        if (lists is None) == (not model):
            raise ConfigError("give the model to measure by --model, or lists that another system made by --lists")
        if lists is not None:
            of = choose_data_set(store, kinds.SPLITS, data_set)
            made = pipeline.evaluate_lists(store, of, lists, name or lists.stem, chosen)
        else:
            trained = _trained(store, data_set, model, device, version)
            made = pipeline.evaluate_model(store, trained, pipeline.movies_of(store, trained), chosen)
        console = Console()
        console.print(report_table(EvaluationReport.load(made.folder)))
        console.print(f"report: {made.folder / REPORT_FILE}", soft_wrap=True, highlight=False, markup=False)


@cli.command()
@ARTIFACTS
@PROTOCOL
@click.option("--metric", default="ndcg@10", show_default=True, help="What to compare by.")
@click.option("--part", default="test", show_default=True, type=click.Choice(["test", "validation"]))
@DATA
@click.argument("models", nargs=-1)
def compare(
    artifacts: Path, protocol: str | None, metric: str, part: str, data_set: str, models: tuple[str, ...]
) -> None:
    """Say which model is better, whether that is significant, and for whom.

    MODELS are names such as ease, ease/cpu or ease/cpu/VERSION; without any, the newest report of every model. Two
    models are also compared by every metric and by segments. The users are paired: each one's difference is looked at,
    by a bootstrap of the mean and by Wilcoxon's test, Holm-corrected.
    """
    from movierec_engine.evaluation.protocols import Protocol
    from movierec_engine.pipeline import comparison
    from movierec_engine.pipeline.data_sets import choose_data_set
    from movierec_engine.store import ArtifactStore

    with one_sentence_errors():
        store = ArtifactStore(artifacts)
        chosen = Protocol.parse(protocol) if protocol else None
        of = choose_data_set(store, kinds.EVALUATION_REPORT, data_set)
        measured = comparison.reports_to_compare(store, of, models, chosen)
        board = comparison.board(store, measured, metric, part)
        console = Console()
        console.print(comparison.board_table(board))
        if len(models) == 2:
            for table in comparison.pair_tables(store, measured[0], measured[1], metric, part):
                console.print(table)
        made = comparison.publish_board(store, board)
        console.print(f"comparison: {made.folder}", soft_wrap=True, highlight=False, markup=False)


@cli.command()
@ARTIFACTS
@DATA
@click.option("--metric", default="ndcg@10", show_default=True, help="What models are compared by.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default="report.html in the working folder",
    help="The page to write.",
)
def report(artifacts: Path, data_set: str, metric: str, output: Path) -> None:
    """Write one HTML page that says which model is better, whether that is sure, for whom, and how it was measured.

    The page needs nothing beside it: open it from disk, print it or send it. It shows the newest report of every model,
    those that may be compared together.
    """
    from movierec_engine.pipeline.data_sets import choose_data_set
    from movierec_engine.reporting.html import write_report
    from movierec_engine.store import ArtifactStore

    with one_sentence_errors():
        store = ArtifactStore(artifacts)
        path = write_report(store, choose_data_set(store, kinds.EVALUATION_REPORT, data_set), output, metric)
        Console().print(str(path), soft_wrap=True, highlight=False)


@cli.command()
@ARTIFACTS
@click.option("--windows", default=4, show_default=True, type=click.IntRange(1, 1000), help="How many tests.")
@click.option(
    "--first-train-share",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="The oldest share of the interactions, which the first window trains on.",
)
@click.option("--metric", default="ndcg@10", show_default=True, help="What to print.")
@click.argument("overrides", nargs=-1)
def backtest(artifacts: Path, windows: int, first_train_share: float, metric: str, overrides: tuple[str, ...]) -> None:
    """Train up to a moment, test on what came next, move on and train again.

    OVERRIDES are settings as of `movierec train`, such as model=ease. Each window tests on equally many interactions.
    What an interrupted backtest has finished is not made again. The models of the windows are never served.
    """
    from movierec_engine.config import load_settings
    from movierec_engine.pipeline.backtest import backtest as run
    from movierec_engine.pipeline.backtest import backtest_table
    from movierec_engine.store import ArtifactStore

    with one_sentence_errors():
        log_to_console()
        made = run(ArtifactStore(artifacts), load_settings(list(overrides)), windows, first_train_share)
        console = Console()
        console.print(backtest_table(made, metric))
        console.print(f"backtest: {made.folder}", soft_wrap=True, highlight=False, markup=False)


@cli.command()
@ARTIFACTS
@trained_model()
def dials(artifacts: Path, data_set: str, model: str, device: str | None, version: str | None) -> None:
    """Measure what the taste dials cost a trained model, and what they buy.

    Diversity, novelty and the balances of decades and genres are turned from 0 to 1, one at a time. How far to turn
    them is a choice, so they are measured on validation; test stays untouched.
    """
    from movierec_engine.pipeline.reranking_tradeoff import dials_table, measure_dials
    from movierec_engine.store import ArtifactStore

    with one_sentence_errors():
        store = ArtifactStore(artifacts)
        made = measure_dials(store, _trained(store, data_set, model, device, version))
        console = Console()
        console.print(dials_table(made))
        console.print(f"prices: {made.folder}", soft_wrap=True, highlight=False, markup=False)


@cli.command()
@ARTIFACTS
@trained_model()
@click.option(
    "--folds",
    default=5,
    show_default=True,
    type=click.IntRange(min=0),
    help="Parts that items are held out in, to measure how well they are found by their place; 0 measures none.",
)
def cold_items(artifacts: Path, data_set: str, model: str, device: str | None, version: str | None, folds: int) -> None:
    """Place the movies that a trained model does not know, and measure what a share of the lists costs.

    New movies stand among those that are like them in genres and year. A list has none unless a share is asked for; the
    price is measured on validation. For each fold the model is trained again without its items.
    """
    from movierec_engine.pipeline.cold_items import cold_items_table, measure_cold_items
    from movierec_engine.store import ArtifactStore

    log_to_console()
    with one_sentence_errors():
        store = ArtifactStore(artifacts)
        trained = _trained(store, data_set, model, device, version)
        made = measure_cold_items(store, trained, folds=folds)
        console = Console()
        console.print(cold_items_table(made))
        console.print(f"new movies: {made.folder}", soft_wrap=True, highlight=False, markup=False)


@cli.command()
@ARTIFACTS
@click.option(
    "--model", "models", multiple=True, help="A model to materialize; repeat for more.  [default: eight quick ones]"
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--serve/--no-serve", default=True, show_default=True, help="Start the three servers afterwards.")
@click.option("--dagster-port", default=3000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--dashboard-port", default=8501, show_default=True, type=click.IntRange(1, 65535))
@click.option("--api-port", default=5000, show_default=True, type=click.IntRange(1, 65535))
@click.argument("overrides", nargs=-1)
def demo(
    artifacts: Path,
    models: tuple[str, ...],
    device: str,
    serve: bool,
    dagster_port: int,
    dashboard_port: int,
    api_port: int,
    overrides: tuple[str, ...],
) -> None:
    """Materialize the models on the bundled data through Dagster, then run Dagster's UI, the dashboard and the API.

    What is in the artifact store already is not made again. OVERRIDES are settings in Hydra's syntax, such as
    trainer.max_epochs=5. Ctrl-C ends everything.
    """
    from movierec_engine.cli import demo as demonstration

    with one_sentence_errors():
        demonstration.run(
            artifacts,
            models or demonstration.MODELS,
            device,
            overrides,
            demonstration.Ports(dagster_port, dashboard_port, api_port) if serve else None,
        )


@cli.command()
@click.argument("overrides", nargs=-1)
@click.option("--host", show_default="serving.host", help="The address to listen on.")
@click.option("--port", show_default="serving.port", type=click.IntRange(1, 65535), help="The port to listen on.")
@click.option(
    "--model-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: os.environ.get("MOVIEREC_ARTIFACTS") or "artifacts",
    show_default="MOVIEREC_ARTIFACTS, else artifacts",
    help="The artifact store to serve from; a folder of checkpoints stands for the default one.",
)
@click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A MovieLens folder whose titles replace those that the indices carry.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    help="Serve only indices of models trained on this device; answering needs no accelerator.",
)
@click.option("--data-set", show_default="serving.data_set", help="The data set whose models answer.")
@click.option("--workers", show_default="serving.workers: one a core, at most 4", type=click.IntRange(0, 64))
@click.option("--debug", is_flag=True, help="Flask's own server with reloader and debugger; on loopback only.")
def serve(
    overrides: tuple[str, ...],
    host: str | None,
    port: int | None,
    model_dir: Path,
    data_dir: Path | None,
    device: str,
    data_set: str | None,
    workers: int | None,
    debug: bool,
) -> None:
    """Answer recommendation calls from the promoted index, or from the newest one while none is promoted.

    OVERRIDES are settings of the serving group in Hydra's syntax, such as serving.follow=latest, with which the newest
    index of any model answers. A newer version is taken over within two seconds, between two requests.
    """
    from dataclasses import replace

    from movierec_engine.api.server import serve as run
    from movierec_engine.api.server import store_to_serve
    from movierec_engine.config import load_serving
    from movierec_engine.pipeline.data_sets import choose_data_set
    from movierec_engine.store import ArtifactStore

    with one_sentence_errors():
        settings = load_serving(list(overrides))
        serving = replace(
            settings,
            host=host or settings.host,
            port=port or settings.port,
            data_set=data_set or settings.data_set,
            workers=settings.workers if workers is None else workers,
        )
        store, notice = store_to_serve(model_dir, Path(os.environ.get("MOVIEREC_ARTIFACTS") or "artifacts"))
        if notice:
            Console(stderr=True).print(notice, soft_wrap=True, highlight=False, markup=False)
        artifacts = ArtifactStore(store)
        if artifacts.data_sets(kinds.FAISS_INDEX):
            named, option = serving.data_set, "serving.data_set or --data-set"
            serving = replace(serving, data_set=choose_data_set(artifacts, kinds.FAISS_INDEX, named, option))
        run(store, serving, data_dir=data_dir, device=device, debug=debug)


@cli.group()
def data() -> None:
    """Data sets."""


@data.command()
@click.argument("name")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data"),
    show_default=True,
    help="The folder to unpack into, as DIR/NAME.",
)
def fetch(name: str, directory: Path) -> None:
    """Download a MovieLens data set from GroupLens, check it and unpack it.

    NAME is one of ml-latest-small, ml-latest, ml-100k, ml-1m, ml-10m, ml-20m, ml-25m, ml-32m. An interrupted download
    goes on where it stopped.
    """
    from movierec_engine.data.download import fetch as fetch_archive

    with one_sentence_errors():
        folder = fetch_archive(name, directory)
        Console().print(f"{folder}\ntrain on it: movierec train data.name={name} data.dir={folder}", highlight=False)


cli.add_command(release.models)


def _trained(store: "ArtifactStore", data_set: str, model: str, device: str | None, version: str | None) -> "Artifact":
    """The trained model that the options name."""
    from movierec_engine import pipeline
    from movierec_engine.pipeline.data_sets import choose_data_set

    of = choose_data_set(store, kinds.TRAINED_MODEL, data_set)
    return pipeline.find_trained_model(store, of, model, device or "", version or "")


def main() -> None:
    read_env_file()
    with one_sentence_errors():
        cli(prog_name="movierec")
