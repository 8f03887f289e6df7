"""`movierec export`: the lists of all users, in a file or a database."""

from pathlib import Path

import click

from movierec_engine.cli.options import ARTIFACTS, DATA, DEVICE, WORDS, Verb, model_option, one_model, settings_among
from movierec_engine.store.storage import Location


@click.command(
    cls=Verb,
    settings=True,
    examples=[
        "export --to lists.parquet",
        "export ease k=50 --to lists.csv --users vips.txt",
        "export --to s3://bucket/lists.parquet --tier rich",
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
@click.option("--k", default=50, show_default=True, type=int, help="Length of a list, at most 1,000.")
@click.option(
    "--users",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the id of a user in each line.",
    show_default="all users",
)
@click.option(
    "--tier",
    default="",
    metavar="TIER",
    help="Only users of a tier by interactions in training: cold, limited (from 5), moderate (20) or rich (100).",
    show_default="all",
)
@click.option("--threads", type=click.IntRange(1), show_default="one a core", help="How many blocks are made at once.")
@click.option(
    "--parts",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for what is made so far, new or empty at first and gone at the end; an export that was interrupted "
    "goes on from there.",
    show_default="beside the file, or below .movierec-export here",
)
def export(
    words: tuple[str, ...],
    model: str,
    device: str,
    artifacts: Location,
    data_set: str,
    to: str,
    k: int,
    users: Path | None,
    tier: str,
    threads: int | None,
    parts: Path | None,
) -> None:
    """Write the lists of all users, as the API would answer them, into a file, a bucket or a database.

    The promoted index makes them, or the newest of MODEL, under the rules for mail that hold when it begins. Left out
    of each list is what its user has rated, watched or dismissed, up to this moment; people who were erased are not in
    it. The same command goes on where an interrupted one stopped. KEY=VALUE are settings of the API whose lists these
    are: feedback.url and serving.repeat.
    """
    from movierec_engine.config import load_feedback, load_serving
    from movierec_engine.pipeline.batch_export import export_lists
    from movierec_engine.pipeline.export_config import ExportConfig
    from movierec_engine.reporting import numbers
    from movierec_engine.store import ArtifactStore

    names, settings = settings_among(words)
    name, on, _ = one_model(names, model, device)
    done = export_lists(
        ArtifactStore(artifacts),
        ExportConfig(to, k, str(users or ""), tier),
        data_set=data_set,
        model=name,
        device=on,
        feedback_url=load_feedback(list(settings)).url,
        repeat=load_serving(list(settings)).repeat,
        threads=threads or 0,
        parts=parts,
    )
    kept = f", {done.kept:,} of them made before" if done.kept else ""
    click.echo(
        f"{done.users:,} users{kept}, {done.rows:,} places by {done.index.reference}, are in {done.target}; "
        f"{numbers.duration(done.seconds)}, {done.users_a_second:,.0f} users a second"
    )
