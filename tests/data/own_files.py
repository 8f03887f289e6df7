"""Reading a file of one's own, as the tests of such files do."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from movierec_engine.data.ratings import Ratings

TOLD: dict[str, Any] = {"rating_min": 0.0, "rating_max": 0.0}
"""The scale as the group `custom` has it: told from the data."""
Read = Callable[..., Ratings]


def rows(table: pa.Table) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]
