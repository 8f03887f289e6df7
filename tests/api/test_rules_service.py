"""Rules over HTTP: published by an admin, heeded by every list, undone, and refused where they are not sound."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from movierec_engine.api.app import create_app
from movierec_engine.store import ArtifactStore


@pytest.fixture
def served(store: ArtifactStore, publish_line: Callable[..., Any]) -> FlaskClient:
    publish_line()
    return create_app(store.root).test_client()


def publish(client: FlaskClient, *rules: dict[str, Any], scenario: str = "home", **more: Any) -> Any:
    return client.put(f"/api/rules/{scenario}", json={"rules": [*rules], "by": "anna", **more})


def shown(client: FlaskClient, query: str = "user_id=1&top_k=3") -> list[int]:
    return [movie["movie_id"] for movie in client.get(f"/api/recommend?{query}").json["recommendations"]]


def error_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["error"]["message"]


def test_rules_that_were_published_hold_for_the_next_list_and_a_rollback_undoes_them(served: FlaskClient) -> None:
    plain = shown(served)
    made = publish(served, {"name": "gone", "deny": plain[:1]}, note="lawsuit", based_on="none")
    assert made.status_code == 200 and made.json["history"][0]["by"] == "anna"
    assert shown(served)[0] == plain[1] and plain[0] not in shown(served)
    publish(served, {"name": "first", "pin": [{"movie_id": plain[-1], "place": 1}]})
    assert shown(served)[0] == plain[-1]
    back = served.post("/api/rules-rollback/home", json={"to": made.json["version"], "by": "ben"})
    assert back.json["history"][0]["action"] == f"rolled back to {made.json['version']}"
    assert plain[0] not in shown(served)
    assert [one["by"] for one in served.get("/api/rules/home").json["history"]] == ["ben", "anna", "anna"]


def test_who_dismisses_a_movie_does_not_get_it_again_under_rules(served: FlaskClient) -> None:
    publish(served, {"name": "gone", "deny": shown(served)[:1]})
    first, *rest = shown(served)
    answer = served.post("/api/feedback", json={"user_id": 1, "movie_id": first, "kind": "not_interested"})
    assert answer.status_code == 200
    assert shown(served)[: len(rest)] == rest


def test_what_a_rollback_is_to_be_one_version_and_rules_an_array(served: FlaskClient) -> None:
    gone = shown(served)[:1]
    made = [publish(served, {"name": name, "deny": gone}) for name in ("one", "other")]
    assert all(one.status_code == 200 for one in made)
    lists_them = "`movierec rules history` and GET /api/v1/rules/home list them"
    for to, said in (
        ("none", f"no version of the rules for home begins with 'none'; {lists_them}"),
        ("20", f"several versions of the rules for home begin with '20'; {lists_them}"),
    ):
        answer = served.post("/api/rules-rollback/home", json={"to": to, "by": "ben"})
        assert (*error_of(answer), answer.json["error"]["parameter"]) == (422, said, "to")
    answer = served.put("/api/rules/home", json={"rules": "x", "by": "ben"})
    assert error_of(answer) == (422, "rules must be an array, [] for no rules")


def test_batch_lists_and_lists_for_a_history_are_under_the_rules_of_their_scenario(served: FlaskClient) -> None:
    gone = shown(served)[0]
    publish(served, {"name": "gone", "deny": [gone]}, scenario="mail")
    asked = {"user_ids": [1, 1], "top_k": 3}
    for scenario, there in (("home", True), ("mail", False)):
        batch = served.post("/api/batch-recommend", json={**asked, "scenario": scenario}).json["results"]
        lists = [[movie["movie_id"] for movie in one["recommendations"]] for one in batch]
        lists.append(shown(served, f"user_id=1&novelty=0.2&scenario={scenario}&top_k=3"))
        assert [gone in one for one in lists] == [there] * 3


def test_similar_movies_are_under_the_rules_for_similar(served: FlaskClient) -> None:
    def similar() -> list[int]:
        return [movie["movie_id"] for movie in served.get("/api/similar/10?top_k=4").json["similar"]]

    plain = similar()
    publish(served, {"name": "first", "pin": [{"movie_id": plain[-1], "place": 1}]}, scenario="similar")
    assert similar() == [plain[-1], *plain[:-1]]


def test_a_rule_that_a_list_does_not_meet_is_named_in_the_answer(served: FlaskClient) -> None:
    publish(served, {"name": "none", "cap": {"where": {"column": "movie_id", "from": 0}, "at_most": 0}})
    answer = served.get("/api/recommend?user_id=1&top_k=2").json
    assert len(answer["recommendations"]) == 2
    assert answer["unmet_rules"] == [{"rule": "none", "why": "2 of such movies are shown, at most 0 were to be"}]


def test_new_movies_are_mixed_into_a_list_as_far_as_shares_and_caps_allow(served: FlaskClient) -> None:
    """Movie 60 is the only new one."""
    of_new = {"column": "movie_id", "in": [60]}
    ask = "user_id=7&top_k=2&cold_items=0.5"
    assert shown(served, ask) == [20, 60]
    publish(served, {"name": "old", "deny": [20]})
    assert shown(served, ask) == [30, 60], "a filter leaves the share as it is"
    publish(served, {"name": "first", "pin": [{"movie_id": 40, "place": 1}]})
    assert shown(served, ask) == [40, 60]
    publish(served, {"name": "none", "cap": {"where": of_new, "at_most": 0}})
    answer = served.get(f"/api/recommend?{ask}").json
    assert [one["movie_id"] for one in answer["recommendations"]] == [20, 30] and "unmet_rules" not in answer
    batch = served.post("/api/batch-recommend", json={"user_ids": [7], "top_k": 2, "cold_items": 0.5}).json
    assert batch["results"][0]["recommendations"] == answer["recommendations"]
    publish(served, {"name": "known", "share": {"where": {"column": "movie_id", "to": 50}, "at_least": 1.0}})
    assert shown(served, ask) == [20, 30]


def test_a_request_narrows_its_list_to_candidates(served: FlaskClient) -> None:
    some = shown(served)[1:]
    assert shown(served, f"user_id=1&candidates={','.join(map(str, some))}") == some
    assert shown(served, "user_id=1&candidates=999999") == []


def test_a_list_goes_on_under_the_same_caps_and_pins(served: FlaskClient) -> None:
    plain = shown(served, "user_id=1&top_k=4")
    publish(served, {"name": "third", "pin": [{"movie_id": plain[0], "place": 3}]})
    first = served.get("/api/recommend?user_id=1&top_k=2&paged=true").json
    second = served.get(f"/api/recommend?user_id=1&top_k=2&next={first['next']}").json
    movies = [movie["movie_id"] for page in (first, second) for movie in page["recommendations"]]
    assert movies == [plain[1], plain[2], plain[0], *plain[3:4]][: len(movies)] and "unmet_rules" not in second


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([{"name": "a", "filter": {"column": "yaer", "from": 1}}], "there is no column 'yaer'"),
        ([{"name": "a", "filter": {"column": "year", "from": 2090}}], "leave no movie"),
        ([{"name": "a", "deny": None}], "must be an array"),
        ("no", "rules must be an array"),
        ([1], "must be an object"),
        ([{"name": "a", "deny": [{}]}], "must be texts alone or numbers alone"),
    ],
)
def test_rules_that_are_not_sound_are_refused_and_change_nothing(
    served: FlaskClient, rules: Sequence[Any], said: str
) -> None:
    publish(served, {"name": "kept", "deny": [20]})
    for answer in (
        served.put("/api/rules/home", json={"rules": rules, "by": "eve"}),
        served.post("/api/rules-dry-run/home", json={"rules": rules}),
    ):
        status, message = error_of(answer)
        assert status == 422 and said in message
    assert [one["name"] for one in served.get("/api/rules/home").json["rules"]] == ["kept"]


def test_a_change_of_other_rules_than_those_that_hold_is_a_conflict(served: FlaskClient) -> None:
    publish(served, {"name": "a", "deny": [20]})
    assert error_of(publish(served, {"name": "b", "deny": [30]}, based_on="none"))[0] == 409
    assert served.put("/api/rules/nowhere", json={"rules": [], "by": "anna"}).status_code == 400
    assert served.put("/api/rules/home", json={"rules": []}).status_code == 400


def test_a_dry_run_says_which_lists_would_change_and_changes_none(served: FlaskClient) -> None:
    plain = shown(served)
    trial = served.post(
        "/api/rules-dry-run/home",
        json={"rules": [{"name": "gone", "deny": [plain[0], 999]}], "user_ids": [1], "top_k": 3},
    ).json
    assert (trial["users"], trial["changed"]) == (1, 1)
    assert trial["findings"] == ["rule 'gone': no movie has the movie_id 999"]
    assert [movie["movie_id"] for movie in trial["lists"][0]["before"]] == plain
    assert shown(served) == plain and served.get("/api/rules/home").json["version"] == "none"


def test_another_host_heeds_a_change_and_keeps_what_it_had_when_it_cannot_read_the_next(
    store: ArtifactStore, served: FlaskClient
) -> None:
    other = create_app(store.root).test_client()
    plain = shown(other)
    publish(served, {"name": "gone", "deny": plain[:1]})
    assert plain[0] not in shown(other)
    publish(served)
    for file in store.root.glob("business_rules/camps/*/rules.json"):
        file.write_text("{")
    pointer = store.root / "pointers" / "camps" / "rules-home.json"
    pointer.write_text(json.dumps({**json.loads(pointer.read_text()), "since": f"{datetime.now(UTC)}"}))
    assert plain[0] not in shown(other)


def test_rules_need_an_admins_key(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIEREC_API_KEYS", "write=write-write-write-write,admin=admin-admin-admin-admin")
    client = create_app(store.root).test_client()
    for method, path in (("get", "/api/rules/home"), ("put", "/api/rules/home"), ("post", "/api/rules-dry-run/home")):
        assert getattr(client, method)(path).status_code == 401
        assert getattr(client, method)(path, headers={"X-API-Key": "write-write-write-write"}).status_code == 403
