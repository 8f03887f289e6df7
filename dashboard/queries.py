"""What the pages ask of the artifact store, answered by an in-memory DuckDB over its JSON and Parquet files.

`load` reads one report of each model and device: the version that LATEST names, or the newest readable one. Its cost
grows with the number of models, not of versions. What cannot be read becomes a note, never an exception.
"""

import json
import os
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from movierec_engine.errors import MovierecError, StoreError
from movierec_engine.evaluation.comparison import Verdict, compare_all_pairs
from movierec_engine.evaluation.metrics import ACCURACY
from movierec_engine.evaluation.reproduce import train_command
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot

KIND = "evaluation_report"
REPORT_FILE = "report.json"
USERS_FILE = "users.parquet"
_LARGEST = 1e15
"""No number of a report is larger, or negative."""
SCHEMA = 2
"""The report schema that these pages read."""
RANKED = (*ACCURACY, "coverage")
"""Metrics by which models are ranked: those of which more is better."""
BASELINE = "popularity"
"""The model that every other one has to beat."""

READ_FOR_SEEDS = 100
"""Versions of each model and device, newest first, among which reports with other seeds are looked for."""

Signature = tuple[tuple[str, int, int], ...]

_METRIC = re.compile(r"(.+)@(\d{1,6})")
_SLOT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")

_REPORTS = pa.schema(
    [(name, pa.string()) for name in ("id", "model", "device", "version", "data", "protocol", "fingerprint")]
    + [(name, pa.string()) for name in ("created_at", "code_version", "trained_model", "command", "users_file")]
    + [("seconds", pa.float64()), ("memory_mb", pa.float64()), ("users", pa.int64())]
)
_SCORES = pa.schema(
    [("id", pa.string()), ("metric", pa.string()), ("k", pa.int64())]
    + [(name, pa.float64()) for name in ("score", "low", "high", "validation")]
)


@dataclass(frozen=True)
class Serving:
    """What the API answers from: the promoted index, and the trained model that it was built from."""

    index: str
    trained_model: str
    since: str

    @property
    def model(self) -> str:
        return [*self.trained_model.split("/"), ""][1]


@dataclass(frozen=True)
class Snapshot:
    """The newest reports as tables `reports` (one row each) and `scores` (one row a report, metric and k)."""

    reports: pa.Table
    scores: pa.Table
    serving: Serving | None
    notes: tuple[str, ...]
    """One sentence for each thing left out: the file, what is wrong with it, and the remedy."""


@dataclass(frozen=True)
class Group:
    """Reports that may be ranked together: same data, protocol and fingerprint."""

    data: str
    protocol: str
    fingerprint: str

    @property
    def id(self) -> str:
        return f"{self.data}/{self.protocol}/{self.fingerprint}"

    @property
    def sampled(self) -> bool:
        return self.protocol != "full"


@dataclass(frozen=True)
class Standing:
    """One report's place by one metric; score is None where the report lacks that metric."""

    id: str
    model: str
    device: str
    version: str
    fingerprint: str
    created_at: str
    code_version: str
    command: str
    users_file: str
    seconds: float
    memory_mb: float
    users: int
    score: float | None
    low: float | None
    high: float | None
    validation: float | None
    served: bool


@dataclass(frozen=True)
class Spread:
    """A metric over seeds: mean, and sample standard deviation (n - 1)."""

    mean: float
    sd: float


@dataclass(frozen=True)
class OverSeeds:
    """The newest report of each seed, of one model, device, fingerprint and configuration; at least two seeds."""

    model: str
    device: str
    fingerprint: str
    seeds: tuple[int, ...]
    reports: tuple[str, ...]
    """Their references, in the order of the seeds."""
    test: dict[str, Spread]
    """Metric such as ndcg@10 -> its spread; only metrics that every one of the reports has."""
    validation: dict[str, Spread]


def store_root() -> Path:
    """The store's folder: MOVIEREC_ARTIFACTS, else `artifacts` below the working folder."""
    return Path(os.environ.get("MOVIEREC_ARTIFACTS") or "artifacts").expanduser().absolute()


