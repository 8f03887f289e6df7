"""The re-ranking trade-off: accuracy and beyond-accuracy by the setting of each taste dial, on a held-out part.

The candidates are the model's best ones for each user under the mask, in the order that the evaluator ranks them: among
equal scores the relevant ones stand last. A dial at 0 therefore has the evaluator's own ndcg to the last digit. Every
other list is given by the dials, and a hit is a relevant item in it. The history is what the mask holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.heldout import HeldOut
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.evaluation.metrics.accuracy import ndcg
from movierec_engine.evaluation.metrics.beyond_accuracy import intra_list_diversity, novelty
from movierec_engine.evaluation.rankings import Rankings, heldout_scores, rank_users
from movierec_engine.models.base import Recommender
from movierec_engine.recommending.dials import CANDIDATES, Dials, ItemFacts, divergence, rerank_all

K = 10
"""Length of the lists that are measured."""
SETTINGS = (0.0, 0.25, 0.5, 0.75, 1.0)

ACCURACY = f"ndcg@{K}"
BUYS = {
    "diversity": f"genre_diversity@{K}",
    "diversity_over_embeddings": f"embedding_diversity@{K}",
    "novelty": f"novelty@{K}",
    "decade_balance": f"decade_divergence@{K}",
    "genre_balance": f"genre_divergence@{K}",
}
"""The own measure of each dial. A divergence is from the shares in the user's history: lower is nearer to them."""

_BLOCK = 512
"""Users whose scores are in memory together."""

Values = NDArray[np.float64]
Lists = NDArray[np.int32]


@dataclass(frozen=True)
class DialTradeoff:
    """One measure of the lists with one dial at one setting, as the mean over users with 95 % bootstrap intervals."""

    dial: str
    setting: float
    measure: str
    value: float
    low: float
    high: float
    difference_low: float
    difference_high: float
    """Interval of the users' paired differences from the same dial at 0."""


def reranking_tradeoff(model: Recommender, heldout: HeldOut) -> list[DialTradeoff]:
    """Every measure of every dial at every setting; dials and measures that need unknown genres or years are left out.

    Raises MovierecError as `rank_users` does.
    """
    rankings = rank_users(model, heldout, CANDIDATES, deep=False)
    facts = ItemFacts.of(heldout.catalogue)
    candidates = list(_candidates(model, rankings))
    rows: list[DialTradeoff] = []
    for dial in BUYS:
        if not facts.lacking(_dials(dial, 1)):
            lists = [_lists(candidates, rankings, facts, _dials(dial, setting)) for setting in SETTINGS]
            rows += _rows(dial, [_measures(shown, rankings, facts) for shown in lists])
    return rows


def _dials(dial: str, setting: float) -> Dials:
    if dial == "diversity_over_embeddings":
        return Dials(diversity=setting, diversity_over="embeddings")
    return Dials.of({dial: setting})


def _candidates(model: Recommender, rankings: Rankings) -> Iterator[tuple[Lists, NDArray[np.float32]]]:
    """Each user's candidates int32 [<=CANDIDATES] with their scores float32, best first.

    Relevant items stand at their ranks, the others of the list in their order between them.
    """
    ranked = (rankings.rank > 0) & (rankings.rank <= rankings.depth)
    candidates = np.full(rankings.lists.shape, -1, dtype=np.int32)
    candidates[rankings.row[ranked], rankings.rank[ranked] - 1] = rankings.item[ranked]
    others = (rankings.lists >= 0) & ~_relevant(rankings.lists, rankings)
    for start in range(0, len(rankings.users), _BLOCK):
        scores = heldout_scores(model, rankings.heldout, rankings.users[start : start + _BLOCK])
        for row, of_user in enumerate(scores, start=start):
            between = rankings.lists[row, others[row]]
            items = candidates[row]
            items[np.flatnonzero(items < 0)[: len(between)]] = between
            items = items[items >= 0]
            yield items, np.minimum.accumulate(of_user[items])  # scored in other blocks, the last bit may differ


def _lists(
    candidates: list[tuple[Lists, NDArray[np.float32]]], rankings: Rankings, facts: ItemFacts, dials: Dials
) -> Lists:
    """int32 [n_users, K], -1 where a list has ended."""
    seen = rankings.heldout.seen[rankings.users]
    lists = np.full((len(rankings.users), K), -1, dtype=np.int32)
    histories = np.split(seen.indices, seen.indptr[1:-1])
    for start in range(0, len(candidates), _BLOCK):
        items, scores = zip(*candidates[start : start + _BLOCK], strict=True)
        together = rerank_all(items, scores, histories[start : start + _BLOCK], facts, dials, K)
        for row, (shown, _) in enumerate(together, start=start):
            lists[row, : len(shown)] = shown
    return lists


def _measures(lists: Lists, rankings: Rankings, facts: ItemFacts) -> dict[str, Values]:
    """Measure -> float64 [n_users]."""
    catalogue = rankings.heldout.catalogue
    measures = {
        ACCURACY: ndcg(_relevant(lists, rankings), rankings.relevant, K),
        BUYS["novelty"]: novelty(lists, catalogue, K),
        BUYS["diversity_over_embeddings"]: intra_list_diversity(lists, catalogue.embeddings, K),
    }
    if facts.decade_shares.shape[1]:
        measures[BUYS["decade_balance"]] = _divergence(lists, rankings, facts.decade_shares)
    if facts.genre_shares.shape[1]:
        measures[BUYS["diversity"]] = intra_list_diversity(lists, catalogue.genres, K)
        measures[BUYS["genre_balance"]] = _divergence(lists, rankings, facts.genre_shares)
    return measures


def _relevant(lists: Lists, rankings: Rankings) -> NDArray[np.bool_]:
    """Relevance of each item of the lists to its user: bool [n_users, depth]."""
    n_items = rankings.heldout.catalogue.n_items
    places = np.arange(len(lists))[:, None] * n_items + lists
    return np.isin(places, rankings.row * n_items + rankings.item) & (lists >= 0)


def _divergence(lists: Lists, rankings: Rankings, shares: Values) -> Values:
    """Divergence of each list's shares from those of the user's history; 0 without a history. shares: of the items."""
    own = rankings.heldout.seen[rankings.users] @ shares
    shown = np.append(shares, np.zeros((1, shares.shape[1])), axis=0)[lists].sum(axis=1)
    return divergence(*(total / np.maximum(total.sum(axis=1, keepdims=True), 1e-12) for total in (own, shown)))


def _rows(dial: str, by_setting: list[dict[str, Values]]) -> Iterator[DialTradeoff]:
    """by_setting: the measures at each of SETTINGS."""
    names = list(by_setting[0])
    values = np.array([[measures[name] for name in names] for measures in by_setting])
    columns = np.concatenate([values, values - values[0]]).reshape(-1, values.shape[2])
    bounds = bootstrap_intervals(columns.T).reshape(2, len(SETTINGS), len(names), 2)
    for place, setting in enumerate(SETTINGS):
        for column, name in enumerate(names):
            own, difference = bounds[:, place, column].tolist()
            yield DialTradeoff(dial, setting, name, float(values[place, column].mean()), *own, *difference)
