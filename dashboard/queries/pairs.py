"""Two models, or several, over the same users: differences, tests, lists and examples."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.queries.parquet import arrays, columns, known, one_in, query, records, rows, sampled
from movierec_engine.data.display_titles import display_title
from movierec_engine.data.id_map import Ids, PublicId, as_ids
from movierec_engine.data.table_file import sql_name
from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.comparison import Verdict, compare_all_pairs, compare_pair
from movierec_engine.evaluation.metrics import less_is_better
from movierec_engine.evaluation.report import LISTS_FILE, RELEVANT_FILE, USERS_FILE
from movierec_engine.pipeline.comparison import SegmentVerdict, by_segment
from movierec_engine.pipeline.reports import Measured
from movierec_engine.store import ArtifactStore

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PairedUsers:
    """Users of both reports with the values of each: float64 [n] by metric, such as ndcg@10."""

    users: int
    """How many there are; more than n where a sample stands for them."""
    user_id: Ids
    train_items: NDArray[np.int64] | None
    a: dict[str, Values]
    b: dict[str, Values]

    @property
    def sampled(self) -> bool:
        return len(self.user_id) < self.users


@dataclass(frozen=True, eq=False)
class Overlap:
    """Overlap of two models' lists by user: float64 [n] each."""

    users: int
    """How many there are; more than n where a sample stands for them."""
    jaccard: Values
    """Shared items / items in either list."""
    shared: Values
    """Shared items / k."""


def paired_users(a: Path, b: Path, metrics: Sequence[str]) -> PairedUsers | None:
    """The users of two reports' folders, by those of the metrics that both have; None when the files cannot tell."""
    files = [a / USERS_FILE, b / USERS_FILE]
    names = known(metrics, *files)
    if not names:
        return None
    total = rows(files[0])
    chosen = ", ".join(f"a.{sql_name(name)}, b.{sql_name(name)}" for name in names)
    train = "a.train_items" if known(["train_items"], files[0]) else "NULL"
    sample = f"(FROM parquet_file(?) WHERE {sampled('user_id', one_in(total))})"
    found = arrays(
        f"""SELECT a.user_id, {train}, {chosen} FROM {sample} a JOIN {sample} b USING (user_id) ORDER BY a.user_id""",
        *map(str, files),
    )
    if found is None or not len(values := list(found.values())) or not len(values[0]):
        return None
    ours = dict(zip(names, (np.asarray(value, dtype=np.float64) for value in values[2::2]), strict=True))
    theirs = dict(zip(names, (np.asarray(value, dtype=np.float64) for value in values[3::2]), strict=True))
    known_train = None if train == "NULL" else np.asarray(values[1], dtype=np.int64)
    of_both = len(values[0]) if one_in(total) == 1 else total
    return PairedUsers(of_both, as_ids(values[0]), known_train, ours, theirs)


def head_to_head(of_all: Mapping[str, Mapping[str, Values]], names: tuple[str, str]) -> dict[str, Verdict]:
    """Metric -> the verdict on two models, as `all_pairs` of that metric has it.

    of_all: what `values_of` gives. A metric by which the two cannot be compared is left out.
    """
    found = {}
    for metric, values in of_all.items():
        if set(names) <= set(values):
            with suppress(MovierecError, ValueError, TypeError):
                found[metric] = compare_pair(values, names, less_is_better=less_is_better(metric))
    return found


def all_pairs(folders: Mapping[str, Path], metric: str) -> tuple[Verdict, ...]:
    """Every pair of models, Holm-corrected together, as in `movierec compare`; none when it cannot be told.

    folders: name -> the report's folder; those without the metric are left out.
    """
    for values in values_of(folders, [metric]).values():
        with suppress(MovierecError, ValueError, TypeError):
            return compare_all_pairs(values, less_is_better=less_is_better(metric))
    return ()


def values_of(folders: Mapping[str, Path], metrics: Sequence[str]) -> dict[str, dict[str, Values]]:
    """Metric -> report -> the values of the users that all reports with that metric have, by one query where it can.

    Left out are metrics that fewer than two reports have, or that cannot be read.
    """
    files = {name: folder / USERS_FILE for name, folder in folders.items()}
    columns_of = {name: set(columns(file)) for name, file in files.items()}
    together: dict[tuple[str, ...], list[str]] = {}
    for metric in metrics:
        together.setdefault(tuple(name for name in files if metric in columns_of[name]), []).append(metric)
    found: dict[str, dict[str, Values]] = {}
    for names, own in together.items():
        if len(names) < 2:
            continue
        share = one_in(max(rows(files[name]) for name in names))
        chosen = ", ".join(f"f{place}.{sql_name(metric)}" for metric in own for place in range(len(names)))
        sample = f"(FROM parquet_file(?) WHERE {sampled('user_id', share)})"
        joined = " JOIN ".join(f"{sample} f{place}{' USING (user_id)' * (place > 0)}" for place in range(len(names)))
        read = arrays(f"SELECT {chosen} FROM {joined}", *(str(files[name]) for name in names))
        values = list(read.values()) if read else []
        for place, metric in enumerate(own if values else ()):
            found[metric] = dict(zip(names, values[place * len(names) :], strict=False))
    return {metric: found[metric] for metric in metrics if metric in found}


