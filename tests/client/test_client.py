"""The Python client against the API: typed answers, errors by status, and events that count once, whatever is lost."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NotRequired, Required, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lossy_proxy import Deed, LossyProxy
from ports import free_port
from werkzeug.serving import make_server

from movierec_client import (
    AccessError,
    BadRequestError,
    Client,
    ConflictError,
    Event,
    GoneError,
    ListOptions,
    NoAnswerError,
    NotFoundError,
    PersonalOptions,
    Retries,
    RuledOptions,
    TooManyRequestsError,
    UnavailableError,
    UnreadableAnswerError,
    rules_answers,
)
from movierec_client import answers as client_answers
from movierec_client.decoding import Answer, decode
from movierec_client.retries import seconds_of
from movierec_engine.api import answers as server_answers
from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.api.requests import FeedbackItem, ListRequest, PersonalRequest, RowRequest, SimilarRequest
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.store import ArtifactStore, Slot
from worlds import small_index, text_index

ROOT = Path(__file__).parents[2]
Serve = Callable[..., tuple[str, int]]
QUICK = Retries(attempts=4, first=0.01)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def serve(store: ArtifactStore) -> Iterator[Serve]:
    """Serve an index: `serve(index, ServingConfig())` says host and port; without an index the store is empty."""
    servers = []

    def serve(index: RetrievalIndex | None = None, limits: ServingConfig | None = None) -> tuple[str, int]:
        if index is not None:
            store.publish(Slot("faiss_index", "camps", "ease", "cpu"), index.save, key="k", fingerprint="f00d")
        servers.append(make_server("127.0.0.1", 0, create_app(store.root, limits), threaded=True))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return "127.0.0.1", servers[-1].port

    yield serve
    for one in servers:
        one.shutdown()
        one.server_close()


@pytest.fixture
def client(serve: Serve) -> Iterator[Client]:
    """A client of small_index, whose movies are 10 to 40, and whose users 1, 7 and 9."""
    with patient(url(serve(small_index()))) as client:
        yield client


def url(server: tuple[str, int]) -> str:
    return f"http://{server[0]}:{server[1]}"


def patient(address: str) -> Client:
    """A client whose time is not up on a busy machine."""
    return Client(address, seconds=120, attempt_seconds=60, retries=QUICK)


def recorded(store: ArtifactStore) -> list[tuple[object, object]]:
    """User and movie of each event in the log."""
    log = FeedbackLogs(store.root).of("camps")
    return [(one.event.user_id, one.event.movie_id) for one in log.events()]


def test_every_endpoint_has_a_method_whose_answer_is_typed(client: Client) -> None:
    movie = client.recommend(user_id=np.int64(1), top_k=2, explain=True).recommendations[0]  # type: ignore[arg-type]
    assert (movie.movie_id, movie.genres) == (2**63 - 1, ["Drama"])
    assert movie.why and movie.why.sentence
    assert client.recommend(history=[30, (10, 4.5)], exclude=(20, 40)).source == "fold-in"
    assert [one.user_id for one in client.recommend_batch([7, 1], top_k=1, novelty=0.5).results] == [7, 1]
    assert client.similar(10, exclude=[20], genres=["Drama"]).movie.movie_id == 10
    assert client.movie(10).interactions == 5
    assert client.search("movie", top_k=1).movies[0].found == "prefix"
    assert client.user(1).history[0].movie_id == 40
    key = client.record(Event(1, 20, "rating", rating=4.5)).results[0].key
    assert client.undo(1, key=key).undone == 1
    assert client.erase(7).status == "erased"
    home = client.home(1, rows=3, top_k=2)
    assert (home.user_id, home.rows[0].row, len(home.rows[0].movies)) == (1, "for-you", 2)
    assert client.home(history=[(10, 4.5)], top_k=1).rows and client.home(top_k=1).source == "popularity"
    assert client.interview(top_k=2).questions
    assert client.models().models[0].versions[0].index is not None
    assert client.experiments().running is None
    assert client.ready().status == "ok"
    assert client.request("GET", "/api/v1/movie/10")["movie"]["movie_id"] == 10


def test_lists_and_rows_go_on_by_their_next(client: Client) -> None:
    def movies(*pages: Any) -> list[object]:
        return [movie.movie_id for page in pages for movie in page]

    first = client.recommend(1, top_k=2, paged=True)
    second = client.recommend(1, top_k=2, next=first.next)
    assert first.next and movies(first.recommendations, second.recommendations) == [2**63 - 1, 30, 20, 10]
    alike = client.similar(10, top_k=1, paged=True, history=[(20, 4.5), 30], taste=0.3)
    assert alike.source and alike.next
    more = client.similar(10, top_k=1, next=alike.next, history=[(20, 4.5), 30], taste=0.3)
    assert not set(movies(alike.similar)) & set(movies(more.similar))
    row = client.home(1, top_k=1).rows[0]
    following = client.home_row(row.row, 1, top_k=1, next=row.next)
    assert following.row == row.row and movies(row.movies) != movies(following.movies)
    with pytest.raises(BadRequestError, match="somebody else"):
        client.recommend(7, top_k=2, next=first.next)
    with pytest.raises(NotFoundError, match="there is no row"):
        client.home_row("nothing", 1)


@pytest.mark.slow
def test_a_next_that_is_too_old_is_gone(serve: Serve) -> None:
    with patient(url(serve(small_index(), ServingConfig(cursor_seconds=1.0)))) as client:
        first = client.recommend(1, top_k=1, paged=True)
        time.sleep(2.1)
        with pytest.raises(GoneError, match="older than 1 s"):
            client.recommend(1, top_k=1, next=first.next)


RULES = [{"name": "not these", "deny": [30]}]


def test_rules_are_tried_published_and_rolled_back_with_a_key_to_admin(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_API_KEYS", "read=a-key-of-readers,admin=a-key-of-an-admin")
    server = url(serve(small_index()))
    with Client(server, "a-key-of-readers") as reader, pytest.raises(AccessError, match="admin"):
        reader.rules("home")
    with Client(server, "a-key-of-an-admin", seconds=120, attempt_seconds=60) as client:
        assert client.rules("home").version == "none"
        trial = client.try_rules("home", RULES, user_ids=[1, 7], top_k=2)
        assert (trial.users, trial.changed, trial.movies) == (2, 1, {"not these": 4})
        assert 30 not in [movie.movie_id for movie in trial.lists[0].after]
        made = client.publish_rules("home", RULES, by="anna", note="why", based_on="none")
        assert (made.rules, made.history[0].by, made.history[0].note) == (RULES, "anna", "why")
        assert 30 not in [movie.movie_id for movie in client.recommend(1).recommendations]
        with pytest.raises(ConflictError, match="look at them again"):
            client.publish_rules("home", [], by="ben", based_on="none")
        client.publish_rules("home", [], by="ben", based_on=made.version)
        back = client.roll_back_rules("home", made.version, by="eve")
        assert back.history[0].action == f"rolled back to {made.version}" and back.rules == RULES
        with pytest.raises(BadRequestError, match="not known there"):
            client.try_rules("home", [{"name": "x", "hide": [1]}])
        full = {"name": "none", "cap": {"where": {"column": "movie_id", "from": 0}, "at_most": 0}}
        client.publish_rules("home", [full], by="anna")
        assert client.recommend(1).unmet_rules[0].rule == "none"


@pytest.mark.parametrize("deed", ["refuse", "lose", "cut"])
def test_rules_whose_answer_is_lost_are_one_version(serve: Serve, deed: Deed) -> None:
    server = serve(small_index())
    with LossyProxy(server, deed, deed) as proxy, patient(proxy.url) as client:
        made = client.publish_rules("home", RULES, by="anna", based_on="none")
        assert [one.version for one in made.history] == [made.version]
        client.publish_rules("home", [], by="anna")
    with LossyProxy(server, deed, deed) as proxy, patient(proxy.url) as client:
        back = client.roll_back_rules("home", made.version, by="anna")
        assert len(back.history) == 3 and back.rules == RULES


@pytest.mark.parametrize("user", ["a/b c", "50%,:\\", "ü?#&"])
def test_ids_of_all_characters_arrive(client: Client, user: str) -> None:
    with pytest.raises(BadRequestError, match="user_id"):
        client.user(user)
    asked = client._connection._http.build_request("GET", "http://x", params={"exclude": user}).url
    assert asked.params["exclude"] == user


def test_texts_as_ids_are_named_in_paths_and_lists(serve: Serve) -> None:
    index = text_index()
    with Client(url(serve(index))) as client:
        movies, user = index.items.ids.tolist(), index.users.ids.tolist()[0]
        assert client.user(user).user_id == user
        for movie in movies:
            assert client.movie(movie).movie.movie_id == movie
        first = [one.movie_id for one in client.similar(movies[0]).similar]
        assert client.similar(movies[0], exclude=first).similar == []


def test_errors_are_of_the_class_of_their_status_and_have_the_servers_sentence(client: Client) -> None:
    with pytest.raises(BadRequestError, match=r"user_id is missing; give it, or a history") as missing:
        client.recommend()
    assert (missing.value.status, missing.value.parameter) == (400, "user_id")
    assert missing.value.request_id
    with pytest.raises(NotFoundError, match="there is no movie 99") as absent:
        client.movie(99)
    assert absent.value.code == "not_found"
    event = Event(1, 20, "click")
    client.record(event)
    with pytest.raises(ConflictError):
        client.record(Event(1, 30, "click", key=event.key))


def test_a_key_is_sent_and_never_shown(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIEREC_API_KEYS", "write=a-secret-of-mine")
    server = url(serve(small_index()))
    with Client(server) as nobody, pytest.raises(AccessError):
        nobody.record(Event(1, 20, "click"))
    with Client(server, "a-secret-of-mine") as client:
        assert client.record(Event(1, 20, "click")).results[0].status == "recorded"
        with pytest.raises(AccessError, match="admin") as error:
            client.erase(1)
        assert "a-secret" not in f"{client!r}{error.value}"


@pytest.mark.parametrize("deed", ["refuse", "lose", "cut"])
def test_an_event_whose_answer_is_lost_is_in_the_log_once(serve: Serve, store: ArtifactStore, deed: Deed) -> None:
    with (
        LossyProxy(serve(small_index()), deed, deed) as proxy,
        patient(proxy.url) as client,
    ):
        (result,) = client.record(Event(1, 20, "rating", rating=4.5)).results
    assert proxy.connections == 3
    assert result.status == ("recorded" if deed == "refuse" else "already recorded")
    assert recorded(store) == [(1, 20)]


def test_an_event_whose_answer_does_not_come_is_sent_again_and_in_the_log_once(
    serve: Serve, store: ArtifactStore
) -> None:
    often = Retries(attempts=1000, first=0.01, longest=0.1)
    with (
        LossyProxy(serve(small_index()), "hang", "hang") as proxy,
        Client(proxy.url, seconds=120, attempt_seconds=0.3, retries=often) as client,
    ):
        client.record(Event(1, 20, "rating", rating=4.5))
    assert proxy.connections >= 3
    assert recorded(store) == [(1, 20)]


def test_what_is_lost_for_good_is_said_in_time(serve: Serve) -> None:
    with LossyProxy(serve(small_index()), *(["lose"] * 9)) as proxy, patient(proxy.url) as client:
        with pytest.raises(NoAnswerError, match=r"no answer from .* after 4 attempts .*is the server running there\?"):
            client.movie(10)
        assert proxy.connections == 4
        with pytest.raises(NoAnswerError, match="after 1 attempt"):
            client.request("POST", "/api/v1/recommend", body={"user_id": 1})
        assert proxy.connections == 5, "a POST that nobody calls repeatable is sent once"


def test_time_is_up_though_attempts_are_left(serve: Serve) -> None:
    hanging = LossyProxy(serve(), *(["hang"] * 9))
    with hanging as proxy, Client(proxy.url, seconds=0.4, attempt_seconds=0.15, retries=Retries(99, 0.01)) as client:
        started = time.monotonic()
        with pytest.raises(NoAnswerError):
            client.movie(10)
        assert 0.1 < time.monotonic() - started < 20
        assert proxy.connections < 9


@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back_has_the_event_once(store: ArtifactStore) -> None:
    store.publish(Slot("faiss_index", "camps", "ease", "cpu"), small_index().save, key="k", fingerprint="f00d")
    port = free_port()
    command = [sys.executable, "run_server.py", "--port", str(port), "--model-dir", str(store.root), "--workers", "1"]
    event, statuses = Event(1, 20, "rating", rating=4.5), []
    often = Retries(attempts=100_000, first=0.02, longest=0.1)
    with Client(url(("127.0.0.1", port)), seconds=300, attempt_seconds=60, retries=often) as client:
        for _ in range(2):
            server = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            try:
                statuses.append(client.record(event).results[0].status)
            finally:
                os.killpg(server.pid, signal.SIGKILL)  # its workers, too
                server.wait()
    assert statuses == ["recorded", "already recorded"]
    assert recorded(store) == [(1, 20)]


@pytest.mark.slow
def test_a_server_that_asks_for_patience_is_asked_again_then_or_not_at_all(serve: Serve) -> None:
    with patient(url(serve(small_index(), ServingConfig(rate_limit=1.0, rate_burst=1)))) as client:
        assert [client.movie(10).interactions for _ in range(2)] == [5, 5]
    with Client(url(serve(None, ServingConfig(rate_limit=0.001, rate_burst=1))), seconds=100) as client:
        client.movie(10)
        with pytest.raises(TooManyRequestsError) as refused:
            client.movie(10)  # at once, as there is no time for so long a wait
    assert refused.value.retry_after and refused.value.retry_after > 100


def test_a_server_with_nothing_to_answer_from_is_unavailable_but_says_how_it_is(serve: Serve) -> None:
    with patient(url(serve())) as client:
        assert client.ready().status == "empty"
        with pytest.raises(UnavailableError):
            client.recommend(user_id=1)


def test_another_server_is_not_believed(serve: Serve) -> None:
    with patient(url(serve(small_index()))) as client:
        with pytest.raises(UnreadableAnswerError, match=r"GET /docs: the answer is no JSON: <!doctype html>"):
            client.request("GET", "/docs")
        with pytest.raises(NotFoundError):
            client.request("GET", "/nothing")
    with pytest.raises(ValueError, match="must begin with http"):
        Client("localhost:5000")


def test_an_answer_says_where_it_does_not_fit_and_keeps_what_is_new() -> None:
    movie = {"movie_id": 1, "title": "Heat", "year": None, "genres": ["Crime"]}
    assert decode(client_answers.Movie, {**movie, "poster": "p.jpg"}).more == {"poster": "p.jpg"}
    with pytest.raises(UnreadableAnswerError, match=r"^genres\[0\] is 7, which is not a text$"):
        decode(client_answers.Movie, {**movie, "genres": [7]})
    with pytest.raises(UnreadableAnswerError, match=r"^movie_id is True, which is not"):
        decode(client_answers.Movie, {**movie, "movie_id": True})
    with pytest.raises(UnreadableAnswerError, match=r"^the answer has no title$"):
        decode(client_answers.Movie, {name: value for name, value in movie.items() if name != "title"})


@given(st.integers(1, 200), st.none() | st.floats(0, 100), st.floats(0, 1))
def test_a_pause_is_at_least_what_the_server_asks_for_and_bounded(retry: int, after: float | None, draw: float) -> None:
    pause = Retries(attempts=5, first=0.2, longest=5).pause(retry, after, lambda: draw)
    assert (after or 0) <= pause <= (after or 0) + min(5, 0.2 * 2.0 ** (retry - 1))


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    assert seconds_of("7") == 7
    assert seconds_of("Sun, 06 Nov 1994 08:49:37 GMT") == 0
    assert (seconds_of("Fri, 01 Jan 2100 00:00:00 GMT") or 0) > 1e6
    assert (seconds_of("soon"), seconds_of(None)) == (None, None)


def plain(kind: Any) -> set[object]:
    """The kinds of values of a type: None, bool, int, float, str, list or dict, or the name of a part."""
    while get_origin(kind) in (NotRequired, Required):
        (kind,) = get_args(kind)
    if hasattr(kind, "__metadata__"):
        return plain(kind.__origin__)
    if get_origin(kind) in (list, dict):
        return {get_origin(kind), *plain(get_args(kind)[-1])}
    if str(get_origin(kind)) == "typing.Literal":
        return {type(one) for one in get_args(kind)}
    if get_args(kind):
        return set().union(*map(plain, get_args(kind)))
    return {getattr(kind, "__name__", kind) if isinstance(kind, type) and kind.__module__ != "builtins" else kind}


PARTS = {**vars(client_answers), **vars(rules_answers)}
ANSWERS = [one for one in PARTS.values() if isinstance(one, type) and issubclass(one, Answer)]


@pytest.mark.parametrize("kind", [one for one in ANSWERS if one.__name__ not in ("Answer", "Answered")])
def test_what_the_client_reads_the_server_answers(kind: type[Answer]) -> None:
    """v1 keeps its fields: the server may have more than the client knows, never fewer or others."""
    of_server = getattr(server_answers, kind.__name__)
    said, required = get_type_hints(of_server), of_server.__required_keys__
    for name, part in get_type_hints(kind).items():
        if name not in ("more", "request_id"):
            left_out = {type(None)} if name not in required else set()
            assert plain(said[name]) <= plain(part) <= plain(said[name]) | left_out, f"{kind.__name__}.{name}"


def test_what_the_client_can_ask_the_server_takes() -> None:
    asked = [(ListOptions, ListRequest), (PersonalOptions, PersonalRequest), (Event, FeedbackItem)]
    for options, model in (*asked, (RuledOptions, SimilarRequest), (RuledOptions, RowRequest)):
        assert set(get_type_hints(options)) <= set(model.model_fields)


def imported(place: Path) -> str:
    """What a program says that has the client from a folder or a wheel, and where httpx is."""
    program = """
import importlib.metadata, sys
import movierec_client
movierec_client.Client("http://localhost:5000").close()
heavy = {"torch", "numpy", "pandas", "pyarrow", "pydantic", "flask", "movierec_engine"}
print(movierec_client.__file__, *(heavy & set(sys.modules)))
"""
    alone = {"PATH": os.environ["PATH"], "PYTHONPATH": str(place)}
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, env=alone)
    return done.stdout.strip()


def test_the_client_imports_nothing_heavy() -> None:
    assert imported(ROOT / "client") == str(ROOT / "client" / "movierec_client" / "__init__.py")


@pytest.mark.slow
def test_the_client_is_a_wheel_that_brings_httpx_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(ROOT / "client")], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("movierec_client-*.whl")
    assert imported(wheel) == f"{wheel}/movierec_client/__init__.py"
    with zipfile.ZipFile(wheel) as files:
        (metadata,) = (files.read(name).decode() for name in files.namelist() if name.endswith("/METADATA"))
        assert "movierec_client/py.typed" in files.namelist()
    assert re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE) == ["httpx<1,>=0.27"]
