"""What the dashboard knows: evaluation reports and the served version, read from the store with in-memory DuckDB.

Nothing here raises for a damaged store: what cannot be read is left out, and a note says which file and what to do.
"""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from movierec_engine.errors import StoreError
from movierec_engine.store import ArtifactStore, content_key

REPORTS = "evaluation_report"
REPORT = "report.json"
MANIFEST = "manifest.json"
USERS = "users.parquet"
SERVING = "serving"
SCHEMA = 1
"""The report schema that this program reads."""

OLDER_VERSIONS = 500
"""How many versions of a slot are read when older reports are asked for, newest first."""

_REPORT_COLUMNS = {
    "schema": "INTEGER",
    "model": "VARCHAR",
    "device": "VARCHAR",
    "data": "VARCHAR",
    "protocol": "VARCHAR",
    "mask": "VARCHAR",
    "fingerprint": "VARCHAR",
    "seed": "BIGINT",
    "created_at": "VARCHAR",
    "metrics": "MAP(VARCHAR, DOUBLE)",
    "intervals": "MAP(VARCHAR, DOUBLE[])",
    "validation_metrics": "MAP(VARCHAR, DOUBLE)",
    "counts": "MAP(VARCHAR, BIGINT)",
    "seconds": "DOUBLE",
    "peak_memory_mb": "DOUBLE",
    "split": {"strategy": "VARCHAR"},
}
_MANIFEST_COLUMNS = {
    "code_version": "VARCHAR",
    "parents": {"trained_model": "VARCHAR"},
    "config": {"overrides": ["VARCHAR"]},
    "files": {REPORT: {"sha256": "VARCHAR"}},
}


@dataclass(frozen=True)
class Report:
    """One evaluation of one trained model, as far as the dashboard shows it."""

    model: str
    device: str
    version: str
    """The report's own version in the store."""
    trained_model: str
    """Reference of the trained model that was measured."""
    data: str
    protocol: str
    mask: str
    fingerprint: str
    seed: int
    created_at: str
    metrics: dict[str, float]
    """Test metrics by name, such as `ndcg@10`; means over users."""
    intervals: dict[str, tuple[float, float]]
    """95 % intervals of those metrics that have one."""
    validation_metrics: dict[str, float]
    counts: dict[str, int]
    seconds: float
    """Training time."""
    peak_memory_mb: float
    split: str
    """How the data was divided, such as `temporal`."""
    code_version: str
    overrides: tuple[str, ...]
    """What was asked for on top of the default settings."""
    users_file: Path
    """Every user's own metrics, as Parquet."""

    @property
    def group(self) -> str:
        """What must be equal before two reports may be ranked together."""
        return f"{self.fingerprint}-{self.protocol}"


@dataclass(frozen=True)
class Served:
    """What the API serves by default now."""

    model: str
    device: str
    trained_model: str
    since: str


@dataclass(frozen=True)
class Board:
    """The reports to rank, what is served, and notes on what was left out."""

    reports: list[Report] = field(default_factory=list)
    served: Served | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PairedDifference:
    """How far one model is ahead of another user by user: mean, with half the width of its 95 % interval."""

    users: int
    mean: float
    half_width: float


def artifacts_root() -> Path:
    """The store's folder: MOVIEREC_ARTIFACTS, else `artifacts` in the working folder."""
    return Path(os.environ.get("MOVIEREC_ARTIFACTS") or "artifacts").expanduser()


def signature(root: Path) -> str:
    """Short hash that changes when a version lands or goes, when what is shown changes, or when the serving does.

    Looks at the folders and at the newest version of each slot alone, so that thousands of versions cost no more.
    """
    marks: list[object] = [_mark(ArtifactStore(root).pointer_file(SERVING))]
    for slot in _slots(root):
        versions = _versions(slot)
        newest, _ = _newest(slot, versions)
        files = [slot / newest / name for name in ("", MANIFEST, REPORT, USERS)] if newest else []
        marks.append((str(slot), len(versions), *map(_mark, [slot, slot / "LATEST", *files])))
    return content_key(marks)


