"""The PostgreSQL log's own: several hosts, a database that is killed, stopped or away, schema versions, passwords."""

import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from feedback_events import rating
from postgres import PASSWORD, PostgresServer, postgres_server
from waiting import soon

from movierec_engine.errors import ConfigError
from movierec_engine.feedback import (
    Exposure,
    FeedbackError,
    FeedbackEvent,
    FeedbackLogs,
    ListContext,
    LogAway,
    SqliteLog,
    log_file,
)
from movierec_engine.feedback.postgres import connections, schema
from movierec_engine.feedback.postgres.address import Address
from movierec_engine.feedback.postgres.copying import copy_log
from movierec_engine.feedback.postgres.log import PostgresLog

ROOT = Path(__file__).parents[2]
WRITER = """
import sys, time
from movierec_engine.feedback import FeedbackError, FeedbackEvent
from movierec_engine.feedback.postgres.log import PostgresLog

log, name = PostgresLog(sys.argv[1], "killed"), sys.argv[2]
for number in range(int(sys.argv[3])):
    while True:
        try:
            seq = log.record([FeedbackEvent(f"{name}-{number}", number, number, "rating", 3.5)])[0].seq
            break
        except FeedbackError:
            time.sleep(0.05)
    print(f"{name}-{number} {seq}", flush=True)
"""


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that may be killed."""
    with postgres_server() as running:
        yield running


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("postgresql+psycopg://me:secret@db.example:6432/feedback", "db.example:6432/feedback"),
        ("postgresql://me@db.example/feedback?password=secret&sslmode=require", "db.example:5432/feedback"),
        ("postgresql+psycopg://me:s%40cret@[::1]/x", "::1:5432/x"),
        ("postgresql+psycopg://me:s@cret@host/x", None),
        ("postgresql+psycopg://me:s/cret@host/x", None),
        ("postgresql+psycopg://me:secret@host/x?no_such=secret", None),
        ("mysql://me:secret@host/x", None),
    ],
)
def test_an_address_shows_host_and_database_alone(url: str, where: str | None) -> None:
    if where:
        address = Address.parse(url)
        assert address.where == where
        assert "cret" not in repr(address)
    else:
        with pytest.raises(ConfigError, match=r"is no address of PostgreSQL; write postgresql\+psycopg://") as refused:
            Address.parse(url)
        assert "cret" not in str(refused.value)


def test_a_name_that_no_schema_can_have_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="is too long for a log in PostgreSQL; use up to 54 characters"):
        PostgresLog("postgresql://me@host/x", "x" * 55)


def test_a_database_that_is_not_there_is_found_out_at_once_without_its_password(tmp_path: Path) -> None:
    log = FeedbackLogs(tmp_path, f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:1/x").of("camps")
    for ask in (lambda: log.state(1), lambda: log.record([rating("a")]), lambda: log.erase(1), log.check_writable):
        with pytest.raises(LogAway, match=r"^the feedback database 127\.0\.0\.1:1/x does not answer") as refused:
            ask()
        assert PASSWORD not in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_a_database_without_a_connection_left_is_told_from_one_that_does_not_answer(server: PostgresServer) -> None:
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 1")
        connection.execute("GRANT CREATE ON DATABASE postgres TO few")
    url = server.url.replace("//movierec:", "//few:")
    log = PostgresLog(url, "few")
    said = r"has no connection left \(.*\); raise its max_connections, or run fewer workers$"
    with psycopg.connect(url.replace("+psycopg", "")), pytest.raises(LogAway, match=said):
        log.record([rating("a")])
    log.close()


@pytest.mark.slow
def test_connections_that_many_requests_at_once_have_opened_are_closed_again_but_for_those_in_use(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.5)
    of_process = connections.Connections(Address.parse(server.url).conninfo, "here", lambda connection: None)
    with ExitStack() as at_once:
        opened = [at_once.enter_context(of_process.use()).info.backend_pid for _ in range(5)]

    def still_open() -> int:
        with of_process.use() as connection:
            found = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", [opened]).fetchone()
            assert found is not None
            return int(found[0])

    assert still_open() == 5, "kept for the next requests"
    soon(lambda: still_open() == 1, "one is used, and the others are closed")
    of_process.close()


@pytest.mark.slow
def test_what_one_host_records_undoes_and_erases_another_heeds_within_a_second(server: PostgresServer) -> None:
    here, there = (PostgresLog(server.url, "heeded", live=True) for _ in range(2))
    assert (there.state(1).said, there.state(2).said) == (False, False)
    here.record([FeedbackEvent("no", 1, 10, "not_interested"), rating("a", 2)])
    assert here.state(1).dismissed == {10}, "at once where it was recorded"
    soon(lambda: there.state(1).dismissed == {10}, seconds=1)
    here.undo(1, "no")
    soon(lambda: not there.state(1).dismissed, seconds=1)
    number = here.erase(2).number
    soon(lambda: there.state(2).erasure == number, seconds=1)
    assert there.state_without_log(2).erasure == number
    for log in (here, there):
        log.close()


@pytest.mark.slow
def test_a_log_of_a_newer_release_is_refused_and_an_older_one_is_brought_up(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The migration to come adds a table; eight hosts that start at once make the tables once."""
    PostgresLog(server.url, "versions").record([rating("a")])
    old = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", (*old, ("CREATE TABLE notes (note text)",)))
    results: list[object] = []
    hosts = [
        threading.Thread(target=lambda: results.append(PostgresLog(server.url, "versions").state(1).ratings))
        for _ in range(8)
    ]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()
    assert results == [{10: 4.0}] * 8
    monkeypatch.setattr(schema, "MIGRATIONS", old)
    before = PostgresLog(server.url, "versions")
    for ask in (lambda: before.state(1), lambda: before.record([rating("b")]), before.intake):
        with pytest.raises(
            FeedbackError,
            match=f"has schema version {len(old) + 1}, and this release knows version {len(old)}; use the",
        ):
            ask()


