"""`movierec export`: the lists of all users, in a file or a database."""

from pathlib import Path

import click

from movierec_engine.cli.options import ARTIFACTS, DATA, DEVICE, WORDS, Verb, model_option, one_model
from movierec_engine.store.storage import Location

MOST_PLACES = 1_000


@click.command(
    cls=Verb,
    examples=[
        "export --to lists.parquet",
        "export ease k=50 --to lists.csv --users vips.txt",
        'export --to "postgresql://movierec@db.example/shop?table=recommendations"',
    ],
)
@WORDS
@model_option()
@DEVICE
@ARTIFACTS
@DATA
@click.option(
    "--to",
    required=True,
    metavar="TARGET",
    help="lists.parquet or .csv, here or in a bucket (s3://bucket/lists.parquet), or "
    "postgresql://user@host/database?table=name; what is there is replaced.",
)
@click.option("--k", default=50, show_default=True, type=click.IntRange(1, MOST_PLACES), help="Length of a list.")
@click.option(
    "--users",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the id of a user in each line.",
    show_default="all users",
)
@click.option("--threads", type=click.IntRange(1), show_default="one a core", help="How many blocks are made at once.")
@click.option(
    "--parts",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for what is made so far; an export that was interrupted goes on from there.",
    show_default="beside the file, or .movierec-export here",
)
def export(
    words: tuple[str, ...], model: str, device: str, artifacts: Location, data_set: str, to: str, k: int,
    users: Path | None, threads: int | None, parts: Path | None,
) -> None:  # fmt: skip
    """Write the lists of all users, as the API would answer them, into a file, a bucket or a database.

    The promoted index makes them, or the newest of MODEL. Left out of each list is what its user has rated, watched or
    dismissed, up to this moment; people who were erased are not in it. The same command goes on where an interrupted
    one stopped.
    """
    import time

    from movierec_engine.api.live_feedback import LiveFeedback
    from movierec_engine.api.metrics import Metrics
    from movierec_engine.feedback import FeedbackLogs
    from movierec_engine.pipeline.data import choose_data_set
    from movierec_engine.pipeline.export import index_to_export, make_lists, read_users
    from movierec_engine.pipeline.export_target import target_of
    from movierec_engine.reporting import numbers
    from movierec_engine.store import ArtifactStore, kinds

    name, on, _ = one_model(words, model, device)
    target, store = target_of(to), ArtifactStore(artifacts)
    started = time.monotonic()
    served = index_to_export(store, choose_data_set(store, kinds.FAISS_INDEX, data_set), name, on)
    only = read_users(users, served.index.users.are_texts) if users else None
    lists = make_lists(
        served,
        LiveFeedback(FeedbackLogs.of_environment(store.root), Metrics()),
        parts or target.parts,
        k,
        only,
        threads or 0,
    )
    rows, seconds = target.write(lists), time.monotonic() - started
    lists.remove()
    kept = f", {lists.kept:,} of them made before" if lists.kept else ""
    click.echo(
        f"{lists.users:,} users{kept}, {rows:,} places by {served.artifact.reference}, are in {target.name}; "
        f"{numbers.duration(seconds)}, {(lists.users - lists.kept) / seconds:,.0f} users a second"
    )
