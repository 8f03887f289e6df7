"""Off-policy estimates from a real API's log: against the truth, and with every kind of broken log."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.cli.off_policy import estimates_table
from movierec_engine.errors import ConfigError, DataError
from movierec_engine.evaluation.off_policy.question import OffPolicyQuestion, OffPolicyResult
from movierec_engine.feedback import Exposure, FeedbackEvent, ListContext, SqliteLog, log_file
from movierec_engine.feedback.events import now_ms
from movierec_engine.pipeline.export import index_to_export
from movierec_engine.pipeline.logged_lists import read_lists
from movierec_engine.pipeline.off_policy import judge, publish_result
from movierec_engine.pipeline.target_rules import TargetRules
from movierec_engine.recommending.exploration import ExplorationConfig
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.versions import publish_rules
from movierec_engine.reporting.off_policy import sentences
from movierec_engine.store import ArtifactStore, Slot
from worlds import MOVIES, small_index

LATER = MOVIES[4]
"""The first of user 1's list 50, 30, 20, 10 by `ease` of sign 1, as 40 was rated; by sign -1 it is 10, 20, 30, 50."""
EXPLORE = ExplorationConfig(share=0.5, candidates="next", strategy="epsilon", from_place=2)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(log_file(tmp_path / "store", "camps"))
    yield log
    log.close()


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(tmp_path / "store")
    for model, sign in (("ease", 1), ("lightgcn", -1)):
        store.publish(
            Slot("faiss_index", "camps", model, "cpu"), small_index(model, sign).save, key="k", fingerprint="f"
        )
    return store


@pytest.fixture
def ask(store: ArtifactStore, log: SqliteLog) -> Callable[..., OffPolicyResult]:
    def ask(model: str = "ease", **question: Any) -> OffPolicyResult:
        document = question.pop("document", None)
        served, given = index_to_export(store, "camps", model), {"minutes": 1, **question}
        rules = None if given.get("rules", "none") == "none" else TargetRules(served, store, document)
        return judge(served, log, OffPolicyQuestion(**given), rules)

    return ask


def shown(name: str, user: int = 1, movies: tuple[int, ...] = (LATER, 30), ago: float = 3600, **more: Any) -> Exposure:
    probabilities = {"propensities": (1.0, 0.5), "inclusions": (1.0, 0.5), **more}
    return Exposure(
        name, user, movies, "ease", "v", request_id=f"r-{name}", at_ms=now_ms() - int(ago * 1000), **probabilities
    )