def load(root: Path, *, older: bool = False) -> Board:
    """The newest report of every model and device; with `older`, the newest in every group that it was ever in."""
    notes: list[str] = []
    folders: list[Path] = []
    rest: list[Path] = []
    for slot in _slots(root):
        versions = _versions(slot)
        newest, note = _newest(slot, versions)
        notes += [note] if note else []
        folders += [slot / newest] if newest else []
        rest += [slot / name for name in versions[:OLDER_VERSIONS] if name != newest] if older else []
    read = _read_reports(root, [*folders, *rest], notes)
    newest_in_group: dict[tuple[Path, str], Report] = {}
    for folder, report in read:  # each slot's newest comes first
        newest_in_group.setdefault((folder.parent, report.group), report)
    return Board(list(newest_in_group.values()), _served(root, notes), notes)


def groups(reports: Iterable[Report]) -> dict[str, list[Report]]:
    """Reports that may be ranked together, by group; the group of the newest report first."""
    found: dict[str, list[Report]] = {}
    for report in sorted(reports, key=lambda report: report.version, reverse=True):
        found.setdefault(report.group, []).append(report)
    return found


def ranked(reports: Iterable[Report], metric: str) -> list[Report]:
    """Best first; those without the metric last."""
    return sorted(
        reports, key=lambda report: (-report.metrics.get(metric, -math.inf), report.seconds, report.model, report.device)
    )


def paired_difference(ahead: Report, behind: Report, metric: str) -> PairedDifference | None:
    """Mean difference of a metric over the users that both reports have, with its normal 95 % interval.

    None when a file is damaged or missing, lacks the metric, or shares fewer than two users with the other.
    """
    column = '"' + metric.replace('"', '""') + '"'
    query = f"""
        SELECT count(*), avg(a.{column} - b.{column}), stddev_samp(a.{column} - b.{column}) / sqrt(count(*))
        FROM read_parquet(?) AS a JOIN read_parquet(?) AS b USING (user_id)
    """
    try:
        with duckdb.connect() as connection:
            row = connection.execute(query, [[_literal(ahead.users_file)], [_literal(behind.users_file)]]).fetchone()
    except duckdb.Error:
        return None
    if row is None or row[0] < 2:
        return None
    users, mean, error = row
    return PairedDifference(users, mean, 1.96 * error)


# ------------------------------------------------------------------------------------------------------------- folders


def _slots(root: Path) -> list[Path]:
    """`<root>/evaluation_report/<model>/<device>` folders, sorted."""
    return [device for model in _folders(root / REPORTS) for device in _folders(model)]


def _versions(slot: Path) -> list[str]:
    """Names of a slot's versions, newest first: they begin with the time."""
    return [folder.name for folder in reversed(_folders(slot))]


def _newest(slot: Path, versions: Sequence[str]) -> tuple[str | None, str | None]:
    """The version that LATEST names if it is there, else the newest by name; and a note when LATEST names none."""
    newest = versions[0] if versions else None
    try:
        named = (slot / "LATEST").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return newest, None
    if named in versions:
        return named, None
    where = "/".join(slot.parts[-3:])
    if newest is None:
        return None, f"{where}/LATEST names {named!r}, which is gone; evaluate {slot.parts[-2]} again"
    return newest, f"{where}/LATEST names {named!r}, which is gone; shown is {newest} instead"


def _folders(parent: Path) -> list[Path]:
    try:
        with os.scandir(parent) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return []


def _mark(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_size)


# ------------------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class _Document:
    """A JSON file: its checksum, whether it is an object, and the wanted keys' values, None where they do not fit."""

    sha256: str
    is_object: bool
    values: dict[str, Any]


def _read_reports(root: Path, folders: Sequence[Path], notes: list[str]) -> list[tuple[Path, Report]]:
    """The readable reports of version folders, in their order; a note on every other one."""
    reports = _read_json([folder / REPORT for folder in folders], _REPORT_COLUMNS)
    manifests = _read_json([folder / MANIFEST for folder in folders], _MANIFEST_COLUMNS)
    found = []
    for folder in folders:
        report, manifest = reports.get(folder / REPORT), manifests.get(folder / MANIFEST)
        damage = _damage(report, manifest)
        if damage or report is None or manifest is None:
            name, what = damage
            model, device = folder.parts[-3:-1]
            notes.append(
                f"{(folder / name).relative_to(root).as_posix()}: {what}; left out. To mend it, evaluate again: "
                f"movierec train model={model} device={device}"
            )
        else:
            found.append((folder, _report(folder, report.values, manifest.values)))
    return found


