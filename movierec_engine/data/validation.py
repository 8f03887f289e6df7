"""Validation of ratings: types, ranges, units of time and repeats of text columns."""

import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from movierec_engine.data.config import DataConfig
from movierec_engine.data.decimals import FLAGS, number, reads
from movierec_engine.data.id_kinds import MAX_ID, BadIdError, IdColumns, IdKind, IdKinds
from movierec_engine.data.mapped_files import RatingsFile
from movierec_engine.data.ratings import NEGATIVES_SCHEMA, RATINGS_SCHEMA, Ratings, ValidationReport
from movierec_engine.data.table_file import TableFile, connect, reading, sql_text
from movierec_engine.data.times import UNITS, TimeForm, unit_limits
from movierec_engine.errors import DataError, EmptyDataError

if TYPE_CHECKING:
    import duckdb

NUMBERS = IdKinds()
_OR_DROP = ", or leave such rows out by data.format.bad_rows=drop"
_NO_ID = "(user_id IS NULL OR movie_id IS NULL)"
MILLISECONDS_FROM = 10**11
"""As seconds this is the year 5138, as milliseconds March 1973."""


def validated_ratings(
    opened: RatingsFile, config: DataConfig, kinds: IdKinds = NUMBERS, absent: float = 1.0
) -> Ratings:
    """The ratings of one file, sorted by user_id, movie_id, with one row for each pair.

    An absent rating column reads as `rating_max`, or as `absent` where that is told from the data; an absent timestamp
    column reads as 0. Rows that repeat another are
    dropped; of several ratings of a movie by a user the newest is kept, and of equally new ones the later row.
    Timestamps in milliseconds (all of them at least 1e11) become seconds.

    Raises BadIdError, naming the first bad line, for an id that is not of its kind: a whole number from 0 to 2^63-1, or
    a text. Raises DataError for a rating that is not a number or out of range, a timestamp that is not a whole number
    of seconds from 0, for seconds mixed with milliseconds, and for dates written as 20170923; EmptyDataError when there
    are no rows.
    """
    file, columns, times = opened.file, opened.columns, opened.times or TimeForm(told=True)
    time = times.sql(opened.time) if columns.timestamp else "0::BIGINT"
    with reading(file.name, file.delimiter, may_drop=bool(file.plain)), connect() as database:
        database.execute(
            f"""
            CREATE TEMP TABLE entries AS SELECT
                {kinds.user_id(file.columns[columns.user])} AS user_id,
                {kinds.item_id(file.columns[columns.item])} AS movie_id,
                {_rating(opened, config, absent)}::FLOAT AS rating,
                {time} AS timestamp
            FROM {file.relation}
            """
        )
        bad = f"{_NO_ID} OR rating IS NULL OR timestamp IS NULL"
        dropped = without_id = 0
        if config.format.bad_rows == "drop":
            without_id = _number(database, f"SELECT count(*) FROM entries WHERE {_NO_ID}")
            dropped = drop_bad_rows(database, file, bad)
        rows = require_rows(database, file, "ratings")
        if (record := first_record(database, bad)) is not None:
            raise _rating_fault(database, opened, config, kinds, record)
        milliseconds = 0
        per_second = times.per_second
        if times.told and times.written in ("seconds", "milliseconds") and not times.fractions:
            _refuse_dates(database, file)
            milliseconds = _milliseconds(database, file, larger_is_known=opened.times is not None)
            per_second = 1000 if milliseconds else 1
        elif times.told:
            _refuse_other_units(database, file, times)
        table, duplicate_rows, duplicate_pairs = _newest_of_each_pair(database)
    if per_second > 1:
        seconds = pc.divide(table["timestamp"], per_second)
        table = table.set_column(table.schema.get_field_index("timestamp"), "timestamp", seconds)
    report = ValidationReport(
        rows_read=rows + dropped,
        duplicate_rows=duplicate_rows,
        duplicate_pairs=duplicate_pairs,
        bad_rows=dropped,
        rows_without_id=without_id,
        millisecond_timestamps=milliseconds,
        latin1_files=(file.name,) if file.latin1 else (),
    )
    return Ratings(table.cast(kinds.schema(RATINGS_SCHEMA)), report)


