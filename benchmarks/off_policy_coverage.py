"""Do off-policy estimates cover the truth? 1,000 worlds of each kind, in which what a target would earn is known.

A world has users with tastes, a model that ranks for them, lists of which places are explored by the engine's own code,
and rewards by chance; a target policy shows other lists. What it truly earns is the mean over a population of users,
computed without any log. Run `python benchmarks/off_policy_coverage.py`; it writes
benchmarks/results/off_policy_coverage.md.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movierec_engine.evaluation.off_policy import Estimates, WeighedLists, estimate
from movierec_engine.recommending.exploration import ExplorationConfig

WORLDS = 1000
RESULT = Path(__file__).parent / "results" / "off_policy_coverage.md"
POPULATION = 400
"""Kinds of users in a world, each as likely; the truth is the mean over them."""
LENGTH, POOL = 10, 30

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """Worlds of one kind. base: the typical chance of a reward. by_place: whether rewards fall with the place."""

    name: str
    users: int
    lists_a_user: int
    share: float
    strategy: str
    base: float
    by_place: bool = False


KINDS = (
    Kind("clicks, epsilon-greedy", 300, 3, 0.1, "epsilon", 0.15),
    Kind("clicks, Thompson", 300, 3, 0.1, "thompson", 0.15),
    Kind("likes are rare", 300, 3, 0.1, "epsilon", 0.02),
    Kind("likes are rare, small share", 1000, 2, 0.03, "thompson", 0.03),
    Kind("few users, many lists", 60, 15, 0.1, "epsilon", 0.15),
    Kind("rewards fall with the place", 300, 3, 0.2, "thompson", 0.15, True),
)


def world(kind: Kind, seed: int) -> tuple[WeighedLists, float]:
    """A log of one world as the target weighs it, and the target's true reward a list."""
    rng = np.random.default_rng(seed)
    items = LENGTH + POOL
    logits = rng.normal(np.log(kind.base / (1 - kind.base)), 1.0, size=items) + rng.normal(
        0, 1.0, size=(POPULATION, items)
    )
    chance = 1 / (1 + np.exp(-logits))
    order = np.argsort(-(logits + rng.normal(0, 1.5, size=logits.shape)), axis=1)  # the model that was served
    better = np.argsort(-(logits + rng.normal(0, 1.0, size=logits.shape)), axis=1)  # the target
    if kind.by_place:  # the target keeps the places of what it keeps, else nothing could have shown it there
        target = order[:, :LENGTH].copy()
        for place in (6, 8):
            target[:, place] = order[np.arange(POPULATION), rng.integers(LENGTH, items, POPULATION) // 2 * 2 % POOL + LENGTH]
        target[:, 8] = order[:, LENGTH + 1]
        target[:, 6] = order[:, LENGTH + 2]
    else:
        target = better[:, :LENGTH]
    fall = 1 / np.log2(np.arange(LENGTH) + 2) if kind.by_place else np.ones(LENGTH)
    truth = float((chance[np.arange(POPULATION)[:, None], target] * fall).sum(axis=1).mean())
    config = ExplorationConfig(share=kind.share, strategy=kind.strategy, from_place=1 if not kind.by_place else 5, pool=POOL)
    of_list, weight, reward, movies, users, whom = [], [], [], [], [], []
    number = 0
    in_target = np.zeros((POPULATION, items), dtype=np.bool_)
    np.put_along_axis(in_target, target, True, axis=1)
    explored = config.of_list(LENGTH, np.linspace(2, 0, POOL), np.full(POOL, 3.0))
    kept = explored.kept
    for user in range(kind.users):
        who = int(rng.integers(POPULATION))
        for _ in range(kind.lists_a_user):
            shown, drawn = order[who, :LENGTH].copy(), explored.draw(rng)
            inside = kept.copy()
            for place, row in drawn.items():
                shown[place] = order[who, LENGTH + row]
                inside[place] = explored.at_place[row] if kind.by_place else explored.in_list[row]
            wanted = shown == target[who] if kind.by_place else in_target[who, shown]
            of_list.append(np.full(LENGTH, number))
            weight.append(wanted / inside)
            reward.append(rng.random(LENGTH) < chance[who, shown] * fall)
            movies.append(shown)
            users.append(user)
            whom.append(who)
            number += 1
    user, who_of = np.array(users), np.array(whom)
    flat = np.concatenate(of_list)
    rewards, shown_items = np.concatenate(reward).astype(np.float64), np.concatenate(movies)
    predicted, expected = reward_model(flat, user, shown_items, rewards, target[who_of], items)
    lists = WeighedLists(flat, user, np.concatenate(weight), rewards, predicted, expected, np.full(number, float(LENGTH)))
    return lists, truth


def reward_model(
    of_list: NDArray[np.int64], user: NDArray[np.int64], shown: NDArray[np.int64], reward: Floats,
    target: NDArray[np.int64], items: int,
) -> tuple[Floats, Floats]:  # fmt: skip
    """The smoothed rate of each item in the other half of the users."""
    predicted, expected = np.zeros(len(reward)), np.zeros(len(target))
    for half in (0, 1):
        other = user[of_list] % 2 != half
        mean = reward[other].mean()
        rate = (np.bincount(shown[other], reward[other], items) + 10 * mean) / (np.bincount(shown[other], minlength=items) + 10)
        predicted[~other] = rate[shown[~other]]
        expected[user % 2 == half] = rate[target[user % 2 == half]].sum(axis=1)
    return predicted, expected


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else WORLDS
    for kind in KINDS:
        began = time.time()
        hit = {name: [] for name in ("ips", "snips", "dr", "covered")}
        wide = {name: [] for name in hit}; bias = {name: [] for name in hit}; above = {name: [] for name in hit}
        ts = []
        for seed in range(n):
            lists, truth = world(kind, seed)
            found = estimate(lists)
            x = np.bincount(lists.user, np.bincount(lists.of_list, lists.weight*lists.reward, len(lists.user)))
            cnt = np.bincount(lists.user)
            v = x.sum()/cnt.sum(); se = np.sqrt(((x-v*cnt)**2).sum())/cnt.sum()
            ts.append(abs(v-truth) <= 1.96*se)
            for name in hit:
                one = getattr(found, name)
                true = 1.0 if name == "covered" else truth
                hit[name].append(one.low <= true <= one.high); wide[name].append(one.high - one.low); bias[name].append(one.value-true)
                above[name].append(true > one.high)
        print(kind.name, f"{time.time()-began:.0f}s ess {found.effective_places:.0f} wmax {found.largest_weight:.0f} truth {truth:.3f}; normal ips {np.mean(ts):.3f}", {k: (round(float(np.mean(v)),3), round(float(np.mean(wide[k])),3), round(float(np.mean(bias[k])),4), round(float(np.mean(above[k])),3)) for k,v in hit.items()}, flush=True)
