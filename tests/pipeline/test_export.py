"""Exported lists: those that the API answers, whole or not at all, and gone on with after an interruption."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from filelock import FileLock
from object_store import ObjectStoreServer
from ports import free_port
from postgres import SUPERUSER, postgres
from waiting import soon

from movierec_engine.api.app import create_app
from movierec_engine.cli.main import cli
from movierec_engine.errors import ConfigError, DataError, MovierecError, StoreError
from movierec_engine.feedback import FeedbackEvent, FeedbackLogs
from movierec_engine.pipeline import export
from movierec_engine.pipeline.batch_export import export_lists
from movierec_engine.pipeline.export import ListParts, index_to_export, make_lists, read_users
from movierec_engine.pipeline.export_config import ExportConfig
from movierec_engine.pipeline.export_target import ListFile, target_of
from movierec_engine.serving.live_feedback import LiveFeedback
from movierec_engine.store import ArtifactStore, Slot
from movierec_engine.store.objects import Objects
from worlds import small_index


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """With an index of users 1, 7 and 9."""
    store = ArtifactStore(tmp_path / "store")
    store.publish(Slot("faiss_index", "camps", "ease", "cpu"), small_index("ease").save, key="k", fingerprint="f00d")
    return store


def lists_of(store: ArtifactStore, folder: Path, k: int = 3, repeat: bool = False, **more: Any) -> ListParts:
    live = LiveFeedback(FeedbackLogs(store.root))
    return make_lists(index_to_export(store, "camps", repeat=repeat), live, folder, k, **more)


def by_user(lists: ListParts) -> dict[int, list[tuple[int, float, str]]]:
    rows = pa.concat_tables(lists.tables()).to_pylist()
    found: dict[int, list[tuple[int, float, str]]] = {}
    for row in rows:
        found.setdefault(row["user_id"], []).append((row["movie_id"], round(row["score"], 6), row["source"]))
        assert row["rank"] == len(found[row["user_id"]])
    return found


def say(store: ArtifactStore, user: int, movie: int, kind: Any = "rating", rating: float | None = 5.0) -> None:
    event = FeedbackEvent(f"{user} {movie} {kind}", user, movie, kind, rating if kind == "rating" else None)
    LiveFeedback(FeedbackLogs(store.root)).record("camps", [event])


def test_every_user_has_the_list_that_the_api_answers(store: ArtifactStore, tmp_path: Path) -> None:
    say(store, 1, 30)  # trained on, and has rated since
    say(store, 7, 20, "not_interested")
    say(store, 50, 10)  # known by feedback alone: enough to be folded in
    say(store, 50, 20)
    say(store, 51, 10, "not_interested")  # popular movies, without one
    client = create_app(store.root).test_client()
    found = by_user(lists_of(store, tmp_path / "parts"))
    assert sorted(found) == [1, 7, 9, 50, 51]
    for user, places in found.items():
        answer = client.get(f"/api/recommend?user_id={user}&top_k=3").get_json()
        shown = [(one["movie_id"], one["score"], answer["source"]) for one in answer["recommendations"]]
        assert places == shown, user
    assert {source for places in found.values() for _, _, source in places} == {"personal", "fold-in", "popularity"}


def test_who_was_erased_has_no_list(store: ArtifactStore, tmp_path: Path) -> None:
    say(store, 50, 10)
    live = LiveFeedback(FeedbackLogs(store.root))
    for user in (1, 50):
        live.erase("camps", user)
    assert sorted(by_user(lists_of(store, tmp_path / "parts"))) == [7, 9]
    live.erase("camps", 7)  # after the parts were begun
    assert sorted(by_user(lists_of(store, tmp_path / "parts"))) == [9]


def test_who_was_erased_and_has_said_something_since_has_the_list_that_the_api_answers(
    store: ArtifactStore, tmp_path: Path
) -> None:
    live = LiveFeedback(FeedbackLogs(store.root))
    for user in (1, 7, 9):
        live.erase("camps", user)
    say(store, 1, 30)
    say(store, 7, 20, "not_interested")
    client = create_app(store.root).test_client()
    found = by_user(lists_of(store, tmp_path / "parts"))
    assert sorted(found) == [1, 7]
    for user, places in found.items():
        answer = client.get(f"/api/recommend?user_id={user}&top_k=3").get_json()
        assert [movie for movie, *_ in places] == [one["movie_id"] for one in answer["recommendations"]]


def test_an_interrupted_export_goes_on_from_its_parts(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "USERS_A_PART", 1)
    whole = by_user(lists_of(store, tmp_path / "parts"))
    (tmp_path / "parts" / "part-000001.parquet").unlink()
    (tmp_path / "parts" / "part-000001.unfinished").write_bytes(b"half")
    again = lists_of(store, tmp_path / "parts")
    assert (again.kept, by_user(again)) == (2, whole)
    assert lists_of(store, tmp_path / "parts", k=2).kept == 0, "lists of another length are another export"
    assert lists_of(store, tmp_path / "parts", k=2, repeat=True).kept == 0, "as are those with what people have seen"
    store.publish(
        Slot("faiss_index", "camps", "ease", "cpu"), small_index("ease", -1).save, key="l", fingerprint="f00d"
    )
    assert lists_of(store, tmp_path / "parts", k=2).kept == 0, "as are those of another version"


@pytest.mark.parametrize("name", ["lists.parquet", "lists.csv"])
def test_a_file_is_replaced_whole_or_stays(store: ArtifactStore, tmp_path: Path, name: str) -> None:
    target, lists = target_of(str(tmp_path / name)), lists_of(store, tmp_path / "parts")
    assert target.write(lists) == 9
    read = pq.read_table if name.endswith("parquet") else pa_csv.read_csv
    written = read(tmp_path / name)
    assert written.column_names == ["user_id", "rank", "movie_id", "score", "source"]
    assert len(written) == 9
    next(iter((tmp_path / "parts").glob("part-*"))).write_bytes(b"damaged")
    with pytest.raises(StoreError, match="is damaged; delete it"):
        target.write(lists)
    assert read(tmp_path / name).equals(written)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "parts", "store"]), "nothing half-written"


def test_a_folder_that_is_not_there_is_said_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no folder .*nowhere; make it first"):
        target_of(str(tmp_path / "nowhere" / "lists.parquet"))


@pytest.mark.parametrize("to", ["lists.txt", "ftp://host/lists.parquet", "postgresql://host/db?table=a;drop"])
def test_other_targets_are_refused(to: str) -> None:
    with pytest.raises(ConfigError, match="must"):
        target_of(to)


def test_users_of_a_file_are_read_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "users.txt"
    file.write_text("\ufeff7\r\n\r\n1\n7\n", encoding="utf-8")
    assert read_users(file, texts=False).tolist() == [7, 1]
    assert read_users(file, texts=True).tolist() == ["7", "1"]
    for content, said in ((b"7\nseven\n", "'seven' is no id"), (b"\n", "names no user"), (b"\xff\xfe\x00", "as text")):
        file.write_bytes(content)
        with pytest.raises(DataError, match=said):
            read_users(file, texts=False)


def test_the_command_says_what_is_where(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "users.txt").write_text("9\n1\n")
    command = ["export", "--artifacts", str(store.root), "--to", str(tmp_path / "lists.parquet"), "k=2"]
    done = CliRunner().invoke(cli, [*command, "--users", str(tmp_path / "users.txt")], catch_exceptions=False)
    assert done.exit_code == 0
    assert "2 users, 4 places by faiss_index/camps/ease/cpu/" in done.output
    table = pq.read_table(tmp_path / "lists.parquet")
    assert table["user_id"].to_pylist() == [9, 9, 1, 1]
    assert table.schema.metadata[b"movierec.model"] == b"ease"
    assert not list(tmp_path.glob(".*")), "parts are gone"


def test_users_of_a_tier_are_those_whom_the_api_says_to_be_of_it(store: ArtifactStore, tmp_path: Path) -> None:
    say(store, 50, 10)  # known by feedback alone
    client = create_app(store.root).test_client()
    cold = [user for user in (1, 7, 9, 50) if client.get(f"/api/users/{user}").get_json()["tier"] == "cold"]
    done = export_lists(store, ExportConfig(str(tmp_path / "lists.parquet"), tier="cold"))
    assert (done.users, sorted(set(pq.read_table(tmp_path / "lists.parquet")["user_id"].to_pylist()))) == (4, cold)
    assert export_lists(store, ExportConfig(str(tmp_path / "lists.parquet"), tier="rich")).users == 0
    with pytest.raises(ConfigError, match="tier=warm must be one of cold, limited, moderate, rich"):
        ExportConfig("lists.parquet", tier="warm")
    with pytest.raises(ConfigError, match="both name users"):
        ExportConfig("lists.parquet", users="vips.txt", tier="rich")


def test_an_export_is_of_the_server_whose_settings_it_is_given(store: ArtifactStore, tmp_path: Path) -> None:
    command = ["export", "--artifacts", str(store.root), "--to", str(tmp_path / "lists.parquet")]
    for settings, has_rated in (([], False), (["serving.repeat=true"], True)):
        assert CliRunner().invoke(cli, [*command, *settings], catch_exceptions=False).exit_code == 0
        places = pq.read_table(tmp_path / "lists.parquet").to_pylist()
        assert ((1, 40) in [(one["user_id"], one["movie_id"]) for one in places]) == has_rated
    with pytest.raises(ConfigError, match="no setting of the server"):
        CliRunner().invoke(cli, [*command, "trainer.max_epochs=2"], catch_exceptions=False, standalone_mode=False)


def test_an_export_goes_on_after_the_disk_was_full_and_after_the_targets_folder_was_gone(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "USERS_A_PART", 1)
    parts, folder = tmp_path / "parts", tmp_path / "out"
    folder.mkdir()
    asked = ExportConfig(str(folder / "lists.parquet"), k=3)
    parts.mkdir()
    (parts / "export.json").write_text('{"export": {}, "newest_erasure": 0}')
    (parts / "part-000001.unfinished").symlink_to("/dev/full")
    with pytest.raises(MovierecError, match=r"could not be written: .*the same export goes on where it stopped"):
        export_lists(store, asked, parts=parts)
    assert not list(folder.iterdir())
    assert [path.name for path in parts.glob("part-*")] == ["part-000000.parquet"]
    write = ListFile.write

    def gone(self: ListFile, lists: ListParts) -> int:
        folder.rmdir()
        return write(self, lists)

    with monkeypatch.context() as patch:
        patch.setattr(ListFile, "write", gone)
        with pytest.raises(MovierecError, match=r"lists\.parquet could not be written: .*No such file or directory"):
            export_lists(store, asked, parts=parts)
    folder.mkdir()
    done = export_lists(store, asked, parts=parts)
    assert (done.users, done.kept, done.rows) == (3, 3, 9)
    assert not parts.exists()


@pytest.mark.parametrize("name", ["thesis.txt", "part-000000.parquet", "export.json"])
def test_parts_do_not_go_to_a_folder_of_other_files(store: ArtifactStore, tmp_path: Path, name: str) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / name).write_text('{"export": "all that I know"}')
    with pytest.raises(ConfigError, match=r"mine holds other files .*--parts"):
        export_lists(store, ExportConfig(str(tmp_path / "lists.parquet")), parts=mine)
    assert [path.name for path in mine.iterdir()] == [name]
    assert (mine / name).read_text() == '{"export": "all that I know"}'


def test_files_that_were_put_beside_the_parts_stay(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "USERS_A_PART", 1)
    parts = lists_of(store, tmp_path / "parts", k=2).folder
    others = {"note.txt", "part-0.parquet", "kept/part-000000.parquet"}
    for name in others:
        (parts / name).parent.mkdir(exist_ok=True)
        (parts / name).write_text("not a list")
    assert export_lists(store, ExportConfig(str(tmp_path / "lists.parquet"), k=3), parts=parts).rows == 9
    assert {path.relative_to(parts).as_posix() for path in parts.rglob("*") if path.is_file()} == others


def test_two_exports_do_not_work_in_one_folder(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    with FileLock(tmp_path / "parts" / "lock"), pytest.raises(MovierecError, match="another export is at work in"):
        export_lists(store, ExportConfig(str(tmp_path / "lists.parquet")), parts=tmp_path / "parts")
    places = {target_of(f"s3://lists/{name}.parquet").parts for name in "ab"}
    assert len(places) == 2, "exports to two targets have a folder each"


def test_a_model_without_an_index_is_said(store: ArtifactStore) -> None:
    with pytest.raises(StoreError, match="no index of model als of camps"):
        index_to_export(store, "camps", "als")
    with pytest.raises(ConfigError, match="there is no model 'nonsense'; choose one of popularity"):
        index_to_export(store, "camps", "nonsense")


@pytest.mark.slow
def test_a_file_of_an_object_store_is_replaced(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ObjectStoreServer()
    try:
        url = f"{server.bucket('lists')}/daily/lists.parquet"
        for name, value in server.environment(tmp_path / "local").items():
            monkeypatch.setenv(name, value)
        for k in (1, 3):
            lists = lists_of(store, tmp_path / "parts", k)
            assert target_of(url).write(lists) == 3 * k
        objects, back = Objects(url.rpartition("/")[0]), tmp_path / "back.parquet"
        objects.download([("lists.parquet", objects.size("lists.parquet") or 0, back)])
        assert pq.read_table(back).equals(pa.concat_tables(lists.tables()))
    finally:
        server.end()


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as port:
        yield f"postgresql://{SUPERUSER}@127.0.0.1:{port}/postgres"


@pytest.mark.slow
def test_a_table_of_postgresql_is_replaced_in_one_transaction(
    store: ArtifactStore, tmp_path: Path, database: str
) -> None:
    lists = lists_of(store, tmp_path / "parts")
    with psycopg.connect(database, autocommit=True) as connection:
        for _ in range(2):
            assert target_of(f"{database}?table=lists").write(lists) == 9
            rows = connection.execute("SELECT user_id, movie_id FROM lists ORDER BY user_id, rank").fetchall()
            assert rows == [(user, movie) for user, places in by_user(lists).items() for movie, _, _ in places]
        next(iter((tmp_path / "parts").glob("part-*"))).write_bytes(b"damaged")
        with pytest.raises(StoreError, match="is damaged; delete it"):
            target_of(f"{database}?table=lists").write(lists)
        assert connection.execute("SELECT count(*) FROM lists").fetchone() == (9,)


@pytest.mark.slow
def test_a_database_that_does_not_answer_is_said_without_the_password(store: ArtifactStore, tmp_path: Path) -> None:
    url = f"postgresql://{SUPERUSER}:secret@127.0.0.1:{free_port()}/postgres?table=lists"
    with pytest.raises(MovierecError, match=r"table lists of 127\.0\.0\.1/postgres could not be written") as error:
        target_of(url).write(lists_of(store, tmp_path / "parts"))
    assert "secret" not in str(error.value)


@pytest.mark.slow
def test_rights_views_indices_and_columns_of_a_table_outlive_an_export(
    store: ArtifactStore, tmp_path: Path, database: str
) -> None:
    target = target_of(f"{database}?table=kept")
    target.write(lists_of(store, tmp_path / "parts", k=3))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE ROLE shop LOGIN")
        connection.execute("GRANT SELECT ON kept TO shop")
        connection.execute("CREATE INDEX of_movies ON kept (movie_id)")
        connection.execute("CREATE VIEW best AS SELECT * FROM kept WHERE rank = 1")
        connection.execute("ALTER TABLE kept ADD mailed boolean NOT NULL DEFAULT false")
        assert target.write(lists_of(store, tmp_path / "parts", k=2)) == 6
        assert connection.execute("SELECT count(*) FROM best").fetchone() == (3,)
        indices = connection.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'kept' ORDER BY 1").fetchall()
        assert indices == [("kept_pkey",), ("of_movies",)]
    with psycopg.connect(database.replace(SUPERUSER, "shop", 1)) as shop:
        assert shop.execute("SELECT count(*), bool_or(mailed) FROM kept").fetchone() == (6, False)


@pytest.mark.slow
def test_who_reads_a_table_while_it_is_written_has_the_old_lists_at_once(
    store: ArtifactStore, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = target_of(f"{database}?table=read")
    target.write(lists_of(store, tmp_path / "parts", k=3))
    tables, seen = ListParts.tables, []

    def looked_at(lists: ListParts) -> Iterator[pa.Table]:
        yield from tables(lists)
        with psycopg.connect(database, options="-c statement_timeout=5s") as reader:
            seen.append(reader.execute("SELECT count(*) FROM read").fetchone())

    monkeypatch.setattr(ListParts, "tables", looked_at)
    assert target.write(lists_of(store, tmp_path / "parts", k=1)) == 3
    assert seen == [(9,)]


@pytest.mark.slow
def test_of_two_exports_into_a_table_at_once_the_second_waits(
    store: ArtifactStore, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = target_of(f"{database}?table=two")
    first, second = (lists_of(store, tmp_path / f"parts {k}", k) for k in (3, 1))
    target.write(first)
    tables, begun = ListParts.tables, []

    def during_another(lists: ListParts) -> Iterator[pa.Table]:
        if lists is first:
            begun.append(pool.submit(target.write, second))
            soon(lambda: database_waits(database), "the second is at the lock", 30)
        yield from tables(lists)

    monkeypatch.setattr(ListParts, "tables", during_another)
    with ThreadPoolExecutor(1) as pool:
        assert target.write(first) == 9
        assert begun[0].result(60) == 3
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM two").fetchone() == (3,)


def database_waits(url: str) -> bool:
    """Whether something in a database waits for a lock."""
    with psycopg.connect(url) as connection:
        return bool(connection.execute("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchall())


@pytest.mark.slow
def test_a_table_takes_ids_that_have_become_texts_and_back(store: ArtifactStore, tmp_path: Path, database: str) -> None:
    numbers, target = lists_of(store, tmp_path / "numbers"), target_of(f"{database}?table=ids")
    texts = replace(numbers, folder=tmp_path / "texts", schema=numbers.schema.set(0, pa.field("user_id", pa.string())))
    texts.folder.mkdir()
    row = {"user_id": "ann", "rank": 1, "movie_id": 10, "score": 1.0, "source": "personal"}
    pq.write_table(pa.Table.from_pylist([row], schema=texts.schema), texts.folder / "part-000000.parquet")
    with psycopg.connect(database, autocommit=True) as connection:
        for lists, first in ((numbers, 1), (texts, "ann"), (numbers, 1)):
            target.write(lists)
            assert connection.execute("SELECT user_id FROM ids ORDER BY 1 LIMIT 1").fetchone() == (first,)


@pytest.mark.slow
def test_a_table_of_other_things_is_left_alone(store: ArtifactStore, tmp_path: Path, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (user_id bigint, total real)")
        connection.execute("INSERT INTO orders VALUES (1, 9.5)")
        with pytest.raises(MovierecError, match=r"table orders .* no column movie_id; drop it, or name another"):
            target_of(f"{database}?table=orders").write(lists_of(store, tmp_path / "parts"))
        assert connection.execute("SELECT * FROM orders").fetchall() == [(1, 9.5)]
