"""Exploration of live lists: what is explored, what is noted of it, and what stays as it was."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.config import load_serving
from movierec_engine.errors import StoreError
from movierec_engine.feedback import FeedbackError, SqliteLog, log_file
from movierec_engine.feedback.experiments import ExperimentConfig, Variant
from movierec_engine.recommending.cold_items import ColdItems
from movierec_engine.recommending.exploration import ExplorationConfig
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.versions import publish_rules
from movierec_engine.store import Artifact, ArtifactStore

PublishLine = Callable[..., dict[str, Artifact]]

NEXT = ExplorationConfig(share=0.5, candidates="next", strategy="epsilon", from_place=2)
NEW = ExplorationConfig(share=0.5, from_place=2)
PLAIN = "user_id=1&top_k=3"


def exploring(store: ArtifactStore, config: ExplorationConfig, **serving: Any) -> FlaskClient:
    return create_app(store.root, ServingConfig(exploration=config, **serving)).test_client()


def ask(client: FlaskClient, request_id: str, query: str = PLAIN) -> Any:
    return client.get(f"/api/recommend?{query}", headers={"X-Request-ID": request_id}).json


def shown(client: FlaskClient, store: ArtifactStore) -> list[Any]:
    client.application.extensions["movierec"]["live"].flush()
    return [*SqliteLog(log_file(store.root, "camps")).exposures()]


def movie_ids(answer: Any) -> list[int]:
    return [movie["movie_id"] for movie in answer["recommendations"]]


@pytest.mark.slow
def test_places_are_explored_as_often_as_is_noted_by_what_comes_next(
    store: ArtifactStore, publish_line: PublishLine
) -> None:
    publish_line("ease")
    plain = movie_ids(create_app(store.root).test_client().get("/api/recommend?user_id=1&top_k=4").json)
    client = exploring(store, NEXT)  # user 1 has rated 40: of the other four, one comes after the list
    answers = {f"r{number}": ask(client, f"r{number}") for number in range(200)}
    lists = Counter(tuple(movie_ids(answer)) for answer in answers.values())
    assert set(lists) == {tuple(plain[:3]), (plain[0], plain[1], plain[3])}, "one movie has place for the last alone"
    assert 60 <= lists[tuple(plain[:3])] <= 140
    noted = shown(client, store)
    assert len(noted) == 200
    for one in noted:
        answer = answers[one.request_id]
        assert (one.exposure_id, one.movie_ids) == (answer["exposure_id"], movie_ids(answer))
        assert one.propensities == one.inclusions == [1, 1, 0.5]
        explored = [movie.get("explored", False) for movie in answer["recommendations"]]
        assert explored == [False, False, movie_ids(answer)[2] == plain[3]]


def test_a_request_that_is_sent_again_gets_the_same_list_and_is_noted_once(
    store: ArtifactStore, publish_line: PublishLine
) -> None:
    publish_line("ease")
    client = exploring(store, NEXT)
    other_worker = exploring(store, NEXT)
    for number in range(10):
        first, again, elsewhere = (ask(one, f"r{number}") for one in (client, client, other_worker))
        assert first == again == elsewhere
    assert len({tuple(movie_ids(ask(client, f"r{number}"))) for number in range(10)}) > 1, "others get others"
    shown(other_worker, store)
    assert len(shown(client, store)) == 10


def test_lists_wait_for_no_places_of_new_movies_but_where_they_ask_for_some(
    store: ArtifactStore, publish_line: PublishLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a server they are made in the background, for seconds."""
    publish_line("ease")
    may_place, made = threading.Event(), ColdItems.of
    asked: list[int] = []

    def slowly(*given: Any) -> ColdItems:
        asked.append(1)
        assert may_place.wait(60)
        return made(*given)

    monkeypatch.setattr(ColdItems, "of", slowly)
    app = create_app(store.root, ServingConfig(exploration=NEW), watch=True)
    client = app.test_client()
    query = "user_id=7&top_k=3"
    plain = [ask(client, f"r{number}", query) for number in range(20)]
    assert not [movie for answer in plain for movie in answer["recommendations"] if movie.get("explored")]
    assert client.get("/api/home?user_id=7").status_code == 200
    waiting: list[Any] = []
    thread = threading.Thread(target=lambda: waiting.append(ask(app.test_client(), "w", f"{query}&cold_items=0.5")))
    thread.start()
    may_place.set()
    thread.join(60)
    assert [movie["movie_id"] for movie in waiting[0]["recommendations"] if movie.get("new")] == [60]
    for one in threading.enumerate():
        if one.name == "new movies":
            one.join(60)
    explored = [ask(client, f"s{number}", query) for number in range(20)]
    assert {60} == {m["movie_id"] for one in explored for m in one["recommendations"] if m.get("explored")}
    assert asked == [1], "they are placed once, whoever asks meanwhile"


