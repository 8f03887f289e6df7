"""Description of a file of ratings, before anything is trained on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from movierec_engine.data.any_file import head_of
from movierec_engine.data.config import DataConfig, data_set_name
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import EARLY, positives
from movierec_engine.data.likes import low_ratings, negative_ratings, rated
from movierec_engine.data.mapped_files import RatingsFile, open_ratings, open_titles
from movierec_engine.data.movielens import RATING_COLUMNS, find_layout
from movierec_engine.data.movielens import open_ratings as open_movielens
from movierec_engine.data.ratings import Ratings
from movierec_engine.data.readers import items_with_title, lacking_titles, read_movies, read_ratings
from movierec_engine.data.table_file import connect, reading
from movierec_engine.data.text_form import is_number
from movierec_engine.errors import EmptyDataError
from movierec_engine.overrides import in_shell, text_setting
from movierec_engine.reporting.numbers import percent, rating

_MOST_VALUES = 12
"""Up to so many different ratings each is counted; of more, quartiles are told."""

_LONGEST_WORD = 20


@dataclass(frozen=True)
class Fact:
    """One thing that is known of a file: what it is about, the value for programs, and the words for people."""

    about: str
    value: Any
    text: str


def describe(config: DataConfig, given: Sequence[str] = ()) -> list[Fact]:
    """Describe a data set's ratings as they are read: form, columns, ids, counts, scale, times, rows after the filters.

    given: the settings in the configuration that somebody gave, which the command to train on it repeats.
    The last fact is that command, or what to lower where the filters leave nothing. Raises DataError as `read_ratings`
    does, with the setting that says what cannot be told.
    """
    if config.layout == "custom":
        opened = open_ratings(config.ratings_file, config)
    else:
        opened = RatingsFile(open_movielens(config.folder, find_layout(config.folder)), RATING_COLUMNS)
    ratings = read_ratings(config)
    left = _after_filters(ratings, config)
    return [
        Fact("file", opened.file.name, opened.file.name),
        *_columns(opened, ratings),
        *_kinds_of_rows(opened),
        *_counts(ratings),
        *_values(ratings, opened, config.rating_threshold),
        *_times(ratings, opened),
        left,
        *_titles(opened, ratings, config),
        _training(config, given, is_possible=any(left.value)),
    ]


def command(config: DataConfig, given: Sequence[str]) -> str:
    """The command that trains on a data set, read by the settings that were given."""
    if config.layout == "custom":
        name = data_set_name(Path(config.ratings_file).stem) if config.name == "custom" else ""
        source = text_setting("data.ratings_file", config.ratings_file)
    else:
        name = data_set_name(config.folder.resolve().name)
        source = text_setting("data.dir", config.dir)
    named = [text_setting("data.name", name)] if name else []
    return f"movierec train als {' '.join(map(in_shell, [*named, source, *given]))}"


def _training(config: DataConfig, given: Sequence[str], *, is_possible: bool) -> Fact:
    if not is_possible:
        lower = "data.min_user_interactions, data.min_item_interactions or data.rating_threshold"
        return Fact("train on it", "", f"the filters leave nothing; lower {lower}")
    return Fact("train on it", command(config, given), command(config, given))


def _columns(opened: RatingsFile, ratings: Ratings) -> Iterator[Fact]:
    yield Fact("form", opened.form, opened.form)
    of_columns = opened.columns
    for role, name, column in (("user", of_columns.user, "user_id"), ("item", of_columns.item, "movie_id")):
        ids = ratings.table[column]
        kind = "texts" if pa.types.is_string(ids.type) else "numbers"
        examples = ", ".join(map(str, pc.unique(ids.slice(0, 1000)).to_pylist()[:3]))
        yield Fact(f"{role} column", name, f"{name}: {kind} such as {examples}")
    yield Fact("rating column", of_columns.rating, of_columns.rating or "none: every row is a like")
    written = f", {opened.times}" if opened.times and of_columns.timestamp else ""
    yield Fact(
        "time column", of_columns.timestamp, f"{of_columns.timestamp}{written}" if of_columns.timestamp else "none"
    )
    used = {of_columns.user, of_columns.item, of_columns.rating, of_columns.timestamp}
    others = [name for name in opened.file.columns if name not in used]
    yield Fact("other columns", others, ", ".join(others) or "none")


def _kinds_of_rows(opened: RatingsFile) -> Iterator[Fact]:
    """The shares of a few texts in columns that nothing reads, such as events, all of whose rows count alike."""
    file, used = opened.file, opened.columns
    others = set(file.columns) - {used.user, used.item, used.rating, used.timestamp}
    shares = {}
    for name in [one for one in file.columns if one in others and _has_few_texts(head_of(file, one))]:
        value = file.columns[name]
        with reading(file.name, file.delimiter), connect() as database:
            counted = database.execute(
                f"""
                SELECT {value} AS value, count(*) / sum(count(*)) OVER () AS share FROM {file.relation}
                GROUP BY ALL ORDER BY share DESC, value LIMIT {_MOST_VALUES + 1}
                """
            ).fetchall()
        if len(counted) <= _MOST_VALUES:
            shares[name] = {text or "empty": share for text, share in counted}
    if shares:
        shown = "; ".join(
            f"{name}: " + ", ".join(f"{text} {percent(share)}" for text, share in values.items())
            for name, values in shares.items()
        )
        advice = "rows count alike, whichever they are; leave some out of the file to keep one kind"
        yield Fact("kinds of rows", shares, f"{shown}; {advice}")


def _has_few_texts(values: Sequence[str]) -> bool:
    """True if the first values of a column are some words that come again and again."""
    texts = set(values)
    are_few = 1 < len(texts) <= _MOST_VALUES and 2 * len(texts) <= len(values)
    return are_few and not any(is_number(text) or len(text) > _LONGEST_WORD for text in texts)


def _counts(ratings: Ratings) -> Iterator[Fact]:
    report, table = ratings.report, ratings.table
    users, items = (pc.count_distinct(table[name]).as_py() for name in ("user_id", "movie_id"))
    yield Fact("rows", report.rows_read, f"{report.rows_read:,}")
    yield Fact("unreadable rows", report.bad_rows, f"{report.bad_rows:,} left out")
    if report.rows_without_id:
        yield Fact(
            "rows without id", report.rows_without_id, f"{report.rows_without_id:,} of these have no user or item"
        )
    yield Fact("repeated rows", report.duplicate_rows, f"{report.duplicate_rows:,}")
    repeated = f"{report.duplicate_pairs:,} further rows of a pair of user and item; the newest counts"
    yield Fact("repeated pairs", report.duplicate_pairs, repeated)
    yield Fact("users", users, f"{users:,}")
    yield Fact("items", items, f"{items:,}")
    density = len(table) / (users * items)
    yield Fact("density", density, f"{percent(density, 3)} of all pairs of user and item")


def _values(ratings: Ratings, opened: RatingsFile, threshold: float) -> Iterator[Fact]:
    if not opened.columns.rating:
        return
    column = ratings.table["rating"]
    given = rated(column.to_numpy())
    low, high = float(given.min()), float(given.max())
    yield Fact("scale", [low, high], f"{rating(low)} to {rating(high)}")
    counted = pc.value_counts(column).flatten()
    if len(counted[0]) > _MOST_VALUES:
        quartiles = pc.quantile(column, q=[0.25, 0.5, 0.75]).to_pylist()
        shown = "quartiles {}, {} and {}".format(*map(rating, quartiles))
        yield Fact("distribution", quartiles, shown)
    else:
        pairs = zip(*(one.to_pylist() for one in counted), strict=True)
        ordered = dict(sorted((float(value), count / len(column)) for value, count in pairs))
        shown = ", ".join(f"{rating(value)}: {percent(share)}" for value, share in ordered.items())
        yield Fact("distribution", ordered, shown)
    if said := negative_ratings(column.to_numpy(), threshold):
        yield Fact("negative ratings", said, said)
    if said := low_ratings(column.to_numpy(), threshold):
        yield Fact("low ratings", said, said)


def _times(ratings: Ratings, opened: RatingsFile) -> Iterator[Fact]:
    if not opened.columns.timestamp:
        return
    ends = pc.min_max(ratings.table["timestamp"])
    first, last = (datetime.fromtimestamp(ends[end].as_py(), UTC).isoformat(sep=" ") for end in ("min", "max"))
    doubt = ""
    if ends["max"].as_py() < EARLY:
        doubt = '; if these are not seconds since 1970, set data.columns.timestamp=""'
    yield Fact("times", [first, last], f"{first[:19]} to {last[:19]} UTC{doubt}")


def _titles(opened: RatingsFile, ratings: Ratings, config: DataConfig) -> Iterator[Fact]:
    titles = open_titles(config, opened.columns.item) if config.layout == "custom" else None
    if titles is None:
        return
    yield Fact("titles", titles.file.name, f"{titles.file.name}: {titles}")
    items, movies = IdMap.of(ratings.table["movie_id"]).ids, read_movies(config)
    with_title = items_with_title(movies, items, config.item_noun)
    said = lacking_titles(movies, items, config.item_noun) or f"{with_title:,} of {len(items):,} items"
    others = [name for name in titles.file.columns if name != titles.columns.id]
    if not titles.columns.title and others:
        said += f", one of {', '.join(others)[:200]}"
    yield Fact("items with title", with_title, said)


def _after_filters(ratings: Ratings, config: DataConfig) -> Fact:
    asked = (
        f"ratings from {rating(config.rating_threshold)} on, users with {config.min_user_interactions} and items with "
        f"{config.min_item_interactions} of them"
    )
    try:
        left = positives(ratings, config)
    except EmptyDataError:
        return Fact("after filters", [0, 0, 0], f"nothing ({asked})")
    counts = [len(left), left.n_users, left.n_items]
    shown = "{:,} interactions of {:,} users with {:,} items".format(*counts)
    return Fact("after filters", counts, f"{shown} ({asked})")
