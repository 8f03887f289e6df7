"""Files of one's own: ratings in one file or split, negatives and titles, with their columns found."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

from movierec_engine.data.any_file import head_of, open_any, with_all_members
from movierec_engine.data.column_roles import find_column
from movierec_engine.data.config import ColumnNames, DataConfig, FileFormat
from movierec_engine.data.decimals import is_rating, told_decimal
from movierec_engine.data.id_kinds import IdColumns
from movierec_engine.data.table_file import TableFile, connect, reading
from movierec_engine.data.times import TimeForm, time_form
from movierec_engine.data.unnamed_columns import (
    further_columns,
    one_of,
    pairs_by_place,
    ratings_by_place,
    titles_by_place,
)
from movierec_engine.data.unquoted_titles import with_ends_of_lines
from movierec_engine.errors import DataError

log = logging.getLogger(__name__)

_USUAL = ColumnNames()
_UNNAMED = r"column\d+"
"""How columns are called that no header names."""
_ROWS_THAT_REPEAT = 20
"""Rows at a file's head of which some are of the same user; if none are, all rows are searched for a repeated one."""


@dataclass(frozen=True)
class RatingsFile:
    """A file of ratings that was opened: which column is what, and how its values are written.

    columns: "" for ratings or times that the file lacks. times: how they are written; None: as in MovieLens.
    decimal: what stands before the fraction of a rating; "" where the first ones are whole and do not tell it.
    """

    file: TableFile
    columns: ColumnNames
    times: TimeForm | None = None
    decimal: str = "."

    @property
    def ids(self) -> IdColumns:
        return IdColumns(self.file, self.columns.user, self.columns.item, self._readable)

    @property
    def _readable(self) -> str:
        """SQL of whether a row's rating and time can be read, which those of a header in mid-file cannot."""
        rating, timestamp = self.columns.rating, self.columns.timestamp
        conditions = [is_rating(self.file.columns[rating], self.decimal)] if rating else []
        conditions += [f"({self.times.sql(self.time)}) IS NOT NULL"] if timestamp and self.times else []
        return " AND ".join(conditions) or "true"

    @property
    def time(self) -> str:
        """SQL of what `times` reads: the text of a time, or the microseconds of a moment."""
        name = self.columns.timestamp
        return self.file.moments[name] if self.times and self.times.written == "moments" else self.file.columns[name]

    @property
    def form(self) -> str:
        """The file's form, in words."""
        if not self.file.plain:
            return "Parquet" if self.file.is_parquet else "text"
        packed = f" unpacked from {self.file.plain.packing}" if self.file.plain.packing else ""
        if self.file.is_json:
            return f"JSON Lines{packed}"
        below = ", rows below lines that name their item" if self.file.plain.item_lines else ""
        return f"{self.file.plain.encoding.upper()} text{packed}{below}, {self.file.form}"

    def __str__(self) -> str:
        """The way in which the file is read, in words."""
        roles = [f"{role} = {name}" for role in ("user", "item") if (name := getattr(self.columns, role))]
        roles.append(f"rating = {self.columns.rating}" if self.columns.rating else "no ratings")
        times = f" ({self.times})" if self.times else ""
        roles.append(f"time = {self.columns.timestamp}{times}" if self.columns.timestamp else "no times")
        return f"{self.form}; {', '.join(roles)}"


@dataclass(frozen=True)
class MappedFiles:
    """The files of a data set that are not of MovieLens' layouts; each with the ids that it holds.

    ratings: by part, which of layout custom is "". negatives, titles: None where there are none.
    """

    ratings: dict[str, RatingsFile]
    negatives: IdColumns | None = None
    titles: "TitlesFile | None" = None

    def ids(self) -> list[IdColumns]:
        """The ids of ratings and negatives."""
        found = [one.ids for one in self.ratings.values()]
        return [*found, self.negatives] if self.negatives else found

    def title_ids(self) -> list[IdColumns]:
        return [self.titles.ids] if self.titles else []


@dataclass(frozen=True)
class TitlesFile:
    """A file of titles that was opened: which column is what; "" for what it lacks."""

    file: TableFile
    columns: ColumnNames

    @property
    def ids(self) -> IdColumns:
        return IdColumns(self.file, item=self.columns.id)

    def __str__(self) -> str:
        """The columns that were found, in words."""
        return ", ".join(
            f"{role} = {getattr(self.columns, role) or 'none'}" for role in ("id", "title", "genres", "year")
        )


