"""Paired comparisons against answers worked out by hand, scipy, brute force and simulated worlds."""

import math
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, wilcoxon

from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.evaluation.comparison import (
    LeaderComparison,
    PairedComparison,
    compare_all_pairs,
    compare_pair,
    compare_paired,
    holm,
)

STEPS = st.integers(0, 20).map(lambda step: step / 20)
PAIRS = st.lists(st.tuples(STEPS, STEPS), min_size=1, max_size=30).map(lambda pairs: np.array(pairs).T)
P_VALUES = st.lists(st.floats(0, 1), max_size=8)


def compare(difference: list[float], *, resamples: int) -> PairedComparison:
    return compare_paired(np.array(difference), np.zeros(len(difference)), resamples=resamples)


def leaderboard(values: dict[str, np.ndarray]) -> LeaderComparison:
    return LeaderComparison.of(compare_all_pairs(values), values)


def test_known_answers_of_four_users() -> None:
    compared = compare_paired(np.array([4.0, 1, 3, 2]), np.array([1.0, 2, 1, 2]))  # differences 3, -1, 2, 0
    assert (compared.users, compared.mean_a, compared.mean_b, compared.difference) == (4, 2.5, 1.5, 1.0)
    assert (compared.wins, compared.ties, compared.losses) == (2, 1, 1)
    assert compared.effect_size == pytest.approx(1 / math.sqrt((4 + 4 + 1 + 1) / 3))
    assert compared.rank_biserial == pytest.approx((4 + 3 - 2) / (4 + 3 + 2)), "the zero has rank 1, for neither side"
    assert compared.p_wilcoxon == 4 / 8, "of the signs of 4, 3 and 2, those of sums 9, 5, -5 and -9"


def test_the_bootstrap_of_two_users_has_three_outcomes() -> None:
    compared = compare([3.0, -1.0], resamples=4000)  # means 3, 1, 1 and -1, equally likely
    assert (compared.low, compared.high) == (-1.0, 3.0)
    assert compared.p_bootstrap == pytest.approx(2 * 0.25, abs=0.05)


def test_the_smallest_bootstrap_p_value_is_what_the_number_of_resamples_allows() -> None:
    assert compare([0.2] * 50, resamples=99).p_bootstrap == 2 / 100


def test_models_that_never_differ_are_equal_in_every_respect() -> None:
    values = np.random.default_rng(0).random(40)
    compared = compare_paired(values, values)
    assert (compared.difference, compared.low, compared.high) == (0, 0, 0)
    assert (compared.p_bootstrap, compared.p_wilcoxon) == (1, 1)
    assert (compared.effect_size, compared.rank_biserial) == (0, 0)
    assert (compared.wins, compared.ties, compared.losses) == (0, 40, 0)


@pytest.mark.parametrize("amount", [0.1, -0.1])
def test_a_constant_difference_is_an_infinite_effect_with_its_sign(amount: float) -> None:
    base = np.random.default_rng(0).random(40)
    compared = compare_paired(base + amount, base)
    assert compared.effect_size == math.copysign(math.inf, amount)
    assert compared.rank_biserial == math.copysign(1, amount)
    assert compared.low == compared.high == pytest.approx(amount)


def test_equal_steps_are_ties_in_spite_of_floating_point() -> None:
    a, b = np.array([0.3, 0.8]), np.array([0.2, 0.9])  # 0.3 - 0.2 and 0.9 - 0.8 differ in the last bits
    compared = compare_paired(a, b, resamples=4000)
    assert compared.rank_biserial == 0
    assert compared.difference == 0
    assert compared.p_bootstrap == 1, "half of the resampled means are 0, on both sides"


def test_the_interval_agrees_with_that_of_the_reports() -> None:
    difference = np.random.default_rng(2).normal(0.02, 0.3, 1500)
    compared = compare_paired(difference, np.zeros(1500), resamples=4000)
    [interval] = bootstrap_intervals(difference[:, None], seed=5, resamples=4000)
    assert (compared.low, compared.high) == pytest.approx(interval, abs=0.002)


