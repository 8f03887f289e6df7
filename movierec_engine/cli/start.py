"""Commands to start with: the whole platform on the bundled data, and other data sets."""

from pathlib import Path

import click

from movierec_engine.cli.options import ARTIFACTS, FORMAT, CommandGroup, Verb
from movierec_engine.cli.tables import Format, ResultTable, TableColumn, cell, print_tables
from movierec_engine.overrides import in_shell, text_setting
from movierec_engine.store.storage import Location


@click.command(
    cls=Verb,
    settings=True,
    examples=["demo", "demo ease lightgcn trainer.max_epochs=5", "demo --no-serve --artifacts /tmp/try"],
)
@ARTIFACTS
@click.argument("words", metavar="[MODEL]... [KEY=VALUE]...", nargs=-1)
@click.option("--model", "models", multiple=True, show_default="eight quick ones", help="MODEL by another grammar.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--serve/--no-serve", default=True, show_default=True, help="Start the three servers afterwards.")
@click.option("--dagster-port", default=3000, show_default=True, type=click.IntRange(1, 65535), help="Dagster's port.")
@click.option("--dashboard-port", default=8501, show_default=True, type=click.IntRange(1, 65535), help="Streamlit's.")
@click.option("--api-port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="The API's.")
def demo(
    artifacts: Location,
    words: tuple[str, ...],
    models: tuple[str, ...],
    device: str,
    serve: bool,
    dagster_port: int,
    dashboard_port: int,
    api_port: int,
) -> None:
    """Train models on the bundled data through Dagster, then run Dagster's UI, the dashboard and the API.

    What is in the artifact store already is not made again. KEY=VALUE are settings as of `movierec train`. Ctrl-C ends
    everything.
    """
    from movierec_engine.cli import demo as demonstration

    settings = [word for word in words if "=" in word]
    named = [word for word in words if "=" not in word] + [name for one in models for name in one.split(",")]
    ports = demonstration.Ports(dagster_port, dashboard_port, api_port) if serve else None
    demonstration.run(artifacts, named or demonstration.MODELS, device, settings, ports)


@click.group(cls=CommandGroup)
def data() -> None:
    """Look into data sets and download them: `movierec data describe ratings.csv`, `movierec data fetch ml-1m`."""


@data.command(examples=["data fetch ml-1m", "data fetch ml-25m dir=/data"])
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

    folder = fetch_archive(name, directory)
    print(f"{folder}\ntrain on it: movierec train data.name={name} {in_shell(text_setting('data.dir', str(folder)))}")


@data.command(
    settings=True,
    examples=[
        "data describe ratings.csv",
        "data describe 'ratings/*.parquet' data.columns.user=uid",
        "data describe visits.txt.gz data.format.delimiter=tab --format json",
    ],
)
@click.argument("file")
@click.argument("words", metavar="[KEY=VALUE]...", nargs=-1)
@FORMAT
def describe(file: str, words: tuple[str, ...], form: Format) -> None:
    """Say how a file of ratings would be read, what is in it, and the command that trains on it.

    FILE is a text file of any form or JSON Lines, packed or not, a Parquet file, a folder or pattern of such files, an
    address, or a MovieLens folder. KEY=VALUE are settings of the data where something cannot be told or is told
    wrongly.
    """
    from movierec_engine.config import load_settings
    from movierec_engine.data.description import describe as facts_of
    from movierec_engine.data.movielens import LAYOUTS

    is_movielens = any(layout.is_in(Path(file)) for layout in LAYOUTS)
    named = text_setting("data.dir" if is_movielens else "data.ratings_file", file)
    config = load_settings([named, *words, "model=popularity", "device=cpu"]).data
    facts = facts_of(config, words)
    rows = [{"about": one.about, "value": one.value, "text": one.text} for one in facts]
    shown = [TableColumn("", cell("about"), left=True), TableColumn("", cell("text"), left=True, wraps=True)]
    (*others, last) = rows
    print_tables([ResultTable(str(file), shown, rows, lines=[f"train on it: {last['text']}"], shown=others)], form)
