"""A small catalogue for tests of rules, and candidates in a known order."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from movierec_engine.recommending.rules.active import ActiveRules
from movierec_engine.recommending.rules.arranging import Arranged, More, arrange
from movierec_engine.recommending.rules.compiled import CompiledRules
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.item_columns import ItemColumns

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
MOVIES = {
    "movie_id": [10, 20, 30, 40, 50, 60],
    "title": ["A", "B", "C", "D", "E", "F"],
    "year": [1995, 2026, None, 2025, 2010, 2024],
    "genres": [["Crime"], ["Crime", "Drama"], [], ["Drama"], None, ["Horror"]],
    "series": ["x", "x", "x", None, "y", None],
    "free": [True, False, None, True, True, False],
    "licence_from": [None, datetime(2026, 1, 1), datetime(2026, 7, 1), None, None, None],
    "licence_until": [None, datetime(2026, 6, 1), None, datetime(2026, 12, 1), None, None],
    "countries": [None, ["NO", "SE"], ["NO"], None, [], ["DK"]],
}
COLUMNS = ItemColumns(
    pa.table(MOVIES, schema=pa.schema({
        "movie_id": pa.int64(), "title": pa.string(), "year": pa.int32(), "genres": pa.list_(pa.string()),
        "series": pa.string(), "free": pa.bool_(), "licence_from": pa.timestamp("s"),
        "licence_until": pa.timestamp("s"), "countries": pa.list_(pa.string()),
    }))
)  # fmt: skip
N_ITEMS = 5
"""Movie 60 is one that no model knows."""


def compiled(*rules: dict[str, Any], columns: ItemColumns = COLUMNS, n_items: int = N_ITEMS) -> CompiledRules:
    return CompiledRules(RuleDocument.of({"rules": [*rules]}), columns, n_items)


def candidates_of(order: Sequence[int], allowed: np.ndarray | None = None) -> More:
    """The n best among a mask, of candidates in an order, with scores that fall by one from place to place."""

    def more(n: int, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        kept = [(item, -place) for place, item in enumerate(order) if mask[item] and (allowed is None or allowed[item])]
        items, scores = zip(*kept[:n], strict=True) if kept else ((), ())
        return np.array(items, dtype=np.int64), np.array(scores, dtype=np.float32)

    return more


def arranged(rules: ActiveRules, order: Sequence[int], k: int) -> Arranged:
    """The list of k that rules make of candidates in an order."""
    allowed = None if rules.allowed is None else rules.allowed[: rules.n_items]
    more = candidates_of(order, allowed)
    items, scores = more(rules.candidates(k), np.ones(rules.n_items, dtype=np.bool_))
    return arrange(rules, items, scores, k, more)