def open_files(config: DataConfig) -> MappedFiles:
    """The files that the settings of layout custom or presplit name.

    Raises DataError when a file is not given or unreadable, lacks a column, or leaves open how it is to be read.
    """
    if config.layout == "presplit":
        named = {"train": config.train_file, "validation": config.valid_file, "test": config.test_file}
        ratings = {part: _open_part(part, path, config) for part, path in named.items() if path or part != "validation"}
    else:
        if not config.ratings_file:
            raise DataError("data.ratings_file is not set; add data.ratings_file=..., the file to read")
        ratings = {"": open_ratings(config.ratings_file, config)}
    negatives = None
    if config.layout == "presplit" and config.negatives_file:
        negatives = open_ratings(config.negatives_file, config, ids_alone=True).ids
    return MappedFiles(ratings, negatives, open_titles(config, ratings[next(iter(ratings))].columns.item))


def open_ratings(
    location: str, config: DataConfig, *, may_lack_ratings: bool = False, ids_alone: bool = False
) -> RatingsFile:
    """A file of ratings; ratings and times may be absent unless settings name their columns.

    Raises DataError as `open_files` does.
    """
    columns = config.columns
    if not columns.user or not columns.item:
        raise DataError(f"{config.name}: data.columns.user and data.columns.item must name columns; set both")
    told = {role: getattr(columns, role) for role in ("user", "item", "rating", "timestamp")}
    file = open_any(location, config.format, [*told.values(), _USUAL.id])
    where = file.name
    form = file.form
    if form and form.lists:
        told = {"user": "column1", "item": "column2", "rating": "", "timestamp": ""}
    elif form and not form.header and len(form.names) > 1:
        placed = _placed(file, told, ids_alone=ids_alone)
        if "user" in placed and not (ids_alone or may_lack_ratings):
            _refuse_row_numbers(file, placed["user"])
        told |= placed
    file = _with_late_members(file, told, config.format, ("user", "item"))
    found = {}
    for role, name in told.items():
        if ids_alone and role in ("rating", "timestamp"):
            found[role] = ""
            continue
        usual = getattr(_USUAL, role) == name
        found[role] = find_column(role, name, list(file.columns), where, _chosen(role)) if usual else name
        if role == "item" and not found[role]:  # of a table that knows its items by their titles alone
            found[role] = find_column("title", columns.title, list(file.columns), where, _chosen("title"))
        optional = role in ("rating", "timestamp") and (usual or not name or may_lack_ratings)
        if not found[role] or found[role] not in file.columns:
            if not optional:
                raise DataError(f"{_missing(file, role, name)}{_for_titles(file, role) if usual else ''}")
            found[role] = ""
    used = [name for name in found.values() if name]
    _refuse_lacking(file, used)
    _refuse_repeated(file, used)
    _refuse_lists(file, {role: found[role] for role in ("user", "item")})
    return _with_forms(file, replace(columns, **found), config.format)


def _placed(file: TableFile, told: dict[str, str], *, ids_alone: bool) -> dict[str, str]:
    """Role -> column of ratings without header, of the roles that settings leave to its place; "" where it has none.

    told: the names by role. ids_alone: users and items are wanted, and nothing else.
    """
    assert file.form
    named = _named_places(file.form.names, told)
    users_named, items_named = ("user" in named, "item" in named)
    if users_named != items_named or (users_named and None in (named["user"], named["item"])):
        return {}  # reading says what is missing
    heads = list(zip(*file.form.head, strict=True))
    if ids_alone:
        placed = {} if users_named else pairs_by_place(heads, file.name)
    else:
        placed = ratings_by_place(heads, file.name, named)
    return {role: file.form.names[placed[role]] if role in placed else "" for role in told if role not in named}


def _named_places(names: Sequence[str], told: dict[str, str]) -> dict[str, int | None]:
    """The places of the columns that settings name, by role; None of those that a file has not."""
    chosen = {role: name for role, name in told.items() if name != getattr(_USUAL, role)}
    return {role: names.index(name) if name in names else None for role, name in chosen.items()}


