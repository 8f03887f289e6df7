"""Commands that judge trained models: how good they are, which is better, and for whom."""

import sys
from pathlib import Path

import click

from movierec_engine.cli.options import ARTIFACTS, DATA, FORMAT, ModelChoice, Verb, trained_model
from movierec_engine.cli.tables import Format, print_line, print_tables
from movierec_engine.errors import ConfigError
from movierec_engine.store import kinds
from movierec_engine.store.storage import Location

PROTOCOL = click.option(
    "--protocol",
    help="full, given, uniform:N[:SEED] or popularity:N[:SEED]; only reports by the same one are compared.",
    show_default="the one the split is made for: full, or given where candidates came with the data",
)


@click.command(
    cls=Verb,
    examples=[
        "evaluate ease",
        "evaluate ease/cpu protocol=uniform:100",
        "evaluate ease --format json > ease.json",
        "evaluate lists=theirs.csv name=theirs",
    ],
)
@ARTIFACTS
@PROTOCOL
@FORMAT
@trained_model()
@click.option(
    "--lists",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Lists that another system made: CSV or Parquet with user_id, movie_id, and rank or score.",
)
@click.option("--name", default="", help="What the report of the lists is called.", show_default="the file's name")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Processes that rank a part of the users.",
)
def evaluate(
    artifacts: Location,
    protocol: str | None,
    form: Format,
    chosen: ModelChoice,
    lists: Path | None,
    name: str,
    workers: int,
) -> None:
    """Measure a trained model, or lists that another system made, on test, and write the report to the store.

    The report holds every metric with its 95 % interval, each user's own metrics, the rank of every test item, the
    lists, and the metrics by kinds of users and items. `movierec compare` compares reports.
    """
    from movierec_engine import pipeline
    from movierec_engine.cli.comparison_tables import report_table
    from movierec_engine.evaluation.protocols import Protocol
    from movierec_engine.evaluation.report import REPORT_FILE, EvaluationReport
    from movierec_engine.pipeline.data import choose_data_set
    from movierec_engine.store import ArtifactStore
    from movierec_engine.training.config import TrainerConfig

    store = ArtifactStore(artifacts)
    by = Protocol.parse(protocol) if protocol else None
    if lists and chosen.model:
        raise ConfigError("give a model to measure, or lists that another system made by --lists, not both")
    if lists:
        of = choose_data_set(store, kinds.SPLITS, chosen.data_set)
        made = pipeline.evaluate_lists(store, of, lists, name or lists.stem, by)
    else:
        trained = chosen.find(store)
        movies, trainer = pipeline.movies_of(store, trained), TrainerConfig(workers=workers)
        made = pipeline.evaluate_model(store, trained, movies, by, trainer=trainer)
    print_tables([report_table(EvaluationReport.load(made.folder))], form)
    print_line(f"report: {made.folder / REPORT_FILE}", form)


