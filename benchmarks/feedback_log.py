"""Measure the feedback log: durable events a second, and what a request pays for its user's state.

    python benchmarks/feedback_log.py

Writes into logs of its own in the system's temporary folder, or in TMPDIR: the disk decides, so set it to the disk that
the artifacts are on. Writes benchmarks/results/feedback_log.md, in about a minute.
"""

import multiprocessing
import os
import platform
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from movierec_engine.feedback import Exposure, FeedbackEvent, SqliteLog
from movierec_engine.feedback.summary import variant_rates

RESULT = Path(__file__).with_name("results") / "feedback_log.md"
SECONDS = 3.0
"""How long every measurement of writing goes on."""
FILLED = 200_000
"""Events in the log that is read from."""
USERS = 10_000
MODEL, VERSION = "lightgcn", "20260101T120000000Z-0123456789ab-0123"

console = Console(highlight=False)


def event(key: str, rng: random.Random) -> FeedbackEvent:
    request = f"{rng.getrandbits(128):032x}"
    user, movie = rng.randrange(USERS), rng.randrange(9_000)
    return FeedbackEvent(key, user, movie, "rating", 3.5, request)


def write(path: Path, name: str, batch: int, begin: float, answers: "multiprocessing.Queue[list[float]]") -> None:
    """Record batches one after the other until the time is over; the seconds that each took."""
    log, rng, took = SqliteLog(path), random.Random(name), []
    time.sleep(max(0.0, begin - time.time()))
    while time.time() < begin + SECONDS:
        events = [event(f"{name}-{len(took)}-{number}", rng) for number in range(batch)]
        since = time.perf_counter()
        log.record(events)
        took.append(time.perf_counter() - since)
    answers.put(took)


def writing(processes: int, batch: int) -> str:
    with new_log() as log:
        answers: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
        begin = time.time() + 1.5
        writers = [
            multiprocessing.Process(target=write, args=(log.path, f"w{own}", batch, begin, answers))
            for own in range(processes)
        ]
        for writer in writers:
            writer.start()
        took = sorted(seconds for _ in writers for seconds in answers.get())
        for writer in writers:
            writer.join()
        assert log.count_since(0) == len(took) * batch
    rate = len(took) * batch / SECONDS
    middle, late, latest = (took[int(share * (len(took) - 1))] * 1000 for share in (0.5, 0.99, 1))
    return f"| {processes} | {batch} | {rate:,.0f} | {middle:.2f} | {late:.2f} | {latest:.0f} |"


def fsyncs_a_second() -> float:
    """Appends of 4 KiB, each forced to the disk: what one writer without any log could reach."""
    with tempfile.TemporaryFile() as file:
        count, since = 0, time.perf_counter()
        while time.perf_counter() < since + 1:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            count += 1
    return count


def microseconds(act: Callable[[int], object], times: int = 5000) -> float:
    """Median over five rounds of the mean of one call; the call gets its number."""
    rounds = []
    for number in range(5):
        since = time.perf_counter()
        for call in range(times):
            act(number * times + call)
        rounds.append((time.perf_counter() - since) / times * 1e6)
    return statistics.median(rounds)


def reading() -> Iterator[str]:
    rng = random.Random(0)
    with new_log() as log:
        for since in range(0, FILLED, 10_000):
            log.record([event(f"filled-{number}", rng) for number in range(since, since + 10_000)])
        log.record([FeedbackEvent(f"rich-{movie}", USERS, movie, "rating", 3.5) for movie in range(500)])
        shown = tuple(range(20))
        timings = {
            "state of a user without feedback": microseconds(lambda _: log.state(2**62)),
            f"state of a user with {FILLED // USERS} events": microseconds(lambda call: log.state(call % USERS)),
            "state of a user with 500 events": microseconds(lambda _: log.state(USERS), 500),
            "newest_seq": microseconds(lambda _: log.newest_seq()),
            "expose one list of 20": microseconds(
                lambda call: log.expose(
                    [Exposure(f"r{call}", call % USERS, shown, MODEL, VERSION, "e", "ab"[call % 2])]
                )
            ),
            "record an event that is already recorded": microseconds(lambda _: log.record([repeated]), 1000),
        }
        for name, value in timings.items():
            yield f"| {name} | {value:,.1f} µs |"
        for name, act in (
            ("take in everything for a retraining", log.intake),
            ("check the whole file", log.check),
            ("rates of two variants over 25,000 lists", lambda: variant_rates(log, 4.0)),
            ("erase a user", lambda: log.erase(5)),
        ):
            since = time.perf_counter()
            act()
            yield f"| {name} | {(time.perf_counter() - since) * 1000:,.0f} ms |"
        yield f"| size of the file | {log.path.stat().st_size / 2**20:,.0f} MiB |"


repeated = event("filled-0", random.Random(0))


@contextmanager
def new_log() -> Iterator[SqliteLog]:
    with tempfile.TemporaryDirectory() as folder:
        yield SqliteLog(Path(folder) / "feedback.db")


def main() -> None:
    lines = [
        "# The feedback log",
        "",
        f"`python benchmarks/feedback_log.py`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}; other programs ran beside.",
        "",
        f"This disk takes {fsyncs_a_second():,.0f} appends of 4 KiB a second, each forced to it; a disk that takes a "
        "hundred will take a hundred events, and batches make up for it.",
        "",
        "## Writing",
        "",
        f"Each process sends the next batch as soon as the last one is on disk, for {SECONDS:g} s.",
        "",
        "| processes | events a batch | durable events a second | median ms a batch | 99 % ms | longest ms |",
        "|---|---|---|---|---|---|",
    ]
    for processes, batch in ((1, 1), (4, 1), (8, 1), (4, 100)):
        lines.append(writing(processes, batch))
        console.print(lines[-1])
    lines += ["", "## Reading, and what is not forced to the disk", ""]
    lines += [f"A log of {FILLED:,} events of {USERS:,} users.", "", "| what | time |", "|---|---|"]
    for line in reading():
        lines.append(line)
        console.print(line)
    RESULT.write_text("\n".join([*lines, ""]), encoding="utf-8")
    console.print(f"written: {RESULT}")


if __name__ == "__main__":
    main()
