"""A PostgreSQL server of a test's own, of Debian's package, whose programs are not on the PATH."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from ports import free_port

SUPERUSER, PASSWORD = "movierec", "open-sesame"


def _programs() -> Path:
    """The folder of initdb and pg_ctl of the newest version that is installed."""
    if found := sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])):
        return found[-1].parent
    if on_path := shutil.which("initdb"):
        return Path(on_path).parent
    raise AssertionError("these tests need PostgreSQL: apt-get install postgresql")


@dataclass(frozen=True)
class PostgresServer:
    """A server at an address, whose database `postgres` belongs to SUPERUSER, without a password.

    PostgreSQL refuses root, so there it runs as the user `postgres` of the package. prefix: of its commands.
    """

    folder: Path
    port: int
    durable: bool
    address: str = "127.0.0.1"
    prefix: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """With a password, which the server does not ask for, but which nobody may be shown."""
        return f"postgresql+psycopg://{SUPERUSER}:{PASSWORD}@{self.address}:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses={self.address} -c max_connections=200"
        if not self.durable:
            options += " -c fsync=off"
        self.command("pg_ctl", "-l", str(self.folder / "log"), "-o", options, "-w", "start")

    def stop(self) -> None:
        self.command("pg_ctl", "-m", "immediate", "-w", "stop")

    def kill(self) -> None:
        """End all its processes at once, as when the machine's memory is short; `start` recovers."""
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal to the server and to its processes."""
        parent = psutil.Process(int((self.folder / "data" / "postmaster.pid").read_text().split("\n")[0]))
        of_server = [parent, *parent.children(recursive=True)]
        for process in of_server:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        if number == signal.SIGKILL:
            psutil.wait_procs(of_server, timeout=30)

    def command(self, program: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*self.prefix, *as_user, str(_programs() / program), "-D", str(self.folder / "data"), *arguments],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{program}: {done.stdout}"


@contextmanager
def postgres_server(
    durable: bool = False, address: str = "127.0.0.1", prefix: Sequence[str] = ()
) -> Iterator[PostgresServer]:
    """An empty server that runs; durable: whether a commit waits for the disk."""
    folder = Path(tempfile.mkdtemp(prefix="movierec-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = PostgresServer(folder, free_port(), durable, address, tuple(prefix))
    try:
        server.command("initdb", "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--no-sync")
        with (folder / "data" / "pg_hba.conf").open("a") as access:
            access.write("host all all samenet trust\n")
        server.start()
        try:
            yield server
        finally:
            with suppress(AssertionError):  # a test may have killed it
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres() -> Iterator[int]:
    """The port of such a server."""
    with postgres_server() as server:
        yield server.port
