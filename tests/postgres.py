"""A PostgreSQL server of a test's own, of Debian's package, whose programs are not on the PATH."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import free_port

SUPERUSER = "movierec"


def _programs() -> Path:
    """The folder of initdb and pg_ctl of the newest version that is installed."""
    if found := sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])):
        return found[-1].parent
    if on_path := shutil.which("initdb"):
        return Path(on_path).parent
    raise AssertionError("these tests need PostgreSQL: apt-get install postgresql")


@contextmanager
def postgres() -> Iterator[int]:
    """The port of an empty server on 127.0.0.1, whose database `postgres` belongs to SUPERUSER, without a password.

    PostgreSQL refuses root, so there it runs as the user `postgres` of the package.
    """
    programs, port = _programs(), free_port()
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="movierec-postgres-"))
    if as_user:
        shutil.chown(folder, "postgres")

    def command(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*as_user, str(programs / program), "-D", str(folder / "data"), *arguments],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{program}: {done.stdout}"

    try:
        command("initdb", "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        command("pg_ctl", "-l", str(folder / "log"), "-o", options, "-w", "start")
        try:
            yield port
        finally:
            command("pg_ctl", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
