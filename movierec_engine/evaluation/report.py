"""The evaluation report: aggregates with intervals as JSON, and every user's own metrics as Parquet."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.table import Table

from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.evaluation.evaluator import Evaluation
from movierec_engine.evaluation.tables import metrics_table

REPORT_FILE = "report.json"
USERS_FILE = "users.parquet"
SCHEMA = 1


@dataclass(frozen=True)
class EvaluationReport:
    """One model on one test part: the content of report.json."""

    model: str
    device: str
    model_version: str
    data: str
    protocol: str
    mask: str
    fingerprint: str
    seed: int
    created_at: str
    metrics: dict[str, float]
    """Test metrics, means over users."""
    intervals: dict[str, tuple[float, float]]
    """95 % bootstrap intervals over users; coverage, which no user has alone, has none."""
    validation_metrics: dict[str, float]
    """What models are chosen by; empty where the data has no validation part."""
    counts: dict[str, int]
    seconds: float
    """Training time."""
    evaluation_seconds: float
    peak_memory_mb: float
    """Largest resident memory of the process that trained and evaluated, up to the end of evaluation."""
    split: dict[str, Any]
    model_config: dict[str, Any]
    schema: int = SCHEMA

    @classmethod
    def load(cls, folder: Path) -> "EvaluationReport":
        """Raises StoreError when report.json cannot be read or is of another schema."""
        path = folder / REPORT_FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            report = cls(**values)
        except (OSError, ValueError, TypeError) as error:
            raise StoreError(f"{path}: not a readable report ({error}); evaluate the model again") from error
        if report.schema != SCHEMA:
            raise StoreError(
                f"{path}: report schema {report.schema}, this program reads {SCHEMA}; evaluate the model again"
            )
        return report

    def save(self, folder: Path) -> None:
        (folder / REPORT_FILE).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


def intervals(evaluation: Evaluation) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals of every metric that users have a value of."""
    names = list(evaluation.per_user)
    if not names:
        return {}
    bounds = bootstrap_intervals(np.column_stack([evaluation.per_user[name] for name in names]))
    return {name: (float(low), float(high)) for name, (low, high) in zip(names, bounds, strict=True)}


def save_users(evaluation: Evaluation, users: IdMap, folder: Path) -> None:
    """users.parquet: user_id, test_items and one column a metric, one row for each evaluated user."""
    columns = {"user_id": users.ids[evaluation.users], "test_items": evaluation.relevant, **evaluation.per_user}
    pq.write_table(pa.table(columns), folder / USERS_FILE, compression="zstd")


def report_table(report: EvaluationReport) -> Table:
    """A report's test metrics with their intervals."""
    ranking = "full ranking" if report.protocol == "full" else "sampled ranking"
    title = (
        f"{report.model} on {report.device}: test, {ranking}, {report.counts['users_evaluated']:,} users, "
        f"fingerprint {report.fingerprint}, {report.seconds:.1f} s"
    )
    return metrics_table(title, report.metrics, report.intervals)
