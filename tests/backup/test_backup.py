"""Backups come back whole, also when they are cut off, taken under load, damaged, or restored over something."""

import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from postgres import SUPERUSER, postgres
from release_world import GOOD, World

from movierec_engine.backup import archive, back_up, databases, restore, restoring
from movierec_engine.backup.archive import BackupError
from movierec_engine.backup.databases import Postgres
from movierec_engine.cli.main import cli
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.feedback import FeedbackEvent, SqliteLog, log_file
from movierec_engine.release.decisions import decisions, releases
from movierec_engine.release.retention import prune
from movierec_engine.store import ArtifactStore

RELEASE = ReleaseConfig()


def rating(number: int, user: int = 1) -> FeedbackEvent:
    return FeedbackEvent(f"key {number}", user, 10, "rating", 4.0)


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a store or an instance that count, by name; databases by their statements."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".db":
            with closing(sqlite3.connect(path)) as database:
                found[name] = "\n".join(database.iterdump()).encode()
        elif not re.search(r"lock$|-wal$|-shm$|^\.(incoming|replaced)", name):
            found[name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with releases, feedback and an erasure, and MLflow's and Dagster's databases; only copies are changed."""
    root = tmp_path_factory.mktemp("platform") / "store"
    world = World(ArtifactStore(root))
    for model, shift in (("popularity", 0.0), ("ease", 0.1)):
        world.train(model, GOOD + shift)
        world.challenge()
    world.roll_back(reason="a test")
    assert prune(world.store, "camps", 1, RELEASE).versions, "an old leaderboard, which no backup needs"
    with closing(SqliteLog(log_file(root, "camps"))) as log:
        log.record([rating(1), rating(2, user=2)])
        log.erase(2)
    for path in (root / "mlflow" / "mlflow.db", root / "dagster" / "history" / "runs.db"):
        path.parent.mkdir(parents=True)
        with closing(sqlite3.connect(path)) as database:
            database.executescript("CREATE TABLE runs (id); INSERT INTO runs VALUES (7);")
    (root / "mlflow" / "files").mkdir()
    (root / "mlflow" / "files" / "curve.json").write_text("[1, 2]")
    (root / ".runs").mkdir()
    (root / ".runs" / "a-run-that-is-on").touch()
    return root


@pytest.fixture(autouse=True)
def without_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does anything wait for the disk, as no kill takes away what a process has written."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    for name in ("DAGSTER_HOME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def backup(platform: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DAGSTER_HOME", "MLFLOW_TRACKING_URI"):
            patch.delenv(name, raising=False)
        return back_up(platform, platform.parent / "backup", RELEASE).folder


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An empty store beside an instance of Dagster's that has its folder."""
    (tmp_path / "new" / "dagster").mkdir(parents=True)
    return tmp_path / "new"


def test_all_that_cannot_be_made_again_comes_back(platform: Path, backup: Path, empty: Path) -> None:
    restore(empty, backup)
    assert contents(empty) == contents(platform)
    world = World(ArtifactStore(empty))
    assert world.served == "popularity"
    assert releases(world.store, "camps") == releases(ArtifactStore(platform), "camps")
    assert [one.verdict for one in decisions(world.store, "camps")] == ["promoted", "promoted", "rolled back", "pruned"]
    with closing(SqliteLog(log_file(empty, "camps"))) as log:
        assert log.state(1).ratings == {10: 4.0}
        assert log.state(2).erasure == 1
    assert (empty / ".runs" / "a-run-that-is-on").stat().st_mtime == 0, "it counts as lost"
    world.train("als", GOOD + 0.2)
    assert world.challenge().verdict == "promoted", "and it goes on"


def test_old_versions_that_nothing_needs_are_left_out(tmp_path: Path) -> None:
    world = World(ArtifactStore(tmp_path / "store"))
    old, new = (world.train("ease", GOOD, key=key) for key in ("old", "new"))
    made = back_up(tmp_path / "store", tmp_path / "backup", RELEASE)
    assert not [name for name in made.files if name.startswith(f"store/{old.reference}/")]
    assert [name for name in made.files if name.startswith(f"store/{new.reference}/")]


def test_a_backup_is_for_its_owner_alone(backup: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (backup, *backup.rglob("*"))}
    assert modes <= {0o700, 0o600}


def test_a_log_that_is_written_to_meanwhile_is_copied_as_of_one_moment(platform: Path, tmp_path: Path) -> None:
    path = shutil.copytree(platform, tmp_path / "store")
    log, ended = SqliteLog(log_file(path, "camps")), threading.Event()
    recorded: list[int] = []

    def write() -> None:
        while not ended.is_set():
            number = len(recorded) + 10
            log.record([rating(2 * number), rating(2 * number + 1)])
            recorded.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    while len(recorded) < 5:
        ended.wait(0.001)
    made = back_up(path, tmp_path / "backup", RELEASE)
    ended.set()
    writer.join()
    with closing(sqlite3.connect(made.folder / "feedback" / "camps" / "feedback.db")) as copy:
        keys = [key for (key,) in copy.execute("SELECT key FROM events ORDER BY seq")]
    expected = ["key 1", *(f"key {2 * number + one}" for number in recorded for one in (0, 1))]
    assert keys == expected[: len(keys)], "a beginning of what was written"
    assert len(keys) >= 11
    assert len(keys) % 2 == 1, "of two that were recorded together none without the other"


def dies_at(call: int, module: object, name: str, body: Callable[[], object]) -> bool:
    """True if `body`, in a process of its own, came to so many calls of a function, at which it is killed."""
    child = os.fork()
    if child == 0:
        original, calls = getattr(module, name), 0

        def counted(*arguments: object, **keywords: object) -> object:
            nonlocal calls
            calls += 1
            if calls == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **keywords)

        setattr(module, name, counted)
        try:
            body()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_a_backup_that_is_killed_leaves_none_and_the_next_goes_on(platform: Path, backup: Path, tmp_path: Path) -> None:
    to = tmp_path / "backup"
    assert dies_at(12, archive, "_copied", lambda: back_up(platform, to, RELEASE))
    assert not to.exists()
    with pytest.raises(BackupError, match=r"no backup is there; backup\.partial is one that was cut off"):
        restore(tmp_path / "new", to)
    copied = {path: path.stat().st_ino for path in (tmp_path / "backup.partial" / "store").rglob("*.parquet")}
    written = {path: path.stat().st_mtime_ns for path in copied}
    assert copied
    assert dies_at(1, databases.sqlite3, "connect", lambda: back_up(platform, to, RELEASE))
    assert {path: path.stat().st_mtime_ns for path in copied} == written, "not copied again"
    assert back_up(platform, to, RELEASE).files.keys() == archive.read_backup(backup).files.keys()
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == ["backup"]