def rated(key: str, movie: int, value: float, ago: float, user: int = 1, shown_in: str = "") -> FeedbackEvent:
    return FeedbackEvent(key, user, movie, "rating", value, shown_in, timestamp=now_ms() // 1000 - int(ago))


def test_another_models_lists_are_weighed_by_what_the_log_could_have_shown(
    log: SqliteLog, ask: Callable[..., OffPolicyResult]
) -> None:
    log.expose([shown("a"), shown("b", movies=(LATER, 20)), shown("c", user=7, movies=(10, 20))])
    log.record([FeedbackEvent("k", 1, LATER, "click", shown_in="a", timestamp=now_ms() // 1000 - 3590)])
    log.record([FeedbackEvent("l", 1, 20, "click", shown_in="b", timestamp=now_ms() // 1000 - 3590)])
    own = ask("ease", reward="click").estimates  # 50 and 30 of user 1; 10 and 20 of user 7
    assert own.logged.value == pytest.approx(2 / 3)
    assert own.ips.value == pytest.approx((1 + 0 + 0) / 3), "20 was shown to user 1 in place of 30"
    assert own.covered.value == pytest.approx((1 + 2 + 1 + 1 + 2) / 6)
    of_10, of_20 = (
        (0 + 10 / 2) / (0 + 10),
        (1 + 10 / 2) / (1 + 10),
    )  # for 7 by the lists of 1, half of whose places earn
    assert own.dr.value == pytest.approx((1 + 0 + (of_10 - of_10) + (of_20 - 2 * of_20)) / 3), "and 0 for user 1"
    other = ask("lightgcn", reward="click").estimates  # 10 and 20 of user 1, 50 and 40 of user 7
    assert other.ips.value == pytest.approx(1 / 0.5 / 3)
    assert other.snips.value == pytest.approx(2 * (2 / 2))
    assert (other.covered.value, other.largest_weight, other.effective_places) == (pytest.approx(2 / 6), 2, 1)
    assert other.ips_gain.value == pytest.approx(other.ips.value - other.logged.value)
    by_place = ask("lightgcn", reward="click", by="place")
    assert by_place.estimates.ips.value == pytest.approx(2 / 3), "20 is at the second place in both"
    assert any("could not have shown about 67 % of the places" in said for said in sentences(by_place))


def test_the_logged_policy_itself_is_estimated_as_what_it_earned(
    store: ArtifactStore, log: SqliteLog, ask: Callable[..., OffPolicyResult]
) -> None:
    client = create_app(store.root, ServingConfig(exploration=EXPLORE, follow="latest")).test_client()
    for number in range(60):
        answer = client.get(
            f"/api/recommend?user_id={number % 3 * 100 + 1}&top_k=3", headers={"X-Request-ID": f"r{number}"}
        ).json
        if number % 4 == 0:
            movie = answer["recommendations"][number % 3]["movie_id"]
            body = {"user_id": number % 3 * 100 + 1, "movie_id": movie, "kind": "click"}
            assert client.post("/api/feedback", json={**body, "exposure_id": answer["exposure_id"]}).status_code == 200
    client.application.extensions["movierec"]["live"].flush()
    with sqlite3.connect(log.path) as connection:  # an hour goes by
        connection.execute("UPDATE exposures SET at_ms = at_ms - 3600000")
        connection.execute("UPDATE events SET at_ms = at_ms - 3600000")
    found = ask("lightgcn", reward="click", exploration=EXPLORE).estimates
    assert found.logged.value == pytest.approx(15 / 60)
    assert found.ips.value == found.snips.value == pytest.approx(found.logged.value)
    assert found.dr.value == pytest.approx(found.logged.value, abs=0.05), "its model is of the other half of the users"
    assert (found.covered.value, found.largest_weight) == (pytest.approx(1), pytest.approx(1))


def test_likes_count_in_time_for_the_list_that_they_name_or_the_newest_that_showed_the_movie(log: SqliteLog) -> None:
    log.expose([shown("a", ago=3600), shown("b", ago=3000), shown("c", movies=(10, 20), ago=2900)])
    log.record(
        [
            rated("named", LATER, 5, 3590, shown_in="a"),
            rated("unnamed", 30, 4.5, 2990),  # of b, the newest with it
            rated("late", LATER, 5, 2900),  # of b, a minute and more later
            rated("elsewhere", 10, 5, 2895, shown_in="b"),  # b did not show it
            rated("low", 10, 2, 2890),
            rated("first", 20, 5, 2895),
            rated("then lower", 20, 2, 2885),
            rated("undone", 10, 5, 2880),
        ]
    )
    log.undo(1, "undone")
    rewards = [one.rewards for one in read_lists(log, "like", 1, 4.0).lists]
    assert rewards == [(1, 0), (0, 1), (0, 0)]
    assert [one.rewards for one in read_lists(log, "like", 30, 4.0).lists][1] == (1, 1)


def test_a_list_that_is_read_twice_counts_once_and_an_event_of_another_clock_is_told(
    log: SqliteLog, ask: Callable[..., OffPolicyResult]
) -> None:
    log.expose([shown("a"), shown("again")])
    with sqlite3.connect(log.path) as connection:
        connection.execute("UPDATE exposures SET request_id = 'r-a'")
    log.record([rated("before", LATER, 5, 3700, shown_in="a"), rated("skewed", 30, 5, 3630, shown_in="a")])
    found = ask()
    assert (found.left_out, found.early, found.rewards, found.estimates.lists) == ({"repeat another one": 1}, 1, 1, 1)
    assert "1 event dated more than a minute before the list named by it is left out" in " ".join(sentences(found))
    assert "1 that repeat another one" in " ".join(sentences(found))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("propensities = '[0, 1]'", "propensities that are not numbers above 0"),
        ("propensities = '[NaN, 1]'", "propensities that are not numbers above 0"),
        ("inclusions = '[1.5, 1]'", "propensities that are not numbers above 0"),
        ("propensities = '[1]'", "propensities that are not numbers above 0"),
        ("propensities = '[true, \"1\"]'", "propensities that are not numbers above 0"),
        ("propensities = '[0.5, '", "cannot be read"),
        ("movie_ids = '[1'", "cannot be read"),
        ("movie_ids = '[null, 1]'", "cannot be read"),
        ("propensities = '[]', inclusions = '[]'", "were not explored"),
        ("context = '[]'", "cannot be read"),
        ("context = '{\"first_row\": -1}'", "cannot be read"),
        ("at_ms = at_ms + 100000000", "are dated in the future"),
        ("at_ms = at_ms + 3590000", "were shown too lately"),
    ],
)
def test_a_broken_list_is_left_out_and_told(
    log: SqliteLog, ask: Callable[..., OffPolicyResult], change: str, why: str
) -> None:
    log.expose([shown("a"), shown("b")])
    with sqlite3.connect(log.path) as connection:
        connection.execute(f"UPDATE exposures SET {change} WHERE exposure_id = 'a'")
    found = ask()
    assert (found.estimates.lists, [*found.left_out.values()]) == (1, [1])
    (said,) = found.left_out
    assert f"1 that {said}" in " ".join(sentences(found)) and why in said
    log.erase(1)
    with pytest.raises(DataError, match="has no explored list to learn from; serve with"):
        ask()


def test_an_empty_log_says_what_to_do(ask: Callable[..., OffPolicyResult], log: SqliteLog) -> None:
    with pytest.raises(DataError, match="the feedback log of camps has no explored list to learn from; serve with"):
        ask()
    log.expose([Exposure("a", 1, (10,))])
    with pytest.raises(DataError, match="of those that were shown 1 were not explored; serve with"):
        ask()


def test_lists_from_before_the_newest_feedback_that_a_model_was_trained_on_are_left_out(log: SqliteLog) -> None:
    log.expose([shown("a", ago=3600), shown("b", ago=3000)])
    (taken,) = log.record([rated("k", LATER, 5, 3590, shown_in="a")])
    logged = read_lists(log, "like", 1, 4.0, trained_on_seq=taken.seq)
    assert [len(logged.lists), *logged.left_out.values()] == [1, 1]


def test_what_was_said_after_a_list_was_shown_does_not_change_what_the_target_would_have_shown(
    log: SqliteLog, ask: Callable[..., OffPolicyResult]
) -> None:
    log.expose([shown("a")])
    log.record([rated("k", LATER, 5, 3590)])
    assert ask().estimates.ips.value == 1, "the movie that was liked is not masked for the moment before"


def test_weights_are_clipped_when_that_is_asked_for_and_said(
    log: SqliteLog, ask: Callable[..., OffPolicyResult]
) -> None:
    log.expose([shown("a", inclusions=(1.0, 0.01)), shown("b", user=101)])
    found = ask(clip=10.0)
    assert found.estimates.largest_weight == 10
    assert "Weights above 10 are cut down to it" in " ".join(sentences(found))


def without(*movies: int) -> RuleDocument:
    return RuleDocument.of({"rules": [{"name": "not these", "deny": [*movies]}]})


def test_other_rules_are_judged_by_the_lists_that_they_would_have_made(
    store: ArtifactStore, log: SqliteLog, ask: Callable[..., OffPolicyResult]
) -> None:
    log.expose([shown("a"), shown("b", movies=(LATER, 20))])
    for name, movie in (("a", LATER), ("a", 30), ("b", 20)):
        log.record([rated(f"{name}{movie}", movie, 5, 3590, shown_in=name)])
    own = ask(rules="none")  # 50 and 30, twice
    assert own.estimates.ips.value == pytest.approx((1 + 2) / 2)
    other = ask(rules="rules.json", document=without(30))  # 50 and 20
    assert other.estimates.ips.value == pytest.approx((1 + 2) / 2) and other.under_rules == 2
    assert ask(rules="rules.json", document=without(LATER)).estimates.ips.value == pytest.approx((2 + 2) / 2)
    said = " ".join(sentences(other))
    assert "made under the rules of rules.json, which hold for 2 of them." in said
    made = publish_result(store, index_to_export(store, "camps"), other, without(30))
    assert (made.folder / "rules.json").read_text() == without(30).text


def test_each_list_is_judged_under_the_rules_of_then_unless_told_otherwise(
    store: ArtifactStore, log: SqliteLog, ask: Callable[..., OffPolicyResult]
) -> None:
    versions = [publish_rules(store, "camps", "home", without(movie), by="test").version for movie in (30, LATER)]
    contexts = [ListContext(rules=version) for version in (*versions, "", "20200101T000000-gone")]
    log.expose([shown(f"{number}", movies=(LATER, 20), context=one) for number, one in enumerate(contexts)])
    found = ask(rules="then")  # 50 and 20; 30 and 20; 50 and 30
    assert found.estimates.covered.value == pytest.approx((1 + 2 + 2 + 1) / 6)
    assert (found.under_rules, found.left_out) == (2, {"were made under rules that cannot be read any more": 1})
    assert "under the rules of then, which hold for 2 of them" in " ".join(sentences(found))


def test_rules_that_no_list_could_have_met_or_that_fit_no_movie_are_refused(
    log: SqliteLog, ask: Callable[..., OffPolicyResult]
) -> None:
    log.expose([shown("a")])
    later = RuleDocument.of({"rules": [{"name": "later", "deny": [30], "from": "2100-01-01"}]})
    with pytest.raises(ConfigError, match="none of these rules holds at the moment of any list"):
        ask(rules="rules.json", document=later)
    unknown = RuleDocument.of({"rules": [{"name": "studio", "filter": {"column": "studio", "in": ["x"]}}]})
    with pytest.raises(ConfigError, match="studio"):
        ask(rules="rules.json", document=unknown)


def test_of_a_page_its_first_row_is_judged(log: SqliteLog, ask: Callable[..., OffPolicyResult]) -> None:
    page = {"movies": (LATER, 30, 10, 20), "propensities": (1, 0.5, 1, 1), "inclusions": (1, 0.5, 1, 1)}
    log.expose([shown("a", context=ListContext(first_row=2), **page)])
    log.record([rated("first", 30, 5, 3590, shown_in="a"), rated("elsewhere", 10, 5, 3590, shown_in="a")])
    found = ask()
    assert (found.rewards, found.estimates.logged.value, found.estimates.ips.value) == (1, 1, 2)


def test_estimates_are_published_and_drawn_as_a_table(
    store: ArtifactStore, log: SqliteLog, ask: Callable[..., OffPolicyResult]
) -> None:
    log.expose([shown(f"{number}", user=100 + number) for number in range(5)])
    result = ask("lightgcn")
    made = publish_result(store, index_to_export(store, "camps", "lightgcn"), result)
    assert (made.slot.kind, made.slot.model) == ("off_policy_estimate", "lightgcn")
    assert json.loads((made.folder / "estimates.json").read_text()) == made.facts
    table = estimates_table(made.reference, made.facts)
    assert table.title == "lightgcn, not explored, rules: none: likes a list within 1 minutes"
    assert [row["estimator"] for row in table.rows][:2] == ["as shown", "IPS"]
    assert all(column.text(row) for column in table.columns for row in table.rows)