def validated_pairs(columns: IdColumns, config: DataConfig, kinds: IdKinds = NUMBERS) -> tuple[pa.Table, int, int]:
    """The distinct (user, item) pairs of a file as NEGATIVES_SCHEMA, sorted, how many rows of it were read, and how
    many dropped.

    Raises BadIdError, naming the first bad line, for an id that is not of its kind, and EmptyDataError when there are
    no rows.
    """
    file = columns.file
    with reading(file.name, file.delimiter, may_drop=bool(file.plain)), connect() as database:
        database.execute(
            f"""
            CREATE TEMP TABLE entries AS SELECT
                {kinds.user_id(file.columns[columns.user])} AS user_id,
                {kinds.item_id(file.columns[columns.item])} AS movie_id
            FROM {file.relation}
            """
        )
        dropped = drop_bad_rows(database, file, _NO_ID) if config.format.bad_rows == "drop" else 0
        rows = require_rows(database, file, "rows")
        for column, name, kind in (("user_id", columns.user, kinds.user), ("movie_id", columns.item, kinds.item)):
            if (record := first_record(database, f"{column} IS NULL")) is not None:
                raise bad_id(database, file, column, name, record, kind)
        pairs = database.sql("SELECT DISTINCT user_id, movie_id FROM entries ORDER BY ALL").to_arrow_table()
    return pairs.cast(kinds.schema(NEGATIVES_SCHEMA)), rows, dropped


def drop_bad_rows(database: "duckdb.DuckDBPyConnection", file: TableFile, bad: str) -> int:
    """Drop rows of the table `entries` that meet a condition, and count them and those that could not be split."""
    count = _number(database, f"SELECT count(*) FROM entries WHERE {bad}")
    if count:
        database.execute(f"CREATE OR REPLACE TEMP TABLE entries AS FROM entries WHERE NOT ({bad})")
    if any(one.plain and not one.is_json for one in file.parts or (file,)):
        count += _number(database, "SELECT count(*) FROM (SELECT DISTINCT file_id, line FROM reject_errors)")
    kept = _number(database, "SELECT count(*) FROM entries")
    if count > kept:
        raise DataError(
            f"{file.name}: {count:,} of {count + kept:,} rows cannot be read, too many to drop; say by data.format and "
            "data.columns how the file is written, or correct it"
        )
    return count


def require_rows(database: "duckdb.DuckDBPyConnection", file: TableFile, what: str) -> int:
    """Count the rows of the table `entries`; raises EmptyDataError when there are none."""
    rows = _number(database, "SELECT count(*) FROM entries")
    if rows == 0:
        raise EmptyDataError(f"{file.name}: the file has no {what}; replace it with one that has")
    return rows


def bad_id(
    database: "duckdb.DuckDBPyConnection", file: TableFile, column: str, name: str, record: int, kind: IdKind
) -> BadIdError:
    """The error that says what is wrong with an id in a column of the table `entries`: `record` counts from 0.

    name: the column in the file.
    """
    text = file.text(name, record)
    if kind == "number":
        wrong = f"{text!r} is not a whole number from 0 to {MAX_ID}"
    else:
        wrong = f"{text!r} stands for a missing id" if text else "is empty"
    bad = _number(database, f"SELECT count(*) FROM entries WHERE {column} IS NULL")
    more = f", as in {bad:,} rows" if bad > 1 else ""
    return BadIdError(f"{file.name}: {file.place(record)}: {name} {wrong}{more}; correct the file{_OR_DROP}")


