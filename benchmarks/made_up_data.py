"""Made-up interactions of any size and density: by latent tastes, or by communities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions

LATENT = 12
"""Dimensions of taste."""
STRENGTH = 2.0
"""Standard deviation of taste in the log of the odds; popularity's is about 1."""
EXPONENT = 0.8
"""The item of rank r is chosen in proportion to (r + 10)^-EXPONENT by people without taste."""
LEAST = 5
"""Items that everybody has at least."""
COMMUNITIES = 40
"""Of the items; each item is in one."""
OWN = 0.8
"""Share of a user's interactions that come from the user's communities; the others go by popularity alone."""
_BLOCK = 500


@dataclass(frozen=True)
class Shape:
    """Users and items, and the share of their pairs that are interactions."""

    users: int
    items: int
    density: float


def made_up(shape: Shape, seed: int = 1) -> Interactions:
    """Interactions of such a shape: each user's items are drawn without replacement from a softmax.

        log p(i | u) = -EXPONENT log(rank_i + 10) + STRENGTH <t_u, c_i> + constant

    t_u, c_i: standard normal in LATENT dimensions, over LATENT^1/2. A user has density * items interactions, times a
    log-normal factor of sd 1, and at least LEAST; times are the order of the draw.
    """
    rng = np.random.default_rng(seed)
    taste, content = (rng.standard_normal((n, LATENT)).astype(np.float32) for n in (shape.users, shape.items))
    content *= STRENGTH / np.sqrt(LATENT)
    popularity = rng.permutation(-EXPONENT * np.log(np.arange(shape.items) + 10)).astype(np.float32)
    activity = rng.lognormal(-0.5, 1.0, shape.users) * shape.density * shape.items
    counts = np.clip(np.rint(activity), LEAST, shape.items // 2).astype(np.int64)
    users, items = [], []
    for start in range(0, shape.users, _BLOCK):
        scores = taste[start : start + _BLOCK] @ content.T + popularity
        scores += rng.gumbel(size=scores.shape).astype(np.float32)  # whose largest are draws without replacement
        for row, score in enumerate(scores):
            chosen = np.argpartition(-score, counts[start + row])[: counts[start + row]]
            users.append(np.full(len(chosen), start + row, dtype=np.int32))
            items.append(chosen[np.argsort(-score[chosen])].astype(np.int32))
    return interactions(shape, users, items)


def communities(shape: Shape, seed: int = 1) -> Interactions:
    """Interactions of such a shape by communities of items, as unlike those of `made_up` as can be.

    A user's shares of the communities are Dirichlet(0.05), so that most people know one to five of them. An interaction
    is with a community by these shares, or at 1 - OWN with any item, and then with an item in proportion to its
    popularity, which is Zipf's 1 / rank over the catalogue. What a user draws twice counts once. Draws a user: Pareto
    with exponent 1.5, of mean density * items, and at least LEAST interactions; times are the order of the draw.
    """
    rng = np.random.default_rng(seed)
    popularity = 1 / (1.0 + rng.permutation(shape.items))
    community = rng.integers(COMMUNITIES, size=shape.items)
    within = [np.flatnonzero(community == one) for one in range(COMMUNITIES)]
    of_items = [popularity[one] / popularity[one].sum() for one in within]
    draws = np.minimum(shape.density * shape.items * (1 + rng.pareto(1.5, shape.users)) / 3, shape.items / 4)
    users, items = [], []
    for user, count in enumerate(np.maximum(draws, LEAST).astype(np.int64)):
        own = rng.multinomial(rng.binomial(count, OWN), rng.dirichlet(np.full(COMMUNITIES, 0.05)))
        parts = [rng.choice(within[one], own[one], p=of_items[one]) for one in np.flatnonzero(own)]
        parts.append(rng.choice(shape.items, count - own.sum(), p=popularity / popularity.sum()))
        parts.append(rng.choice(shape.items, LEAST, replace=False))
        drawn = np.concatenate(parts)
        first = np.sort(np.unique(drawn, return_index=True)[1])
        chosen = drawn[first[: max(count, LEAST)]]
        users.append(np.full(len(chosen), user, dtype=np.int32))
        items.append(rng.permutation(chosen).astype(np.int32))
    return interactions(shape, users, items)


def interactions(shape: Shape, users: list[NDArray[np.int32]], items: list[NDArray[np.int32]]) -> Interactions:
    """Of each user's items in the order of time."""
    user, item = np.concatenate(users), np.concatenate(items)
    return Interactions(
        user=user,
        item=item,
        rating=np.ones(len(user), dtype=np.float32),
        timestamp=np.concatenate([np.arange(len(one)) for one in items]),
        users=IdMap(np.arange(shape.users)),
        items=IdMap(np.arange(shape.items)),
    )
