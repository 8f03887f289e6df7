"""Restoring a backup into an empty instance, or in place of what there is."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

from movierec_engine.backup.archive import Backup, BackupError, read_backup
from movierec_engine.backup.databases import ENDINGS, Postgres, sqlite_has_runs
from movierec_engine.backup.records import DAGSTER, MLFLOW, Records, SqliteFiles, dagster_records, mlflow_records
from movierec_engine.backup.taking import DUMP, FEEDBACK, STORE, described, folder_store
from movierec_engine.errors import ConfigError
from movierec_engine.reporting.progress import advance, step
from movierec_engine.store import ArtifactStore
from movierec_engine.store.files import fsync, replace_file
from movierec_engine.store.retention import slots_of_versions
from movierec_engine.store.slot import LATEST, MANIFEST
from movierec_engine.store.storage import Location

STAGING = ".restoring"
"""The folder, in the store and beside Dagster's files, of copies on their way."""
MOVING = "moving"
"""In the store's: the file that names the backup whose copies are being moved into place."""


@step("restoring")
def restore(artifacts: Location, source: Path, overwrite: bool = False) -> Backup:
    """Put a backup's content in its place: versions first, then logs and records, pointers last.

    All is copied beside and found whole before anything is moved. Killed before that, nothing has changed; killed
    later, the same command goes on. overwrite: whether what is there is moved to a folder `.replaced-<time>`.

    Raises BackupError for a damaged backup and for what is not empty or in use, and ConfigError where Dagster or MLflow
    keep their records elsewhere than when it was made.
    """
    archive = read_backup(source.expanduser().absolute())
    root = folder_store(artifacts).root
    records = {part: _records_of(archive, part, root) for part in (DAGSTER, MLFLOW)}
    marker = root / STAGING / MOVING
    goes_on = marker.is_file() and marker.read_text(encoding="utf-8") == archive.identity
    occupied = [] if goes_on else list(_occupied(root, records))
    if occupied and not overwrite:
        raise BackupError(
            f"{occupied[0]} is not empty; restore into an empty instance, or say --overwrite, which moves aside what "
            "is there"
        )
    _require_unused(root, records)
    if not goes_on:
        _drop_other_copies(archive, root, records)
    _stage(archive, root, records, goes_on)
    if occupied:
        _move_aside(root, records)
    replace_file(marker, archive.identity)
    _move_store(root)
    _move_logs(root)
    for part, of in records.items():
        _put_records(archive, root, part, of)
    _move_notes(root)
    for staging in _stagings(root, records):
        shutil.rmtree(staging, ignore_errors=True)
    return archive


def _stagings(root: Path, records: dict[str, Records | None]) -> set[Path]:
    """The folders of copies on their way."""
    return {root / STAGING, *(of.folder / STAGING for of in records.values() if isinstance(of, SqliteFiles))}


def _records_of(archive: Backup, part: str, root: Path) -> Records | None:
    """Where a part's records belong now; None where the backup has none."""
    if not archive.names(part):
        return None
    wanted = archive.facts.get(part)
    found = dagster_records(root) if part == DAGSTER else mlflow_records(root)
    if isinstance(found, str) or described(found) != wanted:
        name = "DAGSTER_HOME, and the dagster.yaml in it," if part == DAGSTER else "MLFLOW_TRACKING_URI"
        raise ConfigError(
            f"the backup holds the records of {part} in {wanted}, and here it is otherwise: {described(found)}; "
            f"set {name} as when it was made"
        )
    return found


def _occupied(root: Path, records: dict[str, Records | None]) -> Iterator[str]:
    """The stores, feedback logs and databases that hold data which a restore would replace."""
    if _kinds(root) or any((root / "pointers").glob("*/*.json")):
        yield f"the store {root}"
    yield from (f"the feedback log {path}" for path in _databases(root / FEEDBACK, "*/feedback.db"))
    for part, of in records.items():
        if isinstance(of, SqliteFiles) and sqlite_has_runs(of.folder / of.main):
            yield f"the database {of.folder / of.main} of {part}"
        if isinstance(of, Postgres) and of.has_runs():
            yield f"the database {of.name} of {part}"


def _kinds(root: Path) -> list[str]:
    """The kinds of the versions in a store, readable or not, also of those that lack a LATEST since a restore was cut
    off."""
    found = {slot.kind for slot in slots_of_versions(ArtifactStore(root))}
    for path in _manifests(root):
        with suppress(OSError, ValueError, KeyError, TypeError):  # damaged, or somebody else's
            if json.loads(path.read_bytes())["slot"] == path.parent.parent.relative_to(root).as_posix():
                found.add(path.relative_to(root).parts[0])
    return sorted(found)


def _manifests(root: Path) -> list[Path]:
    return sorted(path for depth in ("*/*/*", "*/*/*/*/*") for path in root.glob(f"{depth}/{MANIFEST}"))


