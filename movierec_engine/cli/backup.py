"""`movierec backup` and `movierec restore`: copies of what cannot be made again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from movierec_engine.cli.options import ARTIFACTS, Verb
from movierec_engine.store.storage import Location

if TYPE_CHECKING:
    from movierec_engine.backup.archive import Backup

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(cls=Verb, examples=["backup to=/backups/2026-11-29", 'backup --to "/backups/$(date +%F)"'])
@ARTIFACTS
@click.option("--to", required=True, type=FOLDER, help="The folder to make; its disk should be another one.")
def backup(artifacts: Location, to: Path) -> None:
    """Copy all that cannot be made again to a folder, while everything goes on.

    Feedback with its erasures, what is served with what it came from and was decided, the newest version of the rest,
    Dagster's records (DAGSTER_HOME) and MLflow's (MLFLOW_TRACKING_URI), in SQLite or PostgreSQL. Feedback that is in
    PostgreSQL (MOVIEREC_FEEDBACK_URL) is left to its own backups. The folder appears once it is whole and checked;
    where a backup was cut off, the same command goes on.
    """
    from movierec_engine.backup import back_up
    from movierec_engine.config import load_settings

    with _disks_explained(to):
        made = back_up(artifacts, to, load_settings(["model=popularity", "device=cpu"]).release)
    print(f"backed up to {made.folder}: {_summary(made)}")


@click.command(
    cls=Verb, examples=["restore from=/backups/2026-11-29", "restore --from /backups/2026-11-29 --overwrite"]
)
@ARTIFACTS
@click.option("--from", "source", required=True, type=FOLDER, help="The folder that `movierec backup` made.")
@click.option("--overwrite", is_flag=True, help="Move what is there aside, into .replaced-TIME folders.")
def restore(artifacts: Location, source: Path, overwrite: bool) -> None:
    """Put a backup back, into an empty instance unless told otherwise.

    All checksums are compared before anything is changed. Stop the API, the dashboard and Dagster's processes first.
    Who was erased since the backup stays erased, as the erasures beside a feedback log are left.
    """
    from movierec_engine.backup import restore as put_back

    with _disks_explained(artifacts):
        made = put_back(artifacts, source, overwrite)
    print(f"restored: {_summary(made)}")


@contextmanager
def _disks_explained(folder: Location) -> Iterator[None]:
    """Turns an OSError of the file system into a BackupError of one sentence."""
    from movierec_engine.backup.archive import BackupError

    try:
        yield
    except OSError as error:
        reason = f"{error.strerror or error}; mend that, then run the same command again"
        raise BackupError(f"{error.filename or folder}: {reason}") from error


def _summary(of: "Backup") -> str:
    from movierec_engine.reporting import numbers

    facts = of.facts
    parts = [numbers.counted(facts["versions"], "version"), numbers.counted(len(facts["logs"]), "feedback log")]
    if facts.get("feedback_elsewhere"):
        parts.append(f"nothing of the feedback in {facts['feedback_elsewhere']}, of which pg_dump makes copies")
    for part, name in (("dagster", "Dagster"), ("mlflow", "MLflow")):
        if of.names(part):
            parts.append(f"{name}'s records ({facts[part]})")
        else:
            parts.append(f"nothing of {name} ({facts[part].replace('SQLite', 'none is there')})")
    return f"{', '.join(parts)}; {numbers.size(of.size)}, of {facts['created_at']}"
