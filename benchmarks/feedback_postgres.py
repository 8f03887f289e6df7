"""Measure feedback in PostgreSQL against SQLite: durable events a second, a server that is killed, and recommending.

    python benchmarks/feedback_postgres.py

Starts a PostgreSQL of its own (Debian's package) whose commits wait for the disk, in the system's temporary folder, as
SQLite's log is: set TMPDIR to the disk that matters. Everything is compared in alternating rounds of one run. Trains
ease on the bundled data for the API. Writes benchmarks/results/feedback_postgres.md, in about three minutes.
"""

import multiprocessing
import os
import platform
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from rich.console import Console
from serving import CONNECTIONS, ROOT, SECONDS, USERS, WORKERS, ask_from_outside, free_port, movierec, train

from movierec_engine.feedback import FeedbackError, FeedbackEvent, FeedbackLog, FeedbackLogs

sys.path.insert(0, str(ROOT / "tests"))

from postgres import PostgresServer, postgres_server

RESULT = Path(__file__).with_name("results") / "feedback_postgres.md"
WRITERS, WRITE_ROUNDS, WRITE_SECONDS = (1, 4, 16), 3, 2.0
KILLS = 20
ASK_ROUNDS = 9
DATA_SET = "movielens-small"
KINDS = ("SQLite", "PostgreSQL")

console = Console(highlight=False)


def main() -> None:
    lines = [
        "# Feedback in PostgreSQL",
        "",
        f"`python benchmarks/feedback_postgres.py`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, psycopg {psycopg.__version__}; client and server on one machine and disk, on "
        "which other programs ran beside, so that only the ratios mean anything.",
    ]
    with tempfile.TemporaryDirectory() as folder, postgres_server(durable=True) as server:
        with psycopg.connect(libpq(server)) as connection:
            lines[2] += f" PostgreSQL {connection.info.server_version // 10000}."
        for part in (writing, notifying, killing, recommending):
            for line in part(Path(folder), server):
                lines.append(line)
                console.print(line)
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


def libpq(server: PostgresServer) -> str:
    return server.url.replace("+psycopg", "")


def logs(folder: Path, server: PostgresServer, kind: str) -> FeedbackLogs:
    return FeedbackLogs(folder, server.url if kind == "PostgreSQL" else "")


def writing(folder: Path, server: PostgresServer) -> Iterator[str]:
    yield from (
        "",
        "## Durable events a second",
        "",
        f"Each writer is a process that sends one event as soon as the last one is on disk, for {WRITE_SECONDS:g} s; "
        f"medians of {WRITE_ROUNDS} rounds, in which the two take turns.",
        "",
        "| writers | SQLite | PostgreSQL | ratio |",
        "|---|---|---|---|",
    )
    for writers in WRITERS:
        rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for round_ in range(WRITE_ROUNDS):
            for kind in KINDS:
                log = logs(folder, server, kind).of(f"write-{writers}-{round_}")
                log.record([FeedbackEvent("first", 0, 0, "click")])
                log.close()
                rates[kind].append(written(log, writers))
        ratio = statistics.median(b / a for a, b in zip(*rates.values(), strict=True))
        yield f"| {writers} | {' | '.join(f'{statistics.median(one):,.0f}' for one in rates.values())} | {ratio:.2f} |"


def written(log: FeedbackLog, writers: int) -> float:
    """Events a second of several processes at once; all that they count are in the log."""
    answers: multiprocessing.Queue[int] = multiprocessing.Queue()
    begin = time.time() + 1

    def write(name: int) -> None:
        time.sleep(max(0.0, begin - time.time()))
        number = 0
        while time.time() < begin + WRITE_SECONDS:
            try:
                log.record([FeedbackEvent(f"{name}-{number}", 1000 * name + number % 1000, number, "rating", 3.5)])
            except FeedbackError:  # another one kept it for too long: sent again
                continue
            number += 1
        answers.put(number)

    processes = [multiprocessing.Process(target=write, args=(own,)) for own in range(writers)]
    for process in processes:
        process.start()
    count = sum(answers.get() for _ in processes)
    for process in processes:
        process.join()
    assert log.count_since(0) == 1 + count
    log.close()
    return count / WRITE_SECONDS


