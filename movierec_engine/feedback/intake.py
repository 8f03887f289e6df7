"""The feedback log's intake into training: ratings and erasures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from movierec_engine.feedback.erasures import Erasure

FEEDBACK_SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        ("user_id", pa.int64()),
        ("movie_id", pa.int64()),
        ("rating", pa.float32()),
        ("timestamp", pa.int64()),
    ]
)
ERASURES_SCHEMA = pa.schema([("user_id", pa.int64()), ("through", pa.int64())])
"""Schema of erasures whose ids are whole numbers; where ids are texts their columns are strings."""
_TYPES = {pa.int64(): int, pa.string(): str}


@dataclass(frozen=True, eq=False)
class Intake:
    """Ratings and erasures that training takes from the log, as of one moment.

    ratings: FEEDBACK_SCHEMA, every rating event that was not undone in the log's order, with the second of each. A
    watched movie is no rating: how much of a movie somebody watched says little of how much they liked it, so that it
    keeps the movie out of their lists and out of training.
    erasures: ERASURES_SCHEMA, the second through which a user's ratings are gone.
    """

    ratings: pa.Table
    erasures: pa.Table
    newest_seq: int
    """Sequence number of the newest of the rating events, undone ones among them; 0 without any."""
    newest_erasure: int
    """Number of the newest erasure; 0 without any."""
    of_other_ids: int = 0
    """Rating events that are left out, as their ids are texts where the data set's are numbers, or the other way round:
    they were given when the data set was another one."""

    @classmethod
    def of(
        cls,
        ratings: Sequence[tuple[object, ...]],
        erasures: Sequence[Erasure],
        newest_seq: int,
        newest_erasure: int,
        user_type: pa.DataType,
        movie_type: pa.DataType,
    ) -> "Intake":
        """The intake of rows of FEEDBACK_SCHEMA, and the newest erasure of each user.

        user_type, movie_type: of the data set's ids, int64 or string.
        """
        user, movie = _TYPES[user_type], _TYPES[movie_type]
        own = [row for row in ratings if isinstance(row[1], user) and isinstance(row[2], movie)]
        gone = [(one.user_id, one.at_ms // 1000) for one in erasures if isinstance(one.user_id, user)]
        types = {"user_id": user_type, "movie_id": movie_type}
        tables = _table(own, FEEDBACK_SCHEMA, types), _table(gone, ERASURES_SCHEMA, types)
        return cls(*tables, newest_seq, newest_erasure, len(ratings) - len(own))


def _table(rows: Sequence[tuple[object, ...]], schema: pa.Schema, types: Mapping[str, pa.DataType]) -> pa.Table:
    schema = pa.schema([(field.name, types.get(field.name, field.type)) for field in schema])
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)], schema=schema)
