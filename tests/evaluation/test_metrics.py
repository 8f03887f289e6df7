"""Every metric against its definition, written out for one user at a time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from movierec_engine.evaluation.metrics import metrics
from movierec_engine.evaluation.metrics.accuracy import auc

ACCURACY = {name: metrics()[name] for name in ("precision", "recall", "ndcg", "hit_rate", "map", "mrr")}
HITS = hnp.arrays(np.bool_, st.tuples(st.integers(1, 5), st.integers(1, 8)))


def by_definition(metric: str, hits: list[bool], relevant: int, k: int) -> float:
    shown = hits[:k]
    ranks = [rank for rank, hit in enumerate(shown, start=1) if hit]
    if metric == "precision":
        return len(ranks) / k
    if metric == "recall":
        return len(ranks) / relevant
    if metric == "hit_rate":
        return float(bool(ranks))
    if metric == "mrr":
        return 1 / ranks[0] if ranks else 0.0
    if metric == "map":
        return sum(sum(shown[:rank]) / rank for rank in ranks) / min(k, relevant)
    gain = sum(1 / math.log2(rank + 1) for rank in ranks)
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(k, relevant) + 1))


@given(HITS, st.integers(0, 4), st.integers(1, 12))
def test_every_metric_is_its_definition_and_between_0_and_1(hits: np.ndarray, more_relevant: int, k: int) -> None:
    relevant = np.maximum(hits.sum(axis=1) + more_relevant, 1).astype(np.int64)
    for name, metric in ACCURACY.items():
        values = metric(hits=hits, relevant=relevant, k=k)
        expected = [by_definition(name, row.tolist(), int(n), k) for row, n in zip(hits, relevant, strict=True)]
        assert values == pytest.approx(expected), name
        assert ((values >= 0) & (values <= 1 + 1e-12)).all(), name


@given(HITS)
def test_a_hit_moved_up_never_lowers_a_metric(hits: np.ndarray) -> None:
    relevant = np.maximum(hits.sum(axis=1), 1).astype(np.int64)
    better = -np.sort(-hits.astype(int), axis=1) > 0
    for metric in ACCURACY.values():
        assert (metric(hits=better, relevant=relevant, k=5) >= metric(hits=hits, relevant=relevant, k=5) - 1e-12).all()


def test_known_answers_of_one_list() -> None:
    hits, relevant = np.array([[False, True, False, True]]), np.array([3])
    assert ACCURACY["ndcg"](hits=hits, relevant=relevant, k=4)[0] == pytest.approx(
        (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 0.5)
    )
    assert ACCURACY["map"](hits=hits, relevant=relevant, k=4)[0] == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert ACCURACY["mrr"](hits=hits, relevant=relevant, k=4)[0] == 0.5
    assert ACCURACY["precision"](hits=hits, relevant=relevant, k=10)[0] == 0.2, (
        "the denominator is k, not the list's length"
    )


@given(
    st.lists(st.tuples(st.floats(0, 1, width=16), st.booleans()), min_size=1, max_size=30), st.sets(st.integers(0, 29))
)
def test_auc_is_the_share_of_pairs_in_the_right_order_with_ties_as_a_half(
    items: list[tuple[float, bool]], dropped: set[int]
) -> None:
    scores = [-np.inf if n in dropped else score for n, (score, _) in enumerate(items)]
    relevant = [score for score, (_, wanted) in zip(scores, items, strict=True) if wanted]
    others = [score for score, (_, wanted) in zip(scores, items, strict=True) if not wanted]
    known = [good for good in relevant if good > -np.inf]
    right = sum((good > bad) + (good == bad) / 2 for good in known for bad in others)
    tied = [sum(bad == good for bad in others) if good > -np.inf else 0 for good in relevant]
    ranks = [
        0 if good == -np.inf else 1 + sum(bad >= good for bad in others) + sum(r > good for r in relevant)
        for good in relevant
    ]
    for place, good in enumerate(relevant):  # relevant items that are equal stand one after the other
        ranks[place] += sum(good == other for other in relevant[:place]) if ranks[place] else 0
    values = auc(
        np.zeros(len(ranks), int),
        np.array(ranks, np.int32),
        np.array(tied, np.int32),
        np.array([len(relevant)]),
        np.array([len(others)]),
    )
    assert values[0] == pytest.approx(right / (len(relevant) * len(others)) if relevant and others else 0)


def test_auc_of_one_user_does_not_depend_on_another() -> None:
    row, rank = np.array([0, 0, 2]), np.array([1, 4, 3], dtype=np.int32)
    tied = np.array([0, 1, 2], dtype=np.int32)
    values = auc(row, rank, tied, np.array([2, 1, 1]), np.array([4, 4, 4]))
    assert values.tolist() == [(4 + 2.5) / 8, 0, 3 / 4]
