"""Taking a backup, while everything goes on."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from movierec_engine import __version__
from movierec_engine.backup.archive import Backup, BackupError, BackupWriter
from movierec_engine.backup.databases import Postgres, copy_sqlite
from movierec_engine.backup.records import DAGSTER, MLFLOW, Records, dagster_records, mlflow_records
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.feedback.logs import FeedbackLogs
from movierec_engine.release.retention import kept_releases, needed
from movierec_engine.reporting.progress import advance, step
from movierec_engine.store import Artifact, ArtifactStore, kinds
from movierec_engine.store.retention import slots_of_versions
from movierec_engine.store.slot import MANIFEST
from movierec_engine.store.storage import Location, is_url

STORE, FEEDBACK = "store", "feedback"
"""Parts of the archive; the others are DAGSTER and MLFLOW."""
DUMP = "postgres.dump"
"""The file of a part that is a PostgreSQL database."""
_NOTES = ("pointers/*/*.json", ".order/newest", ".runs/*")
"""Files of the store that are no versions and may change: pointers, the last stamp, leases of runs that are on."""


@step("backing up")
def back_up(artifacts: Location, to: Path, release: ReleaseConfig) -> Backup:
    """Copy to a folder that is not there yet all that cannot be made again; it appears whole, or not at all.

    Of the store that is pointers, decisions, and what `models prune --keep 1` would leave. Each database is as of one
    moment. Feedback in PostgreSQL is left to that. Raises BackupError, also where one of those versions cannot be
    read, ConfigError for settings of Dagster's, and StoreError for an unreadable pointer or LATEST.
    """
    store = folder_store(artifacts)
    if not store.root.is_dir():
        raise BackupError(f"{store.root}: there is no artifact store; set MOVIEREC_ARTIFACTS to it")
    records = {DAGSTER: dagster_records(store.root), MLFLOW: mlflow_records(store.root)}
    elsewhere = FeedbackLogs.of_environment(store.root)
    writer = BackupWriter(to)
    # What changes comes first and the versions that it names after it, since those stay as they are.
    notes, latest = _notes(store), _latest(store)
    versions = needed(store, release, set(named := _named(notes, latest)))
    _require_all(store, release, named, versions)
    logs = sorted((store.root / FEEDBACK).glob("*/feedback.db"))
    databases = [
        *logs,
        *(path for of in records.values() if not isinstance(of, (str, Postgres)) for path in of.databases),
    ]
    total = sum(file["size"] for one in versions for file in one.files.values())
    total += sum(path.stat().st_size for path in databases)

    def tell() -> None:
        advance(min(writer.size, total) >> 20, total >> 20, "MB")

    for name, content in notes.items():
        writer.write(f"{STORE}/{name}", content)
    for one in versions:
        _copy_version(writer, one)
        tell()
    there = {one.reference for one in versions}
    for slot, version in latest.items():
        if f"{slot}/{version}" in there:
            writer.write(f"{STORE}/{slot}/LATEST", version.encode())
    for path in logs:
        writer.make(f"{FEEDBACK}/{path.parent.name}/{path.name}", partial(copy_sqlite, path))
        # After the log, so that whoever is erased meanwhile is erased again when it is restored.
        if (erasures := path.with_name("erasures.tsv")).exists():
            writer.copy(erasures, f"{FEEDBACK}/{path.parent.name}/{erasures.name}")
        tell()
    for part, of in records.items():
        _copy_records(writer, part, of)
        tell()
    return writer.finish(
        {
            "movierec": __version__,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": len(versions),
            "logs": [path.parent.name for path in logs],
            "feedback_elsewhere": elsewhere.where if elsewhere.url else "",
            **{part: described(of) for part, of in records.items()},
        }
    )


def folder_store(artifacts: Location) -> ArtifactStore:
    """The store in a folder. Raises BackupError for an object store, which keeps its versions itself."""
    if is_url(artifacts):
        raise BackupError(
            f"{artifacts}: an object store is copied by `movierec store copy`; let --artifacts be this host's folder "
            "of the feedback log and the records"
        )
    return ArtifactStore(artifacts)


def described(of: Records | str) -> str:
    """The kind of records, as a backup's facts have it; or why there are none."""
    return of if isinstance(of, str) else ("PostgreSQL" if isinstance(of, Postgres) else "SQLite")


def _notes(store: ArtifactStore) -> dict[str, bytes]:
    """Path in the store -> content."""
    found = {}
    for path in sorted(path for pattern in _NOTES for path in store.root.glob(pattern)):
        try:
            found[path.relative_to(store.root).as_posix()] = path.read_bytes()
        except FileNotFoundError:  # a run has just ended
            continue
    return found


def _latest(store: ArtifactStore) -> dict[str, str]:
    """Slot -> the version that its LATEST names."""
    return {str(slot): store.latest_name(slot) or "" for slot in slots_of_versions(store)}


def _named(notes: Mapping[str, bytes], latest: Mapping[str, str]) -> dict[str, str]:
    """The references that pointers and LATEST name, and the file that does."""
    references = {f"{slot}/{version}": f"{slot}/LATEST" for slot, version in latest.items()}
    for name, content in notes.items():
        if name.startswith("pointers/"):
            try:
                references[str(json.loads(content)["reference"])] = name
            except (ValueError, KeyError, TypeError) as error:
                raise StoreError(f"{name}: not a readable pointer ({error}); promote a version again") from error
    return references


def _require_all(
    store: ArtifactStore, release: ReleaseConfig, named: Mapping[str, str], versions: Sequence[Artifact]
) -> None:
    """Raises BackupError where a version that a backup needs cannot be read, since it would be left out.

    Earlier releases may be gone, as prune takes them; records never are.
    """
    needs = {parent: one.reference for one in versions for parent in one.parents.values()}
    there = [reference for reference in kept_releases(store, release) if (store.root / reference).exists()]
    there += [
        path.relative_to(store.root).as_posix()
        for slot in store.storage.slots()
        if slot.kind in kinds.RECORDS
        for path in store.root.joinpath(*slot.parts).iterdir()
        if path.is_dir()
    ]
    needs |= dict.fromkeys(there, "the record of decisions") | dict(named)
    for reference in sorted(needs.keys() - {one.reference for one in versions}):
        try:
            store.resolve(reference)
        except StoreError as error:
            raise BackupError(
                f"{needs[reference]} needs a version that cannot be backed up ({error}); bring it back from an earlier "
                "backup, or, where a pointer needs it, promote another version by `movierec models promote MODEL`"
            ) from error


def _copy_version(writer: BackupWriter, version: Artifact) -> None:
    for name, file in {**version.files, MANIFEST: dict[str, Any]()}.items():
        writer.copy(version.folder / name, f"{STORE}/{version.reference}/{name}", file.get("sha256", ""))


def _copy_records(writer: BackupWriter, part: str, of: Records | str) -> None:
    if isinstance(of, str):
        return
    if isinstance(of, Postgres):
        writer.make(f"{part}/{DUMP}", of.dump)
        return
    for path in of.databases:
        writer.make(f"{part}/{path.relative_to(of.folder).as_posix()}", partial(copy_sqlite, path))
    for path in of.files:
        writer.copy(path, f"{part}/{path.relative_to(of.folder).as_posix()}")
