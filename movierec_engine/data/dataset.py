"""The data set that a model is fitted to: interactions of users with items, and a held-out part if there is one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from movierec_engine.data.column_roles import find_column
from movierec_engine.data.config import DataConfig
from movierec_engine.data.graph import InteractionGraph, build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_kinds import MISSING
from movierec_engine.data.id_map import IdMap, as_ids
from movierec_engine.data.interactions import Interactions, k_core
from movierec_engine.data.ratings import Ratings
from movierec_engine.data.split import split
from movierec_engine.errors import DataError, EmptyDataError


@dataclass(frozen=True, eq=False)
class Dataset:
    """Train interactions, and the validation part by which training stops and an ensemble weighs its members.

    train: what the model learns from.
    held_out: `validation`, or None where nothing is held out.
    make_graph: gives the graph of `train`; called once, by models that propagate over it.
    rating_threshold, low_ratings: the rating from which on a frame's rows became interactions, and those below it, a
        table like that of `Interactions.to_table`: no interactions, but dislikes to `split`.
    """

    train: Interactions
    held_out: HeldOut | None = None
    make_graph: Callable[[], InteractionGraph] | None = None
    rating_threshold: float = 0.0
    low_ratings: pa.Table | None = None

    @cached_property
    def validation(self) -> HeldOut:
        """The held-out part; an empty one where nothing is held out."""
        return HeldOut.nothing(self.train) if self.held_out is None else self.held_out

    @cached_property
    def graph(self) -> InteractionGraph:
        """The symmetric normalised graph of `train`."""
        return self.make_graph() if self.make_graph else build_graph(self.train)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        user: str | None = None,
        item: str | None = None,
        rating: str | None = None,
        timestamp: str | None = None,
        rating_threshold: float = 0.0,
        min_user_interactions: int = 1,
        min_item_interactions: int = 1,
    ) -> Self:
        """The interactions of a frame: pandas, polars, Arrow, or a mapping of column names to columns.

        A column that is not named is found by the field's usual names, as in files: `user_id`, `customer`, `sku`.

        user, item: the columns with ids, whole numbers or texts.
        rating: a column of numbers or booleans; without one, or for "", every row is a like of equal strength.
        timestamp: a column of seconds or of dates and times, also as ISO texts; without one, or for "", rows are as old
            as each other.
        rating_threshold, min_user_interactions, min_item_interactions: ratings below the threshold are left out, then
            users and items with fewer interactions than that (k-core).

        Of several rows of the same user and item the newest counts, of equally new ones the last.

            >>> data = Dataset.from_frame({"user_id": ["ann", "ann", "bob"], "movie_id": [7, 3, 7]})
            >>> data.train.n_users, data.train.n_items, len(data.train)
            (2, 2, 3)

        Raises DataError for what is no frame, a column that is not there or may be any of several, missing values, and
        ids that are neither whole numbers nor texts; EmptyDataError when nothing is left.
        """
        table = _table(frame)
        users, items = _ids(table, "user", user), _ids(table, "item", item)
        ratings, times = _ratings(table, rating), _times(table, timestamp)
        if not len(users):
            raise EmptyDataError("the frame has no rows, so there is nothing to learn from")
        user_map, item_map = IdMap.of(users), IdMap.of(items)
        for role, known in (("user", user_map), ("item", item_map)):
            if known.are_texts and (found := known.index(MISSING)).max() >= 0:
                word = MISSING[int(found.argmax())]
                raise DataError(f"{word!r} stands for a missing {role}; leave such rows of the frame out")
        user_index, item_index = user_map.index(users), item_map.index(items)
        order = np.lexsort((times, item_index, user_index))
        pair = user_index[order] * len(item_map) + item_index[order]
        order = order[np.append(pair[1:] != pair[:-1], True)]
        interactions = Interactions(
            user=user_index[order].astype(np.int32),
            item=item_index[order].astype(np.int32),
            rating=ratings[order],
            timestamp=np.floor(times[order]).astype(np.int64),
            users=user_map,
            items=item_map,
        )
        if not rating_threshold:
            return cls(k_core(interactions, min_user_interactions, min_item_interactions))
        is_like = interactions.rating >= rating_threshold
        if not is_like.any():
            raise EmptyDataError(f"no rating reaches rating_threshold={rating_threshold}; lower it")
        return cls(
            k_core(interactions.select(is_like), min_user_interactions, min_item_interactions),
            rating_threshold=rating_threshold,
            low_ratings=interactions.select(~is_like).to_table(),
        )

    def split(
        self, validation: float = 0.1, test: float = 0.1, strategy: str = "random", seed: int = 42
    ) -> tuple[Self, HeldOut]:
        """The same data with shares of it held out, and the test part, to be ranked among what is not known of a user.

        strategy: of `data.split`: `random` shares of each user, `global_time`, `leave_one_out`, `user_time`,
            `users`: shares of the users, who are folded in from four fifths of what they have, or `next_item` and
            `next_item_after`: what comes next in a history, which is folded in.

            train, test = data.split()
            Evaluator().evaluate(EASE().fit(train), test).metrics["ndcg@10"]

        Raises EmptyDataError when train or test would be empty.
        """
        share = round(1 - validation - test, 12)
        config = DataConfig(
            "dataset",
            split=strategy,
            train_ratio=share,
            val_ratio=validation,
            split_seed=seed,
            rating_threshold=self.rating_threshold,
        )
        ratings = self.train.to_table()
        if self.low_ratings is not None:
            ratings = pa.concat_tables([ratings, self.low_ratings])
        parts = split(self.train, config, Ratings(ratings))
        train = replace(self, train=parts.train, held_out=parts.validation_heldout(), make_graph=None)
        return train, parts.test_heldout()


_DEFAULT_NAMES = {"user": "user_id", "item": "movie_id", "rating": "rating", "timestamp": "timestamp"}
"""Names of this platform's own tables, which come before other usual ones."""


