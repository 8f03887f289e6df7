"""Rules whose publishing is killed, finds no space or waits, clocks that jump, and documents that are meant to hurt."""

import errno
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from filelock import FileLock
from flask.testing import FlaskClient
from test_home import index_of, rated_world

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.models import ALS
from movierec_engine.pipeline.export import index_to_export
from movierec_engine.recommending.rules.compiled import CompiledRules
from movierec_engine.recommending.rules.document import MOST_BYTES, MOST_RULES, RuleDocument
from movierec_engine.recommending.rules.errors import RuleError
from movierec_engine.recommending.rules.item_columns import ItemColumns
from movierec_engine.recommending.rules.versions import current_rules, publish_rules, rules_history
from movierec_engine.serving.live_rules import LiveRules
from movierec_engine.store import ArtifactStore, Slot

PublishLine = Callable[..., Any]
PUBLISHER = """
import sys
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.versions import publish_rules
from movierec_engine.store import ArtifactStore

store = ArtifactStore(sys.argv[1])
for number in range(10_000):
    document = RuleDocument.of({"rules": [{"name": f"no {number}", "deny": list(range(number, number + 500))}]})
    publish_rules(store, "camps", "home", document, by=sys.argv[2])
    print(number, flush=True)
"""


@pytest.fixture
def served(store: ArtifactStore, publish_line: PublishLine) -> FlaskClient:
    publish_line()
    return create_app(store.root).test_client()


def deny(client: FlaskClient, *movies: int) -> Any:
    return client.put("/api/rules/home", json={"rules": [{"name": "gone", "deny": [*movies]}], "by": "anna"})


@pytest.mark.slow
def test_publishing_that_is_killed_leaves_whole_versions_and_a_whole_history(tmp_path: Path) -> None:
    """What was acknowledged before each kill holds or was followed, and the next one publishes at once."""
    root, chance = tmp_path / "store", random.Random(1)
    acknowledged = 0
    for attempt in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", PUBLISHER, str(root), f"killed-{attempt}"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None and process.stdout.readline() == "0\n"
        time.sleep(chance.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        acknowledged += 1 + len(process.communicate()[0].splitlines())
        store = ArtifactStore(root)
        history = rules_history(store, "camps", "home")
        assert acknowledged <= len(history) <= acknowledged + attempt + 1
        assert all(len(one.document().rules) == 1 for one in history)
        held = current_rules(store, "camps", "home")
        assert held is not None and held.by == f"killed-{attempt}"
    began = time.monotonic()
    publish_rules(ArtifactStore(root), "camps", "home", RuleDocument.of({"rules": []}), by="after")
    assert time.monotonic() - began < 5


@pytest.mark.slow
def test_rules_that_find_no_space_change_nothing_and_are_said_to(small_disk: Path, publish_line: PublishLine) -> None:
    publish_line()  # in the store of the fixture, which is copied here
    source = small_disk.parent / "store"
    root = small_disk / "store"
    subprocess.run(["cp", "-r", source, root], check=True)
    client = create_app(root).test_client()
    first = deny(client, 20).json["version"]
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left") as full:
        while True:
            file.write(b"x" * 4096)
    assert full.value.errno == errno.ENOSPC
    refused = deny(client, 30)
    assert refused.status_code == 503 and "nothing has changed" in refused.json["error"]["message"]
    held = client.get("/api/rules/home").json
    assert (held["version"], len(held["history"])) == (first, 1)
    assert 20 not in [one["movie_id"] for one in client.get("/api/recommend?user_id=1").json["recommendations"]]
    filler.unlink()
    assert [one["version"] for one in deny(client, 30).json["history"]][1:] == [first]


def test_a_lock_that_another_process_holds_is_said_and_nothing_changes(
    store: ArtifactStore, served: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movierec_engine.store.folder_storage._SWAP_SECONDS", 0.1)
    first = deny(served, 20).json["version"]
    with FileLock(store.root / "pointers" / "camps" / "rules-home.lock"):
        refused = deny(served, 30)
        assert served.get("/api/recommend?user_id=1").status_code == 200, "lists need no lock"
    assert refused.status_code in (409, 503) and "\n" not in refused.json["error"]["message"]
    assert served.get("/api/rules/home").json["version"] == first
    assert deny(served, 30).status_code == 200


def test_an_error_that_nobody_foresaw_ends_no_watch(
    store: ArtifactStore, publish_line: PublishLine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish_line()
    served = index_to_export(store, "camps")
    publish_rules(store, "camps", "home", RuleDocument.of({"rules": [{"name": "gone", "deny": [20]}]}), by="anna")
    live, held, pointer = LiveRules(store, store), list[bool](), store.storage.pointer

    def fail_at_first(data_set: str, name: str) -> str | None:
        if not held:
            raise ZeroDivisionError("unforeseen")
        return pointer(data_set, name)

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            held.append(live.active(served, "home") is not None)
            return len(held) == 2

    monkeypatch.setattr(store.storage, "pointer", fail_at_first)
    live.watch(lambda: "camps", 0.25, Stop())
    assert held == [False, True]
    assert "Traceback" in caplog.text


def test_rules_hold_by_the_clock_however_it_jumps(store: ArtifactStore, publish_line: PublishLine) -> None:
    publish_line()
    served = index_to_export(store, "camps")
    christmas = datetime(2026, 12, 24, tzinfo=UTC)
    rule = {"name": "gone", "deny": [20], "from": "2026-12-24", "until": "2026-12-27"}
    publish_rules(store, "camps", "home", RuleDocument.of({"rules": [rule]}), by="anna")
    clock = [christmas]
    live = LiveRules(store, store, now=lambda: clock[0])
    days = (0, -1, 2.999999, 3, 1, -400, 0.5, 36_500, 0)
    for day in days:
        clock[0] = christmas + timedelta(days=day)
        assert (live.active(served, "home") is not None) == (0 <= day < 3), clock[0]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b'{"rules": [' + b'{"name": "a", "deny": [1]},' * 400_000 + b"]}", 413, "larger than 1048576 bytes"),
        ('{"rules": []}'.encode("utf-16"), 400, "JSON"),
        ('{"rules": [{"name": "Weiß", "deny": [1]}], "by": "anna"}'.encode("latin-1"), 400, "JSON"),
        (b'{"rules": [{"name": "a", "deny": [1]}], "by": "anna"', 400, "JSON"),
        (b'{"rules": ' + b"[" * 100_000 + b"]" * 100_000 + b', "by": "anna"}', 400, "JSON"),
    ],
)
def test_bodies_that_are_huge_cut_off_deep_or_of_another_encoding_are_refused_at_once(
    served: FlaskClient, body: bytes, status: int, said: str
) -> None:
    began = time.process_time()
    answer = served.put("/api/rules/home", data=body, content_type="application/json")
    assert answer.status_code == status and said in answer.json["error"]["message"]
    assert time.process_time() - began < 2
    assert served.get("/api/rules/home").json["version"] == "none"


