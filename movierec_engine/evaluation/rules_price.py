"""The price of rules: what each does to a model's lists on a held-out part, alone and all together.

Lists are made as they are served, from the model's scores under the protocol's mask, with a relevant item behind what
has its score, so that without rules they have the evaluator's own ndcg. Differences are paired by user.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.heldout import HeldOut
from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.comparison import compare_paired
from movierec_engine.evaluation.metrics.accuracy import ndcg
from movierec_engine.evaluation.metrics.beyond_accuracy import novelty
from movierec_engine.evaluation.rankings import heldout_scores
from movierec_engine.models.base import Recommender
from movierec_engine.models.top_k import best_lists
from movierec_engine.recommending.rules.active import ActiveRules
from movierec_engine.recommending.rules.arranging import arrange_lists
from movierec_engine.recommending.rules.candidates import more_of
from movierec_engine.reporting.progress import advance

K = 10
"""Length of the lists that are measured."""
MOST_USERS = 10_000
"""Users that are measured, drawn at random where there are more."""
TOGETHER = "all together"
_BLOCK = 512
"""Users whose scores are in memory together."""

Lists = NDArray[np.int32]


@dataclass(frozen=True)
class RulePrice:
    """The cost of a rule for lists of K. difference, low, high: of ndcg, the mean over users with its 95 % interval.

    changed: share of the lists that differ. unmet: share of the lists that do not meet a rule. coverage: share of the
    catalogue that is in any list; novelty: mean bits.
    """

    rule: str
    kind: str
    users: int
    ndcg: float
    ndcg_before: float
    difference: float
    low: float
    high: float
    coverage: float
    coverage_before: float
    novelty: float
    novelty_before: float
    changed: float
    unmet: float


def rules_price(
    model: Recommender, heldout: HeldOut, rules: Sequence[tuple[str, str, ActiveRules | None]]
) -> list[RulePrice]:
    """The price of each of some rules. rules: the name, the kind, and the compiled rules, None where none holds.

    Raises MovierecError where nothing is held out.
    """
    relevant = heldout.sampled(MOST_USERS, seed=0).interactions.matrix()
    users = np.flatnonzero(np.diff(relevant.indptr))
    if not len(users):
        raise MovierecError("the held-out part is empty, so there is nothing to measure; choose other data.* ratios")
    lists = np.full((len(rules) + 1, len(users), K), -1, dtype=np.int32)
    unmet = np.zeros((len(rules) + 1, len(users)), dtype=np.bool_)
    for start in range(0, len(users), _BLOCK):
        advance(start, len(users), "users")
        block = users[start : start + _BLOCK]
        scores = np.array(heldout_scores(model, heldout, block), dtype=np.float32)
        for row, user in zip(scores, block.tolist(), strict=True):
            wanted = relevant.indices[relevant.indptr[user] : relevant.indptr[user + 1]]
            row[wanted] = np.nextafter(row[wanted], np.float32(-np.inf))
            row[heldout.seen[[user]].indices] = -np.inf
        here = slice(start, start + len(block))
        for number, active in enumerate((None, *(one for _, _, one in rules))):
            shown, unmet[number, here] = _lists(scores, active)
            lists[number, here, : shown.shape[1]] = shown
    return _prices(lists, unmet, rules, heldout, relevant[users])


def _lists(scores: NDArray[np.float32], rules: ActiveRules | None) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The lists by scores, float32 [n, n_items], under rules, int64 [n, <=K], and which leave a rule unmet."""
    if rules is None:
        return best_lists(scores, K)[0], np.zeros(len(scores), dtype=np.bool_)
    left = scores
    if rules.allowed is not None:
        left = np.where(rules.allowed[: scores.shape[1]], scores, np.float32(-np.inf))
    made = arrange_lists(rules, *best_lists(left, rules.candidates(K)), K, more_of(left))
    return made.items, made.any_unmet


def _prices(
    lists: NDArray[np.int32],
    unmet: NDArray[np.bool_],
    rules: Sequence[tuple[str, str, ActiveRules | None]],
    heldout: HeldOut,
    relevant: sparse.csr_matrix,
) -> list[RulePrice]:
    catalogue = heldout.catalogue
    wanted = np.diff(relevant.indptr)
    keys = np.repeat(np.arange(len(wanted)), wanted) * catalogue.n_items + relevant.indices
    accuracy, bits, reached = [], [], []
    for own in lists:
        hits = np.isin(np.arange(len(own))[:, None] * catalogue.n_items + own, keys) & (own >= 0)
        accuracy.append(ndcg(hits, wanted, K))
        bits.append(float(np.nanmean(novelty(own, catalogue, K))))
        reached.append(len(np.unique(own[own >= 0])) / catalogue.n_items)
    found = []
    for number, (name, kind, _) in enumerate(rules, start=1):
        paired = compare_paired(accuracy[number], accuracy[0])
        found.append(
            RulePrice(
                rule=name,
                kind=kind,
                users=len(wanted),
                ndcg=paired.mean_a,
                ndcg_before=paired.mean_b,
                difference=paired.difference,
                low=paired.low,
                high=paired.high,
                coverage=reached[number],
                coverage_before=reached[0],
                novelty=bits[number],
                novelty_before=bits[0],
                changed=float((lists[number] != lists[0]).any(axis=1).mean()),
                unmet=float(unmet[number].mean()),
            )
        )
    return found
