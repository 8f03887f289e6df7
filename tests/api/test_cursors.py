"""Cursors: a list continues without repeats and gaps, and no cursor but the right one is taken."""

import base64
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec_engine.api.app import create_app
from movierec_engine.api.config import CURSOR_SECRET_VARIABLE, ServingConfig
from movierec_engine.api.cursors import Cursors, ListName
from movierec_engine.api.errors import ApiError
from movierec_engine.store import ArtifactStore, Slot
from worlds import MOVIES, Publish, small_index

NAME = ListName(1, {"list": "RecommendRequest", "genres": ()}, "faiss_index/camps/ease/cpu/v1")
CURSORS = Cursors(b"secret", 60)


@given(st.sets(st.integers(0, 2999)), st.integers(3000, 4000))
def test_a_cursor_holds_any_set_of_places(shown: set[int], n_movies: int) -> None:
    places = np.array(sorted(shown), dtype=np.int64)
    assert CURSORS.read(CURSORS.write(NAME, places), NAME, n_movies).tolist() == sorted(shown)


def test_a_thousand_of_sixty_thousand_movies_fit_into_a_query_string() -> None:
    shown = np.sort(np.random.default_rng(0).choice(60_000, 1000, replace=False))
    assert len(CURSORS.write(NAME, shown)) < 1800


@pytest.mark.parametrize("place", [0, 1, 5, 12, 20, 28, 31, 40, -1])
def test_a_cursor_of_which_any_byte_was_changed_is_refused(place: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(CURSORS.write(NAME, np.arange(50)) + "=="))
    raw[place] ^= 1
    with pytest.raises(ApiError) as refused:
        CURSORS.read(base64.urlsafe_b64encode(raw).decode().rstrip("="), NAME, 100)
    assert refused.value.status == 400 and "no cursor of this service" in refused.value.message


@pytest.mark.parametrize(
    "name, status, said",
    [
        (ListName("1", NAME.what, NAME.index), 400, "somebody else's"),
        (ListName(None, NAME.what, NAME.index), 400, "somebody else's"),
        (ListName(1, {**NAME.what, "genres": ("War",)}, NAME.index), 400, "other parameters"),
        (ListName(1, NAME.what, "faiss_index/camps/ease/cpu/v2"), 410, "another index version"),
    ],
)
def test_another_persons_list_another_list_and_another_version_are_told_apart(
    name: ListName, status: int, said: str
) -> None:
    with pytest.raises(ApiError, match=said) as refused:
        CURSORS.read(CURSORS.write(NAME, np.arange(3)), name, 100)
    assert (refused.value.status, refused.value.parameter) == (status, "next")


def test_a_cursor_expires_and_one_of_another_secret_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    text = CURSORS.write(NAME, np.arange(3))
    with pytest.raises(ApiError, match="no cursor"):
        Cursors(b"another", 60).read(text, NAME, 100)
    monkeypatch.setattr("movierec_engine.api.cursors.time.time", lambda: 4e9)
    with pytest.raises(ApiError, match="older than 60 s") as refused:
        CURSORS.read(text, NAME, 100)
    assert refused.value.status == 410


def test_a_signed_cursor_of_more_movies_than_there_are_is_refused() -> None:
    """As a cursor could be that was signed by the open secret."""
    with pytest.raises(ApiError, match="no cursor"):
        CURSORS.read(CURSORS.write(NAME, np.arange(200)), NAME, 100)
    with pytest.raises(ApiError, match="no cursor"):
        CURSORS.read(CURSORS.write(NAME, np.arange(1_000_000)), NAME, 100)


SAID = ("rating", "not_interested", "watched", "undo", "nothing")


@settings(max_examples=40)
@given(
    acts=st.lists(st.tuples(st.sampled_from(SAID), st.integers(0, 4)), min_size=6, max_size=6),
    sizes=st.lists(st.integers(1, 3), min_size=6, max_size=6),
    user=st.sampled_from([1, 7, 9, 1234]),
)
def test_paging_gives_each_movie_once_or_it_was_rated_or_dismissed_before(
    paging: FlaskClient, acts: list[tuple[str, int]], sizes: list[int], user: int
) -> None:
    """Whatever is said between pages, nothing comes twice, and what never came may not be shown by then."""
    _forget(paging, user)
    shown: list[int] = []
    cursor: str | None = None
    for (act, place), size in zip(acts, sizes, strict=True):
        more: dict[str, Any] = {"paged": True} if cursor is None else {"next": cursor}
        answer = paging.post("/api/recommend", json={"user_id": user, "top_k": size, **more}).get_json()
        page = [movie["movie_id"] for movie in answer["recommendations"]]
        masked = _masked(paging, user)
        assert not masked.intersection(page)
        shown += page
        cursor = answer["next"]
        if cursor is None:
            break
        _say(paging, user, act, MOVIES[place])
    assert len(shown) == len(set(shown))
    if cursor is None:
        assert set(MOVIES) - set(shown) <= masked


def _say(client: FlaskClient, user: int, act: str, movie: int) -> None:
    event = {"user_id": user, "movie_id": movie}
    if act == "undo":
        client.delete("/api/feedback", query_string={**event, "kind": "not_interested"})
    elif act != "nothing":
        rating = {"rating": 2.5} if act == "rating" else {}
        assert client.post("/api/feedback", json={**event, "kind": act, **rating}).status_code == 200