def _refuse_row_numbers(file: TableFile, name: str) -> None:
    """Raises DataError where a column that is the users' by its place has another value in every row of a file."""
    head = head_of(file, name)
    if len(head) < _ROWS_THAT_REPEAT or len(set(head)) < len(head):
        return
    with reading(file.name, file.delimiter), connect() as database:
        sql = f"SELECT count(DISTINCT {file.columns[name]}) = count(*) FROM {file.relation}"
        ((differs,),) = database.execute(sql).fetchall()
    if differs:
        raise DataError(
            f"{file.name}: {name} of this file without header is another in every row, as a row's number is, so that "
            "every user would have one row; name the columns, data.columns.user=column2 data.columns.item=column3 and "
            f"so on, or say by data.columns.user={name} data.columns.item=column2 that it is right"
        )


def _chosen(role: str) -> str:
    return f"data.columns.{role}={{}}"


def open_titles(config: DataConfig, item: str = "item") -> TitlesFile | None:
    """The file of titles; None where there is none.

    item: the column of items in the ratings, a name that the file's own column of ids often has.
    """
    if not config.movies_file:
        return None
    columns = config.columns
    told = {role: getattr(columns, role) for role in ("id", "title", "genres", "year")}
    known = [] if re.fullmatch(_UNNAMED, item) else [item]  # which is of another file
    with _naming_settings_of_titles():
        file = open_any(config.movies_file, _format_of_titles(config), [*told.values(), *known])
    file = _with_late_members(file, told, config.format)
    where, names = file.name, list(file.columns)
    if file.form and not file.form.header:
        named = _named_places(names, told)
        placed = titles_by_place(list(zip(*file.form.head, strict=True)), named)
        found = told | {role: names[placed[role]] if role in placed else "" for role in told if role not in named}
        if found["title"] == names[-1] and not file.parts:
            file = with_ends_of_lines(file)
    else:
        found = {}
        if columns.id != _USUAL.id or columns.id in names:
            found["id"] = columns.id
        else:
            found["id"] = item if item in names else find_column("item", columns.item, names, where, _chosen("id"))
        for role in ("title", "genres", "year"):
            name = told[role]
            rest = [one for one in names if one != found["id"]]
            found[role] = find_column(role, name, rest, where, _chosen(role)) if name == getattr(_USUAL, role) else name
    for role, name in found.items():
        if (name or role == "id") and name not in names:
            raise DataError(_missing(file, role, name or columns.id))
    _refuse_lacking(file, [name for name in found.values() if name])
    _refuse_lists(file, {"id": found["id"]})
    return TitlesFile(file, replace(columns, **found))


def _format_of_titles(config: DataConfig) -> FileFormat:
    said = {one.name: getattr(config.movies_format, one.name) for one in fields(config.movies_format)}
    return FileFormat(**said, rows="pairs", bad_rows=config.format.bad_rows)


@contextmanager
def _naming_settings_of_titles() -> Iterator[None]:
    """Lets errors about the form of a file of titles name the settings of that, not those of the ratings' files."""
    try:
        yield
    except DataError as error:
        said = re.sub(r"data\.format\.(delimiter|header|encoding)", r"data.movies_format.\1", str(error))
        raise type(error)(said) from error


def _with_late_members(
    file: TableFile, told: dict[str, str], given: FileFormat, required: tuple[str, ...] = ()
) -> TableFile:
    """JSON Lines with the members below their first lines where settings name one, or one is required, that is not
    above; other files as they are.

    told: the wanted names by role.
    """
    if not any(one.is_json for one in file.parts or (file,)):
        return file
    names = list(file.columns)
    for role, name in told.items():
        is_named = name and name != getattr(_USUAL, role) and name not in names
        if is_named or (role in required and not find_column(role, name, names, file.name, _chosen(role))):
            return with_all_members(file, given)
    return file


def _open_part(part: str, path: str, config: DataConfig) -> RatingsFile:
    if not path:
        raise DataError(
            f"data.{part}_file is not set; add data.{part}_file=...: layout presplit reads a train and a test file"
        )
    return open_ratings(path, config, may_lack_ratings=part != "train")


