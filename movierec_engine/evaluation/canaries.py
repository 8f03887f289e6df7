"""Leak canaries: checks that fail when training has seen what it is later measured on.

Four of them look: at the parts, the graph, what a model remembers, and which parts the models saw that it started from
or is made of. The other two train the model again in a world
where its result is known as long as nothing leaks: `plant_future_item` adds an item that only test has, so it has to
stay unknown, and `shuffle_train` takes the preferences out of train, so popularity is all that is left to learn.

The last two judge how a model is trained, rather than the model at hand, and they have blind spots. Neither sees a leak
that the model makes nothing of. After shuffling, that is any leak into a model which is worse than popularity anyway,
such as one that predicts ratings, and a few interactions of test into one that goes by neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.graph import InteractionGraph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.split import Split
from movierec_engine.evaluation.rankings import Rankings
from movierec_engine.models.base import Recommender
from movierec_engine.reporting.numbers import p_equals, score

DEPTH = 10
"""Length of the lists that both trained canaries look at."""
BLANKS = 49
"""Items that nobody has, which the planted item is compared with."""
BLANK_MARGIN = 0.1
"""Share of the users in whose first ranks the planted item may stand beyond those of the most recommended blank."""
CHANCE = 0.001
"""How often an honest model may be suspected by chance alone."""
FLOOR_MARGIN = 0.1
"""Relative gain over the floor that a model may have without preferences to learn from."""


@dataclass(frozen=True)
class Finding:
    """The result of a check: whether it passed, a sentence and its numbers.

    sentence: what was found, for people. numbers: what it was decided by.
    """

    name: str
    passed: bool
    sentence: str
    numbers: dict[str, float]


@dataclass(frozen=True, eq=False)
class Planted:
    """A split with an item that only test has.

    item: its index, the last one. holders: int64 [n], ascending, the users who have it in test.
    blanks: int64 [BLANKS], as new as the item, but in no part at all.
    """

    split: Split
    item: int
    holders: NDArray[np.int64]
    blanks: NDArray[np.int64]

    def heldout(self) -> HeldOut:
        """Every user of test is asked for the item alone, holders and others, under the mask of test."""
        test = self.split.test
        _, rows = np.unique(test.user, return_index=True)
        asked = test.select(rows)
        item = np.full(len(rows), self.item, dtype=np.int32)
        return replace(self.split.test_heldout(), interactions=replace(asked, item=item))


def parts_are_disjoint(split: Split) -> Finding:
    """No (user, item) pair is in two parts, and no person is where they may not be.

    Where one moment divides the parts, nothing is after its own end. Where whole users are held out, no user of
    validation or test has anything in train, and none is in both.
    """
    pairs = [part.user.astype(np.int64) * part.n_items + part.item for part in split.named().values()]
    shared = sum(len(np.intersect1d(one, other)) for one, other in combinations(pairs, 2))
    late_train = late_validation = 0
    if split.boundaries:
        late_train = int((split.train.timestamp >= split.boundaries["validation_from"]).sum())
        late_validation = int((split.validation.timestamp >= split.boundaries["test_from"]).sum())
    shared_users = 0
    if split.holds_out_users and split.fold_in is not None:
        trained, validated, tested = (np.unique(part.user) for part in split.parts())
        held_out = np.unique(np.concatenate([split.fold_in.user, validated, tested]))
        shared_users = len(np.intersect1d(trained, held_out)) + len(np.intersect1d(validated, tested))
    sentence = f"{shared or 'no'} pairs of user and item are in two parts"
    if split.boundaries:
        sentence += f"; {late_train} of train and {late_validation} of validation are later than their part may be"
    if split.holds_out_users:
        sentence += f"; {shared_users or 'none'} of the held-out users are in train or in both other parts"
    return Finding(
        "parts_are_disjoint",
        not (shared or late_train or late_validation or shared_users),
        sentence,
        {
            "shared_pairs": shared,
            "late_train": late_train,
            "late_validation": late_validation,
            "shared_users": shared_users,
        },
    )


def graph_is_train(graph: InteractionGraph, train: Interactions) -> Finding:
    """The edges are the train interactions in both directions, weighted by their degrees in train."""
    matrix = train.matrix()
    user, item = matrix.nonzero()
    degree = np.diff(matrix.indptr)[user] * np.bincount(item, minlength=train.n_items)[item].astype(np.float64)
    ends = np.concatenate([user, train.n_users + item]), np.concatenate([train.n_users + item, user])
    n = train.n_users + train.n_items
    expected = sparse.csr_matrix((np.tile(1 / np.sqrt(degree), 2), ends), shape=(n, n))
    expected.sort_indices()
    found = graph.adjacency.copy()
    found.sum_duplicates()
    stride = max(n, found.shape[0])
    edges, wanted = _pairs(found, stride), _pairs(expected, stride)
    foreign, missing = len(np.setdiff1d(edges, wanted)), len(np.setdiff1d(wanted, edges))
    misweighted = 0 if foreign or missing else int((~np.isclose(found.data, expected.data, rtol=1e-4, atol=0)).sum())
    passed = not (foreign or missing or misweighted)
    exact = "are the train interactions, weighted by their degrees in train"
    wrong = f"have {foreign} that train has not, lack {missing} that it has, and {misweighted} weights are not train's"
    return Finding(
        "graph_is_train",
        passed,
        f"the graph's {len(edges)} directed edges " + (exact if passed else wrong),
        {"edges": len(edges), "foreign": foreign, "missing": missing, "misweighted": misweighted},
    )


def memory_is_train(model: Recommender, split: Split) -> Finding:
    """The history that a model keeps, and folds in from, has train interactions alone; some of them or all."""
    train = split.train.matrix()
    stride = max(train.shape[1], model.history.shape[1])
    remembered, known = _pairs(model.history, stride), _pairs(train, stride)
    foreign = len(np.setdiff1d(remembered, known))
    passed = not foreign and model.users == split.train.users and model.items == split.train.items
    of = f"{len(remembered)} interactions, {foreign or 'none'} of them from outside the {len(known)} of train"
    return Finding(
        "memory_is_train",
        passed,
        f"{model.name} remembers {of}" + ("" if passed or foreign else ", but of other users or items"),
        {"remembered": len(remembered), "train": len(known), "foreign": foreign},
    )


def ancestors_saw_the_same(model: str, ancestors: int, strangers: Mapping[str, str]) -> Finding:
    """Every model that a model started from or is made of, and theirs in turn, saw the train part that it saw itself.

    model: its reference. ancestors: how many there are. strangers: the reference of each that saw anything else, the
    model itself among them, -> what it saw.
    """
    saw = "; ".join(f"{reference}: {what}" for reference, what in strangers.items())
    return Finding(
        "ancestors_saw_the_same",
        not strangers,
        f"{model} comes from {ancestors or 'no'} other models" + (f", and not all saw the same: {saw}" if saw else ""),
        {"ancestors": ancestors, "strangers": len(strangers)},
    )


def plant_future_item(split: Split, seed: int) -> Planted:
    """The same split with an item that a random half of the test users have in test, and `BLANKS` that nobody has.

    Each holder rates it as highly as anything in test, at the end of time. Items are named by their indices here, as
    the public ids may leave no room above them; the new ones follow the old, the planted one last, so that a tie is
    decided for the blanks. Test is ranked in full, without given candidates and dislikes.
    """
    users = np.unique(split.test.user)
    holders = np.sort(np.random.default_rng(seed).choice(users, (len(users) + 1) // 2, replace=False))
    first = split.train.n_items
    items = IdMap(np.arange(first + BLANKS + 1))
    parts = {name: replace(part, items=items) for name, part in split.named().items()}
    test = parts["test"]
    n, item = len(holders), first + BLANKS
    latest = max(part.timestamp.max() for part in split.parts() if len(part))
    parts["test"] = replace(
        test,
        user=np.concatenate([test.user, holders]),
        item=np.append(test.item, np.full(n, item, dtype=np.int32)),
        rating=np.append(test.rating, np.full(n, test.rating.max())),
        timestamp=np.append(test.timestamp, np.full(n, latest)),
    )
    return Planted(
        replace(
            split,
            train=parts["train"],
            validation=parts["validation"],
            test=parts["test"],
            fold_in=parts.get("fold_in"),
            later=parts.get("later"),
            negatives=None,
            dislikes=None,
        ),
        item,
        holders.astype(np.int64),
        np.arange(first, item),
    )


def future_item_stays_unknown(rankings: Rankings, planted: Planted) -> Finding:
    """A model trained on the planted split's train knows nothing of the item that only test has.

    rankings: deep ones of that model on `planted.heldout()`, with lists of at least `DEPTH`. Two things must hold.

    It ranks the item no higher for those who hold it. Half of the users were drawn to hold it without regard to
    anything that training may see, so for an honest model of any kind, random start or not, their ranks are a random
    half of all ranks, and a one-sided rank-sum test (Mann and Whitney 1947) has a p value below `CHANCE` just that
    often. This tells of models that learn who has what.

    And it hardly recommends it: the item may be in the first `DEPTH` of at most `BLANK_MARGIN` of the users more than
    the most recommended blank is. An item without interactions may well stand there, in a small catalogue or by a
    random start, but then a blank is as likely to, and ties are the blanks'. This tells of models that learn how
    popular the item is: with a holder in every second user of test, it would be among the most popular of all.
    """
    from scipy.stats import mannwhitneyu  # slow to load

    holds = np.isin(rankings.users, planted.holders)
    n, n_holders = len(holds), int(holds.sum())
    rank = np.where(rankings.rank > 0, rankings.rank, len(rankings.heldout.interactions.items))
    p = 1.0
    if 0 < n_holders < n and (rank != rank[0]).any():
        p = float(mannwhitneyu(rank[holds], rank[~holds], alternative="less").pvalue)
    shown = rankings.lists[:, :DEPTH]
    recommended, *blanks = (int((shown == item).any(axis=1).sum()) for item in (planted.item, *planted.blanks))
    of_holders, of_others = (float(np.median(rank[which])) if which.any() else 0.0 for which in (holds, ~holds))
    return Finding(
        "future_item_stays_unknown",
        p >= CHANCE and recommended <= max(blanks) + BLANK_MARGIN * n,
        f"an item that only test has stands at rank {of_holders:.0f} (median) for the {n_holders} users who will have "
        f"it and {of_others:.0f} for the {n - n_holders} others ({p_equals(p)}), and in the first {DEPTH} of "
        f"{recommended} users; an item that nobody has, in those of up to {max(blanks)}",
        {
            "users": n,
            "holders": n_holders,
            "rank_of_holders": of_holders,
            "rank_of_others": of_others,
            "p": p,
            "recommended": recommended,
            "recommended_blank": max(blanks),
        },
    )


def shuffle_train(split: Split, seed: int) -> Split:
    """The same split with the items of its train interactions permuted among them.

    Users keep their activity, their ratings and their times, items their popularity, and preferences are gone. A user
    may get an item twice: such a row is repeated, and `Interactions.matrix` counts it once, so that the popularity
    that models see is a little flatter than train's. By chance some pairs are test's.
    """
    train = split.train
    return replace(split, train=replace(train, item=np.random.default_rng(seed).permutation(train.item)))


def falls_to_the_floor(
    shuffled: NDArray[np.float64], popularity: NDArray[np.float64], unordered: NDArray[np.float64]
) -> Finding:
    """A model trained on the shuffled train is no better than the floor on the true test, under the true mask.

    shuffled, popularity, unordered: float64 [n_users], ndcg@10 of the same users: the model's, popularity's, and
    `ndcg_of_random_order`, the expected one of a random order. The floor is the better of the last two on average:
    where all items are about equally popular, those that train has more of are the ones that test has fewer of.

    It fails when its mean is above 1 + `FLOOR_MARGIN` times the floor by more than chance: a one-sided t interval at
    1 - `CHANCE` of the users' differences lies above 0. The margin is for what is no preference: an active user, who
    has seen what is popular, is left with other items than a new one, and training stops at a lucky epoch.
    """
    from scipy.stats import t as student  # slow to load

    floor = max(popularity, unordered, key=np.mean)
    above = shuffled - floor * (1 + FLOOR_MARGIN)
    n = len(above)
    error = above.std(ddof=1) / np.sqrt(n) if n > 1 else np.inf
    low = float(above.mean() - student.ppf(1 - CHANCE, max(n - 1, 1)) * error)
    reached, allowed = float(shuffled.mean()), float(floor.mean() * (1 + FLOOR_MARGIN))
    of = "popularity" if floor is popularity else "a random order"
    excess = "" if low <= 0 else f"; beyond chance it is at least {score(low)} above that"
    return Finding(
        "falls_to_the_floor",
        low <= 0,
        f"trained on shuffled preferences it reaches ndcg@{DEPTH} {score(reached)}, where {of} has "
        f"{score(floor.mean())} and {score(allowed)} is allowed{excess}",
        {
            "users": n,
            "shuffled": reached,
            "popularity": float(popularity.mean()),
            "random_order": float(unordered.mean()),
            "allowed": allowed,
            "above_at_least": low,
        },
    )


def ndcg_of_random_order(rankings: Rankings) -> NDArray[np.float64]:
    """The expected ndcg@10 of each user of any rankings, float64 [n], were the items in random order.

    Each of the first ranks is a hit with probability |relevant| / |items that could be recommended|.
    """
    possible = rankings.relevant + rankings.irrelevant
    discount = 1 / np.log2(np.arange(2, DEPTH + 2))
    gain = np.append(0, np.cumsum(discount))
    expected = rankings.relevant / possible * gain[np.minimum(possible, DEPTH)]
    return np.asarray(expected / gain[np.minimum(rankings.relevant, DEPTH)])


def _pairs(matrix: sparse.csr_matrix, stride: int) -> NDArray[np.int64]:
    """int64 [nnz], one number for the row and column of each stored entry."""
    row = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    return np.asarray(row * stride + matrix.indices)
