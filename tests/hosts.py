"""Several hosts on one machine, with nothing shared but the network.

As root each is a network namespace, joined to the others by a bridge, in which a process sees its own host's folder
and name and no other host's. Where no namespace can be made, each is a loopback address and a folder of its own.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_ENTER = """
set -e
hostname "$1"
mount --bind "$2" "$3"
mount -t tmpfs none "$4"
mount -t tmpfs none /dev/shm
cd "$3"
shift 4
exec "$@"
"""


@dataclass
class Host:
    """address: of its own, which the test's process reaches too. folder: its own, as the test sees it."""

    name: str
    address: str
    folder: Path
    home: Path
    """That folder, as its own processes see it."""
    namespace: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    _started: list[psutil.Popen] = field(default_factory=list)

    @property
    def prefix(self) -> list[str]:
        """Of a command that sees this host's network, and the machine's folders."""
        return ["ip", "netns", "exec", self.namespace] if self.namespace else []

    def start(self, name: str, *command: object) -> psutil.Popen:
        """Start a process of this host, whose output is in `<name>.log`."""
        entered = []
        if self.namespace:
            places = map(str, (self.name, self.folder, self.home, self.folder.parent))
            entered = [*self.prefix, "unshare", "--mount", "--uts", "sh", "-c", _ENTER, "sh", *places]
        with self.log(name).open("ab") as log:
            process = psutil.Popen(
                [*entered, *map(str, command)], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.environment}, start_new_session=True,
            )  # fmt: skip
        self._started.append(process)
        return process

    def run(self, *command: object, seconds: float = 120) -> str:
        """What a command of this host prints, once it has ended well."""
        log = self.log("commands")
        before = log.stat().st_size if log.exists() else 0
        process = self.start("commands", *command)
        code = process.wait(seconds)
        said = log.read_bytes()[before:].decode()
        assert code == 0, f"{self.name}: {' '.join(map(str, command))} ended with {code}: {said[-2000:]}"
        return said

    def movierec(self, name: str, *words: object) -> psutil.Popen:
        """Start one of the program's commands, as `start` does."""
        return self.start(name, sys.executable, "-m", "movierec_engine.cli", *words)

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def lose(self) -> None:
        """End all of it at once, as a power cut does: no connection is closed first."""
        self.cut_off()
        self.end()

    def cut_off(self) -> None:
        """Let no packet come or go, where this host is a namespace: nobody is told that a connection has ended."""
        if self.namespace:
            self._link("down")

    def come_back(self) -> None:
        if self.namespace:
            self._link("up")

    def end(self) -> None:
        """Kill every process of this host."""
        deadline = time.monotonic() + 30
        while left := self.processes():
            assert time.monotonic() < deadline, f"{self.name} goes on: {left}"
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(left, timeout=5)
        self._started.clear()

    def processes(self) -> list[psutil.Process]:
        """Those of this host that run."""
        found = {one.pid: one for one in self._started if one.is_running()}
        for process in list(found.values()):
            with suppress(psutil.NoSuchProcess):
                found |= {one.pid: one for one in process.children(recursive=True)}
        if self.namespace:
            for pid in _ip("netns", "pids", self.namespace).split():
                with suppress(psutil.NoSuchProcess):
                    found[int(pid)] = psutil.Process(int(pid))
        return [one for one in found.values() if _runs(one)]

    def _link(self, state: str) -> None:
        _ip("-n", self.namespace, "link", "set", "eth0", state)


@contextmanager
def hosts(logs: Path, *names: str) -> Iterator[list[Host]]:
    """Hosts of these names, whose processes have all ended in the end. logs: the folder where their logs are left.

    Their folders are in one of a short name, as a socket's path has 107 characters at most.
    """
    folder = Path(tempfile.mkdtemp(prefix="mr"))
    folder.chmod(0o755)
    (folder / "hosts").mkdir()
    (folder / "home").mkdir()
    for name in names:
        (folder / "hosts" / name).mkdir()
    made = _namespaces(folder, names) or _addresses(folder, names)
    try:
        yield made
    finally:
        for host in made:
            host.end()
            for log in host.folder.glob("*.log"):
                shutil.copy(log, logs / f"{host.name}-{log.name}")
        _remove([host.namespace for host in made if host.namespace])
        shutil.rmtree(folder, ignore_errors=True)


def _addresses(folder: Path, names: tuple[str, ...]) -> list[Host]:
    places = [folder / "hosts" / name for name in names]
    return [Host(place.name, f"127.0.0.{number}", place, place) for number, place in enumerate(places, 2)]


def _namespaces(folder: Path, names: tuple[str, ...]) -> list[Host]:
    """Hosts in namespaces, or none where they cannot be made. One's names and network are not another test's."""
    if os.geteuid() != 0 or not shutil.which("ip") or os.environ.get("MOVIEREC_TEST_HOSTS") == "addresses":
        return []
    own, subnet = f"mr{os.getpid() % 100_000}", f"10.{random.randrange(190, 250)}.{random.randrange(250)}"
    made = []
    try:
        _ip("link", "add", own, "type", "bridge")
        _ip("addr", "add", f"{subnet}.254/24", "dev", own)
        _ip("link", "set", own, "up")
        for number, name in enumerate(names, 1):
            space, address = f"{own}-{number}", f"{subnet}.{number}"
            made.append(Host(name, address, folder / "hosts" / name, folder / "home", space))
            _ip("netns", "add", space)
            _ip("link", "add", f"{own}v{number}", "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("link", "set", f"{own}v{number}", "master", own, "up")
            _ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                _ip("-n", space, "link", "set", link, "up")
            made[-1].run("true", seconds=20)
    except (OSError, subprocess.SubprocessError, AssertionError, psutil.Error):
        _remove([host.namespace for host in made])
        return []
    return made


def _remove(namespaces: list[str]) -> None:
    """Delete namespaces and their bridge, as far as they are there."""
    links = {f"{space.partition('-')[0]}" for space in namespaces}
    for command in [*(("netns", "del", space) for space in namespaces), *(("link", "del", link) for link in links)]:
        with suppress(subprocess.SubprocessError):
            _ip(*command)


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True, timeout=20).stdout


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
