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
@click.option("--verify", is_flag=True, help="Read what TO has, too, and replace what is damaged.")
@click.option(
    "--overwrite-pointers", is_flag=True, help="Serve what FROM serves, though TO has decided otherwise since."
)
def copy(source: Location, target: Location, data_set: str, verify: bool, overwrite_pointers: bool) -> None:
    """Copy every version that the other store lacks, each file checked by its checksum, then what is served.

    A copy that was interrupted goes on where it was when it is made again. No version is deleted. What TO serves,
    pins or has as rules by a decision of its own, which FROM does not have, it keeps. The feedback log, MLflow's files
    and studies are no artifacts and stay where they are.
    """
    from movierec_engine.reporting import numbers
    from movierec_engine.store import ArtifactStore
    from movierec_engine.store.copying import copy_store

    copied = copy_store(
        ArtifactStore(source), ArtifactStore(target), data_set, verify=verify, overwrite_pointers=overwrite_pointers
    )
    print(
        f"{numbers.counted(copied.versions, 'version')}, {numbers.memory(copied.megabytes)}, copied; "
        f"{copied.present} were there; {numbers.counted(copied.pointers, 'pointer')} moved"
    )
    if copied.repaired:
        print(f"repaired: {', '.join(copied.repaired)}")
    if copied.left:
        print(f"left as {target} has decided since: {', '.join(copied.left)}; --overwrite-pointers replaces them")