def _with_forms(file: TableFile, columns: ColumnNames, given: FileFormat) -> RatingsFile:
    """The columns with the forms of ratings and times, detected in the file's first rows."""
    times, decimal = TimeForm(), given.decimal
    where = file.name
    if columns.timestamp in file.moments:
        times = TimeForm("moments", 10**6)
    elif columns.timestamp:
        times = time_form(head_of(file, columns.timestamp), given.times, where)
    if columns.rating and not given.decimal:
        decimal = told_decimal(head_of(file, columns.rating), where, typed=not file.form)
    return RatingsFile(file, columns, times, decimal)


def _missing(file: TableFile, role: str, name: str) -> str:
    shown = ", ".join(file.columns)[:200]
    has_header = file.form and file.form.header
    advice = f"; its header must name columns separated by {file.delimiter!r}" if has_header else ""
    return f"{file.name}: column {name!r} is missing among the columns {shown!r}{advice}; set data.columns.{role}"


def _refuse_lacking(file: TableFile, names: list[str]) -> None:
    """Raises DataError where one of several files lacks a column that is used."""
    for part in file.parts:
        for name in names:
            if name not in part.columns:
                shown = ", ".join(part.columns)[:200]
                raise DataError(
                    f"{part.name}: its columns are {shown!r}, without {name!r}, which other files of {file.name} have; "
                    "give files of one kind"
                )


def _for_titles(file: TableFile, role: str) -> str:
    """How to look at a file of titles, where a file without users is likely one."""
    if role != "user" or not find_column("title", _USUAL.title, list(file.columns), file.name, _chosen("title")):
        return ""
    return "; a file of titles is looked at by `movierec data describe RATINGS data.movies_file=TITLES`"


def _refuse_repeated(file: TableFile, names: list[str]) -> None:
    for part in file.parts or (file,):
        header = part.form.names if part.form else tuple(part.columns)
        for name in names:
            if header.count(name) > 1:
                raise DataError(
                    f"{part.name}: column {name!r} stands more than once in the header; rename or remove one"
                )
    for role in names:
        if names.count(role) > 1:
            raise DataError(f"{file.name}: column {role!r} is named for two things; name two by data.columns")


def _refuse_lists(file: TableFile, ids: dict[str, str]) -> None:
    """Raises DataError where a column of ids holds a list of them, as JSON Lines and Parquet may. ids: role -> name."""
    for part in file.parts or (file,):
        if not (part.is_parquet or part.is_json):
            continue
        with reading(part.name), connect() as database:
            types = {name: kind for name, kind, *_ in database.execute(f"DESCRIBE FROM {part.relation}").fetchall()}
        for role, name in ids.items():
            if types.get(name, "").endswith("]"):
                raise DataError(
                    f"{part.name}: column {name!r} holds lists, but data.columns.{role} must hold one id a row; write "
                    f"one row for each, as pandas' frame.explode({name!r}) does"
                )


def warn_of_missing(opened: RatingsFile, columns: ColumnNames) -> None:
    """Say which columns a file lacks, as far as nobody said that it does; without header, which ones may be it."""
    for role in ("rating", "timestamp"):
        wanted = getattr(columns, role)
        if not wanted or getattr(opened.columns, role):
            continue
        form = opened.file.form
        if not form or form.header:
            where = " in its first lines" if opened.file.is_json else ""
            log.warning(
                "%s has no column %s%s; if it is called otherwise, set data.columns.%s",
                opened.file.name,
                wanted,
                where,
                role,
            )
        elif may_be := _further_columns(opened, role):
            log.warning(
                "%s has no header and is read without a column of %ss; if %s is one, set data.columns.%s=column%d",
                opened.file.name,
                "time" if role == "timestamp" else role,
                one_of(may_be),
                role,
                may_be[0] + 1,
            )


def _further_columns(opened: RatingsFile, role: str) -> list[int]:
    """The places of columns of a file without header that may be of a role, beside those that are used."""
    form = opened.file.form
    assert form
    used = {getattr(opened.columns, one) for one in ("user", "item", "rating", "timestamp")}
    places = [place for place, name in enumerate(form.names) if name in used]
    return further_columns(role, list(zip(*form.head, strict=True)), places)
