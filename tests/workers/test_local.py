"""Workers as processes of this machine: they answer in order, and none outlives who started it."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
from adding import Adding

from movierec_engine.errors import DataError, MovierecError
from movierec_engine.workers import local, process
from movierec_engine.workers.local import LocalTeam
from movierec_engine.workers.start import start_team
from movierec_engine.workers.team import WorkerLost, even_parts

PROGRAM = f"""
import signal; signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from adding import Adding
from movierec_engine.workers.local import LocalTeam
with LocalTeam(Adding, [(1,), (2,)], 2) as team:
    print(*(process.pid for process in team._processes), team._folder, flush=True)
    team.all("wait")
"""


def test_workers_are_made_and_called_with_their_own_arguments() -> None:
    with start_team(Adding, ((number,) for number in (1, 2, 3)), 3) as team:
        assert team.call("plus", [(10,), (20,), (30,)]) == [11, 22, 33]
        assert team.all("plus", 1) == [2, 3, 4]


def test_rows_are_gathered_from_all_workers_in_their_order() -> None:
    own = [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((0, 3), np.float32), np.ones((1, 3), np.float32)]
    with LocalTeam(Adding, ((rows,) for rows in own), 3) as team:
        for added in (0, 10, 20, 30):
            shared, gathered = team.gather("plus", (added,), [2, 0, 1], 3)
            assert np.array_equal(gathered, np.concatenate(own) + added)
            assert team.all("total", shared) == [gathered.sum()] * 3
        assert len([*team._folder.iterdir()]) == 2


def test_no_room_for_gathered_rows_is_said_in_one_sentence() -> None:
    with pytest.raises(
        MovierecError, match=r"no room for 1\.9 MB of vectors that workers share \(No space left on device\)"
    ):
        process.write_rows(np.ones((1000, 500), dtype=np.float32), Path("/dev/full"), 0)


def test_large_arrays_arrive_whole_and_leave_no_files() -> None:
    large = np.random.default_rng(0).normal(size=(700, 400)).astype(np.float32)
    with start_team(Adding, ((large * number,) for number in (1, 2)), 2) as team:
        assert isinstance(team, LocalTeam)
        one, two = team.all("plus", large.T.reshape(large.shape))
        assert np.array_equal(one, large + large.T.reshape(large.shape))
        assert np.array_equal(two, 2 * large + large.T.reshape(large.shape))
        one += 1  # which is nobody else's
        assert not [*team._folder.iterdir()]
        shutil.rmtree(team._folder)  # as if there were no room
        assert np.array_equal(team.all("plus", large)[1], 3 * large)


def test_a_small_shared_memory_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_LEAST_SHARED", 2**62)
    with LocalTeam(Adding, [(1,)], 1) as team:
        assert not team._folder.is_relative_to("/dev/shm")
        assert team.all("plus", 2) == [3]


def test_what_one_worker_raises_is_raised_here_at_once_though_others_go_on() -> None:
    with LocalTeam(Adding, [(0,), (1,)], 2) as team, pytest.raises(DataError, match="worker 1 refuses; ask another"):
        team.all("refuse")
    with LocalTeam(Adding, [(0,)], 1) as team, pytest.raises(MovierecError, match="ZeroDivisionError: of 0"):
        team.all("fail")
    with pytest.raises(MovierecError, match="TypeError"):
        LocalTeam(Adding, [()], 1)


def test_a_killed_worker_is_missed_while_the_others_work() -> None:
    with LocalTeam(Adding, [(1,), (2,)], 2) as team:
        threading.Timer(0.3, team._processes[1].kill).start()
        with pytest.raises(WorkerLost, match="worker 2 of 2 was ended by signal 9"):
            team.all("wait")


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_workers_end_with_who_started_them(how: signal.Signals) -> None:
    """By Ctrl-C, which reaches the whole group, or by a kill that it cannot handle, in the middle of a call."""
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert started.stdout
    *pids, folder = started.stdout.readline().split()
    workers = [psutil.Process(int(pid)) for pid in pids]
    if how == signal.SIGINT:
        os.killpg(started.pid, how)
    else:
        started.kill()
    _, told = started.communicate(timeout=60)
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]
    assert not Path(folder).exists()
    if how == signal.SIGINT:
        assert told.count("Traceback") == 1, "the workers say nothing"


def test_even_parts_cover_all_rows_and_cost_about_the_same() -> None:
    costs = np.array([5, 1, 1, 1, 1, 1, 8, 1, 1])
    assert even_parts(costs, 2) == [(0, 6), (6, 9)]
    parts = even_parts(np.arange(1000), 7)
    assert [first for first, _ in parts[1:]] == [last for _, last in parts[:-1]]
    assert (parts[0][0], parts[-1][1]) == (0, 1000)
    of_parts = [np.arange(first, last).sum() for first, last in parts]
    assert max(of_parts) - min(of_parts) < 2000
    assert even_parts(np.array([3]), 2) in ([(0, 0), (0, 1)], [(0, 1), (1, 1)])
