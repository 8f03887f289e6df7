"""Opens whatever holds a table: text of any form, JSON Lines, Parquet, folders and patterns of such, and addresses."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from movierec_engine.data.config import FileFormat
from movierec_engine.data.json_lines import all_members, is_json, open_json_lines, with_members
from movierec_engine.data.remote_files import copied, is_address
from movierec_engine.data.table_file import (
    PARQUET_SUFFIXES,
    TableFile,
    check_file,
    clean,
    connect,
    open_parquet,
    reading,
    spill_folder,
    sql_text,
    text_relation,
)
from movierec_engine.data.text_form import HEAD_LINES, plain_text, text_form
from movierec_engine.errors import DataError, EmptyDataError

log = logging.getLogger(__name__)

_TABLE_SUFFIXES = (
    ".csv", ".tsv", ".txt", ".dat", ".data", ".inter", ".item", ".json", ".jsonl", ".ndjson", *PARQUET_SUFFIXES,
    ".gz", ".zst", ".bz2", ".xz", ".zip",
)  # fmt: skip
_PATTERN = frozenset("*?[")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def open_any(location: str, given: FileFormat, named: Sequence[str] = ()) -> TableFile:
    """The table of a file, of all files in a folder, of those that a pattern names, or at an address.

    given: what settings say of text files. named: columns that settings name, by which a header is known.
    Raises DataError when there is no such file, when it is unreadable, and when how it is written cannot be told.
    """
    paths = local_files(location)
    if is_address(location):
        files = [replace(_open_copy(path, location, given, named), location=location) for path in paths]
    else:
        files = [_with_partitions(file, location) for file in _open_parts(paths, given, named)]
    return files[0] if len(files) == 1 else _joined(location, files, given)


def with_all_members(file: TableFile, given: FileFormat) -> TableFile:
    """The table with JSON members that occur only after the sampled first lines; other formats unchanged."""
    drop = given.bad_rows == "drop"
    if file.parts:
        return _joined(file.name, [with_all_members(part, given) for part in file.parts], given)
    return with_members(file, all_members(file, drop_bad_rows=drop), drop_bad_rows=drop) if file.is_json else file


def local_files(location: str) -> list[Path]:
    """The files that a path, a folder, a pattern or an address names, in the order of their names."""
    if is_address(location):
        return copied(location, spill_folder())
    path = Path(location)
    if path.is_dir():
        found = sorted(
            one
            for one in path.rglob("*")
            if one.is_file() and one.suffix.lower() in _TABLE_SUFFIXES and not _is_hidden(one.relative_to(path))
        )
        if location and found:  # a .json beside other tables describes them
            return [one for one in found if one.suffix.lower() != ".json"] or found
    elif not path.exists() and _PATTERN & set(location):
        anchor = Path(path.anchor)
        if found := sorted(one for one in anchor.glob(str(path.relative_to(anchor))) if one.is_file()):
            return found
        raise DataError(f"{location}: no file is of this pattern; check the path in the data settings")
    check_file(path)
    return [path]


def head_of(file: TableFile, name: str) -> list[str]:
    """The first values of a column, without empty ones; of a table of several files those of the first that has any."""
    if file.parts:
        return next(filter(None, (head_of(part, name) for part in file.parts if name in part.columns)), [])
    if file.form and name in file.form.names:
        place = file.form.names.index(name)
        return [value for row in file.form.head if (value := row[place].strip())]
    with reading(file.name, file.delimiter), connect() as database:
        rows = database.execute(f"SELECT {file.columns[name]} FROM {file.relation} LIMIT {HEAD_LINES}").fetchall()
    return [str(value) for (value,) in rows if value is not None]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(("_", ".")) for part in path.parts)


def _open_parts(paths: Sequence[Path], given: FileFormat, named: Sequence[str]) -> list[TableFile]:
    """The tables of files, of which empty ones are passed over where others are not."""
    files: list[TableFile] = []
    empty: list[EmptyDataError] = []
    for path in paths:
        try:
            files.append(_open(path, given, named))
        except EmptyDataError as error:
            empty.append(error)
            log.warning("%s is empty and passed over", path)
    if not files:
        raise empty[0]
    return files


def _open(path: Path, given: FileFormat, named: Sequence[str]) -> TableFile:
    check_file(path)
    with path.open("rb") as file:
        is_parquet = path.suffix.lower() in PARQUET_SUFFIXES or file.read(4) == b"PAR1"
    if is_parquet:
        return open_parquet(path)
    with reading(path):
        plain = plain_text(path, given.encoding, spill_folder())
        if is_json(plain.head()):
            return open_json_lines(path, plain, drop_bad_rows=given.bad_rows == "drop")
        form = text_form(path, plain, given, named)
    return text_relation(path, plain, form, drop_bad_rows=given.bad_rows == "drop")


def _with_partitions(file: TableFile, location: str) -> TableFile:
    """A file of a folder or pattern, with a column for each folder such as `dt=2021-03-01` that it lies in below.

    As Hive partitions tables: the folder's name has the value, with %-escapes, in the place of a column of the file.
    """
    folders = file.path.relative_to(_fixed_part(location)).parts[:-1]
    parted = [folder.partition("=") for folder in folders if "=" in folder]
    values = {name: "" if value == _NO_VALUE else unquote(value) for name, _, value in parted}
    texts = {name: clean(sql_text(value)) for name, value in values.items() if name not in file.columns}
    return replace(file, columns={**file.columns, **texts}) if texts else file


def _fixed_part(location: str) -> Path:
    """The folder that a location names, or the one above the first sign of a pattern."""
    path = Path(location)
    if path.exists():
        return path if path.is_dir() else path.parent
    return next(folder for folder in path.parents if not _PATTERN & set(str(folder)))


def _open_copy(path: Path, address: str, given: FileFormat, named: Sequence[str]) -> TableFile:
    """A copy of what lies at an address, by which an error names it."""
    try:
        return _open(path, given, named)
    except DataError as error:
        raise DataError(str(error).replace(str(path), address)) from error


def _joined(location: str, files: list[TableFile], given: FileFormat) -> TableFile:
    """One table of the rows of several files, with the columns of all, which are empty where a file has none.

    Columns are one by their name. Where a file does not name them, those of all must be the same.
    """
    first = files[0]
    members = {name: kind for file in files for name, kind in (file.members or {}).items()}
    drop = given.bad_rows == "drop"
    files = [with_members(file, members, drop_bad_rows=drop) if file.is_json else file for file in files]
    if any(file.form and not file.form.header for file in files):
        _refuse_others(files)
    names = dict.fromkeys(name for file in files for name in file.columns)
    aliases = {name: f"c{place}" for place, name in enumerate(names)}
    moments = {name: f"m{place}" for place, name in enumerate(names) if all(name in file.moments for file in files)}
    relation = f"({' UNION ALL '.join(f'FROM {_aliased(file, aliases, moments)}' for file in files)})"
    columns = {name: f"nullif({alias}, '')" for name, alias in aliases.items()}
    shared = [name for name in columns if all(name in file.integers for file in files)]
    return replace(
        first,
        location=location,
        relation=relation,
        columns=columns,
        integers=frozenset(shared),
        moments=moments,
        latin1=any(file.latin1 for file in files),
        parts=tuple(files),
    )


def _refuse_others(files: list[TableFile]) -> None:
    """Raises DataError for the first file that has other columns than those before it."""
    first = files[0]
    for file in files[1:]:
        if list(file.columns) != list(first.columns):
            raise DataError(
                f"{file.name}: its columns are {', '.join(file.columns)[:100]!r}, but those of {first.name} are "
                f"{', '.join(first.columns)[:100]!r}; give files of one kind"
            )


def _aliased(file: TableFile, columns: dict[str, str], moments: dict[str, str]) -> str:
    """SQL of a file's rows with other names for the columns, and for the microseconds of moments."""
    selected = [f"{file.columns.get(name, 'NULL::VARCHAR')} AS {alias}" for name, alias in columns.items()]
    selected += [f"{file.moments[name]} AS {alias}" for name, alias in moments.items()]
    return f"(SELECT {', '.join(selected)} FROM {file.relation})"