def _column_name(table: pa.Table, role: str, given: str | None) -> str:
    """The column of a role: the one that is given, or else the one of a usual name; "" where there is none."""
    choose = f"Dataset.from_frame(frame, {role}={{!r}})"
    if given is None:
        return find_column(role, _DEFAULT_NAMES[role], table.column_names, "the frame", choose)
    if given and given not in table.column_names:
        raise DataError(f"the frame has no column {given!r} for the {role}; it has {_names(table)}")
    return given


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if table.column_names.count(name) > 1:
        raise DataError(f"the frame has more than one column {name!r}; rename or leave out the others")
    column = table[name]
    if column.null_count:
        row = pc.index(pc.is_null(column), True).as_py()
        raise DataError(f"column {name!r} has no value in row {row} (from 0); fill it or leave the row out")
    return column


def _names(table: pa.Table) -> str:
    return ", ".join(table.column_names) or "none"


def _ids(table: pa.Table, role: str, given: str | None) -> NDArray[Any]:
    name = _column_name(table, role, given)
    if not name:
        raise DataError(
            f"the frame has no column of a usual name for the {role}; it has {_names(table)}, so name yours: "
            f"Dataset.from_frame(frame, {role}=...)"
        )
    column = _column(table, name)
    try:
        return as_ids(column)
    except DataError as error:
        raise DataError(f"column {name!r}: {error}") from error


def _ratings(table: pa.Table, given: str | None) -> NDArray[np.float32]:
    """float32 [n]; 1 in every row where there is no column of them."""
    name = _column_name(table, "rating", given)
    if not name:
        return np.ones(len(table), dtype=np.float32)
    column = _column(table, name)
    if pa.types.is_decimal(column.type) or pa.types.is_boolean(column.type):
        column = pc.cast(pc.cast(column, pa.int8()) if pa.types.is_boolean(column.type) else column, pa.float64())
    with np.errstate(over="ignore"):
        return np.asarray(_finite(column, name, "rating", np.float32), dtype=np.float32)


def _times(table: pa.Table, given: str | None) -> NDArray[np.float64]:
    """Seconds since 1970 with their fractions, float64 [n]; 0 in every row where there is no column of them."""
    name = _column_name(table, "timestamp", given)
    if not name:
        return np.zeros(len(table))
    column = _column(table, name)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = _parsed(column, name)
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return np.asarray(pc.cast(pc.cast(column, pa.timestamp("us"), safe=False), pa.int64()).to_numpy() / 1e6)
    if pa.types.is_temporal(column.type) or isinstance(column.type, pa.BaseExtensionType):
        raise DataError(
            f"column {name!r} for the timestamp holds {column.type}, which is no moment; make moments of it first, as "
            "pandas' dt.to_timestamp() does of periods"
        )
    return _finite(column, name, "timestamp", np.float64)


def _parsed(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """ISO texts as moments; those with a zone are all to have one."""
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return pc.cast(column, kind)
        except pa.ArrowInvalid:
            continue
    raise DataError(
        f"column {name!r} for the timestamp holds texts that are not all ISO dates or times, such as "
        f"{column[0].as_py()!r}; make them times first, as pandas.to_datetime does"
    )


def _finite(column: pa.ChunkedArray, name: str, role: str, kind: type[np.floating[Any]]) -> NDArray[Any]:
    values = column.to_numpy()
    is_other = isinstance(column.type, pa.BaseExtensionType)  # whose numbers mean something else
    if is_other or values.dtype.kind not in "iuf" or not np.isfinite(values.astype(kind)).all():
        raise DataError(f"column {name!r} for the {role} must hold finite numbers, and is {column.type}")
    return np.asarray(values)


def _table(frame: Any) -> pa.Table:
    try:
        return pa.table(dict(frame)) if isinstance(frame, Mapping) else pa.table(frame)
    except (TypeError, ValueError, OverflowError, NotImplementedError) as error:  # pyarrow's errors derive from these
        raise DataError(
            f"this is no frame of interactions ({str(error).splitlines()[0]}); give a frame of pandas, polars, Arrow, "
            "or a mapping of names to columns of equal length, each of whole numbers alone or of texts alone"
        ) from error
