"""The SQLite log's own: what is left in its file, its second record of erasures, and files that are no log."""

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from feedback_events import rating

from movierec_engine.errors import MovierecError
from movierec_engine.feedback import (
    Exposure,
    FeedbackError,
    IdempotencyConflict,
    LogBusy,
    SqliteLog,
    UserState,
    log_file,
)
from movierec_engine.feedback.events import now_ms
from movierec_engine.feedback.sqlite import database
from movierec_engine.feedback.sqlite.database import SCHEMA_VERSION


@pytest.fixture
def log(tmp_path: Path) -> SqliteLog:
    return SqliteLog(log_file(tmp_path / "a store? 100%", "camps"))


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm"))


def test_reading_makes_no_file(log: SqliteLog) -> None:
    assert log.state(1) == UserState()
    assert (log.newest_seq(), log.newest_erasure(), log.count_since(0), list(log.events())) == (0, 0, 0, [])
    assert (len(log.intake().ratings), len(log.intake().erasures)) == (0, 0)
    assert log.record([]) == []
    assert not log.path.parent.exists()


def test_an_erasure_is_immediate_complete_and_of_one_person(log: SqliteLog) -> None:
    log.record([rating("secret-key", shown_in="secret-list"), rating("other", user=2)])
    log.expose([Exposure("secret-list", 1, (123454321,)), Exposure("r2", 2, (10,))])
    assert b"secret" in everything_in(log.path.parent)
    erased = log.erase(1)
    assert (erased.number, erased.user_id, erased.through_seq) == (1, 1, 2)
    assert log.state(1) == UserState(erasure=1)
    assert log.state(2).ratings == {10: 4.0}
    assert log.query("SELECT exposure_id FROM exposures") == [("r2",)]
    left = everything_in(log.path.parent)
    assert b"secret" not in left and b"123454321" not in left
    assert log.newest_seq() == 2, "places are never used again"


def test_a_line_that_a_killed_writer_left_unfinished_spoils_no_other(log: SqliteLog) -> None:
    log.erase(7)
    record = log.path.with_name("erasures.tsv")
    with record.open("ab") as file:
        file.write(b"2\t8")
    log.erase(9)
    lines = record.read_bytes().split(b"\n")
    assert (lines[1], lines[2].split(b"\t")[:2], lines[3:]) == (b"2\t8", [b"2", b"9"], [b""])
    assert {user: log.state_without_log(user).erasure for user in (7, 8, 9)} == {7: 1, 8: 0, 9: 2}


def test_a_backup_that_is_put_back_brings_nobody_back_who_was_erased_since(log: SqliteLog) -> None:
    log.erase(5)
    log.record([rating("a"), rating("b", movie=11), rating("kept", user=2)])
    log.close()
    backup = log.path.with_name("backup.db")
    with sqlite3.connect(log.path) as source, sqlite3.connect(backup) as copy:
        source.backup(copy)
    log.erase(1)
    log.close()
    for ending in ("-wal", "-shm"):
        log.path.with_name(log.path.name + ending).unlink(missing_ok=True)
    backup.replace(log.path)
    restored = SqliteLog(log.path)
    assert restored.intake().ratings["user_id"].to_pylist() == [2]
    assert {user: restored.state(user) for user in (1, 2, 5)} == {
        1: UserState(erasure=2),
        2: UserState({10: 4.0}),
        5: UserState(erasure=1),
    }
    with pytest.raises(IdempotencyConflict, match="erased with its user"):
        restored.record([rating("a")])
    assert restored.record([rating("c")])[0].status == "recorded"
    assert SqliteLog(log.path).state(1) == UserState({10: 4.0}, erasure=2), "what is told since stays"
    assert restored.erase(2).number == 3


def test_a_copy_that_is_put_back_keeps_what_the_erased_said_to_it_afterwards(log: SqliteLog, tmp_path: Path) -> None:
    log.record([rating("a")])
    log.close()
    elsewhere = SqliteLog(log_file(tmp_path / "elsewhere", "camps"))
    elsewhere.path.parent.mkdir(parents=True)
    shutil.copyfile(log.path, elsewhere.path)
    erased = log.erase(1)
    log.close()
    while now_ms() <= erased.at_ms:
        time.sleep(0.001)
    elsewhere.record([rating("b", movie=11)])
    elsewhere.close()
    elsewhere.path.replace(log.path)
    assert SqliteLog(log.path).state(1) == UserState({11: 4.0}, erasure=1)


def test_who_comes_after_a_lull_waits_again_for_a_held_log(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    monkeypatch.setattr(database, "_LULL_SECONDS", 0.3)
    log.record([rating("a")])

    def waited() -> float:
        since = time.monotonic()
        with pytest.raises(LogBusy):
            log.record([rating("b")])
        return time.monotonic() - since

    with closing(sqlite3.connect(log.path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        assert waited() >= 0.2
        time.sleep(0.6)
        assert waited() >= 0.2, "as if somebody else held it by now"


def test_a_sound_log_passes_its_check(log: SqliteLog) -> None:
    log.check()
    log.record([rating("a")])
    log.check()
    assert log.path.exists()


def half(path: Path) -> None:
    log = SqliteLog(path)
    log.record([rating(f"k{i}", user=i) for i in range(5000)])
    log.close()  # the last connection moves all changes into the file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def newer(path: Path) -> None:
    log = SqliteLog(path)
    log.record([rating("a")])
    log.close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (seq INTEGER)")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (half, "damaged"),
        (lambda path: path.write_bytes(b"\xff" * 9000), "damaged"),
        (lambda path: path.write_bytes(b""), "not a feedback log"),
        (foreign, "not a feedback log"),
        (newer, f"has schema {SCHEMA_VERSION + 1}, and this release knows schema {SCHEMA_VERSION}"),
        (lambda path: path.mkdir(), "cannot be used"),
        (lambda path: path.with_name("feedback.db-wal").write_bytes(b"changes"), "missing beside feedback.db-wal"),
    ],
)
def test_a_file_that_is_no_log_is_one_sentence_and_stays_as_it_is(
    tmp_path: Path, spoil: Callable[[Path], Any], sentence: str
) -> None:
    path = tmp_path / "feedback.db"
    spoil(path)
    kept = {one.name: one.read_bytes() for one in tmp_path.iterdir() if one.is_file() and "-shm" not in one.name}
    log = SqliteLog(path)
    for act in (
        log.check,
        lambda: log.record([rating("new", user=10**9)]),
        lambda: log.erase(1),
        lambda: log.state(4999),
        log.intake,
        lambda: list(log.events()),
    ):
        with pytest.raises(FeedbackError, match=sentence) as refused:
            act()
        assert "\n" not in str(refused.value)
    assert {name: (tmp_path / name).read_bytes() for name in kept} == kept


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "feedback").write_text("a file where the folder belongs", encoding="utf-8")
    with pytest.raises(MovierecError, match="cannot be used"):
        SqliteLog(tmp_path / "feedback" / "feedback.db").record([rating("a")])
    assert (tmp_path / "feedback").read_text(encoding="utf-8") == "a file where the folder belongs"


def test_a_log_that_is_replaced_under_a_running_server_gets_the_next_event(log: SqliteLog, tmp_path: Path) -> None:
    log.record([rating("a")])
    log.path.parent.rename(tmp_path / "moved away")
    assert log.record([rating("b")])[0].seq == 1
    assert [one.event.key for one in SqliteLog(log.path).events()] == ["b"]