@pytest.mark.slow
def test_a_restore_that_is_killed_anywhere_serves_nothing_yet_and_the_same_command_ends_it(
    platform: Path, backup: Path, empty: Path, tmp_path: Path
) -> None:
    wanted, kills = contents(platform), 0
    for module, name in ((archive, "_copied"), (restoring, "_move"), (restoring, "replace_file")):
        call = 1
        while True:
            root = shutil.copytree(empty, tmp_path / f"{name} {call}")
            if not dies_at(call, module, name, lambda root=root: restore(root, backup)):  # type: ignore[misc]
                assert contents(root) == wanted
                break
            kills += 1
            assert World(ArtifactStore(root)).served in ("", "popularity")
            if World(ArtifactStore(root)).served:
                assert not {key for key in wanted if key not in contents(root)}
            restore(root, backup)
            assert contents(root) == wanted
            shutil.rmtree(root)
            call *= 2
    assert kills > 10


@pytest.mark.parametrize(
    "part", ["feedback/camps/feedback.db", "dagster/history/runs.db", "store/pointers", "store/splits"]
)
def test_a_damaged_backup_changes_nothing(platform: Path, backup: Path, empty: Path, tmp_path: Path, part: str) -> None:
    damaged = shutil.copytree(backup, tmp_path / "damaged")
    name = next(name for name in archive.read_backup(damaged).files if name.startswith(part))
    content = bytearray((damaged / name).read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / name).write_bytes(content)
    with pytest.raises(BackupError, match=f"{name}: does not match the backup's checksum"):
        restore(empty, damaged)
    (damaged / name).unlink()
    with pytest.raises(BackupError, match=f"{name}: missing from the backup"):
        restore(empty, damaged)
    assert not [path for path in empty.rglob("*") if path.is_file() and ".restoring" not in path.parts]
    restore(empty, backup)
    assert contents(empty) == contents(platform)


