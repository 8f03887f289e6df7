"""The log's tables, and how a log of an older release is brought to them in place.

Version 1 took a key once over all people, called an exposure by its request, and had no watched movies, no times of the
client's and no undoing. Version 2 had other indices. Up to version 3 ids were whole numbers alone: SQLite would have
made the number 17 of the text "17". Up to version 4 lists had no propensities, and what was shown was not counted; rows
of these are copied into tables of this one. Up to version 5 it was not noted what a list was made for. All within one
transaction: killed at any moment, the file is of one version or of the other.
"""

import sqlite3

APPLICATION_ID = 0x6D766662
SCHEMA_VERSION = 6

_EVENTS = (
    """
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        user_id NOT NULL,
        key TEXT NOT NULL,
        movie_id NOT NULL,
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
the exposure that the event answers, or the request id of its answer. A later release may add kinds to these tables.
Ids have no type of the column's: a whole number stays one and a text stays one, as the data set has them."""

_EXPOSURES = (
    """
    CREATE TABLE exposures (
        exposure_id TEXT PRIMARY KEY,
        user_id NOT NULL,
        at_ms INTEGER NOT NULL,
        movie_ids TEXT NOT NULL,
        model TEXT NOT NULL,
        version TEXT NOT NULL,
        experiment TEXT NOT NULL,
        variant TEXT NOT NULL,
        teams TEXT NOT NULL,
        request_id TEXT NOT NULL,
        propensities TEXT NOT NULL,
        inclusions TEXT NOT NULL,
        context TEXT NOT NULL DEFAULT '{}'
    ) WITHOUT ROWID
    """,
    "CREATE INDEX exposures_of_user ON exposures (user_id, request_id)",
)
"""`movie_ids`, `teams`, `propensities` and `inclusions` are JSON arrays, `context` is a JSON object."""
_IMPRESSIONS = "CREATE TABLE impressions (movie_id PRIMARY KEY, lists INTEGER NOT NULL) WITHOUT ROWID"
_COUNT_IMPRESSIONS = """
INSERT INTO impressions
SELECT value, count(*) FROM exposures, json_each(exposures.movie_ids) GROUP BY value
"""

_ERASURES = (
    """
    CREATE TABLE erasures (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        user_id NOT NULL UNIQUE,
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
    for statement in (*_EVENTS, *_EXPOSURES, *_ERASURES, _IMPRESSIONS):
        connection.execute(statement)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL").fetchall()


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an older version to this one; within a transaction of the caller's."""
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    if version < 5:
        _copy(connection, version)
    else:
        connection.execute("ALTER TABLE exposures ADD COLUMN context TEXT NOT NULL DEFAULT '{}'")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _copy(connection: sqlite3.Connection, version: int) -> None:
    """Copy the rows of tables of another form."""
    last = dict(connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    made = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
    for (index,) in made:
        connection.execute(f"DROP INDEX {index}")
    for table, (statement, *indices) in _TABLES.items():
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
        connection.execute(statement)
        columns = _OF_VERSION_1.get(table, "*") if version == 1 else "*"
        columns += _LACKING if table == "exposures" else ""
        connection.execute(f"INSERT INTO {table} SELECT {columns} FROM old_{table}")
        connection.execute(f"DROP TABLE old_{table}")
        for index in indices:
            connection.execute(index)
    connection.execute(_IMPRESSIONS)
    connection.execute(_COUNT_IMPRESSIONS)
    connection.execute("DELETE FROM sqlite_sequence")  # places are never used again, not even those of erased events
    connection.executemany("INSERT INTO sqlite_sequence VALUES (?, ?)", last.items())


_TABLES = {"events": _EVENTS, "exposures": _EXPOSURES, "erasures": _ERASURES[:1]}
"""The table and its indices, of those that hold ids."""
_LACKING = ", '[]', '[]', '{}'"
_OF_VERSION_1 = {
    "events": "seq, user_id, key, movie_id, kind, rating, NULL, at_ms, NULL, request_id, NULL",
    "exposures": "request_id, user_id, at_ms, movie_ids, model, version, experiment, variant, teams, request_id",
}