def _databases(folder: Path, pattern: str) -> list[Path]:
    """Files of SQLite databases, with what is left of one whose main file is gone, such as its last writes."""
    return sorted(path for ending in ENDINGS for path in folder.glob(f"{pattern}{ending}"))


def _require_unused(root: Path, records: dict[str, Records | None]) -> None:
    """Raises BackupError where something uses a database that a restore would replace."""
    for of in records.values():
        if isinstance(of, Postgres):
            of.require_unused()
    files = {str(path) for path in (root / FEEDBACK).glob("*/feedback.db")}
    files |= {str(path) for of in records.values() if isinstance(of, SqliteFiles) for path in of.databases}
    for process in psutil.process_iter(["name"]) if files else ():
        with suppress(psutil.Error):
            for file in process.open_files():
                if file.path in files:
                    raise BackupError(
                        f"{file.path}: process {process.pid} ({process.name()}) has it open; stop it first"
                    )


def _drop_other_copies(archive: Backup, root: Path, records: dict[str, Records | None]) -> None:
    """Remove copies that the restore of another backup has left, which would come back with this one's."""
    for staging in _stagings(root, records):
        for path in sorted(path for path in staging.rglob("*") if path.is_file()):
            if path.relative_to(staging).as_posix() not in archive.files:
                path.unlink()


def _stage(archive: Backup, root: Path, records: dict[str, Records | None], goes_on: bool) -> None:
    """Copy all files beside where they belong, but those that a restore which was cut off has moved into place."""
    total, done = archive.size, 0
    for name, facts in archive.files.items():
        part, _, path = name.partition("/")
        of = records.get(part)
        home = root if part in (STORE, FEEDBACK) else (of.folder if isinstance(of, SqliteFiles) else root)
        final = home / path if part in (STORE, *records) else home / part / path
        if not (goes_on and final.exists()):
            archive.copy(name, home / STAGING / name, private=part != STORE)
        done += int(facts["size"])
        advance(done >> 20, total >> 20, "MB")


def _move_aside(root: Path, records: dict[str, Records | None]) -> None:
    """Move what a restore replaces into folders of their own; erasures stay, as they hold for what is restored too."""
    name = f".replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    aside = [root / kind for kind in _kinds(root)] + [root / "pointers"]
    aside += _databases(root / FEEDBACK, "*/feedback.db")
    for path in aside:
        _move(path, root / name / path.relative_to(root))
    for part, of in records.items():
        if isinstance(of, Postgres) and of.has_runs():
            (root / name).mkdir(mode=0o700, exist_ok=True)
            of.dump(root / name / f"{part}.dump")
        if isinstance(of, SqliteFiles):
            databases = [path for pattern in of.patterns for path in _databases(of.folder, pattern)]
            for path in [*databases, *([of.folder / of.beside] if of.beside else [])]:
                _move(path, of.folder / name / path.relative_to(of.folder))


def _move_store(root: Path) -> None:
    """Move versions into place, each as a whole, and then the files that name the newest."""
    staged = root / STAGING / STORE
    for manifest in _manifests(staged):
        _move(manifest.parent, root / manifest.parent.relative_to(staged))
    for latest in sorted(path for depth in ("*/*", "*/*/*/*") for path in staged.glob(f"{depth}/{LATEST}")):
        _move(latest, root / latest.relative_to(staged))


def _move_logs(root: Path) -> None:
    staged = root / STAGING / FEEDBACK
    for path in sorted(staged.glob("*/*")):
        target = root / FEEDBACK / path.relative_to(staged)
        if not (path.name == "erasures.tsv" and target.exists()):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _move_file(path, target)


def _put_records(archive: Backup, root: Path, part: str, of: Records | None) -> None:
    if isinstance(of, Postgres):
        of.restore(root / STAGING / part / DUMP)
    if isinstance(of, SqliteFiles):
        staged = of.folder / STAGING / part
        for path in sorted(path for path in staged.rglob("*") if path.is_file()):
            _move_file(path, of.folder / path.relative_to(staged))


def _move_notes(root: Path) -> None:
    """The last stamp, leases of runs that were on, and pointers, from which on the restored release is served."""
    staged = root / STAGING / STORE
    files = [path.relative_to(staged) for path in staged.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: path.parts[0] == "pointers"):
        if path.parts[0] == ".runs":
            os.utime(staged / path, (0, 0))  # so that the run counts as lost
        _move(staged / path, root / path)


def _move_file(path: Path, target: Path) -> None:
    """Move a file into place, without what SQLite has left beside a database that was there: it would be read as the
    last writes of this one."""
    if path.suffix == ".db":
        for ending in filter(None, ENDINGS):
            Path(f"{target}{ending}").unlink(missing_ok=True)
    _move(path, target)


def _move(path: Path, target: Path) -> None:
    """Rename a file or a folder that is there, on the disk when this returns; a folder that is in place stays."""
    if not path.exists() or (path.is_dir() and target.exists()):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    fsync(target.parent)