def _rating(opened: RatingsFile, config: DataConfig, absent: float) -> str:
    """SQL for the rating as a number in range, 1 for `true` and 0 for `false`; null for any other text.

    NaN counts as larger than every number.
    """
    if not opened.columns.rating:
        return f"'{float(config.rating_max if config.scale_is_set else absent)}'"
    text = opened.file.columns[opened.columns.rating]
    value = number(text, opened.decimal)
    low, high = (config.rating_min, config.rating_max) if config.scale_is_set else (-math.inf, math.inf)
    flags = "".join(f" WHEN lower({text}) = '{word}' THEN {n}" for word, n in FLAGS.items() if low <= n <= high)
    if not config.scale_is_set:
        return f"CASE WHEN isfinite({value}) THEN {value}{flags} END"
    return f"CASE WHEN {value} BETWEEN '{float(low)}'::DOUBLE AND '{float(high)}'::DOUBLE THEN {value}{flags} END"


def _rating_fault(
    database: "duckdb.DuckDBPyConnection", opened: RatingsFile, config: DataConfig, kinds: IdKinds, record: int
) -> DataError:
    """The error that says what is wrong with one record of the table `entries`."""
    file, columns = opened.file, opened.columns
    sql = f"SELECT user_id, movie_id, timestamp FROM entries WHERE rowid = {record}"
    ((user, movie, timestamp),) = database.execute(sql).fetchall()
    if user is None:
        return bad_id(database, file, "user_id", columns.user, record, kinds.user)
    if movie is None:
        return bad_id(database, file, "movie_id", columns.item, record, kinds.item)
    where = f"{file.name}: {file.place(record)}"
    if timestamp is None:
        text = file.text(columns.timestamp, record)
        return DataError(f"{where}: {columns.timestamp} {text!r} is {_no_time(opened.times)}{_OR_DROP}")
    text = file.text(columns.rating, record)
    ((rating,),) = database.execute(f"SELECT {number(sql_text(text), opened.decimal)}").fetchall()
    rating = FLAGS.get(text.lower(), rating)
    if rating is None or not math.isfinite(rating):
        untold = not opened.decimal and reads(text, ",")
        unless = " unless its comma is of a fraction or of thousands; set data.format.decimal or" if untold else ";"
        written = " with a comma before the fraction" if opened.decimal == "," else ""
        return DataError(
            f"{where}: {columns.rating} {text!r} is not a number{written}{unless} correct the file{_OR_DROP}"
        )
    setting = "rating_max" if rating > config.rating_max else "rating_min"
    scale = " (MovieLens scale)" if (config.rating_min, config.rating_max) == (0.5, 5.0) else ""
    return DataError(
        f"{where}: {columns.rating} {text} is outside {config.rating_min}-{config.rating_max}{scale}; "
        f"fix the file or set data.{setting}{_OR_DROP}"
    )


def _no_time(times: TimeForm | None) -> str:
    """The error for the first time that does not have the expected form, and its remedy."""
    if times and not times.written:
        return (
            "not a time of a known form; correct the file, or say how times are written by data.format.times, such as "
            "'data.format.times=\"%d.%m.%Y %H:%M\"' for 24.01.2021 14:42"
        )
    if times and (times.written not in UNITS or times.fractions):
        return f"not a time since 1970 by the form of the times ({times}); correct the file or set data.format.times"
    return f"not a whole number of {times.written if times else 'seconds'} since 1970; correct the file"


def _refuse_dates(database: "duckdb.DuckDBPyConnection", file: TableFile) -> None:
    """Raises DataError where all times are dates such as 20170923, which as seconds would be of August 1970."""
    is_date = "try_strptime(timestamp::VARCHAR, '%Y%m%d') IS NOT NULL"
    dates = f"timestamp BETWEEN {_FIRST_DATE} AND {_LAST_DATE} AND {is_date}"
    if first_record(database, f"NOT ({dates})") is None:
        ((date,),) = database.execute("SELECT timestamp FROM entries WHERE rowid = 0").fetchall()
        raise DataError(
            f"{file.name}: {file.place(0)}: the timestamp {date} is a date written as year, month and day; "
            "convert the times to seconds since 1970"
        )