def segments_won(
    store: ArtifactStore, a: Measured, b: Measured, metric: str, kinds_of: Collection[str] = ()
) -> list[SegmentVerdict]:
    """The verdict on every segment, of some kinds or of all; none when the files cannot tell."""
    try:
        return by_segment(store, a, b, metric, kinds_of)
    except (MovierecError, OSError, KeyError, ValueError):
        return []


def overlap(a: Path, b: Path, k: int) -> Overlap | None:
    """Overlap of the first k places of two reports' lists; None when the files cannot tell."""
    total = rows(a / USERS_FILE) or rows(a / LISTS_FILE) // max(k, 1)
    share = one_in(total)
    try:
        (ours, our_users), (theirs, their_users) = (_first_places(folder, share, k) for folder in (a, b))
    except OSError:
        return None
    users, place = np.unique(np.concatenate([our_users, their_users]), return_inverse=True)
    if not len(users):
        return None
    common = our_users[np.isin(ours, theirs, assume_unique=True)]
    shared = np.bincount(np.searchsorted(users, common), minlength=len(users))
    either = np.bincount(place, minlength=len(users)) - shared
    return Overlap(len(users) if share == 1 else total, shared / either, shared / k)


def _first_places(folder: Path, share: int, k: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Hashes of user and movie together, each once, and of the user, of the first k places."""
    user, pair, rank = _places(folder, share)
    first = rank <= k
    pairs, place = np.unique(pair[first], return_index=True)
    return pairs, user[first][place]


@lru_cache(maxsize=6)
def _places(folder: Path, share: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of user, and of user and movie together, and the rank, in a report's lists, which never change.

    Raises OSError for lists that cannot be read.
    """
    found = arrays(
        f"""SELECT hash(user_id) AS user, hash(user_id, movie_id) AS pair, rank::BIGINT AS rank
            FROM parquet_file(?) WHERE {sampled("user_id", share)}""",
        str(folder / LISTS_FILE),
    )
    if found is None:
        raise OSError(f"{folder / LISTS_FILE} cannot be read")
    return found["user"], found["pair"], found["rank"]


def first_user(folder: Path) -> str:
    """The evaluated user with the most test items, who is likely to have hits; "" when that cannot be read."""
    found = query(
        "SELECT user_id FROM parquet_file(?) ORDER BY test_items DESC, user_id LIMIT 1", str(folder / USERS_FILE)
    )
    return str(found[0][0]) if found else ""


def user_named(folder: Path, text: str) -> PublicId | None:
    """The evaluated user whose id is written so; None when there is none."""
    found = query("SELECT user_id FROM parquet_file(?) WHERE user_id::VARCHAR = ?", str(folder / USERS_FILE), text)
    return found[0][0] if found else None


def list_of(folder: Path, movies: Path | None, user: PublicId, k: int) -> list[dict[str, Any]]:
    """The first k places of a user's list: rank, movie_id, title and whether it was in the test part."""
    titles = "SELECT movie_id, title FROM parquet_file(?)"
    if movies is None:
        titles = "SELECT NULL AS movie_id, ?::VARCHAR AS title"
    found = records(
        f"""WITH shown AS (SELECT rank, movie_id FROM parquet_file(?) WHERE user_id = ? AND rank <= ?),
                 hit AS (SELECT DISTINCT movie_id FROM parquet_file(?) WHERE user_id = ?)
            SELECT rank, shown.movie_id, coalesce(title, 'Movie ' || shown.movie_id) AS title,
                   hit.movie_id IS NOT NULL AS hit
            FROM shown LEFT JOIN hit USING (movie_id)
            LEFT JOIN ({titles}) AS titles ON titles.movie_id::VARCHAR = shown.movie_id::VARCHAR ORDER BY rank""",
        *(str(folder / LISTS_FILE), user, k, str(folder / RELEVANT_FILE), user, str(movies or "")),
    )
    return [{**row, "title": display_title(row["title"])} for row in found or []]