def signature(root: Path) -> Signature:
    """Changes whenever a report is published, removed or repaired, or another index is promoted."""
    parts = [_stamp(ArtifactStore(root).pointer_file(SERVING))]
    for folder in _slot_folders(root):
        version = folder / _latest(folder)
        parts += [
            _stamp(path) for path in (folder, folder / "LATEST", version / "manifest.json", version / REPORT_FILE)
        ]
    return tuple(parts)


def load(root: Path) -> Snapshot:
    """The newest readable report of every model and device, and what is served."""
    store = ArtifactStore(root)
    notes: list[str] = []
    reports: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    for folder in _slot_folders(root):
        found = _newest_report(store, folder, notes)
        if found is not None:
            artifact, report = found
            reports.append(_report_row(artifact, report))
            scores += _score_rows(artifact.reference, report)
    return Snapshot(
        pa.Table.from_pylist(reports, schema=_REPORTS),
        pa.Table.from_pylist(scores, schema=_SCORES),
        _serving(store, notes),
        tuple(notes),
    )


def groups(snapshot: Snapshot) -> list[Group]:
    """Every set of comparable reports, that of the newest report first: the one that the leaderboard asset ranks."""
    rows = _ask(
        snapshot,
        """SELECT data, protocol, fingerprint FROM reports
           GROUP BY ALL ORDER BY max(version) DESC""",
    )
    return [Group(*row) for row in rows]


def devices(snapshot: Snapshot, group: Group) -> list[str]:
    rows = _ask(snapshot, f"SELECT DISTINCT device FROM reports WHERE {_IN_GROUP} ORDER BY device", *_key(group))
    return [device for (device,) in rows]


def metrics(snapshot: Snapshot, group: Group) -> dict[str, list[int]]:
    """Metric name -> the k values it was measured at, over all reports of a group."""
    rows = _ask(
        snapshot,
        f"""SELECT metric, list(DISTINCT k ORDER BY k) FROM scores JOIN reports USING (id)
            WHERE {_IN_GROUP} GROUP BY metric ORDER BY metric""",
        *_key(group),
    )
    return {metric: depths for metric, depths in rows if metric in RANKED}


def standings(snapshot: Snapshot, group: Group, metric: str, k: int, device: str | None = None) -> list[Standing]:
    """The group's reports, best test score first; ties go to the one that trains faster."""
    serving = snapshot.serving.trained_model if snapshot.serving else ""
    rows = _ask(
        snapshot,
        f"""SELECT id, model, device, version, fingerprint, created_at, code_version, command, users_file, seconds,
                   memory_mb, users, score, low, high, validation, trained_model = ? AS served
            FROM reports LEFT JOIN (FROM scores WHERE metric = ? AND k = ?) USING (id)
            WHERE {_IN_GROUP} AND device = coalesce(?, device)
            ORDER BY score DESC NULLS LAST, seconds, model, device""",
        serving,
        metric,
        k,
        *_key(group),
        device,
    )
    return [Standing(*row) for row in rows]


def scores_at(snapshot: Snapshot, k: int) -> dict[tuple[str, str], float]:
    """(Report id, metric name) -> test score at k."""
    return {(report, metric): score for report, metric, score in _ask(snapshot, _AT_K, k)}


def frame(rows: list[dict[str, Any]]) -> Any:
    """Rows as a data frame."""
    return pa.Table.from_pylist(rows).to_pandas()


def over_seeds(root: Path) -> list[OverSeeds]:
    """What changes with nothing but the seed, for every model, device and configuration that has several seeds.

    Reads the newest READ_FOR_SEEDS reports of each model and device, each of them once in a process.
    """
    newest: dict[tuple[str, ...], dict[int, _Seeded]] = {}
    for folder in _slot_folders(root):
        for version in reversed(_folders(folder)[-READ_FOR_SEEDS:]):
            if (found := _seeded(root, version)) is not None:
                newest.setdefault(found.alike, {}).setdefault(found.seed, found)
    summaries = []
    for (model, device, fingerprint, _), by_seed in newest.items():
        if len(by_seed) > 1:
            reports = [by_seed[seed] for seed in sorted(by_seed)]
            summaries.append(
                OverSeeds(
                    model=model,
                    device=device,
                    fingerprint=fingerprint,
                    seeds=tuple(sorted(by_seed)),
                    reports=tuple(report.id for report in reports),
                    test=_spreads([report.test for report in reports]),
                    validation=_spreads([report.validation for report in reports]),
                )
            )
    return summaries


