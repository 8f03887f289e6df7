"""What every surface concludes from the same models: who leads, is tied, is picked on validation or on a front."""

from dataclasses import replace
from itertools import permutations

import pytest

from movierec_engine.evaluation.comparison import PairedComparison, Verdict
from movierec_engine.evaluation.metrics import metrics
from movierec_engine.reporting import conclusions, words
from movierec_engine.reporting.conclusions import Outcome, front_sentence, pareto_front


def verdict(other: str, p: float) -> Verdict:
    compared = PairedComparison(
        users=40, mean_a=0.3, mean_b=0.2, difference=0.1, low=-0.01, high=0.21, p_bootstrap=p, p_wilcoxon=p / 2,
        effect_size=0.3, rank_biserial=0.4, wins=20, ties=10, losses=10,
    )  # fmt: skip
    return Verdict("ease", other, compared, p, p / 2, significant=p < 0.05)


def outcome(**p_values: float) -> Outcome:
    means = {"ease": 0.3} | dict.fromkeys(p_values, 0.2)
    return Outcome("ndcg@10", means, {name: verdict(name, p) for name, p in p_values.items() if p >= 0})


@pytest.mark.parametrize(
    ("found", "headline", "title"),
    [
        (
            outcome(),
            "ease is the only model measured here, with NDCG@10 0.3000 on test.",
            "ease is the only model here",
        ),
        (
            outcome(gmf=0.01, als=0.002),
            "ease is the best of three models, with NDCG@10 0.3000 on test, significantly ahead of every other.",
            "ease is significantly better than every other model",
        ),
        (
            outcome(gmf=0.354, als=0.002),
            "ease leads three models with NDCG@10 0.3000 on test, statistically tied with gmf (p = .35).",
            "ease is ahead, statistically tied with gmf (p = .35)",
        ),
        (
            outcome(gmf=0.3, als=0.5),
            "ease leads three models with NDCG@10 0.3000 on test, but all of them are statistically tied.",
            "ease is ahead, but all of them are statistically tied",
        ),
        (
            outcome(gmf=0.3, als=-1),
            "ease has the best mean of three models, NDCG@10 0.3000 on test; whether that is significant is not known.",
            "ease has the best mean",
        ),
    ],
)
def test_the_conclusion_says_what_the_paired_tests_allow(found: Outcome, headline: str, title: str) -> None:
    assert conclusions.headline(found) == headline
    assert conclusions.chart_title(found) == title


def test_every_model_has_a_mark_beside_the_leader() -> None:
    found = outcome(gmf=0.354, als=0.0002, svd=-1)
    assert [conclusions.against_leader(found, name) for name in found.means] == [
        "tied best", "tied (p = .35)", "worse (p < .001)", "not compared",
    ]  # fmt: skip
    assert conclusions.against_leader(outcome(als=0.01), "ease") == "best"
    assert conclusions.against_leader(outcome(als=-1), "ease") == "best mean"


def test_a_pair_is_told_with_the_larger_of_the_two_p_values() -> None:
    rest = (
        "over the same 40 users (95 % interval [-0.0100, +0.2100]; p = .35, corrected for all pairs of models): not "
        "statistically significant."
    )
    one = verdict("gmf", 0.354)
    assert conclusions.paired(one, "ndcg@10") == f"User by user, ease scores +0.1000 against gmf {rest}"
    assert conclusions.paired(one, "disliked@10") == f"User by user, ease is lower by 0.1000 than gmf {rest}"


@pytest.mark.parametrize(
    ("validation", "end"),
    [
        ({"ease": 0.4, "gmf": 0.3}, "Validation picks ease (NDCG@10 0.4000), and test confirms it."),
        ({"gmf": 0.4}, "Validation picks gmf (NDCG@10 0.4000), which on test is statistically tied with ease."),
        ({"als": 0.4}, "Validation picks als (NDCG@10 0.4000), which on test is significantly worse than ease."),
        ({"svd": 0.4}, "Validation picks svd (NDCG@10 0.4000); on test ease is ahead."),
    ],
)
def test_validation_picks_and_test_only_confirms(validation: dict[str, float], end: str) -> None:
    found = outcome(gmf=0.354, als=0.0002, svd=-1)
    assert conclusions.validation_pick(found, validation) == f"Pick on validation; test only confirms. {end}"
    assert "nothing can be picked" in conclusions.validation_pick(found, {})


def test_a_metric_without_values_of_users_is_told_without_a_test() -> None:
    found = Outcome("coverage@10", {"ease": 0.3, "gmf": 0.2})
    assert conclusions.headline(found) == (
        "ease has the highest Coverage@10 of two models, 0.3000 on test; it is one number for all users, so no test "
        "compares the models."
    )
    assert conclusions.chart_title(found) == "ease has the highest Coverage@10"
    assert conclusions.validation_pick(found, {"ease": 0.4}).endswith("picks ease (Coverage@10 0.4000), which is ahead "
                                                                      "on test, too.")  # fmt: skip


