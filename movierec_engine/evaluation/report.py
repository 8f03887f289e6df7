"""The evaluation report: aggregates with intervals as JSON, and as Parquet everything that they follow from.

users.parquet has every evaluated user's own metrics, relevant.parquet the rank of every test item, lists.parquet what
was recommended, and segments.parquet the metrics by kinds of users and items. Every comparison is made from these
files, without the models.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.data.heldout import HeldOut
from movierec_engine.errors import MovierecError, StoreError
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.evaluation.evaluator import Evaluation
from movierec_engine.evaluation.rankings import Rankings
from movierec_engine.evaluation.segments import segment_table

REPORT_FILE = "report.json"
USERS_FILE = "users.parquet"
RELEVANT_FILE = "relevant.parquet"
LISTS_FILE = "lists.parquet"
SEGMENTS_FILE = "segments.parquet"
VALIDATION_USERS_FILE = "validation_users.parquet"
"""Every user's own metrics on validation, in the folder of the trained model."""
SCHEMA = 2


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
    """Metrics by which models are chosen; empty where the data has no validation part."""
    counts: dict[str, int]
    seconds: float
    """Training time; 0 where nothing was trained here."""
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


def save_tables(evaluation: Evaluation, k_values: tuple[int, ...], folder: Path) -> None:
    """Write users.parquet, relevant.parquet, lists.parquet and segments.parquet."""
    rankings = evaluation.rankings
    users, items = rankings.heldout.interactions.users, rankings.heldout.interactions.items
    relevant = {
        "user_id": users.column(rankings.users[rankings.row]),
        "movie_id": items.column(rankings.item),
        "rank": rankings.rank,
        "tied": rankings.tied,
    }
    row, place = np.nonzero(rankings.lists >= 0)
    lists = {
        "user_id": users.column(rankings.users[row]),
        "rank": (place + 1).astype(np.int32),
        "movie_id": items.column(rankings.lists[row, place]),
    }
    save_users(evaluation, folder / USERS_FILE)
    pq.write_table(pa.table(relevant), folder / RELEVANT_FILE, compression="zstd")
    pq.write_table(pa.table(lists), folder / LISTS_FILE, compression="zstd")
    pq.write_table(segment_table(rankings, k_values), folder / SEGMENTS_FILE, compression="zstd")


def save_users(evaluation: Evaluation, path: Path) -> None:
    """user_id, test_items, train_items and one column a metric, one row for each evaluated user in ascending order.

    Where the user is folded in, train_items are the items of the history. A metric that says nothing of a user is null.
    """
    rankings = evaluation.rankings
    columns = {
        "user_id": rankings.heldout.interactions.users.column(rankings.users),
        "test_items": rankings.relevant,
        "train_items": rankings.heldout.activity[rankings.users],
        **{name: pa.array(values, from_pandas=True) for name, values in evaluation.per_user.items()},
    }
    pq.write_table(pa.table(columns), path, compression="zstd")


def load_rankings(folder: Path, heldout: HeldOut) -> Rankings:
    """The rankings that `save_tables` wrote, from which every metric and segment can be computed again.

    heldout: what was ranked. Raises StoreError when the files cannot be read or are of another held-out part.
    """
    users, items = heldout.interactions.users, heldout.interactions.items
    relevant = heldout.interactions.matrix()
    evaluated = np.flatnonzero(np.diff(relevant.indptr)).astype(np.int64)
    row, item = np.repeat(np.arange(len(evaluated)), np.diff(relevant.indptr)[evaluated]), relevant.indices
    try:
        ranks, lists = pq.read_table(folder / RELEVANT_FILE), pq.read_table(folder / LISTS_FILE)
        same = np.array_equal(users.index(ranks["user_id"]), evaluated[row])
        if not same or not np.array_equal(items.index(ranks["movie_id"]), item):
            raise StoreError("they are of another held-out part")
        place = lists["rank"].to_numpy()
        shown = np.full((len(evaluated), place.max(initial=1)), -1, dtype=np.int32)
        of_user = np.searchsorted(evaluated, users.index(lists["user_id"]))
        shown[of_user, place - 1] = items.index(lists["movie_id"])
        rank, tied = ranks["rank"].to_numpy(), ranks["tied"].to_numpy()
    except (OSError, KeyError, pa.ArrowException, MovierecError) as error:
        raise StoreError(f"{folder}: its rankings cannot be read ({error}); evaluate the model again") from error
    return Rankings(evaluated, shown, row, item.astype(np.int32), rank, tied, heldout)