def paired_comparison(better: Path, other: Path, metric: str, k: int) -> Verdict | None:
    """Two reports over the users of both, from their users.parquet, tested as `movierec compare` does.

    Differences within a user are far less noisy than the two means, so this can decide where intervals overlap. None
    when the files cannot tell.
    """
    column = '"' + f"{metric}@{k}".replace('"', '""') + '"'
    query = f"SELECT a.{column}, b.{column} FROM read_parquet(?) a JOIN read_parquet(?) b USING (user_id)"
    try:
        with duckdb.connect() as connection:
            ours, theirs = connection.execute(query, [str(better), str(other)]).fetchnumpy().values()
        return compare_all_pairs({"better": np.asarray(ours), "other": np.asarray(theirs)})[0]
    except (duckdb.Error, MovierecError, ValueError, TypeError):
        return None


_IN_GROUP = "data = ? AND protocol = ? AND fingerprint = ?"
_AT_K = "SELECT id, metric, score FROM scores WHERE k = ?"


def _key(group: Group) -> tuple[str, str, str]:
    return group.data, group.protocol, group.fingerprint


def _ask(snapshot: Snapshot, query: str, *values: object) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.register("reports", snapshot.reports)
        connection.register("scores", snapshot.scores)
        return connection.execute(query, list(values)).fetchall()


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        status = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), status.st_mtime_ns, status.st_size


def _folders(path: Path) -> list[Path]:
    """Folders that can be part of a slot, sorted; none where the path cannot be listed."""
    try:
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries if _SLOT_NAME.fullmatch(entry.name) and entry.is_dir())
    except OSError:
        return []
    return [path / name for name in names]


def _slot_folders(root: Path) -> list[Path]:
    return [folder for model in _folders(root / KIND) for folder in _folders(model)]


def _latest(folder: Path) -> str:
    """The version that LATEST names, or "" when it names none."""
    try:
        name = (folder / "LATEST").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
    return name if _SLOT_NAME.fullmatch(name) else ""


def _newest_report(store: ArtifactStore, folder: Path, notes: list[str]) -> tuple[Artifact, dict[str, Any]] | None:
    """LATEST if it can be read, else the newest version that can; each slot adds at most one note."""
    slot = Slot(KIND, folder.relative_to(store.root / KIND).parts)
    problems: list[str] = []
    found = None
    for version in _candidates(folder):
        try:
            found = _read(store, slot, folder / version)
            break
        except StoreError as error:
            problems.append(f"{error}; delete the folder {slot}/{version}")
    if problems:
        model, device = slot.path
        more = f" ({len(problems) - 1:,} older damaged versions were skipped too)" if len(problems) > 1 else ""
        instead = f"version {found[0].version} is shown instead" if found else f"{model} on {device} is left out"
        notes.append(f"{problems[0]} and run `movierec train model={model} device={device}`; {instead}{more}.")
    return found


def _candidates(folder: Path) -> Iterator[str]:
    """Names of versions, most wanted first; the folder is listed only if LATEST's version turns out unreadable."""
    latest = _latest(folder)
    if latest:
        yield latest
    for path in reversed(_folders(folder)):
        if path.name != latest:
            yield path.name


def _read(store: ArtifactStore, slot: Slot, folder: Path) -> tuple[Artifact, dict[str, Any]]:
    """A version's manifest and report, checked. Raises StoreError with the file and what is wrong with it."""
    for name in ("manifest.json", REPORT_FILE):
        if not (folder / name).is_file():
            raise StoreError(f"{slot}/{folder.name}/{name} is missing")
    where = f"{slot}/{folder.name}/{REPORT_FILE}"
    try:
        artifact = store.get(slot, folder.name)
    except (StoreError, OSError) as error:
        raise StoreError(f"{slot}/{folder.name}/manifest.json is not a readable manifest") from error
    try:
        artifact.verify(REPORT_FILE)
    except StoreError as error:
        raise StoreError(f"{where} does not match its manifest's checksum") from error
    try:
        report = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{where} is not readable JSON") from error
    if not isinstance(report, dict):
        raise StoreError(f"{where} is not a report")
    if report.get("schema", SCHEMA) != SCHEMA:
        raise StoreError(f"{where} has schema {report['schema']}, this dashboard reads {SCHEMA}")
    for name, check in _CHECKS.items():
        if name not in report:
            raise StoreError(f"{where} lacks {name!r}, so an older program wrote it")
        if not check(report[name]):
            raise StoreError(f"{where} has an unusable {name!r}")
    return artifact, report