def _masked(client: FlaskClient, user: int) -> set[int]:
    """What the raw data and the log say that a person may not be shown."""
    live = client.application.extensions["movierec"]["live"]
    return {1: {40}, 9: {10}}.get(user, set()) | set(live.state("camps", user).masked)


def _forget(client: FlaskClient, user: int) -> None:
    live = client.application.extensions["movierec"]["live"]
    for movie in MOVIES:
        for kind in ("rating", "not_interested", "watched"):
            client.delete("/api/feedback", query_string={"user_id": user, "movie_id": movie, "kind": kind})
    assert not live.state("camps", user).masked


@pytest.fixture(scope="module")
def paging(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """One store for all examples, whose feedback each takes back."""
    store = ArtifactStore(tmp_path_factory.mktemp("paging") / "store")
    slot = Slot("faiss_index", "camps", "ease", "cpu")
    store.publish(slot, small_index("ease", 1).save, key="k", fingerprint="f00d")
    return create_app(store.root).test_client()


def test_similar_movies_continue_too_also_beyond_those_that_the_index_keeps(
    client: FlaskClient, publish: Publish
) -> None:
    publish()
    first = client.get("/api/similar/10?top_k=1&paged=true").get_json()
    seen, cursor = [first["similar"][0]["movie_id"]], first["next"]
    while cursor:
        answer = client.get(f"/api/similar/10?top_k=1&next={cursor}").get_json()
        seen += [movie["movie_id"] for movie in answer["similar"]]
        cursor = answer["next"]
    assert seen == [movie["movie_id"] for movie in client.get("/api/similar/10?top_k=9").get_json()["similar"]]
    assert sorted(seen) == sorted(set(MOVIES) - {10})
    wrong = client.get(f"/api/similar/20?top_k=1&next={first['next']}")
    assert wrong.status_code == 400 and "other parameters" in wrong.get_json()["error"]["message"]


def test_an_anonymous_list_continues_though_its_history_has_grown(client: FlaskClient, publish: Publish) -> None:
    publish()
    first = client.get("/api/recommend?history=30&top_k=2&paged=true").get_json()
    second = client.get(f"/api/recommend?history=30,40&exclude=20&top_k=9&next={first['next']}").get_json()
    titles = [[movie["movie_id"] for movie in answer["recommendations"]] for answer in (first, second)]
    assert not set(titles[0]).intersection(titles[1]) and not {30, 40, 20}.intersection(titles[1])
    assert second["next"] is None


def test_hosts_of_one_secret_take_each_others_cursors_and_others_do_not(
    store: ArtifactStore, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish()
    monkeypatch.setenv(CURSOR_SECRET_VARIABLE, "shared")
    one, other = (create_app(store.root).test_client() for _ in range(2))
    monkeypatch.setenv(CURSOR_SECRET_VARIABLE, "strange")
    stranger = create_app(store.root, ServingConfig()).test_client()
    cursor = one.get("/api/recommend?user_id=1&top_k=1&paged=true").get_json()["next"]
    assert other.get(f"/api/recommend?user_id=1&top_k=1&next={cursor}").status_code == 200
    refused = stranger.get(f"/api/recommend?user_id=1&top_k=1&next={cursor}")
    assert refused.status_code == 400 and refused.get_json()["error"]["parameter"] == "next"


def test_a_cursor_of_a_version_that_answers_no_more_is_gone(client: FlaskClient, publish: Publish) -> None:
    publish()
    cursor = client.get("/api/recommend?user_id=1&top_k=1&paged=true").get_json()["next"]
    publish(sign=-1)
    answer = client.get(f"/api/recommend?user_id=1&top_k=1&next={cursor}")
    assert answer.status_code == 410 and answer.get_json()["error"]["code"] == "gone"


@pytest.mark.parametrize("text", ["A", "AAAA", "=", "%00", "x" * 300_000, "ünï", ""])
def test_nonsense_is_refused_in_a_sentence(client: FlaskClient, publish: Publish, text: str) -> None:
    publish()
    answer = client.post("/api/recommend", json={"user_id": 1, "next": text})
    assert answer.status_code == 400 and answer.get_json()["error"]["parameter"] == "next"


def test_a_persons_taste_orders_similar_movies_and_leaves_out_what_they_saw(
    client: FlaskClient, publish: Publish
) -> None:
    """Similar to 10 are 20 (.9) and 30 (.5); user 1 likes later items best and has rated 40."""
    publish()
    orders = {}
    for taste in ("", "&taste=0", "&taste=1"):
        answer = client.get(f"/api/similar/10?user_id=1{taste}").get_json()
        orders[taste] = [movie["movie_id"] for movie in answer["similar"]]
        assert answer["source"] == "personal" and 40 not in orders[taste]
    assert orders["&taste=0"][:2] == [20, 30] and orders["&taste=1"][:2] == [30, 20]
    by_history = client.get("/api/similar/10?history=30,40&taste=1").get_json()
    assert (by_history["source"], [one["movie_id"] for one in by_history["similar"]]) == ("fold-in", [20, MOVIES[4]])
    assert client.get("/api/similar/10?user_id=1&history=30").status_code == 422