def test_of_a_restore_that_was_refused_or_cut_off_nothing_comes_back_with_an_older_backup(
    platform: Path, backup: Path, empty: Path, tmp_path: Path
) -> None:
    newer = shutil.copytree(platform, tmp_path / "newer")
    World(ArtifactStore(newer)).train("als", GOOD + 0.2)
    with closing(SqliteLog(log_file(newer, "another"))) as log:
        log.record([rating(3)])
    made = back_up(newer, tmp_path / "newer backup", RELEASE)
    assert dies_at(2, restoring, "_move", lambda: restore(empty, made.folder))
    (made.folder / "mlflow" / "mlflow.db").write_bytes(b"damaged")
    with pytest.raises(BackupError, match=r"mlflow\.db: missing from the backup, or cut off; take an older backup"):
        restore(empty, made.folder, overwrite=True)
    restore(empty, backup, overwrite=True)
    shutil.rmtree(next(empty.glob(".replaced-*")))
    assert contents(empty) == contents(platform)


def killed_while_writing(path: Path) -> None:
    """Leave a SQLite database whose last writes are in the file beside it, as a killed process does."""
    path.parent.mkdir(parents=True)
    pid = os.fork()
    if not pid:
        database = sqlite3.connect(path)
        database.executescript("PRAGMA journal_mode=WAL; CREATE TABLE other (id); INSERT INTO other VALUES (1)")
        os._exit(1)
    os.waitpid(pid, 0)
    assert path.with_name(f"{path.name}-wal").stat().st_size


def test_last_writes_of_a_log_that_is_gone_are_kept_aside_and_not_read_into_the_restored_one(
    platform: Path, backup: Path, empty: Path
) -> None:
    log = log_file(empty, "camps")
    killed_while_writing(log)
    log.unlink()
    with pytest.raises(BackupError, match=r"the feedback log .*feedback\.db-shm is not empty"):
        restore(empty, backup)
    restore(empty, backup, overwrite=True)
    assert contents(empty) == contents(platform)
    assert list(empty.glob(".replaced-*/feedback/camps/feedback.db-wal"))


def test_last_writes_of_a_database_without_runs_are_not_read_into_the_restored_one(
    platform: Path, backup: Path, empty: Path
) -> None:
    killed_while_writing(empty / "dagster" / "history" / "runs.db")
    restore(empty, backup)
    assert contents(empty) == contents(platform)