@dataclass(frozen=True)
class _Seeded:
    """What a comparison over seeds needs of one report."""

    id: str
    alike: tuple[str, str, str, str]
    """Model, device, fingerprint, and all settings that decide a trained model, except for the seed."""
    seed: int
    test: dict[str, float]
    validation: dict[str, float]


_ASIDE = ("resume", "checkpoint_seconds")
"""Settings of the trainer that do not decide what it trains."""


@lru_cache(maxsize=10_000)
def _seeded(root: Path, folder: Path) -> _Seeded | None:
    """One version, which never changes; None when it cannot be used, of which `load` tells where it matters."""
    slot = Slot(KIND, folder.parent.relative_to(root / KIND).parts)
    try:
        artifact, report = _read(ArtifactStore(root), slot, folder)
        data = artifact.config.get("data", {})
        decisive = {
            "model": {name: value for name, value in artifact.config.get("model", {}).items() if name != "seed"},
            "trainer": {
                name: value for name, value in artifact.config.get("trainer", {}).items() if name not in _ASIDE
            },
            "data": {name: data.get(name) for name in ("train_size", "negative_samples")},
        }
        seed = int(report["seed"])
    except (StoreError, KeyError, TypeError, ValueError, AttributeError):
        return None
    model, device = slot.path
    alike = (model, device, report["fingerprint"], json.dumps(decisive, sort_keys=True))
    return _Seeded(artifact.reference, alike, seed, report["metrics"], report["validation_metrics"])


def _spreads(reports: list[dict[str, float]]) -> dict[str, Spread]:
    shared = [name for name in reports[0] if all(name in report for report in reports)]
    values = {name: [report[name] for report in reports] for name in shared}
    return {name: Spread(statistics.fmean(each), statistics.stdev(each)) for name, each in values.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _are_numbers(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _are_intervals(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair)) for pair in value.values()
    )


_CHECKS = {
    **dict.fromkeys(("data", "protocol", "fingerprint", "created_at"), _is_text),
    **dict.fromkeys(("metrics", "validation_metrics", "counts"), _are_numbers),
    **dict.fromkeys(("seconds", "peak_memory_mb"), _is_number),
    "intervals": _are_intervals,
}
"""What the pages need of a report, and whether it can be used."""


def _report_row(artifact: Artifact, report: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: report[name] for name in ("data", "protocol", "fingerprint", "created_at")},
        "model": artifact.slot.path[0],
        "device": artifact.slot.path[1],
        "id": artifact.reference,
        "version": artifact.version,
        "code_version": artifact.code_version,
        "trained_model": str(artifact.parents.get("trained_model", "")),
        "command": train_command(
            artifact.config, model=artifact.slot.path[0], device=artifact.slot.path[1], seed=report.get("seed")
        ),
        "users_file": str(artifact.folder / USERS_FILE),
        "seconds": float(report["seconds"]),
        "memory_mb": float(report["peak_memory_mb"]),
        "users": int(report["counts"].get("users_evaluated", 0)),
    }


def _score_rows(reference: str, report: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for name, score in report["metrics"].items():
        if match := _METRIC.fullmatch(name):
            low, high = report["intervals"].get(name, (None, None))
            rows.append(
                {
                    "id": reference,
                    "metric": match[1],
                    "k": int(match[2]),
                    "score": float(score),
                    "low": low,
                    "high": high,
                    "validation": report["validation_metrics"].get(name),
                }
            )
    return rows


def _serving(store: ArtifactStore, notes: list[str]) -> Serving | None:
    path = store.pointer_file(SERVING)
    where = path.relative_to(store.root).as_posix()
    try:
        pointer = json.loads(path.read_text(encoding="utf-8"))
        index = store.resolve(pointer["reference"])
        return Serving(index.reference, str(index.parents["trained_model"]), str(pointer.get("since", "")))
    except FileNotFoundError:
        return None
    except (StoreError, OSError, ValueError, KeyError, TypeError, AttributeError):
        notes.append(
            f"{where} does not name a readable index, so what is served cannot be shown; promote a version again."
        )
        return None
