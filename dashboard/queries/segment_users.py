"""The users in one segment, with every model's hits among the segment's test items."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashboard.queries.parquet import known, records
from movierec_engine.data.catalogue import ACTIVITY_FROM, POPULARITY_UP_TO
from movierec_engine.evaluation.report import RELEVANT_FILE, USERS_FILE
from movierec_engine.evaluation.segments import LENGTH_FROM

OF_USERS = {"activity": ACTIVITY_FROM, "length": LENGTH_FROM}
"""Kinds of segments of users -> each segment's least number of train items."""
OF_ITEMS = ("popularity", "genre", "decade")
DRILLED = (*OF_USERS, *OF_ITEMS)
"""Kinds whose users the reports' files can tell."""


def users_in(
    folders: Mapping[str, Path], split: Path, movies: Path, segment: tuple[str, str], k: int, most: int
) -> tuple[int, list[dict[str, Any]]] | None:
    """How many users a segment has, and the first of them; None when the files cannot tell.

    folders: label -> the report's folder. split: split.parquet; movies: movies.parquet. segment: its kind and name.
    Rows have `user_id`, `items` (the user's test items of the segment) and `hits`, by label, among the first k. Those
    for whom the models differ most come first.
    """
    kind, name = segment
    first = next(iter(folders.values()))
    if kind in OF_USERS and not known(["train_items"], first / USERS_FILE):
        return None
    text, values = _members(kind, name, split, movies, first)
    hits = ", ".join(f"coalesce(m{place}.n, 0)::BIGINT AS h{place}" for place in range(len(folders)))
    joins = " ".join(
        f"LEFT JOIN (SELECT user_id, count(*) AS n FROM parquet_file(?) WHERE rank <= ? AND {_OF[kind in OF_USERS]} "
        f"GROUP BY user_id) m{place} USING (user_id)"
        for place in range(len(folders))
    )
    columns = [f"h{place}" for place in range(len(folders))]
    found = records(
        f"""WITH members AS ({text}),
                 own AS (SELECT user_id, count(*) AS items FROM parquet_file(?) WHERE {_OF[kind in OF_USERS]}
                         GROUP BY user_id),
                 counted AS (SELECT user_id, items, {hits} FROM own {joins})
            SELECT *, count(*) OVER () AS users FROM counted
            ORDER BY greatest({", ".join(columns)}) - least({", ".join(columns)}) DESC, items DESC, user_id LIMIT ?""",
        *(*values, str(first / RELEVANT_FILE)),
        *(value for folder in folders.values() for value in (str(folder / RELEVANT_FILE), k)),
        most,
    )
    if found is None:
        return None
    rows = [
        {
            "user_id": row["user_id"],
            "items": row["items"],
            "hits": {label: row[column] for label, column in zip(folders, columns, strict=True)},
        }
        for row in found
    ]
    return (int(found[0]["users"]) if found else 0), rows


_OF = {True: "user_id IN (FROM members)", False: "movie_id IN (FROM members)"}


def _members(kind: str, name: str, split: Path, movies: Path, report: Path) -> tuple[str, list[object]]:
    """The query of a segment's users, or of its items, and the query's values."""
    if kind in OF_USERS:
        least = list(OF_USERS[kind].values())
        place = list(OF_USERS[kind]).index(name)
        above = least[place + 1] if place + 1 < len(least) else 1 << 62
        query = "SELECT user_id FROM parquet_file(?) WHERE train_items >= ? AND train_items < ?"
        return query, [str(report / USERS_FILE), least[place] if place else 0, above]
    if kind == "genre":
        return "SELECT movie_id FROM parquet_file(?) WHERE list_contains(genres, ?)", [str(movies), name]
    if kind == "decade":
        return "SELECT movie_id FROM parquet_file(?) WHERE year // 10 * 10 = ?", [str(movies), int(name.rstrip("s"))]
    up_to = list(POPULARITY_UP_TO.values())
    place = list(POPULARITY_UP_TO).index(name)
    last = place + 1 == len(up_to)
    query = """SELECT movie_id FROM
                 (SELECT DISTINCT movie_id FROM parquet_file(?)) every LEFT JOIN
                 (SELECT movie_id, (sum(n) OVER (ORDER BY n DESC, movie_id) - n) / sum(n) OVER () AS before FROM
                   (SELECT movie_id, count(*) AS n FROM parquet_file(?) WHERE part = 'train' GROUP BY movie_id))
                 USING (movie_id)
               WHERE coalesce(before, 1.0) >= ? AND coalesce(before, 1.0) < ?"""
    return query, [str(split), str(split), up_to[place - 1] if place else 0.0, 2.0 if last else up_to[place]]
