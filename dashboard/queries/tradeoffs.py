"""The curves that `movierec strong-generalization` and `movierec dials` measured.

Read by the columns that the curves need, so that versions with more or fewer of them still show.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.queries.parquet import known, records
from dashboard.queries.store_files import newest
from movierec_engine.store import kinds


@dataclass(frozen=True)
class TradeoffCurve:
    """The newest measurement of a model on a device, with its rows; none where its file cannot be read."""

    model: str
    device: str
    fingerprint: str
    facts: dict[str, Any]
    rows: tuple[dict[str, Any], ...]


def fold_in_curves(root: Path) -> list[TradeoffCurve]:
    """Rows on test with source, size, value, low and high; size is None where the model knew everything."""
    return _curves(root, kinds.STRONG_GENERALIZATION, "curve.parquet", "source, size, value, low, high")


def reranking_tradeoff(root: Path) -> list[TradeoffCurve]:
    """Rows with dial, setting, measure, value, low and high."""
    return _curves(root, kinds.RERANKING_TRADEOFF, "prices.parquet", "dial, setting, measure, value, low, high")


def _curves(root: Path, kind: str, file: str, columns: str) -> list[TradeoffCurve]:
    found = []
    for made in newest(root, kind):
        path = made.folder / file
        only = " WHERE part = 'test'" if known(["part"], path) else ""
        rows = records(f"SELECT {columns} FROM parquet_file(?){only}", str(path))
        if rows:
            model, device = made.slot.model, made.slot.device
            found.append(TradeoffCurve(model, device, made.fingerprint, made.facts, tuple(rows)))
    return found
