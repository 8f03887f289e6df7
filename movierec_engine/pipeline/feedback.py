"""Feedback on its way into the raw ratings, and erased people on their way out of them.

The log is read whole each time and the result follows from the files and the log alone, so that no event is counted
twice, however often a run is repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pyarrow as pa

from movierec_engine.data.config import DataConfig
from movierec_engine.data.ratings import Movies, Ratings
from movierec_engine.data.table_file import connect
from movierec_engine.feedback import Intake
from movierec_engine.store import Artifact


@dataclass(frozen=True)
class FeedbackFacts:
    """Counts of the log's events; `events` = `taken_in` + `superseded` + `unknown_movies` + `out_of_range`."""

    events: int = 0
    """Rating events in the log that were not undone."""
    taken_in: int = 0
    """Ratings that stem from an event."""
    superseded: int = 0
    """Events of which the same person rated the same movie later, in the log or in the files."""
    unknown_movies: int = 0
    """Events about movies that have neither a title nor a rating in the files, or by ids of another type than theirs:
    nobody can have been shown them."""
    out_of_range: int = 0
    """Events below data.rating_min or above data.rating_max."""
    replaced: int = 0
    """Ratings of the files that an event took the place of."""
    erased_users: int = 0
    """People who had their data erased."""
    erased_ratings: int = 0
    """Ratings of the files, from before that, which were left out."""
    newest_seq: int = 0
    """Place in the log of the newest rating event: those after it are not taken in yet."""
    newest_erasure: int = 0
    """Number of the newest erasure that was heeded."""

    @classmethod
    def of(cls, raw_ratings: Artifact) -> "FeedbackFacts":
        """The feedback facts of a `raw_ratings` version; empty for a version made without feedback."""
        return cls(**raw_ratings.facts.get("feedback", {}))


def with_feedback(
    ratings: Ratings, intake: Intake, movies: Callable[[], Movies], config: DataConfig
) -> tuple[Ratings, FeedbackFacts]:
    """The ratings of the files without those of erased people, and with those of the log.

    Of several ratings of a movie by a user the newest is kept: in the log that is the one of the latest second, of
    equals the one that was recorded last, and between log and files the one of the later second, the log's of equals.
    Ratings alone count: a watched movie, a click, or "not interested" is none, and what was undone was never said.
    movies: reads the titles; asked only when the log has ratings.
    """
    facts = FeedbackFacts(newest_erasure=intake.newest_erasure)
    if len(intake.erasures):
        ratings, erased = _without_erased(ratings, intake.erasures)
        facts = replace(facts, erased_users=len(intake.erasures), erased_ratings=erased)
    if not config.feedback or ratings.presplit or not len(intake.ratings) + intake.of_other_ids:
        return ratings, facts
    with connect() as database:
        database.register("file", ratings.table)
        database.register("log", intake.ratings)
        database.register("titles", _of_type(movies().table.select(["movie_id"]), ratings.table))
        database.execute("CREATE TEMP TABLE known AS SELECT movie_id FROM titles UNION SELECT movie_id FROM file")
        database.execute(
            "CREATE TEMP TABLE placed AS SELECT log.*, movie_id IN (FROM known) AS is_known, "
            "rating BETWEEN ?::FLOAT AND ?::FLOAT AS in_range FROM log",
            [config.rating_min, config.rating_max] if config.scale_is_set else list(ratings.scale()),
        )
        database.execute(
            """
            CREATE TEMP TABLE newest AS SELECT user_id, movie_id, rating, timestamp FROM placed
            WHERE is_known AND in_range
            QUALIFY row_number() OVER (PARTITION BY user_id, movie_id ORDER BY timestamp DESC, seq DESC) = 1
            """
        )
        database.execute(
            """
            CREATE TEMP TABLE taken AS SELECT newest.*, file.user_id IS NOT NULL AS replaces
            FROM newest LEFT JOIN file USING (user_id, movie_id)
            WHERE file.user_id IS NULL OR newest.timestamp >= file.timestamp
            """
        )
        ((unknown, out_of_range),) = database.sql(
            "SELECT count(*) FILTER (NOT is_known), count(*) FILTER (is_known AND NOT in_range) FROM placed"
        ).fetchall()
        ((taken, replaced),) = database.sql("SELECT count(*), count(*) FILTER (replaces) FROM taken").fetchall()
        merged = database.sql(
            """
            SELECT user_id, movie_id, rating, timestamp FROM file ANTI JOIN taken USING (user_id, movie_id)
            UNION ALL SELECT user_id, movie_id, rating, timestamp FROM taken ORDER BY user_id, movie_id
            """
        ).to_arrow_table()
    events = len(intake.ratings) + intake.of_other_ids
    unknown += intake.of_other_ids
    return replace(ratings, table=merged.cast(ratings.table.schema)), replace(
        facts,
        events=events,
        taken_in=taken,
        superseded=events - taken - unknown - out_of_range,
        unknown_movies=unknown,
        out_of_range=out_of_range,
        replaced=replaced,
        newest_seq=intake.newest_seq,
    )


def _of_type(titles: pa.Table, ratings: pa.Table) -> pa.Table:
    """The titles' ids by the type of the ratings' ids; none where there are no titles, whatever their type."""
    return titles if len(titles) else titles.cast(pa.schema([ratings.schema.field("movie_id")]))


def _without_erased(ratings: Ratings, erasures: pa.Table) -> tuple[Ratings, int]:
    """The ratings without those up to their user's erasure, given negatives without the user's, and how many went."""
    with connect() as database:
        database.register("file", ratings.table)
        database.register("erasures", erasures)
        kept = database.sql(
            """
            SELECT * FROM file
            WHERE NOT EXISTS (FROM erasures WHERE user_id = file.user_id AND through >= file.timestamp)
            ORDER BY user_id, movie_id
            """
        ).to_arrow_table()
        negatives = ratings.negatives
        if negatives is not None:
            database.register("negatives", negatives)
            database.register("kept", kept)
            negatives = database.sql(
                """
                SELECT * FROM negatives WHERE user_id NOT IN (SELECT user_id FROM erasures)
                OR user_id IN (SELECT user_id FROM kept) ORDER BY user_id, movie_id
                """
            ).to_arrow_table()
            negatives = negatives.cast(ratings.table.select(["user_id", "movie_id"]).schema)
    return replace(ratings, table=kept.cast(ratings.table.schema), negatives=negatives), len(ratings.table) - len(kept)