_FIRST_DATE, _LAST_DATE = 19000101, 21001231


def _milliseconds(database: "duckdb.DuckDBPyConnection", file: TableFile, *, larger_is_known: bool) -> int:
    """The number of timestamps in milliseconds: none or all, or else a DataError names the first that differs."""
    in_milliseconds = f"timestamp >= {MILLISECONDS_FROM}"
    count = _number(database, f"SELECT count(*) FROM entries WHERE {in_milliseconds}")
    if count == 0:
        return 0
    first_unit = f"(SELECT {in_milliseconds} FROM entries WHERE rowid = 0)"
    if (record := first_record(database, f"({in_milliseconds}) <> {first_unit}")) is not None:
        first_is_seconds = _number(database, "SELECT timestamp FROM entries WHERE rowid = 0") < MILLISECONDS_FROM
        unit, others = ("milliseconds", "seconds") if first_is_seconds else ("seconds", "milliseconds")
        raise DataError(
            f"{file.name}: {file.place(record)}: the timestamp is in {unit} but those before it are in {others}; "
            "use one unit in the whole file"
        )
    if (record := first_record(database, f"timestamp >= {MILLISECONDS_FROM * 1000}")) is not None:
        if larger_is_known:
            raise DataError(
                f"{file.name}: {file.place(record)}: the timestamp is not in milliseconds but those before it are; "
                "use one unit in the whole file"
            )
        raise DataError(
            f"{file.name}: {file.place(record)}: the timestamp is neither in seconds nor in milliseconds since 1970; "
            "convert it to seconds"
        )
    return count


def _refuse_other_units(database: "duckdb.DuckDBPyConnection", file: TableFile, times: TimeForm) -> None:
    """Raises DataError for the first time that is not in the unit of the first of the file."""
    low, high = (limit * times.per_second / UNITS[times.written] for limit in unit_limits(times.written))
    if (record := first_record(database, f"NOT (timestamp >= {low} AND timestamp < {high})")) is not None:
        raise DataError(
            f"{file.name}: {file.place(record)}: the timestamp is not in {times.written} but those before it are; "
            "use one unit in the whole file"
        )


def _newest_of_each_pair(database: "duckdb.DuckDBPyConnection") -> tuple[pa.Table, int, int]:
    """The sorted ratings, how many repeated rows and how many older ratings of a pair were dropped."""
    table = database.sql(
        "SELECT user_id, movie_id, rating, timestamp FROM entries ORDER BY user_id, movie_id, timestamp, rowid"
    ).to_arrow_table()
    has_newer = same_pair_follows(table)
    dropped = int(np.count_nonzero(has_newer))
    if dropped == 0:
        return table, 0, 0
    distinct = _number(
        database, "SELECT count(*) FROM (SELECT DISTINCT user_id, movie_id, rating, timestamp FROM entries)"
    )
    repeats = len(table) - distinct
    return table.filter(pa.array(np.append(~has_newer, True))), repeats, dropped - repeats


def same_pair_follows(table: pa.Table) -> NDArray[np.bool_]:
    """bool [n - 1] of a sorted table of n rows: whether the next row is of the same user and movie."""
    before, after = table.slice(0, len(table) - 1), table.slice(1)
    same = pc.and_(*(pc.equal(before[name], after[name]) for name in ("user_id", "movie_id")))
    return np.asarray(same.to_numpy())


def first_record(database: "duckdb.DuckDBPyConnection", condition: str) -> int | None:
    """The first record, counted from 0, of the table `entries` that meets an SQL condition."""
    ((record,),) = database.execute(f"SELECT min(rowid) FROM entries WHERE {condition}").fetchall()
    return record if record is None else int(record)


def _number(database: "duckdb.DuckDBPyConnection", sql: str) -> int:
    ((number,),) = database.execute(sql).fetchall()
    return int(number)
