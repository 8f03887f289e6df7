"""`movierec estimate`: what each model needs on the configured data, before anything is trained."""

import click

from movierec_engine.cli.options import FORMAT, Verb, run_settings, settings_among
from movierec_engine.cli.tables import Format, print_tables

COUNT = click.IntRange(1, 10**15)


@click.command(
    cls=Verb,
    settings=True,
    examples=[
        "estimate",
        "estimate ease als",
        "estimate ease,als",
        "estimate lightgcn model.embedding_dim=128",
        "estimate data.ratings_file=my.csv --format json",
        "estimate als --users 10000000 --items 1000000 --ratings 1000000000",
    ],
)
@click.argument("words", metavar="[MODEL]... [KEY=VALUE]...", nargs=-1)
@click.option("--users", type=COUNT, help="Users of data that is not there yet.", show_default="those of the data")
@click.option("--items", type=COUNT, help="Its items.", show_default="those of the data")
@click.option("--ratings", type=COUNT, help="Its ratings.", show_default="those of the data")
@FORMAT
def estimate(words: tuple[str, ...], users: int | None, items: int | None, ratings: int | None, form: Format) -> None:
    """Estimate the memory and time that each model's fit, evaluation and index will need.

    All models, or those that are named, on the configured data, which is read, filtered and split unless the store has
    that already; or on data of a size that --users, --items and --ratings name, of which nothing is read. Several names
    stand apart or with commas between, as `movierec tune` has them. KEY=VALUE are settings as of `movierec train`. What
    does not fit is refused by every command too.
    """
    from movierec_engine.cli.estimate_table import estimate_table
    from movierec_engine.config import load_settings
    from movierec_engine.feedback import FeedbackLogs
    from movierec_engine.models.registry import model_names
    from movierec_engine.pipeline import prepare
    from movierec_engine.pipeline.preflight import DataCounts, counts_in_store, estimates
    from movierec_engine.store import ArtifactStore, kinds

    named, others = settings_among(words)
    names = [name for word in named for name in word.split(",") if name]
    each = [load_settings(run_settings((name, *others))) for name in names or model_names()]
    data = each[0].data
    if users and items and ratings:
        if ratings > users * items:
            raise click.UsageError(f"{users:,} users and {items:,} items have at most {users * items:,} ratings")
        counts = DataCounts(users, items, round(ratings * data.train_ratio * data.train_size), ratings)
    elif users or items or ratings:
        raise click.UsageError("give --users, --items and --ratings, all three", click.get_current_context())
    else:
        store = ArtifactStore(each[0].paths.artifacts)
        logs = FeedbackLogs(store.root, each[0].feedback.url)
        counts = counts_in_store(store, each[0]) or DataCounts.of(
            prepare(store, data, feedback=logs)[kinds.SPLITS], data.train_size
        )
    print_tables([estimate_table([one for settings in each for one in estimates(settings, counts)], counts)], form)
