"""Several processes at once, and processes that are killed: nothing that was acknowledged is lost or doubled."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from movierec_engine.feedback import FeedbackEvent, SqliteLog

WRITER = """
import sys
from contextlib import suppress
from movierec_engine.feedback import FeedbackEvent, SqliteLog
from movierec_engine.feedback.errors import LogBusy

path, name, since, until = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
log = SqliteLog(path)
for number in range(since, until):
    while True:
        with suppress(LogBusy):  # another try, as the log says, under the same key
            seq = log.record([FeedbackEvent(f"{name}-{number}", number, number, "rating", 3.5)])[0].seq
            break
    sys.stdout.write(f"{name}-{number} {seq}\\n")
    sys.stdout.flush()
"""


def writer(path: Path, name: str, since: int, until: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(path), name, str(since), str(until)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def acknowledged(process: subprocess.Popen[str]) -> dict[str, int]:
    """Key -> seq of every whole line that a writer got out."""
    assert process.stdout is not None
    lines = process.stdout.read().splitlines(keepends=True)
    process.wait(timeout=60)
    return {line.split()[0]: int(line.split()[1]) for line in lines if line.endswith("\n")}


@pytest.mark.slow
def test_eight_processes_write_at_once_into_a_file_that_none_of_them_found(tmp_path: Path) -> None:
    path = tmp_path / "new" / "feedback.db"
    writers = [writer(path, f"w{own % 4}", 0, 60) for own in range(8)]  # in pairs, with the same keys
    answers = [acknowledged(process) for process in writers]
    assert all(process.returncode == 0 for process in writers)
    logged = {one.event.key: one.seq for one in SqliteLog(path).events()}
    assert len(logged) == 4 * 60
    assert all(logged[key] == seq for answer in answers for key, seq in answer.items())
    assert sorted(logged.values()) == list(range(1, 241))
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".")] == []


@pytest.mark.slow
def test_writers_killed_at_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    """Two writers are killed eight times each, while a third sends on; what was acknowledged is there, once."""
    path, rng = tmp_path / "feedback.db", random.Random(3)
    steady = writer(path, "steady", 0, 10**9)
    known: dict[str, int] = {}
    for round_ in range(8):
        doomed = [writer(path, f"{name}{round_}", 0, 10**9) for name in "ab"]
        for process in doomed:
            assert process.stdout is not None
            key, seq = process.stdout.readline().split()  # it is at work
            known[key] = int(seq)
        for process in doomed:
            time.sleep(0.05 * rng.random())
            process.send_signal(signal.SIGKILL)
        for process in doomed:
            known |= acknowledged(process)
    steady.send_signal(signal.SIGKILL)
    known |= acknowledged(steady)
    log = SqliteLog(path)
    logged = Counter(one.event.key for one in log.events())
    places = {one.event.key: one.seq for one in log.events()}
    assert len(known) > 2 * 8
    assert set(logged.values()) == {1}
    assert {key: places.get(key) for key in known} == known
    ((verdict,),) = sqlite3.connect(path).execute("PRAGMA integrity_check").fetchall()
    assert verdict == "ok"
    repeated = log.record(
        [FeedbackEvent(key, int(key.split("-")[1]), int(key.split("-")[1]), "rating", 3.5) for key in list(known)[:50]]
    )
    assert {one.status for one in repeated} == {"already recorded"}