def test_a_metric_of_dislikes_is_measured_on_test_alone() -> None:
    found = Outcome("disliked@10", {"ease": 0.1, "gmf": 0.2})
    assert conclusions.validation_pick(found, {}) == (
        "Disliked@10 is measured on test alone, so no model can be picked by it."
    )


def test_of_a_metric_of_which_less_is_better_validation_picks_the_least() -> None:
    name = next(name for name, one in metrics().items() if one.direction == "lower")
    assert conclusions.picked(Outcome(f"{name}@10", {"ease": 0.1, "gmf": 0.2}), {"ease": 0.3, "gmf": 0.2}) == "gmf"


def test_a_tied_model_is_named_only_where_it_trains_in_less_than_half_of_the_time() -> None:
    found = outcome(gmf=0.354, als=0.0002)
    assert "gmf is statistically tied with ease and trains in 4.0 s instead of 10 s" in conclusions.cheaper_tie(
        found, {"ease": 10, "gmf": 4, "als": 1}
    )
    assert conclusions.cheaper_tie(found, {"ease": 10, "gmf": 5, "als": 1}) == ""


def test_the_leader_is_put_beside_the_baseline() -> None:
    assert conclusions.above_baseline(Outcome("ndcg@10", {"ease": 0.3, "popularity": 0.1})) == "3.0 times popularity"
    assert conclusions.above_baseline(Outcome("ndcg@10", {"ease": 0.11, "popularity": 0.1})) == (
        "+10.0 % against popularity"
    )
    assert conclusions.above_baseline(Outcome("ndcg@10", {"popularity": 0.1, "ease": 0.05})) == ""
    assert conclusions.above_baseline(Outcome("disliked@10", {"ease": 0.08, "popularity": 0.1})) == (
        "20.0 % lower than popularity"
    )


def test_models_that_popularity_is_significantly_better_than_are_named_with_what_to_do() -> None:
    means = {"ease": 0.3, "popularity": 0.1, "svd/cpu": 0.05, "als": 0.04}
    tested = [replace(verdict(name, p), better="popularity") for name, p in (("svd/cpu", 0.01), ("als", 0.3))]
    said = "svd/cpu is significantly worse than popularity, which recommends the same to everybody"
    found = conclusions.outcome("ndcg@10", means, [verdict("popularity", 0.01), *tested])
    assert conclusions.below_baseline(found) == f"{said}; `movierec tune svd --minutes 10` looks for better settings."
    assert found.verdicts.keys() == {"popularity"}, "of the leader"
    assert conclusions.below_baseline(conclusions.outcome("disliked@10", means, tested)) == f"{said}."
    assert conclusions.below_baseline(conclusions.outcome("ndcg@10", means, [])) == "", "no test says so"


def test_a_front_is_found_whatever_the_order() -> None:
    points = {"a": (3.0, 1.0), "b": (2.0, 2.0), "same as b": (2.0, 2.0), "c": (1.0, 3.0), "below b": (2.0, 1.5)}
    for order in permutations(points):
        assert set(pareto_front({name: points[name] for name in order})) == {"a", "b", "same as b", "c"}


@pytest.mark.parametrize(
    ("front", "models", "sentence"),
    [
        (["a"], 1, "The model is on the cost-quality front"),
        (["a", "b"], 2, "Both models are on the cost-quality front"),
        (["a", "b", "c"], 3, "All 3 models are on the cost-quality front"),
        (["a"], 3, "a dominates every other model: it is alone on the cost-quality front"),
        (["a", "b"], 3, "a and b are on the cost-quality front; 1 is dominated"),
        (["a", "b", "c", "d", "e"], 8, "5 models are on the cost-quality front; 3 are dominated"),
    ],
)
def test_a_front_is_told_in_one_sentence(front: list[str], models: int, sentence: str) -> None:
    assert front_sentence(front, models, "cost-quality") == sentence


@pytest.mark.parametrize(
    ("best", "sentence"),
    [
        ({}, "no model has a hit"),
        ({"rich": "ease"}, "ease leads"),
        ({"rich": "ease", "cold": "ease"}, "ease leads in each"),
        ({"rich": "ease", "mid": "ease", "cold": "gmf"}, "no single winner: ease for rich and mid, gmf for cold"),
        (
            dict(zip("abcde", ["ease", "gmf", "gmf", "als", "gmf"], strict=True)),
            "no single winner: gmf in 3 of 5, ease in 1, als in 1",
        ),
    ],
)
def test_who_leads_in_which_segments_is_one_phrase(best: dict[str, str], sentence: str) -> None:
    assert words.who_leads(best) == sentence


def test_the_tiers_of_popularity_are_the_first_the_next_and_the_last() -> None:
    said = [words.popularity(tier) for tier in ("head", "mid", "tail")]
    assert [one.partition(" with the ")[2].partition(" of ")[0] for one in said] == [
        "first 50 %", "next 30 %", "last 20 %",
    ]  # fmt: skip