def notifying(folder: Path, server: PostgresServer) -> Iterator[str]:
    """What LISTEN and NOTIFY would cost: the same insert by 16 connections, with and without a notification."""
    with psycopg.connect(libpq(server)) as connection:
        connection.execute("CREATE TABLE notified (note int)")
    rates = [inserted(server, notify) for _ in range(2) for notify in (False, True)]
    ratio = statistics.median(b / a for a, b in zip(rates[::2], rates[1::2], strict=True))
    yield from (
        "",
        f"Hosts hear of each other's changes by a poll. With a NOTIFY in each transaction, 16 connections of one "
        f"process committed {ratio:.2f} times as many plain inserts a second as without: who notifies commits alone.",
    )


def inserted(server: PostgresServer, notify: bool) -> float:
    counts: list[int] = []

    def insert() -> None:
        with psycopg.connect(libpq(server), autocommit=True) as connection:
            number = 0
            while time.time() < begin + WRITE_SECONDS:
                with connection.pipeline(), connection.transaction():
                    connection.execute("INSERT INTO notified VALUES (1)")
                    if notify:
                        connection.execute("SELECT pg_notify('changes', '')")
                number += 1
            counts.append(number)

    begin = time.time()
    threads = [threading.Thread(target=insert) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / WRITE_SECONDS


def killing(folder: Path, server: PostgresServer) -> Iterator[str]:
    """Four threads send until each event is acknowledged, while all of the server's processes are killed."""
    log, rng = logs(folder, server, "PostgreSQL").of("killed"), random.Random(3)
    acknowledged: list[str] = []
    stop = threading.Event()

    def send(own: int) -> None:
        number = 0
        while not stop.is_set():
            event = FeedbackEvent(f"{own}-{number}", own, number, "click")
            try:
                log.record([event])
            except FeedbackError:
                time.sleep(0.01)
                continue
            acknowledged.append(event.key)
            number += 1

    threads = [threading.Thread(target=send, args=(own,)) for own in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(KILLS):
        so_far = len(acknowledged)
        while len(acknowledged) < so_far + 20:
            time.sleep(0.01)
        time.sleep(0.2 * rng.random())
        server.kill()
        server.start()
    stop.set()
    for thread in threads:
        thread.join()
    logged = Counter(one.event.key for one in log.events())
    lost, doubled = len(set(acknowledged) - set(logged)), sum(count > 1 for count in logged.values())
    log.close()
    yield from (
        "",
        "## A server that is killed",
        "",
        f"{KILLS} times all processes of PostgreSQL were killed (SIGKILL) under four writers, and it was started "
        f"again: {len(acknowledged):,} events were acknowledged, {lost} of them lost, {doubled} doubled.",
    )


def recommending(folder: Path, server: PostgresServer) -> Iterator[str]:
    store = train(folder / "store", "ease")
    for kind in KINDS:
        log = logs(store, server, kind).of(DATA_SET)
        for user in range(1, USERS + 1):
            log.record([FeedbackEvent(f"{user}-{n}", user, movie, "click") for n, movie in enumerate((1, 318, 296))])
        log.close()
    ports = {kind: free_port() for kind in KINDS}
    path = "/api/recommend?user_id={user}&top_k=10"
    rounds: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    with (
        movierec(store, ports["SQLite"], "serving.follow=latest"),
        movierec(store, ports["PostgreSQL"], "serving.follow=latest", f"feedback.url='{server.url}'"),
    ):
        each_in_turn(lambda kind: ask_from_outside(ports[kind], path, 3.0))  # warm
        for _ in range(ASK_ROUNDS):
            each_in_turn(lambda kind: rounds[kind].append(ask_from_outside(ports[kind], path, SECONDS)))
    ratios = [b["rate"] / a["rate"] for a, b in zip(rounds["SQLite"], rounds["PostgreSQL"], strict=True)]
    yield from (
        "",
        "## `/api/recommend`",
        "",
        f"{WORKERS} workers, {CONNECTIONS} connections, {USERS} users with three events each, ease; medians of "
        f"{ASK_ROUNDS} rounds in turn.",
        "",
        "| feedback in | answers a second | median ms | 99 % ms |",
        "|---|---|---|---|",
    )
    for kind, of in rounds.items():
        rate, middle, late = (statistics.median(one[what] for one in of) for what in ("rate", "p50", "p99"))
        yield f"| {kind} | {rate:,.0f} | {middle:.2f} | {late:.2f} |"
    yield from (
        "",
        f"PostgreSQL's rate is {statistics.median(ratios):.0%} of SQLite's (rounds: {min(ratios):.0%} to "
        f"{max(ratios):.0%}).",
    )


def each_in_turn(act: Callable[[str], object]) -> None:
    for kind in KINDS:
        act(kind)


if __name__ == "__main__":
    main()
