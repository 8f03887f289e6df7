"""The evaluated lists of a report by movie, and the users who have a hit in them."""

from pathlib import Path
from typing import Any

from dashboard.queries.parquet import query, records
from movierec_engine.data.id_map import PublicId
from movierec_engine.evaluation.report import LISTS_FILE, RELEVANT_FILE


def users_hit(report: Path, k: int) -> frozenset[PublicId]:
    """The users with a hit among the first k places of their list; none where the report's files cannot tell."""
    rows = query("SELECT DISTINCT user_id FROM parquet_file(?) WHERE rank <= ?", str(report / RELEVANT_FILE), k)
    return frozenset(user for (user,) in rows or [])


def users_shown(report: Path, movie_id: PublicId, k: int, most: int) -> tuple[int, int, list[dict[str, Any]]]:
    """How many lists of k have a movie, how many of them as a hit, and the first of these users.

    The users, at most so many, have user_id, rank and hit; those where it stands first come first.
    """
    found = records(
        """WITH shown AS (SELECT user_id, rank FROM parquet_file(?) WHERE movie_id = ? AND rank <= ?),
                hits AS (SELECT DISTINCT user_id FROM parquet_file(?) WHERE movie_id = ?)
           SELECT user_id, rank, hits.user_id IS NOT NULL AS hit, count(*) OVER () AS lists,
                  count(hits.user_id) OVER () AS of_hits
           FROM shown LEFT JOIN hits USING (user_id) ORDER BY rank, user_id LIMIT ?""",
        *(str(report / LISTS_FILE), movie_id, k, str(report / RELEVANT_FILE), movie_id, most),
    )
    if not found:
        return 0, 0, []
    users = [{name: row[name] for name in ("user_id", "rank", "hit")} for row in found]
    return int(found[0]["lists"]), int(found[0]["of_hits"]), users
