"""Commands that are ended: by a terminal, systemd, a container's stop or `timeout`, nothing is left behind."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

PROGRAM = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in [signal.SIGTERM] if sys.argv[1:] == ["nohup"] else [signal.SIGTERM, signal.SIGHUP]:
    signal.signal(number, signal.SIG_DFL)  # tests may run below nohup, or beside code that holds signals back
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
from movierec_engine.cli.console import one_sentence_errors
from movierec_engine.data.table_file import spill_folder

with one_sentence_errors():
    (spill_folder() / "unpacked.csv").write_text("1,2,3")
    if sys.argv[1:] == ["fork"] and os.fork():
        time.sleep(60)  # the fork says that it has begun: a signal in the middle of forking is lost
    print("begun", flush=True)
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        if sys.argv[1:] == ["library"]:
            raise RuntimeError("Query interrupted")
        raise
"""


def started(folder: Path, how: str = "") -> subprocess.Popen[str]:
    """A command that has begun to write below a folder for temporary files. how: nothing, `fork`, `nohup` or
    `library`, which answers an interrupt with an error of its own.
    """
    process = subprocess.Popen(
        [*(["nohup"] if how == "nohup" else []), sys.executable, "-c", PROGRAM, how],
        env={"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": "/usr/bin:/bin", "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    assert any(folder.iterdir())
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_as_ctrl_c_does(number: signal.Signals, tmp_path: Path) -> None:
    process = started(tmp_path)
    process.send_signal(number)
    process.send_signal(number)  # as a shell does beside the terminal
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said.replace("nohup: ignoring input\n", "")) == (128 + number, "stopped\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_error_that_a_library_makes_of_an_interrupt_is_one(number: signal.Signals, tmp_path: Path) -> None:
    process = started(tmp_path, "library")
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (128 + number, "stopped\n")
    assert list(tmp_path.iterdir()) == []


def test_below_nohup_a_closed_terminal_ends_nothing(tmp_path: Path) -> None:
    process = started(tmp_path, "nohup")
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    process.communicate()


def test_what_a_killed_command_left_goes_with_the_next_and_nothing_else_does(tmp_path: Path) -> None:
    """Neither what a command that runs has, nor the folders of others."""
    others = tmp_path / "systemd-private-4-a", tmp_path / "movierec-duckdb-of_before"
    for folder in others:
        folder.mkdir()
    killed, running = started(tmp_path), started(tmp_path)
    killed.kill()
    killed.communicate()
    assert len(list(tmp_path.iterdir())) == 4
    another = started(tmp_path)
    try:
        left = {path.name.rsplit("-", 2)[1] for path in tmp_path.iterdir() if path not in others}
        assert left == {str(running.pid), str(another.pid)}
        assert all(folder.is_dir() for folder in others)
    finally:
        for process in (running, another):
            process.terminate()
            process.communicate(timeout=30)
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_a_fork_ends_without_cleaning_up_for_its_parent(tmp_path: Path) -> None:
    process = started(tmp_path, "fork")
    try:
        (fork,) = psutil.Process(process.pid).children()
        fork.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert any(tmp_path.glob("*/unpacked.csv"))
    finally:
        process.terminate()
        _, said = process.communicate(timeout=30)
    assert said == "stopped\n"
