"""Reports of an evaluation set-up in their order by a metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa

from dashboard.queries.reports import Snapshot, ask
from movierec_engine.evaluation.comparison import Verdict
from movierec_engine.evaluation.metrics import metric_of
from movierec_engine.reporting import conclusions, words
from movierec_engine.reporting.comparable import EvaluationSetup, by_setup
from movierec_engine.reporting.conclusions import Outcome


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
    folder: str
    trained_model: str
    splits: str
    raw_movies: str
    seed: int | None
    seconds: float
    memory_mb: float
    evaluation_seconds: float | None
    users: int
    score: float | None
    low: float | None
    high: float | None
    validation: float | None
    served: bool

    def file(self, name: str) -> Path:
        """One of the report's files."""
        return Path(self.folder) / name


def labels(standings: Sequence[Standing]) -> dict[str, str]:
    """Report id -> the model's name, with its device where the model alone would be ambiguous."""
    names = words.model_labels([(one.model, one.device) for one in standings])
    return dict(zip((one.id for one in standings), names, strict=True))


def outcome(ranked: Sequence[Standing], names: Mapping[str, str], metric: str, tested: Sequence[Verdict]) -> Outcome:
    """The outcome of standings. ranked: those with a score, the best first. tested: the paired tests of all pairs."""
    means = {names[one.id]: one.score for one in ranked if one.score is not None}
    return conclusions.outcome(metric, means, tested)


def groups(snapshot: Snapshot) -> list[EvaluationSetup]:
    """Every evaluation set-up, the default one first: that of what is served, else the one with the most models."""
    names = ["data", "protocol", "fingerprint", "strategy", "users"]
    rows = snapshot.reports.select([*names, "version", "created_at"]).to_pylist()
    champions = {one for serving in snapshot.serving.values() for one in serving.fingerprints}
    found = by_setup(
        rows, lambda row: EvaluationSetup(*(row[name] for name in names)), itemgetter("version"), champions
    )
    return [
        replace(setup, models=len(members), newest=max(row["created_at"] for row in members))
        for setup, members in found.items()
    ]


def devices(snapshot: Snapshot, group: EvaluationSetup) -> list[str]:
    rows = ask(snapshot, f"SELECT DISTINCT device FROM reports WHERE {_IN_GROUP} ORDER BY device", *_key(group))
    return [device for (device,) in rows]


def metrics(snapshot: Snapshot, group: EvaluationSetup) -> dict[str, list[int]]:
    """Metric name -> the k values it was measured at, over all reports of a group; those by which models are ranked."""
    rows = ask(
        snapshot,
        f"""SELECT metric, list(DISTINCT k ORDER BY k) FROM scores JOIN reports USING (id)
            WHERE {_IN_GROUP} AND k > 0 GROUP BY metric ORDER BY metric""",
        *_key(group),
    )
    return {metric: depths for metric, depths in rows if (known := metric_of(metric)) and known.direction}


def standings(
    snapshot: Snapshot, group: EvaluationSetup, metric: str, k: int, device: str | None = None
) -> list[Standing]:
    """The group's reports, best test score first; ties go to the one that trains faster."""
    best_first = "ASC" if (known := metric_of(metric)) and known.direction == "lower" else "DESC"
    serving = snapshot.serving[group.data].trained_model if group.data in snapshot.serving else ""
    rows = ask(
        snapshot,
        f"""SELECT id, model, device, version, fingerprint, created_at, code_version, command, folder,
                   trained_model, splits, raw_movies, seed, seconds, memory_mb, evaluation_seconds, users,
                   score, low, high, validation, trained_model = ? AS served
            FROM reports LEFT JOIN (FROM scores WHERE metric = ? AND k = ?) USING (id)
            WHERE {_IN_GROUP} AND device = coalesce(?, device)
            ORDER BY score {best_first} NULLS LAST, seconds, model, device""",
        serving,
        metric,
        k,
        *_key(group),
        device,
    )
    return [Standing(*row) for row in rows]


def scores_at(snapshot: Snapshot, k: int) -> dict[tuple[str, str], float]:
    """(Report id, metric name) -> test score at k."""
    rows = ask(snapshot, "SELECT id, metric, score FROM scores WHERE k = ?", k)
    return {(report, metric): score for report, metric, score in rows}


def frame(rows: list[dict[str, Any]]) -> Any:
    """Rows as a data frame."""
    return pa.Table.from_pylist(rows).to_pandas()


_IN_GROUP = "data = ? AND protocol = ? AND fingerprint = ?"


def _key(group: EvaluationSetup) -> tuple[str, str, str]:
    return group.data, group.protocol, group.fingerprint
