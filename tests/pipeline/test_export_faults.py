"""Exports that are killed, or whose target fills up: nothing lost, gone on with to the rows of an unbroken one."""

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from postgres import SUPERUSER, postgres_server
from scipy import sparse

from movierec_engine.data.id_map import IdMap
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.versions import publish_rules
from movierec_engine.store import ArtifactStore, Slot
from worlds import small_index

pytestmark = pytest.mark.slow

USERS, PARTS = 400, 40
_EXPORT = f"""
import sys, time
from movierec_engine.cli.main import main
from movierec_engine.pipeline import export

export.USERS_A_PART = {USERS // PARTS}
write, tables = export._write, export.ListParts.tables

def write_slowly(*given):
    write(*given)
    time.sleep(0.02)

def tables_slowly(self):
    print("writing", flush=True)
    for table in tables(self):
        yield table
        time.sleep(0.05)

if sys.argv.pop() == "slow":
    export._write, export.ListParts.tables = write_slowly, tables_slowly
main()
"""
"""The command, in parts of few users; slowly, so that it can be disturbed in the middle."""


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """An index of 400 users, under rules for mail."""
    small = small_index("ease")
    index = replace(
        small,
        users=IdMap(np.arange(USERS)),
        queries=sparse.csr_matrix(np.random.default_rng(0).standard_normal((USERS, 2), dtype=np.float32)),
        history=sparse.csr_matrix((USERS, 5), dtype=np.float32),
        explanation_inputs=sparse.csr_matrix((USERS, 0), dtype=np.float32),
        personal=np.ones(USERS, dtype=np.bool_),
    )
    store = ArtifactStore(tmp_path / "store")
    store.publish(Slot("faiss_index", "camps", "ease", "cpu"), index.save, key="k", fingerprint="f00d")
    cap = {"name": "one of the nineties", "cap": {"where": {"column": "year", "to": 2000}, "at_most": 1}}
    publish_rules(store, "camps", "mail", RuleDocument.of({"rules": [cap]}), by="a test")
    return store


def start(store: ArtifactStore, to: str, pace: str = "fast", k: int = 3, **more: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _EXPORT, "export", "--artifacts", str(store.root), "--to", to, f"k={k}", pace]
    return subprocess.Popen(
        command, cwd=store.root.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )


def done(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """The exit code and what was said, by both streams."""
    out, err = process.communicate(timeout=300)
    return process.returncode, out + err


def kept(said: str) -> int:
    """How many users' lists an earlier run had made, by the command's last line."""
    return int(said.partition(" users, ")[2].partition(" of them made before")[0] or 0)


def parts_of(folder: Path) -> int:
    return len(list(folder.rglob("part-*.parquet")))


def wait_for(condition: Any, process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + 200
    while not condition():
        assert process.poll() is None and time.monotonic() < until, "it was to be at work still"
        time.sleep(0.005)


def kill_while_lists_are_made(store: ArtifactStore, to: str) -> None:
    process = start(store, to, "slow")
    wait_for(lambda: parts_of(store.root.parent) >= 5, process)
    process.send_signal(signal.SIGKILL)
    assert done(process)[0] == -signal.SIGKILL
    assert 5 <= parts_of(store.root.parent) < PARTS


def kill_while_the_target_is_written(store: ArtifactStore, to: str) -> None:
    process = start(store, to, "slow")
    assert process.stdout is not None and process.stdout.readline() == "writing\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    assert done(process)[0] == -signal.SIGKILL
    assert parts_of(store.root.parent) == PARTS


@pytest.mark.parametrize("kill", [kill_while_lists_are_made, kill_while_the_target_is_written])
def test_a_file_has_the_rows_of_an_unbroken_export_after_a_kill(
    store: ArtifactStore, tmp_path: Path, kill: Any
) -> None:
    unbroken, broken = tmp_path / "unbroken.parquet", tmp_path / "broken.parquet"
    assert done(start(store, str(unbroken)))[0] == 0
    kill(store, str(broken))
    assert not broken.exists(), "whole or not at all"
    code, said = done(start(store, str(broken)))
    assert code == 0 and 50 <= kept(said) <= USERS
    table = pq.read_table(broken)
    assert table.equals(pq.read_table(unbroken))
    assert (
        len(table) == len(set(zip(table["user_id"].to_pylist(), table["rank"].to_pylist(), strict=True))) == 3 * USERS
    )
    assert parts_of(tmp_path) == 0


def test_a_file_that_fills_the_disk_stays_as_it_was_and_is_written_once_there_is_room(
    store: ArtifactStore, tmp_path: Path
) -> None:
    target = tmp_path / "lists.csv"
    assert done(start(store, str(target), k=1))[0] == 0
    before = target.read_bytes()

    def no_file_above_20_kb() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    code, said = done(start(store, str(target), preexec_fn=no_file_above_20_kb))
    assert (code, said.count("\n")) == (1, 1), said
    assert said.startswith(f"error: {target} could not be written: ") and "File too large" in said
    assert target.read_bytes() == before and parts_of(tmp_path) == PARTS
    code, said = done(start(store, str(target)))
    assert (code, kept(said), len(pa_csv.read_csv(target))) == (0, USERS, 3 * USERS)


@pytest.fixture(scope="module")
def database() -> Iterator[Any]:
    with postgres_server() as server:
        yield server


def rows_of(url: str, table: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(f"SELECT user_id, rank, movie_id FROM {table} ORDER BY 1, 2").fetchall()


def test_a_table_has_the_rows_of_an_unbroken_export_after_a_kill(store: ArtifactStore, database: Any) -> None:
    url = f"postgresql://{SUPERUSER}@127.0.0.1:{database.port}/postgres"
    assert done(start(store, f"{url}?table=unbroken"))[0] == 0
    assert done(start(store, f"{url}?table=broken", k=1))[0] == 0
    kill_while_lists_are_made(store, f"{url}?table=broken")
    assert len(rows_of(url, "broken")) == USERS, "those from before"
    code, said = done(start(store, f"{url}?table=broken"))
    assert code == 0 and 50 <= kept(said) <= USERS
    rows = rows_of(url, "broken")
    assert rows == rows_of(url, "unbroken") and len(set(rows)) == 3 * USERS
