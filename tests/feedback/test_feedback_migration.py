"""Logs of older releases are read on: brought to today's tables in place, whole or not at all, and kept private."""

import hashlib
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from movierec_engine.feedback import Exposure, FeedbackEvent, IdempotencyConflict, ListContext, SqliteLog
from movierec_engine.feedback.sqlite.log import _STATE
from movierec_engine.feedback.sqlite.schema import APPLICATION_ID, SCHEMA_VERSION
from movierec_engine.feedback.summary import variant_rates

FIRST_SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = 1;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, user_id INTEGER NOT NULL,
    movie_id INTEGER NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('rating', 'click', 'not_interested')),
    rating REAL CHECK ((rating IS NOT NULL) = (kind = 'rating')), at_ms INTEGER NOT NULL, request_id TEXT NOT NULL,
    model TEXT NOT NULL, version TEXT NOT NULL, experiment TEXT NOT NULL, variant TEXT NOT NULL
);
CREATE INDEX events_of_user ON events (user_id, seq, kind, movie_id, rating);
CREATE INDEX events_of_kind ON events (kind);
CREATE TABLE exposures (
    request_id TEXT PRIMARY KEY, user_id INTEGER NOT NULL, at_ms INTEGER NOT NULL, movie_ids TEXT NOT NULL,
    model TEXT NOT NULL, version TEXT NOT NULL, experiment TEXT NOT NULL, variant TEXT NOT NULL, teams TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX exposures_of_user ON exposures (user_id);
CREATE TABLE erasures (
    number INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL UNIQUE, at_ms INTEGER NOT NULL,
    through_seq INTEGER NOT NULL
);
CREATE TABLE erased_keys (digest BLOB PRIMARY KEY) WITHOUT ROWID;
PRAGMA journal_mode = WAL;
"""
FIFTH_TABLES = """
ALTER TABLE exposures DROP COLUMN context;
PRAGMA user_version = 5;
"""
"""What the tables of version 5 differ in, and those before it too."""
FOURTH_TABLES = f"""{FIFTH_TABLES}
ALTER TABLE exposures DROP COLUMN propensities;
ALTER TABLE exposures DROP COLUMN inclusions;
DROP TABLE impressions;
PRAGMA user_version = 4;
"""
"""What the tables of version 4 differ in, and those before it too."""
SECOND_INDICES = f"""{FOURTH_TABLES}
DROP INDEX events_of_user;
CREATE INDEX events_of_user ON events (user_id, movie_id, kind, at_ms, rating, share) WHERE undone_ms IS NULL;
CREATE INDEX events_of_kind ON events (kind);
PRAGMA user_version = 2;
"""
"""What the tables of version 2 differ in."""
INSERT = (
    "INSERT INTO events (key, user_id, movie_id, kind, rating, at_ms, request_id, model, version, experiment, variant)"
)


READ = """
import sys
from movierec_engine.feedback import SqliteLog
print("on", flush=True)
SqliteLog(sys.argv[1]).state(1)
"""


def first_release(path: Path, events: int = 3) -> None:
    """A log as the first release wrote it: ratings of users 1 to `events`, a click, and user 0 erased at the end."""
    path.parent.mkdir(mode=0o755, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(FIRST_SCHEMA)
    connection.execute("BEGIN")
    rows = [(f"k{n}", n, 10, "rating", 4.0, 1000 * n, f"r{n}", "m", "v", "e", "a") for n in range(1, events + 1)]
    connection.executemany(f"{INSERT} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.execute(f"{INSERT} VALUES ('c', 1, 11, 'click', NULL, 7, 'r1', 'm', 'v', 'e', 'a')")
    connection.execute(f"{INSERT} VALUES ('gone', 0, 11, 'click', NULL, 7, '', '', '', '', '')")
    connection.execute("INSERT INTO exposures VALUES ('r1', 1, 5, '[10,11]', 'm', 'v', 'e', 'a', '[]')")
    connection.execute("DELETE FROM events WHERE user_id = 0")
    connection.execute("INSERT INTO erasures (user_id, at_ms, through_seq) VALUES (0, 8, ?)", (events + 2,))
    connection.execute("INSERT INTO erased_keys VALUES (?)", (hashlib.sha256(b"gone").digest(),))
    connection.execute("COMMIT")
    connection.close()


def test_an_old_log_is_read_on_with_all_that_it_held(tmp_path: Path) -> None:
    path = tmp_path / "log" / "feedback.db"
    first_release(path)
    log = SqliteLog(path)
    assert log.state(1).ratings == {10: 4.0} and log.state(1).clicked == {11}
    assert [(one.seq, one.event.key, one.at_ms) for one in log.events()] == [
        *((n, f"k{n}", 1000 * n) for n in (1, 2, 3)),
        (4, "c", 7),
    ]
    (row,) = variant_rates(log, 4.0).to_pylist()
    assert (row["lists"], row["clicks"], row["likes"]) == (1, 1, 1)
    assert (log.newest_seq(), log.newest_erasure(), log.state(0).erasure) == (5, 1, 1)
    assert log.record([FeedbackEvent("k1", 1, 10, "rating", 4.0, "r1")])[0].status == "already recorded"
    assert log.record([FeedbackEvent("k1", 2, 12, "click")])[0].seq == 6, "places are never used again"
    with pytest.raises(IdempotencyConflict, match="erased"):
        log.record([FeedbackEvent("gone", 0, 11, "click")])
    assert log.record([FeedbackEvent("gone", 2, 11, "click")])[0].status == "recorded"
    path.write_bytes(b"damaged" * 2000)
    assert SqliteLog(path).state_without_log(0).erasure == 1, "the second record was made with the new tables"


def test_a_log_of_the_second_version_gets_todays_indices_and_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "log" / "feedback.db"
    log = SqliteLog(path)
    for number in range(30):  # several of one second, and of one movie
        log.record(
            [FeedbackEvent(f"k{number}", 1, number % 7, "rating", 1 + number % 9 / 2, timestamp=10**9 - number // 4)]
        )
    log.undo(1, "k3")
    log.expose([Exposure("e", 1, (3, "x"), "m", "v"), Exposure("f", 1, (3,))])
    before = log.state(1)
    log.close()
    connection = sqlite3.connect(path)
    connection.executescript(SECOND_INDICES)
    connection.close()
    after = SqliteLog(path)
    assert (after.state(1), [*after.state(1).ratings]) == (before, [*before.ratings])
    assert after.query("PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert after.impressions() == {3: 2, "x": 1}, "lists from before are counted"
    assert [(one.movie_ids, one.propensities) for one in after.exposures()] == [([3, "x"], []), ([3], [])]
    fresh = SqliteLog(tmp_path / "fresh" / "feedback.db")
    fresh.record([FeedbackEvent("x", 1, 1, "click")])
    schemas = [one.query("SELECT name, sql FROM sqlite_schema ORDER BY name") for one in (after, fresh)]
    assert schemas[0] == schemas[1]


def test_lists_of_the_fifth_version_keep_their_counts_and_have_no_context(tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    before = SqliteLog(path)
    before.expose([Exposure("a", 1, (3,), propensities=(0.5,), inclusions=(0.5,)), Exposure("gone", 2, (3, 4))])
    before.erase(2)
    before.close()
    connection = sqlite3.connect(path)
    connection.executescript(FIFTH_TABLES)
    connection.close()
    after = SqliteLog(path)
    after.expose([Exposure("b", 1, (4,), context=ListContext("mail"))])
    assert [(one.propensities, one.context) for one in after.exposures()] == [
        ([0.5], ListContext()),
        ([], ListContext("mail")),
    ]
    assert after.impressions() == {3: 2, 4: 2}, "what was shown to somebody erased counts on"
    assert after.query("PRAGMA user_version") == [(SCHEMA_VERSION,)]


def test_a_users_state_is_read_from_the_index_alone_in_its_order(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "feedback.db")
    log.record([FeedbackEvent("x", 1, 1, "click")])
    plan = [row[-1] for row in log.query(f"EXPLAIN QUERY PLAN {_STATE}", 1)]
    assert plan == ["SEARCH events USING COVERING INDEX events_of_user (user_id=?)"]


def test_a_log_is_for_its_owner_alone(tmp_path: Path) -> None:
    for name in ("old", "new"):
        path = tmp_path / name / "feedback.db"
        if name == "old":
            first_release(path)
            path.chmod(0o644)
        log = SqliteLog(path)
        log.record([FeedbackEvent("x", 5, 10, "click")])
        log.erase(5)
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
        assert set(modes) == {"feedback.db", "feedback.db-wal", "feedback.db-shm", "erasures.tsv"}
        assert set(modes.values()) == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        log.close()


@pytest.mark.slow
def test_a_migration_that_is_killed_leaves_one_version_or_the_other(tmp_path: Path) -> None:
    path, events = tmp_path / "log" / "feedback.db", 20_000
    first_release(path, events)
    kept = path.read_bytes()
    versions = set()
    for after in (0.0, 0.01, 0.03, 0.06, 0.1, 0.2):
        for one in path.parent.iterdir():
            one.unlink()
        path.write_bytes(kept)
        process = subprocess.Popen([sys.executable, "-c", READ, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None and process.stdout.readline() == b"on\n"
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with sqlite3.connect(path) as connection:
            ((version,),) = connection.execute("PRAGMA user_version").fetchall()
            ((count,),) = connection.execute("SELECT count(*) FROM events").fetchall()
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
        versions.add(version)
        assert count == events + 1
        log = SqliteLog(path)
        assert (log.count_since(0), log.newest_seq(), log.state(0).erasure) == (events + 1, events + 2, 1)
        log.close()
    assert versions <= {1, SCHEMA_VERSION}


def test_a_list_from_before_an_erasure_is_not_noted_after_it(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "feedback.db")
    waiting = Exposure("early", 1, (10,))
    erased = log.erase(1)
    log.expose([waiting, Exposure("late", 1, (10,), at_ms=erased.at_ms + 1), Exposure("other", 2, (10,))])
    assert log.query("SELECT exposure_id FROM exposures ORDER BY 1") == [("late",), ("other",)]


THIRD_COLUMNS = f"""{FOURTH_TABLES}
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'user_id NOT', 'user_id INTEGER NOT');
UPDATE sqlite_schema SET sql = replace(sql, 'movie_id NOT', 'movie_id INTEGER NOT');
PRAGMA user_version = 3;
"""
"""What the tables of version 3 differ in: SQLite makes the number 17 of the text "17" there."""


def test_a_log_of_the_third_version_takes_texts_from_now_on_and_keeps_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "log" / "feedback.db"
    log = SqliteLog(path)
    log.record([FeedbackEvent("a", 17, 501, "click"), FeedbackEvent("b", 3, 4, "rating", 2.5)])
    log.expose([Exposure("e", 17, (501, 4))])
    log.erase(3)
    log.close()
    connection = sqlite3.connect(path)
    connection.executescript(THIRD_COLUMNS)
    connection.close()
    after = SqliteLog(path)
    after.record([FeedbackEvent("a", "17", "0501", "click", shown_in="f")])
    after.expose([Exposure("f", "17", ("501", "0501"))])
    assert (after.state(17).clicked, after.state("17").clicked) == ({501}, {"0501"})
    assert [one.seq for one in after.events()] == [1, 3], "places are never used again"
    assert (after.state(3).erasure, after.newest_erasure()) == (1, 1)
    assert sorted((row["lists"], row["clicks"]) for row in variant_rates(after, 4.0).to_pylist()) == [(2, 1)]
    after.erase("17")
    assert (after.state("17").erasure, after.state(17).clicked) == (2, {501})
    assert SqliteLog(path).state_without_log("17").erasure == 2
    assert after.intake(pa.string(), pa.string()).erasures.to_pylist() == [
        {"user_id": "17", "through": after.intake(pa.string()).erasures["through"][0].as_py()}
    ]
