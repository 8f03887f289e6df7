"""The log's tables, and how a log of an older release is brought to them in place.

Version 1 took a key once over all people, called an exposure by its request, and had no watched movies, no times of the
client's and no undoing: its rows are copied. Version 2 had other indices. All is done within one transaction: killed
at any moment, the file is of one version or of the other.
"""

import sqlite3

APPLICATION_ID = 0x6D766662
SCHEMA_VERSION = 3

_EVENTS = (
    """
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        user_id INTEGER NOT NULL,
        key TEXT NOT NULL,
        movie_id INTEGER NOT NULL,
        kind TEXT NOT NULL,
        rating REAL CHECK ((rating IS NOT NULL) = (kind = 'rating')),
        share REAL CHECK (share IS NULL OR kind = 'watched'),
        at_ms INTEGER NOT NULL,
        timestamp INTEGER,
        shown_in TEXT NOT NULL,
        undone_ms INTEGER,
        UNIQUE (user_id, key)
    )
    """,
    """
    CREATE INDEX events_of_user ON events
    (user_id, at_ms / 1000, seq, movie_id, kind, rating, share, at_ms, undone_ms) WHERE undone_ms IS NULL
    """,
)
"""The index holds a user's state in the order in which it counts, so that no request sorts it or looks into the table.
`timestamp` is what the client said, `at_ms` what counts, `undone_ms` when the event was taken back. `shown_in` is
the exposure that the event answers, or the request id of its answer. A later release may add kinds to these tables."""

_EXPOSURES = (
    """
    CREATE TABLE exposures (
        exposure_id TEXT PRIMARY KEY,
        user_id INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        movie_ids TEXT NOT NULL,
        model TEXT NOT NULL,
        version TEXT NOT NULL,
        experiment TEXT NOT NULL,
        variant TEXT NOT NULL,
        teams TEXT NOT NULL,
        request_id TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX exposures_of_user ON exposures (user_id, request_id)",
)
"""`movie_ids` and `teams` are JSON arrays."""

_ERASURES = (
    """
    CREATE TABLE erasures (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        user_id INTEGER NOT NULL UNIQUE,
        at_ms INTEGER NOT NULL,
        through_seq INTEGER NOT NULL
    )
    """,
    "CREATE TABLE erased_keys (digest BLOB PRIMARY KEY) WITHOUT ROWID",
)
"""`erased_keys` holds SHA-256 sums of a user and a key (of a key alone in version 1), so that a late repetition stays
out."""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables in a new file."""
    connection.execute("BEGIN")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    for statement in (*_EVENTS, *_EXPOSURES, *_ERASURES):
        connection.execute(statement)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL").fetchall()


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an older version to this one; within a transaction of the caller's."""
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    if version == 1:
        _copy_rows(connection)
    else:
        connection.execute("DROP INDEX events_of_kind")
        connection.execute("DROP INDEX events_of_user")
        connection.execute(_EVENTS[1])
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _copy_rows(connection: sqlite3.Connection) -> None:
    """The tables of version 1 as those of today."""
    (last,) = connection.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'events'").fetchone()
    for index in ("events_of_user", "events_of_kind", "exposures_of_user"):
        connection.execute(f"DROP INDEX {index}")
    for table, statements in (("events", _EVENTS), ("exposures", _EXPOSURES)):
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
        connection.execute(statements[0])
    connection.execute(
        "INSERT INTO events SELECT seq, user_id, key, movie_id, kind, rating, NULL, at_ms, NULL, request_id, NULL "
        "FROM old_events ORDER BY seq"
    )
    connection.execute(
        "INSERT INTO exposures SELECT request_id, user_id, at_ms, movie_ids, model, version, experiment, variant, "
        "teams, request_id FROM old_exposures"
    )
    for table, statements in (("events", _EVENTS), ("exposures", _EXPOSURES)):
        connection.execute(f"DROP TABLE old_{table}")
        for statement in statements[1:]:
            connection.execute(statement)
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'events'")
    if last is not None:  # places are never used again, not even those of erased events
        connection.execute("INSERT INTO sqlite_sequence VALUES ('events', ?)", (last,))