@pytest.mark.parametrize("step", [None, 0.05, 0.2], ids=["untied", "ties and zeros", "mostly ties and zeros"])
def test_signed_ranks_agree_with_scipy(step: float | None) -> None:
    difference = np.random.default_rng(3).normal(0.1, 0.4, 60)
    if step is not None:
        difference = np.round(difference / step) * step
    expected = wilcoxon(np.round(difference, 12), zero_method="pratt", correction=False, method="asymptotic").pvalue
    assert compare_paired(difference, np.zeros(60)).p_wilcoxon == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("users", [1, 2, 5, 8, 13, 25])
def test_signed_ranks_of_few_users_are_exact(users: int) -> None:
    difference = np.random.default_rng(users).normal(0.3, 1, users)
    expected = wilcoxon(difference, method="exact").pvalue
    assert compare_paired(difference, np.zeros(users)).p_wilcoxon == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("users", "p"), [(1, 1.0), (4, 0.125), (5, 0.0625), (6, 0.03125)])
@pytest.mark.parametrize("zeros", [0, 3, 1000])
def test_of_few_users_who_all_win_the_signed_ranks_p_value_is_that_of_equal_signs(
    users: int, zeros: int, p: float
) -> None:
    difference = np.append(np.zeros(zeros), np.arange(1, users + 1) / 10)
    assert compare_paired(difference, np.zeros(users + zeros)).p_wilcoxon == p


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=10))
@settings(max_examples=50)
def test_signed_ranks_of_few_users_count_the_signs_with_ties_and_zeros(steps: list[int]) -> None:
    difference = np.array(steps) / 10
    ranks = rankdata(np.abs(difference))[difference != 0]
    sums = np.abs(np.array(list(product([1, -1], repeat=len(ranks)))) @ ranks)
    seen = abs(float(ranks @ np.sign(difference[difference != 0])))
    assert compare_paired(difference, 0 * difference, resamples=10).p_wilcoxon == (sums >= seen).mean()


SKEWED = np.random.default_rng(11).exponential(1.0, 150) - 0.88
GRID = np.repeat([1.0, 0.0, -1.0], [30, 250, 20])
HEAVY = np.concatenate([np.repeat([0.01, -0.01], 300), np.full(5, 1.0)])


@pytest.mark.parametrize("difference", [SKEWED, -SKEWED, GRID, HEAVY], ids=["skewed", "mirrored", "grid", "heavy"])
def test_the_computed_bootstrap_is_what_drawing_it_again_and_again_comes_to(difference: np.ndarray) -> None:
    """Of 100,000 resamples, half of those that are 0 on either side."""
    n = len(difference)
    drawn = [np.random.default_rng(seed).choice(difference, (2_000, n)).mean(axis=1) for seed in range(50)]
    means = np.round(np.concatenate(drawn), 12)
    below = (means < 0).mean() + (means == 0).mean() / 2
    compared = compare_paired(difference, np.zeros(n))
    lumps = 0.1 if len(set(difference)) < 10 else 0.03
    assert compared.p_bootstrap == pytest.approx(2 * min(below, 1 - below), abs=0.004)
    assert (compared.low, compared.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=lumps * means.std())