def _damage(report: _Document | None, manifest: _Document | None) -> tuple[str, str] | tuple[()]:
    """The file that is wrong in a version folder and what is wrong with it; empty when nothing is."""
    for name, document in ((REPORT, report), (MANIFEST, manifest)):
        if document is None:
            return name, "missing or not readable"
        if not document.is_object:
            return name, "truncated, or not JSON"
    assert report is not None and manifest is not None
    if report.values["schema"] != SCHEMA:
        return REPORT, f"report schema {report.values['schema']}, this program reads {SCHEMA}"
    if missing := [name for name, value in report.values.items() if value is None]:
        return REPORT, f"no usable value for {', '.join(missing)} (an older or damaged schema)"
    numbers = [*report.values["metrics"].values(), *report.values["validation_metrics"].values()]
    numbers += [end for interval in report.values["intervals"].values() for end in interval or (None, None)]
    numbers += [report.values["seconds"], report.values["peak_memory_mb"], *report.values["counts"].values()]
    if not report.values["metrics"] or not all(value is not None and math.isfinite(value) for value in numbers):
        return REPORT, "a metric, an interval, a count or a cost is not a number"
    if any(len(interval) != 2 for interval in report.values["intervals"].values()):
        return REPORT, "an interval does not have two ends"
    if not (manifest.values["parents"] or {}).get("trained_model"):
        return MANIFEST, "does not name the trained model that was evaluated"
    if (((manifest.values["files"] or {}).get(REPORT)) or {}).get("sha256") != report.sha256:
        return REPORT, "does not match its manifest's checksum"
    return ()


def _report(folder: Path, values: dict[str, Any], manifest: dict[str, Any]) -> Report:
    return Report(
        **{name: value for name, value in values.items() if name not in ("schema", "intervals", "split")},
        version=folder.name,
        trained_model=manifest["parents"]["trained_model"],
        intervals={name: (low, high) for name, (low, high) in values["intervals"].items()},
        split=values["split"]["strategy"] or "unknown",
        code_version=manifest["code_version"] or "unknown",
        overrides=tuple((manifest["config"] or {}).get("overrides") or ()),
        users_file=folder / USERS,
    )


def _read_json(paths: Sequence[Path], columns: dict[str, Any]) -> dict[Path, _Document]:
    """JSON files as typed values in one query; without those that are missing or cannot be opened."""
    query = """
        WITH files AS (SELECT filename, sha256(content) AS sha256, TRY(decode(content)) AS text FROM read_blob(?)),
        valid AS (SELECT filename, sha256, CASE WHEN json_valid(text) THEN text END AS text FROM files)
        SELECT filename, sha256, coalesce(json_type(text) = 'OBJECT', false), TRY(json_transform(text, ?)) FROM valid
    """
    import json

    if not paths:
        return {}
    with duckdb.connect() as connection:

        def rows(some: Sequence[Path]) -> list[Any]:
            return connection.execute(query, [[_literal(path) for path in some], json.dumps(columns)]).fetchall()

        try:
            found = rows(paths)
        except duckdb.Error:  # one file that cannot be opened must not hide the others
            found = []
            for path in paths:
                try:
                    found += rows([path])
                except duckdb.Error:
                    continue
    empty = dict.fromkeys(columns)
    return {Path(name): _Document(sha256, ok, values or empty) for name, sha256, ok, values in found}


def _literal(path: Path) -> str:
    """A path for DuckDB, in which `*`, `?` and `[` stand for themselves."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in str(path))


def _served(root: Path, notes: list[str]) -> Served | None:
    store = ArtifactStore(root)
    try:
        artifact = store.pointed(SERVING)
        if artifact is None:
            return None
        trained_model = artifact.parents.get("trained_model", "")
        pointer = _read_json([store.pointer_file(SERVING)], {"since": "VARCHAR"})
        since = next((document.values["since"] for document in pointer.values()), None)
        model, device = artifact.slot.path
    except (StoreError, OSError, ValueError) as error:
        notes.append(f"pointers/{SERVING}.json: what is served cannot be told ({error})")
        return None
    return Served(model, device, trained_model, since or "")