def test_new_movies_are_shown_until_they_were_shown_often_enough(
    store: ArtifactStore, publish_line: PublishLine
) -> None:
    publish_line("ease")  # 60 is new to the model and user 1 has rated it; 70 has neither genres nor year, and no place
    client = exploring(store, ExplorationConfig(share=0.5, from_place=2, impressions=3))
    assert all(60 not in movie_ids(ask(client, f"r{number}")) for number in range(20)), "what was rated stays masked"
    answers = [ask(client, f"s{number}", "user_id=7&top_k=3") for number in range(20)]
    explored = [movie for answer in answers for movie in answer["recommendations"] if movie.get("explored")]
    assert {movie["movie_id"] for movie in explored} == {60}
    assert all(movie["new"] and movie["title"] == "Love and Peace" for movie in explored)
    assert len(shown(client, store)) == 40
    assert SqliteLog(log_file(store.root, "camps")).impressions()[60] >= 3
    later = exploring(store, ExplorationConfig(share=0.5, from_place=2, impressions=3))
    assert all(60 not in movie_ids(ask(later, f"t{number}", "user_id=7&top_k=3")) for number in range(20))
    of_later = [one for one in shown(later, store) if one.request_id.startswith("t")]
    assert {tuple(one.propensities) for one in of_later} == {(1.0, 1.0, 1.0)}, "there is nothing left to explore"


def test_what_is_asked_for_in_another_way_is_not_explored_and_nothing_is_while_it_is_off(
    store: ArtifactStore, publish_line: PublishLine
) -> None:
    publish_line("ease")
    client = exploring(store, NEXT)
    ways = (
        "user_id=1&model=ease",
        "history=10,20",
        "user_id=1&genres=Drama",
        "user_id=1&novelty=0.5",
        "user_id=1&exclude=10",
    )
    for number in range(20):
        for way in ways:
            assert "exposure_id" not in ask(client, f"r{number}", f"{way}&top_k=3")
    client.post("/api/batch-recommend", json={"user_ids": [1]})
    assert shown(client, store) == []
    off = exploring(store, ExplorationConfig())
    assert "exposure_id" not in ask(off, "r1") and shown(off, store) == []


def test_a_list_of_an_experiment_is_explored_unless_it_is_drafted(
    store: ArtifactStore, publish_line: PublishLine
) -> None:
    publish_line("ease")
    for kind, numbers in (("ab", 3), ("interleaving", 0)):
        variants = (Variant("a", "ease"), Variant("b", "ease"))
        client = exploring(store, NEXT, experiment=ExperimentConfig(f"of-{kind}", kind, "", variants))
        answer = ask(client, kind)
        assert answer["experiment"] == f"of-{kind}"
        (noted,) = (one for one in shown(client, store) if one.request_id == kind)
        assert len(noted.propensities) == len(noted.inclusions) == numbers


def test_an_explored_movie_has_its_reasons(store: ArtifactStore, publish_line: PublishLine) -> None:
    publish_line("ease")
    for config, query in ((NEXT, f"{PLAIN}&explain=true"), (NEW, "user_id=7&top_k=3&explain=true")):
        client = exploring(store, config)
        answers = [ask(client, f"r{number}", query) for number in range(12)]
        explored = [one for answer in answers for one in answer["recommendations"] if one.get("explored")]
        assert explored and all(one["why"]["sentence"].startswith("because") for one in explored)
        assert all("why" in one for answer in answers for one in answer["recommendations"])