def test_a_damaged_source_is_no_backup(platform: Path, tmp_path: Path) -> None:
    path = shutil.copytree(platform, tmp_path / "store")
    file = next((path / "splits").rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(BackupError, match=f"{re.escape(file.name)}: does not match its manifest's checksum"):
        back_up(path, tmp_path / "backup", RELEASE)
    path = shutil.copytree(platform, tmp_path / "another")
    (path / "mlflow" / "mlflow.db").write_bytes(b"no database at all, but long enough to be one" * 100)
    with pytest.raises(BackupError, match="cannot be copied"):
        back_up(path, tmp_path / "other", RELEASE)
    assert not (tmp_path / "backup").exists()
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("kind", ["faiss_index", "trained_model", "splits", "release_decision"])
@pytest.mark.parametrize("damage", ["gone", "future", "unreadable"])
def test_a_needed_version_without_readable_manifest_is_not_left_out_in_silence(
    platform: Path, tmp_path: Path, kind: str, damage: str
) -> None:
    path = shutil.copytree(platform, tmp_path / "store")
    served = json.loads((path / "pointers" / "camps" / "serving.json").read_text())["reference"]
    store = ArtifactStore(path)
    index = store.resolve(served)
    parents = {**store.resolve(index.parents["trained_model"]).parents, **index.parents}
    lost = {"faiss_index": served, **parents, "release_decision": decisions(store, "camps")[0].reference}[kind]
    manifest = path / lost / "manifest.json"
    if damage == "gone":
        manifest.unlink()
    elif damage == "future":
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    else:
        manifest.write_text("{")
    version = re.escape(lost.rsplit("/", 1)[-1])
    with pytest.raises(BackupError, match=rf"needs a version that cannot be backed up \(.*{version}"):
        back_up(path, tmp_path / "backup", RELEASE)
    assert not (tmp_path / "backup").exists()


def test_a_slot_none_of_whose_versions_can_be_read_is_neither_left_out_nor_taken_for_empty(
    platform: Path, backup: Path, tmp_path: Path
) -> None:
    path = tmp_path / "store"
    (made,) = World(ArtifactStore(path)).train("ease", GOOD).parents.values()
    (path / made / "manifest.json").write_text("{")
    (path / "dagster").mkdir()
    shutil.rmtree(path / "trained_model")
    shutil.rmtree(path / "faiss_index")
    shutil.rmtree(path / "evaluation_report")
    with pytest.raises(BackupError, match=r"LATEST needs a version that cannot be backed up"):
        back_up(path, tmp_path / "backup", RELEASE)
    with pytest.raises(BackupError, match=r"the store .* is not empty"):
        restore(path, backup)


def test_a_database_that_somebody_keeps_to_himself_is_waited_for_and_named(
    platform: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shutil.copytree(platform, tmp_path / "store")
    monkeypatch.setattr(databases, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(path / "mlflow" / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(
            BackupError, match=r"mlflow.db: cannot be copied \(database is locked\); look after .* locks"
        ):
            back_up(path, tmp_path / "backup", RELEASE)
        other.execute("ROLLBACK")
    assert back_up(path, tmp_path / "backup", RELEASE).names("mlflow")


@pytest.mark.slow
def test_a_postgresql_database_is_copied_and_put_back_whole_and_unless_it_is_in_use(tmp_path: Path) -> None:
    with postgres() as port:
        server = f"127.0.0.1:{port}"

        def ask(database: str, query: str) -> str:
            command = ["psql", f"postgresql://{SUPERUSER}@{server}/{database}", "-qtAc", query]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

        ask("postgres", "CREATE ROLE \"me@home\" LOGIN SUPERUSER PASSWORD 'p/w:%@ 1'")
        ask("postgres", "CREATE TABLE runs AS SELECT generate_series(1, 1000) AS id")
        ask("postgres", "CREATE DATABASE other")
        here = Postgres(f"postgresql+psycopg2://me%40home:p%2Fw%3A%25%40%201@{server}/postgres")
        there = Postgres(f"postgresql://{SUPERUSER}@{server}/other")
        assert (here.has_runs(), there.has_runs()) == (True, False)
        here.dump(tmp_path / "dump")
        for _ in range(2):
            there.restore(tmp_path / "dump")
            assert ask("other", "SELECT sum(id) FROM runs") == "500500"
        (tmp_path / "cut").write_bytes((tmp_path / "dump").read_bytes()[:-100])
        with pytest.raises(BackupError, match=rf"{server}/other: pg_restore: .*end of file"):
            there.restore(tmp_path / "cut")
        assert ask("other", "SELECT sum(id) FROM runs") == "500500"
        command = ["psql", there.name, "-qtA", "-c", "SELECT 1", "-c", "SELECT pg_sleep(600)"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"1\n"
            with pytest.raises(BackupError, match="1 other connections; stop the webserver"):
                there.require_unused()
            other.kill()
        with pytest.raises(BackupError, match=r'nobody@.*role "nobody" does not exist') as found:
            Postgres(f"postgresql://nobody:secret@{server}/postgres").dump(tmp_path / "none")
        assert "secret" not in str(found.value)


def test_what_is_there_is_kept_unless_told_and_then_moved_aside_and_erasures_hold(
    platform: Path, backup: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(platform, tmp_path / "store")
    world = World(ArtifactStore(root))
    world.train("als", GOOD + 0.2)
    world.challenge()
    with closing(SqliteLog(log_file(root, "camps"))) as log:
        log.record([rating(3, user=3)])
        log.erase(1)
        before = contents(root)
        with pytest.raises(BackupError, match=r"the store .* is not empty; .* say --overwrite"):
            restore(root, backup)
        with pytest.raises(BackupError, match=rf"feedback.db: process {os.getpid()} .* has it open; stop it first"):
            restore(root, backup, overwrite=True)
    assert contents(root) == before
    restore(root, backup, overwrite=True)
    assert World(ArtifactStore(root)).served == "popularity"
    with closing(SqliteLog(log_file(root, "camps"))) as log:
        assert log.state(1).ratings == {}, "they asked to be forgotten after the backup"
        assert log.state(1).erasure
        assert log.state(3).ratings == {}
    (aside,) = root.glob(".replaced-*")
    assert World(ArtifactStore(aside)).served == "als"
    assert (aside / "feedback" / "camps" / "feedback.db").exists()


def test_records_that_are_kept_in_another_way_than_when_the_backup_was_made_are_refused(
    backup: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty / "dagster" / "dagster.yaml").write_text("storage: {postgres: {postgres_url: {env: THE_URL}}}")
    with pytest.raises(ConfigError, match=r"dagster.yaml asks for THE_URL, which is not set"):
        restore(empty, backup)
    monkeypatch.setenv("THE_URL", "postgresql://me:secret@db/name")
    with pytest.raises(ConfigError, match=r"records of dagster in SQLite, and here it is otherwise: PostgreSQL"):
        restore(empty, backup)
    monkeypatch.setenv("DAGSTER_HOME", str(empty / "nowhere"))
    with pytest.raises(ConfigError, match=r"DAGSTER_HOME=.*nowhere is no folder"):
        restore(empty, backup)


@pytest.fixture
def movierec(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Result]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "1000")
    yield lambda *words: CliRunner().invoke(cli, [str(word) for word in words])


def test_the_commands_say_what_they_did_and_what_is_wrong_in_one_sentence(
    movierec: Callable[..., Result], platform: Path, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "to"
    wrong = movierec("backup", "--artifacts", tmp_path / "none", "--to", to)
    assert (wrong.exit_code, type(wrong.exception)) == (1, SystemExit)
    assert not to.exists()
    done = movierec("backup", "--artifacts", platform, f"to={to}")
    assert done.exit_code == 0, done.output
    assert "1 feedback log, Dagster's records (SQLite), MLflow's records (SQLite)" in done.output
    monkeypatch.setenv("MOVIEREC_FEEDBACK_URL", "postgresql+psycopg://movierec:secret@db.example.org/movierec")
    said = movierec("backup", "--artifacts", platform, "--to", tmp_path / "another").output
    monkeypatch.delenv("MOVIEREC_FEEDBACK_URL")
    assert re.search(r"nothing of the feedback in \S*db\.example\.org\S*, of which pg_dump makes copies", said)
    assert "secret" not in said
    for taken in (to, to / "manifest.json" / "below"):
        assert movierec("backup", "--artifacts", platform, "--to", taken).exit_code == 1, "something is there already"
    assert movierec("restore", "--artifacts", empty, "--from", tmp_path / "nowhere").exit_code == 1
    manifest = json.loads((to / "manifest.json").read_text())
    (to / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(BackupError, match=r"a backup of format 99, by movierec .*; restore it with that one"):
        restore(empty, to)
    (to / "manifest.json").write_text(json.dumps(manifest))
    done = movierec("restore", "--artifacts", empty, "--from", to)
    assert done.exit_code == 0, done.output
    assert "restored: " in done.output
