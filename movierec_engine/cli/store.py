"""`movierec store`: copy artifact stores."""

import click

from movierec_engine.cli.options import CommandGroup, StoreLocation
from movierec_engine.store.storage import Location


@click.group(cls=CommandGroup)
def store() -> None:
    """Copy an artifact store: from a folder into an object store, back, or between two of a kind.

    An object store is named by a URL, s3://bucket/prefix, gs:// or az://; endpoint and credentials are the
    environment's, such as AWS_ENDPOINT_URL and AWS_ACCESS_KEY_ID.
    """


@store.command("copy", examples=["store copy artifacts s3://bucket/movies", "store copy s3://bucket/movies artifacts"])
@click.argument("source", metavar="FROM", type=StoreLocation())
@click.argument("target", metavar="TO", type=StoreLocation())
@click.option("--data", "data_set", default="", metavar="NAME", show_default="all", help="The data set.")
def copy(source: Location, target: Location, data_set: str) -> None:
    """Copy every version that the other store lacks, each file checked by its checksum, then what is served.

    A copy that was interrupted goes on where it was when it is made again. Nothing is deleted. The feedback log,
    MLflow's files and studies are no artifacts and stay where they are.
    """
    from movierec_engine.reporting import numbers
    from movierec_engine.store import ArtifactStore
    from movierec_engine.store.copying import copy_store

    copied = copy_store(ArtifactStore(source), ArtifactStore(target), data_set)
    print(
        f"{numbers.counted(copied.versions, 'version')}, {numbers.memory(copied.megabytes)}, copied; "
        f"{copied.present} were there; {numbers.counted(copied.pointers, 'pointer')} moved"
    )