@pytest.mark.slow
def test_lists_of_the_first_version_are_counted_and_have_no_propensities(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", whole[:1])
    PostgresLog(server.url, "firsts").record([rating("a")])
    with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
        for name, movies in (("e", ["3", '"x"']), ("f", ["3"])):
            connection.execute(
                "INSERT INTO feedback_firsts.exposures VALUES (%s, '1', 5, %s, 'm', 'v', '', '', '{}', 'r')",
                (name, movies),
            )
    monkeypatch.setattr(schema, "MIGRATIONS", whole)
    log = PostgresLog(server.url, "firsts")
    log.expose([Exposure("g", 1, (3,), propensities=(0.5,), inclusions=(0.5,), context=ListContext("mail"))])
    assert [one.context for one in log.exposures()] == [ListContext(), ListContext(), ListContext("mail")]
    assert log.impressions() == {3: 3, "x": 1}
    assert [(one.movie_ids, one.propensities) for one in log.exposures()] == [([3, "x"], []), ([3], []), ([3], [0.5])]


@pytest.mark.slow
def test_writers_and_a_database_that_are_killed_lose_and_double_nothing(own_server: PostgresServer) -> None:
    """Two writers are killed in turn, the server three times, while a third writer sends on."""

    def writer(name: str, events: int) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", WRITER, own_server.url, name, str(events)]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)

    rng, known = random.Random(5), dict[str, int]()
    steady = writer("steady", 10**9)
    assert steady.stdout is not None
    for round_ in range(3):
        doomed = writer(f"doomed{round_}", 10**9)
        assert doomed.stdout is not None
        key, seq = doomed.stdout.readline().split()
        known[key] = int(seq)
        own_server.kill()
        own_server.start()
        time.sleep(0.2 * rng.random())
        doomed.send_signal(signal.SIGKILL)
        known |= {line.split()[0]: int(line.split()[1]) for line in doomed.stdout if line.endswith("\n")}
        doomed.wait(timeout=60)
    steady.send_signal(signal.SIGKILL)
    known |= {line.split()[0]: int(line.split()[1]) for line in steady.stdout if line.endswith("\n")}
    steady.wait(timeout=60)
    log = PostgresLog(own_server.url, "killed")
    logged = [(one.event.key, one.seq) for one in log.events()]
    assert set(Counter(key for key, _ in logged).values()) == {1}
    assert {key: dict(logged).get(key) for key in known} == known
    assert len(known) > 6


@pytest.mark.slow
def test_a_database_that_hangs_keeps_nobody_longer_than_its_time(
    own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Stopped as it answers to the network alone: each question ends in time, and it is used again when it goes on."""
    monkeypatch.setattr(connections.BoundedConnection, "seconds", 0.5)
    log, live = PostgresLog(own_server.url, "hangs"), PostgresLog(own_server.url, "hangs", live=True)
    log.record([rating("a")])
    assert live.state(1).said
    own_server.signal(signal.SIGSTOP)
    try:
        with pytest.raises(LogAway, match=r"no answer within"):
            log.record([rating("b")])
        with pytest.raises(LogAway, match="does not answer"):
            log.state(1)
        soon(lambda: is_away(live), "who follows the log finds it out", 20)
        began = time.monotonic()
        for _ in range(20):
            with pytest.raises(LogAway, match="does not answer"):
                live.record([rating("b")])
        assert time.monotonic() - began < 5, "and no writer waits for it any more, each of whom would for 0.5 s"
    finally:
        own_server.signal(signal.SIGCONT)
    soon(lambda: bool(log.record([rating("b")])), seconds=20)
    soon(lambda: not is_away(live), seconds=20)
    assert live.record([rating("c")])[0].status == "recorded"
    assert log.count_since(0) == 1 + 1 + 1
    live.close()
    assert "psycopg" not in {one.name for one in caplog.records}


def test_a_database_that_was_read_only_for_a_while_is_written_to_again(server: PostgresServer) -> None:
    """Sessions that were opened meanwhile stay read-only, as those with an old primary do."""
    log = PostgresLog(server.url, "readonly")
    log.record([rating("a")])

    def switch(value: str) -> None:
        with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f"ALTER DATABASE postgres SET default_transaction_read_only = {value}".encode())

    switch("on")
    try:
        log.close()  # as if its connections were cut
        for change in (lambda: log.record([rating("b")]), lambda: log.erase(2), log.check_writable):
            with pytest.raises(FeedbackError, match=r"takes no changes; point feedback\.url at the primary server"):
                change()
        log.state(1)  # whose session stays open
    finally:
        switch("off")
    with pytest.raises(FeedbackError, match="takes no changes"):
        log.check_writable()
    log.check_writable()
    assert log.record([rating("b")])[0].status == "recorded"
    assert log.erase(2).number == 1


def is_away(log: PostgresLog) -> bool:
    """Whether a user's state cannot be had."""
    try:
        log.state(1)
    except LogAway:
        return True
    return False


def test_a_log_that_is_not_there_is_not_copied_and_nothing_is_made(tmp_path: Path) -> None:
    source, target = (
        SqliteLog(log_file(tmp_path, "tpyo")),
        PostgresLog("postgresql+psycopg://u@127.0.0.1:1/none", "tpyo"),
    )
    with pytest.raises(
        FeedbackError, match=f"^no feedback log at {re.escape(str(source.path))}, so nothing was copied"
    ):
        copy_log(source, target)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_sqlite_log_is_copied_with_its_places_erasures_and_keys(server: PostgresServer, tmp_path: Path) -> None:
    source = SqliteLog(log_file(tmp_path, "copied"))
    source.record([rating(f"k{number}", number % 7, number) for number in range(2100)])
    source.record([FeedbackEvent("é", "17", 'B"00', "watched", share=0.5, timestamp=10**9), rating("gone", 8)])
    source.expose([Exposure(f"r{number}", number % 7, (10, 11), teams=("a", "")) for number in range(29)])
    source.expose([Exposure("x", 1, (10, 11), propensities=(1.0, 0.25), inclusions=(1.0, 0.5))])
    source.undo(1, "k1")
    assert (source.erase(8).number, source.erase(9).number, source.erase(8).number) == (1, 2, 3)
    target = PostgresLog(server.url, "copied")
    target.record([next(source.events()).event])  # as a copy that was cut off has left it, but for the moment
    with pytest.raises(FeedbackError, match=r"holds other feedback than .*\(events, seq 1\); copy into a database"):
        copy_log(source, target)
    with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
        connection.execute("UPDATE feedback_copied.events SET at_ms = %s", (next(source.events()).at_ms,))
    done = copy_log(source, target)
    assert done.rows == {"events": 2101, "exposures": 30, "erasures": 2, "erased_keys": 1}
    assert done.added["events"] == 2100
    assert set(copy_log(source, target).added.values()) == {0}
    assert list(target.events()) == list(source.events())
    assert [target.state(user) for user in (1, "17", 8)] == [source.state(user) for user in (1, "17", 8)]
    assert (target.newest_seq(), target.newest_erasure()) == (2102, 3)
    assert target.totals() == source.totals()
    assert [*target.exposures()] == [*source.exposures()] and target.impressions() == source.impressions()
    assert target.record([rating("k2", 2, 2)])[0].status == "already recorded"
    assert target.record([rating("new", 2, 2)])[0].seq > 2102
    assert target.erase(2).number == 4
    target.record([rating("later", 3)])
    with pytest.raises(FeedbackError, match="holds other feedback"):
        copy_log(source, target)
