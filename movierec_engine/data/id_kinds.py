"""Kinds of a data set's ids, numbers or texts: detected from all of its files, users and items apart."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import pyarrow as pa

from movierec_engine.data.any_file import head_of
from movierec_engine.data.table_file import TableFile, connect, reading, sql_name
from movierec_engine.errors import DataError

IdKind = Literal["number", "text"]
MAX_ID = 2**63 - 1
ARROW_TYPES: dict[IdKind, pa.DataType] = {"number": pa.int64(), "text": pa.string()}
_CANONICAL = r"(0|[1-9][0-9]*)(\.0+)?"
_ANY_SPELLING = r"[0-9]+(\.0+)?"
_NEGATIVE = r"-[0-9]+"
_NUMBER_OR_MISSING = r"(?i)[+-]?[0-9]*\.?[0-9]+(e[+-]?[0-9]+)?|[+-]?inf(inity)?|nan|null|none|n/?a|<na>|\\n"
MISSING = ("NULL", "null", "None", "none", "NONE", "NaN", "nan", "NAN", "N/A", "n/a", "<NA>", r"\N")
"""Spellings of a missing value, which is no id. Names are none of these: Nan and Null, NA of a country."""
T = TypeVar("T")


@dataclass(frozen=True)
class IdKinds:
    """The kinds of ids: int64 or text.

    canonical: `0501` and `7` beyond 64 bits are no numbers, so that no two ids that differ in the file become one.
    """

    user: IdKind = "number"
    item: IdKind = "number"
    canonical: bool = False

    def user_id(self, text: str) -> str:
        """SQL for a user's id; null for what is none, such as a word for a missing value."""
        return self._id(self.user, text)

    def item_id(self, text: str) -> str:
        """SQL for an item's id; null for what is none, such as a word for a missing value."""
        return self._id(self.item, text)

    def _id(self, kind: IdKind, text: str) -> str:
        if kind == "text":
            return known(text)
        pattern = _CANONICAL if self.canonical else _ANY_SPELLING
        return f"CASE WHEN regexp_full_match({text}, '{pattern}') THEN TRY_CAST({text} AS BIGINT) END"

    def schema(self, numbers: pa.Schema) -> pa.Schema:
        """A schema of the data with numbers as ids, with ids of these kinds."""
        for column, kind in (("user_id", self.user), ("movie_id", self.item)):
            if (at := numbers.get_field_index(column)) >= 0:
                numbers = numbers.set(at, pa.field(column, ARROW_TYPES[kind]))
        return numbers


def known(text: str) -> str:
    """SQL for a text; null for a word for a missing value."""
    missing, longest = ", ".join(f"'{word}'" for word in MISSING), max(map(len, MISSING))
    # by their length first, as comparing each text with all words takes as long as reading them
    return f"CASE WHEN strlen({text}) > {longest} OR {text} NOT IN ({missing}) THEN {text} END"


class BadIdError(DataError):
    """An id that is not of the kind that is expected; the sentence names its line."""


@dataclass(frozen=True)
class IdColumns:
    """The columns of one file that hold ids; "" where it has none of users or of items.

    readable: SQL of whether all else in a row can be read; the ids of other rows do not decide the kind.
    """

    file: TableFile
    user: str = ""
    item: str = ""
    readable: str = "true"


def read_typed(
    files: Sequence[IdColumns],
    read: Callable[[IdKinds], T],
    others: Sequence[IdColumns] = (),
    *,
    bad_ids_are_said: bool = True,
) -> T:
    """The result of `read` on the files, for the kinds of ids that these and `others` hold.

    Of the files the heads decide first; where `read` raises BadIdError for an id further down, all ids are looked at
    and the files read again. bad_ids_are_said: `read` raises it, rather than dropping the row.
    """
    heads = [kinds_of_ids(files, heads_alone=bad_ids_are_said), kinds_of_ids(others)]
    kinds = IdKinds(_joint(one.user for one in heads), _joint(one.item for one in heads), canonical=True)
    try:
        return read(kinds)
    except BadIdError:
        exact = kinds_of_ids([*files, *others])
        if exact == kinds:
            raise
    return read(exact)


def kinds_of_ids(files: Sequence[IdColumns], *, heads_alone: bool = False) -> IdKinds:
    """Number where every id of all files is a whole number from 0 to 2^63-1 as one writes it, text otherwise.

    Fractions and words for a missing value among nothing but numbers make no texts of them: reading refuses those.
    heads_alone: look at the first rows of each file alone.
    """
    return IdKinds(
        user=_kind(((one, one.user) for one in files if one.user), heads_alone),
        item=_kind(((one, one.item) for one in files if one.item), heads_alone),
        canonical=True,
    )


def _kind(columns: Iterable[tuple[IdColumns, str]], heads_alone: bool) -> IdKind:
    return _joint(
        "text" if (_head_has_texts(one.file, name) if heads_alone else _has_texts(one, name)) else "number"
        for one, name in columns
    )


def _joint(kinds: Iterable[IdKind]) -> IdKind:
    return "text" if "text" in kinds else "number"


def _head_has_texts(file: TableFile, name: str) -> bool:
    return any(
        not _is_number(text)
        and (text.isdecimal() or re.fullmatch(_NEGATIVE, text) or not re.fullmatch(_NUMBER_OR_MISSING, text))
        for text in head_of(file, name)
    )


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(_CANONICAL, text)) and int(text.partition(".")[0]) <= MAX_ID


def _has_texts(columns: IdColumns, name: str) -> bool:
    """True if some non-missing id is not a canonical whole number, such as a word, `0501`, `-7` or 20 digits."""
    file = columns.file
    if name in file.integers:
        return any(_has_other_integers(part, name) for part in file.parts or (file,))
    number = IdKinds(canonical=True).user_id("id")
    with reading(file.name, file.delimiter, may_drop=bool(file.plain)), connect() as database:
        found = database.execute(
            f"""
            SELECT 1 FROM (SELECT {file.columns[name]} AS id FROM {file.relation} WHERE {columns.readable})
            WHERE ({number}) IS NULL AND (
                regexp_full_match(id, '[0-9]+|{_NEGATIVE}') OR NOT regexp_full_match(id, '{_NUMBER_OR_MISSING}')
            )
            LIMIT 1
            """
        ).fetchone()
    return found is not None


def _has_other_integers(file: TableFile, name: str) -> bool:
    """True if a column stored as whole numbers has one below 0 or beyond 2^63-1; mostly its statistics tell."""
    column = sql_name(name)
    with reading(file.name), connect() as database:
        sql = f"SELECT 1 FROM {file.relation} WHERE {column} < 0 OR {column} > {MAX_ID} LIMIT 1"
        return database.execute(sql).fetchone() is not None