@pytest.mark.parametrize("factory", ["HNSW4", "IVF8,Flat"])
def test_of_an_approximate_index_lists_under_rules_are_as_long_as_candidates_last(tmp_path: Path, factory: str) -> None:
    store = ArtifactStore(tmp_path / "store")
    index = index_of(rated_world(), model=ALS(), factory=factory)
    store.publish(Slot("faiss_index", "rows", "als", "cpu"), index.save, key="k", fingerprint="f00d")
    client = create_app(store.root, ServingConfig(follow="latest")).test_client()
    rules = [
        {"name": "few", "filter": {"column": "movie_id", "from": 20, "to": 79}},
        {"name": "romance", "share": {"where": {"column": "genres", "in": ["Romance"]}, "at_least": 0.9}},
        {"name": "one", "cap": {"where": {"column": "movie_id", "from": 30, "to": 59}, "at_most": 1}},
        {"name": "bury", "boost": {"where": {"column": "genres", "in": ["War"]}, "factor": 0.1}},
        {"name": "first", "pin": [{"movie_id": 20, "place": 2}, {"movie_id": 25, "place": 30}]},
    ]
    assert client.put("/api/rules/home", json={"rules": rules, "by": "anna"}).status_code == 200
    for user in range(0, 60, 6):
        seen = index.rated.by(user)[0].tolist()
        left = sum(20 <= movie < 80 and movie not in seen for movie in index.items.ids.tolist())
        for k in (1, 7, 25, 59, 90):
            answer = client.get(f"/api/recommend?user_id={user}&top_k={k}").json
            movies = [one["movie_id"] for one in answer["recommendations"]]
            assert len(set(movies)) == len(movies) == min(k, left)
            assert all(20 <= movie < 80 and movie not in seen for movie in movies)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_a_file_in_another_encoding_is_no_document(encoding: str) -> None:
    with pytest.raises(RuleError, match="not valid JSON in UTF-8"):
        RuleDocument.parse('{"rules": [{"name": "Weiß", "deny": [1]}]}'.encode(encoding))


def test_the_costliest_document_that_is_taken_is_fitted_to_a_large_catalogue_in_seconds() -> None:
    """100 rules, each nested 8 deep, over 60,000 movies: nothing a document says takes long without bound."""
    n = 60_000
    table = {
        "movie_id": np.arange(n),
        "title": ["x"] * n,
        "year": np.arange(n) % 120 + 1900,
        "genres": pa.array([[f"g{place % 19}", f"g{place % 7}"] for place in range(n)]),
    }
    columns = ItemColumns(pa.table(table))

    def nested(depth: int, number: int) -> dict[str, Any]:
        if depth == 1:
            return {"column": "genres", "in": [f"g{number % 19}", "g3"]}
        parts = [{"not": {"column": "year", "from": 1900 + depth}}, nested(depth - 1, number)]
        return {"or" if depth % 2 else "and": parts}

    rules = [
        {"name": f"r{number}", "boost": {"where": nested(7, number), "factor": 1.01}} for number in range(MOST_RULES)
    ]
    document = RuleDocument.of({"rules": rules})
    assert len(json.dumps(rules)) < MOST_BYTES
    began = time.process_time()
    active = CompiledRules(document, columns, n).at(datetime.now(UTC))
    assert active is not None and active.factors is not None
    assert time.process_time() - began < 20