@click.command(
    cls=Verb,
    examples=[
        "compare",
        "compare ease lightgcn",
        "compare ease lightgcn metric=recall@20 part=validation",
        "compare --format csv > board.csv",
    ],
)
@ARTIFACTS
@PROTOCOL
@click.option("--metric", default="ndcg@10", show_default=True, help="What to compare by.")
@click.option(
    "--part",
    default="test",
    show_default=True,
    type=click.Choice(["test", "validation"]),
    help="Choose models by validation; test reports.",
)
@FORMAT
@DATA
@click.option("--model", "models", multiple=True, help="MODEL by another grammar; repeat for more.")
@click.argument("words", metavar="[MODEL]...", nargs=-1)
def compare(
    artifacts: Location,
    protocol: str | None,
    metric: str,
    part: str,
    form: Format,
    data_set: str,
    models: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    """Say which model is better, whether that is significant, and for whom.

    MODEL is a name such as ease, ease/cpu or ease/cpu/VERSION; without any, the newest report of every model. Two
    models are also compared by every metric and by segments. The users are paired: each one's difference is looked at,
    by a bootstrap of the mean and by Wilcoxon's test, Holm-corrected over all pairs of models in the evaluation set-up,
    those that are not shown too: a pair has the same p value here, in the report and in the dashboard.
    """
    from movierec_engine.cli.comparison_tables import board_table, pair_tables
    from movierec_engine.evaluation.protocols import Protocol
    from movierec_engine.pipeline import comparison
    from movierec_engine.pipeline.data import choose_data_set
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    by = Protocol.parse(protocol) if protocol else None
    of = choose_data_set(store, kinds.EVALUATION_REPORT, data_set)
    names = [*words, *(name for one in models for name in one.split(","))]
    measured = comparison.reports_to_compare(store, of, names, by)
    family = comparison.family_of(store, of, measured)
    board = comparison.board(store, measured, metric, part, family)
    pair = pair_tables(store, measured[0], measured[1], metric, part, family) if len(names) == 2 else []
    print_tables([board_table(board), *pair], form)
    print_line(f"comparison: {comparison.publish_board(store, board).folder}", form)


@click.command(cls=Verb, examples=["report", "report metric=recall@20 output=recall.html"])
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
def report(artifacts: Location, data_set: str, metric: str, output: Path) -> None:
    """Write one HTML page that says which model is better, whether that is sure, for whom, and how it was measured.

    The page needs nothing beside it: open it from disk, print it or send it. It shows the newest report of every model,
    those that may be compared together.
    """
    from movierec_engine.pipeline.data import choose_data_set
    from movierec_engine.reporting.html import write_report
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    print(write_report(store, choose_data_set(store, kinds.EVALUATION_REPORT, data_set), output, metric))


@click.command(cls=Verb, examples=["canaries lightgcn"])
@ARTIFACTS
@FORMAT
@trained_model()
def canaries(artifacts: Location, form: Format, chosen: ModelChoice) -> None:
    """Check that nothing leaks from test into a trained model.

    Its split, graph and memory are looked at, and it is trained twice again with the same settings: beside an item that
    only test has, which it must not find, and on shuffled preferences, with which it must not beat popularity. The exit
    code is 1 when a check fails.
    """
    from movierec_engine import pipeline
    from movierec_engine.cli.study_tables import findings_table
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    made = pipeline.run_canaries(store, chosen.find(store))
    print_tables([findings_table(made)], form)
    print_line(f"findings: {made.folder}", form)
    if not made.facts["passed"]:
        sys.exit(1)


@click.command(cls=Verb, examples=["strong-generalization als", "strong-generalization als folds=10"])
@ARTIFACTS
@FORMAT
@trained_model()
@click.option(
    "--folds", default=5, show_default=True, type=click.IntRange(min=2), help="Parts that the users are held out in."
)
def strong_generalization(artifacts: Location, form: Format, chosen: ModelChoice, folds: int) -> None:
    """Measure how good a trained model is for people whom it was not trained on.

    All users with 15 or more train interactions are held out in turn, in folds. For each fold the model is trained
    again without its users, who then come as new users with one, three, five and ten of their own movies. From how many
    on that is better than popularity is decided on their validation items; the table shows their test items. Of a model
    trained with data.split=users nothing is trained again: its held-out users are the new ones, and there are no folds.
    Both curves are written to the store, and the model's index is built again with that number.
    """
    from movierec_engine.cli.study_tables import fold_in_table
    from movierec_engine.pipeline.index import renew_index
    from movierec_engine.pipeline.strong_generalization import measure_strong_generalization
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    trained = chosen.find(store)
    made = measure_strong_generalization(store, trained, folds=folds)
    print_tables([fold_in_table(made)], form)
    print_line(f"curve: {made.folder}", form)
    if index := renew_index(store, trained):
        print_line(f"index that goes by it: {index.folder}", form)
        print_line(f"`movierec models challenge {trained.slot.model}` puts it to the gate", form)


@click.command(cls=Verb, examples=["elicitation", "elicitation als questions=10"])
@ARTIFACTS
@FORMAT
@trained_model(default="ease")
@click.option("--questions", default=5, show_default=True, type=click.IntRange(1, 100), help="How many movies at most.")
def elicitation(artifacts: Location, form: Format, chosen: ModelChoice, questions: int) -> None:
    """Choose the movies to ask a new user about: those whose answers tell most.

    They are chosen by the validation items of some users, and compared with the most popular movies on the test items
    of the others.
    """
    from movierec_engine.cli.study_tables import elicitation_table
    from movierec_engine.pipeline.elicitation import measure_elicitation
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    made = measure_elicitation(store, chosen.find(store), questions)
    print_tables([elicitation_table(made)], form)
    print_line(f"elicitation: {made.folder}", form)


@click.command(cls=Verb, examples=["dials ease"])
@ARTIFACTS
@FORMAT
@trained_model()
def dials(artifacts: Location, form: Format, chosen: ModelChoice) -> None:
    """Measure what the taste dials cost a trained model, and what they buy.

    Diversity, novelty and the balances of decades and genres are turned from 0 to 1, one at a time. How far to turn
    them is a choice, so they are measured on validation; test stays untouched.
    """
    from movierec_engine.cli.study_tables import dials_table
    from movierec_engine.pipeline.reranking_tradeoff import measure_dials
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    made = measure_dials(store, chosen.find(store))
    print_tables([dials_table(made)], form)
    print_line(f"trade-off: {made.folder}", form)


@click.command(cls=Verb, examples=["cold-items ease", "cold-items ease folds=0"])
@ARTIFACTS
@FORMAT
@trained_model()
@click.option(
    "--folds",
    default=5,
    show_default=True,
    type=click.IntRange(min=0),
    help="Parts that items are held out in, to measure how well cold items are ranked; 0 measures none.",
)
def cold_items(artifacts: Location, form: Format, chosen: ModelChoice, folds: int) -> None:
    """Place the movies that a trained model does not know, and measure what a share of the lists costs.

    New movies stand among those that are like them in genres and year. A list has none unless a share is asked for; the
    cost is measured on validation. For each fold the model is trained again without its items.
    """
    from movierec_engine.cli.study_tables import cold_items_table
    from movierec_engine.pipeline.cold_items import measure_cold_items
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    made = measure_cold_items(store, chosen.find(store), folds=folds)
    print_tables([cold_items_table(made)], form)
    print_line(f"new movies: {made.folder}", form)