def test_lists_go_on_by_the_last_counts_while_the_log_cannot_be_read(
    store: ArtifactStore, publish_line: PublishLine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish_line("ease")
    client = exploring(store, NEW)
    ask(client, "r0")

    def away(self: SqliteLog) -> dict[Any, int]:
        raise FeedbackError("the log is away")

    monkeypatch.setattr(SqliteLog, "impressions", away)
    monkeypatch.setattr("movierec_engine.serving.live_exploration.COUNT_SECONDS", -1.0)
    fresh = exploring(store, NEW)
    assert len(movie_ids(ask(fresh, "r1"))) == 3
    assert "older counts of what was shown: the log is away" in caplog.text


@pytest.mark.slow
def test_no_list_fails_because_new_movies_have_no_places(
    store: ArtifactStore, publish_line: PublishLine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish_line("ease")

    def damaged(*given: object) -> None:
        raise StoreError("the places are damaged")

    monkeypatch.setattr("movierec_engine.api.recommendation_service.exploration_of", damaged)
    client = exploring(store, NEW)
    answers = [ask(client, f"r{number}") for number in range(3)]
    assert all(len(answer["recommendations"]) == 3 and "exposure_id" not in answer for answer in answers)
    assert caplog.text.count("lists are not explored: the places are damaged") == 1


def test_settings_are_read_from_a_command_line() -> None:
    settings = load_serving(["serving.exploration.share=0.05", "serving.exploration.candidates=next"])
    assert settings.exploration == ExplorationConfig(share=0.05, candidates="next")


def test_shares_and_caps_hold_in_explored_lists(store: ArtifactStore, publish_line: PublishLine) -> None:
    publish_line("ease")  # user 7 is shown 20 and 30; 40 and the last come next
    last = 2**63 - 1
    document = RuleDocument.of(
        {"rules": [{"name": "one of two", "cap": {"where": {"column": "movie_id", "in": [20, 40]}, "at_most": 1}}]}
    )
    publish_rules(store, "camps", "home", document, by="test")
    client = exploring(store, ExplorationConfig(share=0.5, candidates="next", strategy="epsilon", from_place=1))
    lists = Counter(tuple(movie_ids(ask(client, f"r{number}", "user_id=7&top_k=2"))) for number in range(120))
    assert set(lists) == {(20, 30), (40, 30), (20, last), (40, last)}, "each place on its own, and never 20 beside 40"
    assert all(count >= 10 for count in lists.values())
    assert {tuple(one.propensities) for one in shown(client, store)} == {(0.5, 0.5)}


def test_a_new_movie_that_would_break_a_share_is_not_explored(store: ArtifactStore, publish_line: PublishLine) -> None:
    publish_line("ease")  # 60 is of 1999 and new, 20 of no year and 30 of 2000
    config = ExplorationConfig(share=0.5, from_place=1)
    for bound, explores in ((1999, False), (1998, True)):
        where = {"column": "year", "from": 1991, "to": bound}
        document = RuleDocument.of({"rules": [{"name": "old", "share": {"where": where, "at_most": 0.4}}]})
        publish_rules(store, "camps", "home", document, by="test")
        client = exploring(store, config)
        answers = [ask(client, f"{bound}-{number}", "user_id=7&top_k=2") for number in range(20)]
        assert any(60 in movie_ids(answer) for answer in answers) is explores


def test_what_a_rule_pins_further_down_is_drawn_nowhere_before(store: ArtifactStore, publish_line: PublishLine) -> None:
    publish_line("ease")
    document = RuleDocument.of({"rules": [{"name": "third", "pin": [{"movie_id": 40, "place": 3}]}]})
    publish_rules(store, "camps", "home", document, by="test")
    client = exploring(store, ExplorationConfig(share=0.5, candidates="next", from_place=1))
    answers = [ask(client, f"r{number}", "user_id=7&top_k=2") for number in range(30)]
    shown_movies = {movie for answer in answers for movie in movie_ids(answer)}
    assert shown_movies == {20, 30, 2**63 - 1}