def test_three_digits_of_a_p_value_do_not_depend_on_the_seed_and_it_has_no_floor() -> None:
    rng = np.random.default_rng(12)
    values = {f"model {place}": rng.normal(place, 1, 671) for place in range(8)}
    verdicts = compare_all_pairs(values)
    assert verdicts == compare_all_pairs(values, seed=1)
    assert all(max(verdict.p_bootstrap, verdict.p_wilcoxon) < 1e-6 for verdict in verdicts)
    lower, near = values["model 0"], values["model 0"] + rng.normal(0.1, 1.3, 671)
    p = [compare_paired(near, lower, seed=seed).p_bootstrap for seed in range(3)]
    assert len(set(p)) == 1 and 0.001 < p[0] < 0.2


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("users", [60, 400])
def test_two_of_several_models_have_the_verdict_that_all_pairs_together_give_them(users: int, lower: bool) -> None:
    rng = np.random.default_rng(13)
    values = {f"model {place}": rng.normal(place // 2, 1, users).round(1) for place in range(5)}
    verdicts = compare_all_pairs(values, less_is_better=lower)
    assert {verdict.significant for verdict in verdicts} == {True, False}
    for verdict in verdicts:
        assert compare_pair(values, (verdict.worse, verdict.better), less_is_better=lower) == verdict


def test_signed_ranks_are_near_the_exact_test_without_ties() -> None:
    difference = np.random.default_rng(4).normal(0.05, 0.4, 200)
    assert compare_paired(difference, np.zeros(200)).p_wilcoxon == pytest.approx(
        wilcoxon(difference, method="exact").pvalue, abs=0.002
    )


@given(PAIRS)
@settings(max_examples=50)
def test_swapping_the_models_mirrors_everything(pair: np.ndarray) -> None:
    one, other = compare_paired(*pair, resamples=100), compare_paired(*pair[::-1], resamples=100)
    assert (one.mean_a, one.mean_b, one.wins, one.ties) == (other.mean_b, other.mean_a, other.losses, other.ties)
    assert one.difference == -other.difference
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12)
    assert (one.effect_size, one.rank_biserial) == pytest.approx((-other.effect_size, -other.rank_biserial))
    assert (one.p_bootstrap, one.p_wilcoxon) == (other.p_bootstrap, other.p_wilcoxon)


@given(PAIRS, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_order_of_the_users_matters_to_nothing_but_the_resampling(pair: np.ndarray, random: Random) -> None:
    order = random.sample(range(pair.shape[1]), pair.shape[1])
    one, other = compare_paired(*pair, resamples=10), compare_paired(*pair[:, order], resamples=10)
    for name in ("difference", "p_wilcoxon", "effect_size", "rank_biserial", "wins", "ties", "losses"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-12), name


def test_the_order_of_the_users_moves_the_interval_by_a_little() -> None:
    a, b = np.random.default_rng(6).random((2, 800))
    one, other = compare_paired(a, b), compare_paired(a[::-1], b[::-1])
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.1 * (one.high - one.low))


@given(PAIRS, STEPS)
@settings(max_examples=50)
def test_a_constant_added_to_both_changes_only_the_means(pair: np.ndarray, constant: float) -> None:
    one, other = compare_paired(*pair, resamples=50), compare_paired(*(pair + constant), resamples=50)
    assert other.mean_a == pytest.approx(one.mean_a + constant)
    assert other.mean_b == pytest.approx(one.mean_b + constant)
    for name in set(vars(one)) - {"mean_a", "mean_b"}:
        assert getattr(one, name) == getattr(other, name), name


@given(PAIRS, STEPS)
@settings(max_examples=50)
def test_a_constant_added_to_one_moves_the_interval_by_it(pair: np.ndarray, constant: float) -> None:
    a, b = pair
    one, other = compare_paired(a, b, resamples=50), compare_paired(a + constant, b, resamples=50)
    assert (other.difference, other.low, other.high) == pytest.approx(
        (one.difference + constant, one.low + constant, one.high + constant), abs=1e-9
    )


def test_equal_models_are_told_apart_in_about_5_of_100_experiments_and_unequal_ones_nearly_always() -> None:
    rng = np.random.default_rng(7)
    rejected = {"equal": np.zeros(2), "unequal": np.zeros(2)}
    for experiment in range(300):
        user = rng.random(120)  # some users are easy for both models
        a, b = user + rng.exponential(0.1, (2, 120))  # skewed, as the values of metrics are
        for world, shift in (("equal", 0.0), ("unequal", 0.06)):
            compared = compare_paired(a + shift, b, seed=experiment, resamples=300)
            rejected[world] += np.array([compared.p_bootstrap, compared.p_wilcoxon]) < 0.05
    assert ((rejected["equal"] / 300 > 0.01) & (rejected["equal"] / 300 < 0.09)).all(), "5 of 100, 3 standard errors"
    assert (rejected["unequal"] / 300 > 0.95).all()


def test_holm_of_a_worked_example() -> None:
    # of pingouin's documentation; also 5 * .0003, 4 * .003, 3 * .054, 2 * .32 and 1 * .5, which may not be less
    assert holm([0.5, 0.003, 0.32, 0.054, 0.0003]) == pytest.approx([0.64, 0.012, 0.64, 0.162, 0.0015])


@given(P_VALUES)
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for alpha in (0.001, 0.01, 0.05, 0.2, 0.7):
        rejected: set[int] = set()
        left = sorted(range(len(p_values)), key=lambda index: p_values[index])
        while left and p_values[left[0]] * len(left) <= alpha:  # the smallest, at alpha / how many are left
            rejected.add(left.pop(0))
        assert set(np.flatnonzero(adjusted <= alpha)) == rejected


@given(P_VALUES)
def test_holm_raises_p_values_keeps_their_order_and_stays_below_bonferroni(p_values: list[float]) -> None:
    raw, adjusted = np.array(p_values), holm(p_values)
    assert (adjusted >= raw).all()
    assert (adjusted <= np.minimum(raw * max(len(raw), 1), 1)).all()
    assert (np.diff(adjusted[np.argsort(raw)]) >= 0).all()


@pytest.fixture
def board() -> dict[str, np.ndarray]:
    """`best` and `rival` differ by noise alone, `worse` and `worst` are really worse."""
    rng = np.random.default_rng(8)
    user = rng.random(400)
    shifts = {"worst": 0.0, "rival": 0.2, "best": 0.2, "worse": 0.1}
    values = {name: user + shift + rng.normal(0, 0.1, 400) for name, shift in shifts.items()}
    values["best"] += values["rival"].mean() - values["best"].mean() + 0.001
    return values


def test_a_leader_shares_the_first_place_with_those_that_are_not_significantly_worse(
    board: dict[str, np.ndarray],
) -> None:
    compared = leaderboard(board)
    assert compared.leader == "best"
    assert [(verdict.better, verdict.worse) for verdict in compared.verdicts] == [
        ("best", "rival"),
        ("best", "worse"),
        ("best", "worst"),
    ]
    assert [verdict.significant for verdict in compared.verdicts] == [False, True, True]
    assert compared.among_best == ("best", "rival")
    assert not compared.alone


def test_a_leader_that_beats_all_others_is_alone(board: dict[str, np.ndarray]) -> None:
    del board["rival"]
    compared = leaderboard(board)
    assert compared.among_best == ("best",)
    assert compared.alone


def test_a_leader_without_others_has_beaten_nobody() -> None:
    compared = leaderboard({"only": np.array([0.5, 0.7])})
    assert (compared.leader, compared.verdicts, compared.among_best) == ("only", (), ("only",))
    assert not compared.alone
    assert compare_all_pairs({"only": np.array([0.5, 0.7])}) == ()


def test_of_equal_means_the_first_named_leads() -> None:
    values = {"b": np.array([0.1, 0.2, 0.3]), "a": np.array([0.3, 0.2, 0.1])}
    assert leaderboard(values).leader == "b"
    assert leaderboard(dict(reversed(values.items()))).leader == "a"


def test_the_leader_of_some_models_is_the_best_of_these_by_verdicts_of_all(board: dict[str, np.ndarray]) -> None:
    some = {name: board[name] for name in ("worst", "rival", "worse")}
    compared = LeaderComparison.of(compare_all_pairs(board), some)
    assert (compared.leader, [one.worse for one in compared.verdicts]) == ("rival", ["worse", "worst"])
    assert {one.p_wilcoxon for one in compared.verdicts} <= {one.p_wilcoxon for one in compare_all_pairs(board)}
    errors = LeaderComparison.of(compare_all_pairs(some, less_is_better=True), some, less_is_better=True)
    assert errors.leader == "worst"
    assert LeaderComparison.of((), some, less_is_better=True).leader == "worst", "of models that were not compared"


def test_the_p_values_of_a_leaderboard_are_corrected_over_all_pairs(board: dict[str, np.ndarray]) -> None:
    verdicts = compare_all_pairs(board)
    for name in ("p_bootstrap", "p_wilcoxon"):
        raw = [getattr(verdict.comparison, name) for verdict in verdicts]
        assert [getattr(verdict, name) for verdict in verdicts] == holm(raw).tolist()
    leader = leaderboard(board)
    assert leader.verdicts == tuple(verdict for verdict in verdicts if verdict.better == leader.leader)


def test_all_pairs_are_compared_in_order_of_mean(board: dict[str, np.ndarray]) -> None:
    verdicts = compare_all_pairs(board)
    order = ["best", "rival", "worse", "worst"]
    assert [(verdict.better, verdict.worse) for verdict in verdicts] == [
        (better, worse) for place, better in enumerate(order) for worse in order[place + 1 :]
    ]
    assert [verdict.significant for verdict in verdicts] == [False, True, True, True, True, True]


def test_a_comparison_in_a_leaderboard_is_that_of_the_two_models_alone(board: dict[str, np.ndarray]) -> None:
    verdict = leaderboard(board).verdicts[-1]
    alone = compare_paired(board["best"], board["worst"])
    assert vars(verdict.comparison) == pytest.approx(vars(alone))


def test_many_pairs_get_resamples_enough_to_be_significant() -> None:
    user = np.random.default_rng(9).random(60)
    values = {f"model {place}": user + place / 10 for place in range(12)}
    verdicts = compare_all_pairs(values, resamples=100)  # 66 pairs: 66 * 2 / 101 would be more than 1
    assert len(verdicts) == 66
    assert all(verdict.significant for verdict in verdicts)


def users(*groups: tuple[int, float]) -> np.ndarray:
    """Differences of groups of users: how many, and theirs."""
    return np.concatenate([np.full(count, difference) for count, difference in groups])


@pytest.mark.parametrize(
    ("difference", "small"),
    [
        (users((12, 1.0), (494, 0.01), (494, -0.01)), (True, False)),  # 12 users make the mean
        (users((900, 0.01), (51, 1.0), (49, -1.0)), (False, True)),  # the mean is within its noise
        (users((100, 1.0), (900, -0.01)), (True, True)),  # the mean says better, nine of ten users say worse
    ],
    ids=["mean alone", "ranks alone", "mean against ranks"],
)
def test_a_difference_is_not_significant_where_only_one_test_says_so(
    difference: np.ndarray, small: tuple[bool, bool]
) -> None:
    [verdict] = compare_all_pairs({"a": difference, "b": np.zeros(1000)})
    assert verdict.better == "a"
    assert (verdict.p_bootstrap < 0.05, verdict.p_wilcoxon < 0.05) == small
    assert not verdict.significant


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([], [], "a has values of shape"),
        ([[0.1]], [[0.2]], "a has values of shape"),
        ([0.1, 0.2], [0.1], "b has 1 users and a has 2"),
        ([0.1, math.nan], [0.1, 0.2], "a has the value nan at position 1"),
        ([0.1, 0.2], [math.inf, 0.2], "b has the value inf at position 0"),
    ],
)
def test_values_that_cannot_be_compared_are_refused_by_name(a: list[float], b: list[float], message: str) -> None:
    with pytest.raises(MovierecError, match=message):
        compare_paired(np.array(a), np.array(b))


def test_an_empty_leaderboard_is_refused() -> None:
    with pytest.raises(MovierecError, match="no model to compare"):
        compare_all_pairs({})
