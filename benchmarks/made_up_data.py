"""Made-up interactions of any size and density, with power-law popularity and latent structure."""

from dataclasses import dataclass

import numpy as np

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
    user, item = np.concatenate(users), np.concatenate(items)
    return Interactions(
        user=user,
        item=item,
        rating=np.ones(len(user), dtype=np.float32),
        timestamp=np.concatenate([np.arange(len(one)) for one in users]),
        users=IdMap(np.arange(shape.users)),
        items=IdMap(np.arange(shape.items)),
    )
