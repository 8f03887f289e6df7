"""Do off-policy estimates cover the truth? 1,000 worlds of each kind, in which what a target would earn is known.

    python benchmarks/off_policy_coverage.py [worlds] [part of a kind's name, whose rows are printed alone]

A world has kinds of users with tastes, a model that ranks for them, lists of which places are explored by the engine's
own code, and rewards by chance; a target policy shows other lists. In worlds with rules the log is made under some
rules, and the target is the same model under others, by the engine's own arranging and exploration. What it truly
earns is the mean over all kinds of users, computed without any log. Beside it, where the package obp is installed, its
estimators on its own data: a sample of the Open Bandit Dataset (Saito et al. 2021) of uniformly random choices, judged
for the choices of its Bernoulli Thompson sampling. Writes benchmarks/results/off_policy_coverage.md.
"""

import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.evaluation.off_policy import WeighedLists, estimate
from movierec_engine.recommending.exploration import ExplorationConfig, ListExploration, draw
from movierec_engine.recommending.rules.active import ActiveCap, ActiveRules, ActiveShare, PlacedPin
from movierec_engine.recommending.rules.arranging import Arranged, arrange
from movierec_engine.recommending.rules.replacements import replacements
from movierec_engine.serving.live_exploration import Pool, PooledPlaces, explore

RESULT = Path(__file__).parent / "results" / "off_policy_coverage.md"
WORLDS = 1000
POPULATION, LENGTH, POOL = 400, 10, 30
ITEMS = LENGTH + POOL
TRUE = ("ips", "snips", "dr")
PRIOR = 10.0

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


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
    rules: bool = False

    @property
    def exploration(self) -> ExplorationConfig:
        first = 5 if self.by_place else 1
        return ExplorationConfig(share=self.share, strategy=self.strategy, from_place=first, pool=POOL)


KINDS = (
    Kind("clicks, epsilon-greedy, 10 %", 300, 3, 0.1, "epsilon", 0.15),
    Kind("clicks, Thompson, 10 %", 300, 3, 0.1, "thompson", 0.15),
    Kind("rare likes, epsilon-greedy, 10 %", 300, 3, 0.1, "epsilon", 0.02),
    Kind("rare likes, Thompson, 3 %", 1000, 2, 0.03, "thompson", 0.03),
    Kind("few users with many lists each", 60, 15, 0.1, "epsilon", 0.15),
    Kind("rewards fall with the place, by place", 300, 3, 0.2, "thompson", 0.15, True),
    Kind("other rules, epsilon-greedy, 20 %", 300, 3, 0.2, "epsilon", 0.15, rules=True),
    Kind("other rules, Thompson, 20 %", 300, 3, 0.2, "thompson", 0.15, rules=True),
)
CATEGORIES, RULED = 8, 60
"""Of worlds with rules: values of a column that a cap counts, and kinds of users."""


def world(kind: Kind, seed: int) -> tuple[WeighedLists, float]:
    """A log of one world as the target weighs it, and the target's true reward a list."""
    if kind.rules:
        return world_with_rules(kind, seed)
    rng = np.random.default_rng(seed)
    logits = rng.normal(np.log(kind.base / (1 - kind.base)), 1, ITEMS) + rng.normal(0, 1, (POPULATION, ITEMS))
    chance = 1 / (1 + np.exp(-logits))
    order = np.argsort(-(logits + rng.normal(0, 1.5, logits.shape)), axis=1)  # the model that was served
    target = np.argsort(-(logits + rng.normal(0, 1, logits.shape)), axis=1)[:, :LENGTH]
    fall = np.ones(LENGTH)
    if kind.by_place:  # the target keeps the places of what it keeps, else nothing could have shown it there
        target = order[:, :LENGTH].copy()
        target[:, [6, 8]] = order[:, [LENGTH + 2, LENGTH + 1]]
        fall = 1 / np.log2(np.arange(LENGTH) + 2)
    truth = float((np.take_along_axis(chance, target, axis=1) * fall).sum(axis=1).mean())
    exploration = kind.exploration.of_list(LENGTH, POOL)
    weights = kind.exploration.weights(np.linspace(2, 0, POOL), np.full(POOL, 3.0), len(exploration.places))
    of_pool = exploration.at_place(weights) if kind.by_place else exploration.in_list(weights)
    whom = rng.integers(POPULATION, size=kind.users).repeat(kind.lists_a_user)
    shown, logged = order[whom, :LENGTH], np.tile(exploration.kept, (len(whom), 1))
    for number, who in enumerate(whom.tolist()):
        places = exploration.explored(rng)
        for place, row in (draw(places, weights, rng) if len(places) else {}).items():
            shown[number, place], logged[number, place] = order[who, LENGTH + row], of_pool[row]
    wanted = shown == target[whom]
    if not kind.by_place:
        inside = np.zeros((POPULATION, ITEMS), dtype=np.bool_)
        np.put_along_axis(inside, target, True, axis=1)
        wanted = inside[whom[:, None], shown]
    reward = (rng.random(shown.shape) < chance[whom[:, None], shown] * fall).astype(np.float64)
    user = np.arange(kind.users).repeat(kind.lists_a_user)
    predicted, expected = reward_model(user, shown, reward, target[whom])
    of_list, places = np.arange(len(whom)).repeat(LENGTH), np.full(len(whom), float(LENGTH))
    weight = (wanted / logged).ravel()
    lists = WeighedLists(of_list, user, weight, reward.ravel(), predicted.ravel(), expected, places)
    return lists, truth


def world_with_rules(kind: Kind, seed: int) -> tuple[WeighedLists, float]:
    """`world` whose lists were made under rules of then, and are judged under others."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(np.log(kind.base / (1 - kind.base)), 1, ITEMS) + rng.normal(0, 1, (RULED, ITEMS))
    chance = 1 / (1 + np.exp(-logits))
    order = np.argsort(-(logits + rng.normal(0, 1.5, logits.shape)), axis=1)
    then, others = rules_of_a_world(rng)
    of_users = [arranged(then, own) for own in order]
    parts = [explored_under(then, kind.exploration, own, made) for own, made in zip(order, of_users, strict=True)]
    target = np.array([arranged(others, own).items for own in order])
    truth = float(np.take_along_axis(chance, target, axis=1).sum(axis=1).mean())
    whom = rng.integers(RULED, size=kind.users).repeat(kind.lists_a_user)
    shown, logged = np.empty((len(whom), LENGTH), dtype=np.int64), np.empty((len(whom), LENGTH))
    for number, who in enumerate(whom.tolist()):
        drawn, propensities = explore(kind.exploration, LENGTH, parts[who], rng)
        shown[number], logged[number] = of_users[who].items, propensities.in_list
        for place, (movie, _) in drawn.items():
            shown[number, place] = movie
    inside = np.zeros((RULED, ITEMS), dtype=np.bool_)
    np.put_along_axis(inside, target, True, axis=1)
    reward = (rng.random(shown.shape) < chance[whom[:, None], shown]).astype(np.float64)
    user = np.arange(kind.users).repeat(kind.lists_a_user)
    predicted, expected = reward_model(user, shown, reward, target[whom])
    of_list, places = np.arange(len(whom)).repeat(LENGTH), np.full(len(whom), float(LENGTH))
    weight = (inside[whom[:, None], shown] / logged).ravel()
    lists = WeighedLists(of_list, user, weight, reward.ravel(), predicted.ravel(), expected, places)
    return lists, truth


def rules_of_a_world(rng: np.random.Generator) -> tuple[ActiveRules, ActiveRules]:
    """Rules of then, a cap on each category, a share and a pin, and others: a boost, a tighter cap, no pin.

    The pin of then stands in the others' lists too, as first candidate, so that the log can show all that they show.
    """
    category, recent = rng.integers(CATEGORIES, size=ITEMS), rng.random(ITEMS) < 0.5
    starts, pinned = np.arange(ITEMS + 1), int(rng.integers(ITEMS))
    factors = np.where(rng.random(ITEMS) < 0.2, 2.0, 1.0)
    factors[pinned] = 100.0

    def rules(most: int, **parts: Any) -> ActiveRules:
        limits = (ActiveCap("cap", starts, category, most, "of one category"), *parts.pop("shares", ()))
        given = {"factors": None, "pins": (), **parts}
        return ActiveRules("v", ITEMS, None, (), limits=limits, unmet=(), **given)

    pin = PlacedPin("pin", pinned, 0)
    return rules(4, pins=(pin,), shares=(ActiveShare("share", recent, 0.2, 1.0),)), rules(3, factors=factors)


def arranged(rules: ActiveRules, order: Numbers) -> Arranged:
    scores = np.linspace(1, 0, ITEMS, dtype=np.float32)

    def more(n: int, mask: NDArray[np.bool_]) -> tuple[Numbers, NDArray[np.float32]]:
        (rows,) = mask[order].nonzero()
        return order[rows[:n]], scores[rows[:n]]

    return arrange(rules, order, scores, LENGTH, more)


def explored_under(
    rules: ActiveRules, config: ExplorationConfig, order: Numbers, made: Arranged
) -> Sequence[PooledPlaces]:
    """The places of a list that are explored, as the API finds them under shares and caps."""
    pinned = [pin.item for pin in rules.pins]
    others = order[~np.isin(order, [*made.items, *pinned])]
    pool = Pool(others, np.linspace(2, 0, len(others)), np.full(len(others), 3.0))
    places = config.of_list(LENGTH, len(others), made.pinned).places
    fitting = replacements(rules.limits, made.items, places, others, config.pool)
    return [
        (ListExploration(LENGTH, (place,), config.share), partial(pool.take, rows)) for place, rows in fitting.items()
    ]


def reward_model(user: Numbers, shown: Numbers, reward: Floats, target: Numbers) -> tuple[Floats, Floats]:
    """The smoothed rate of each item in the other half of the users."""
    predicted, expected = np.zeros(shown.shape), np.zeros(len(target))
    for half in (0, 1):
        own = user % 2 == half
        earned = np.bincount(shown[~own].ravel(), reward[~own].ravel(), ITEMS)
        lists = np.bincount(shown[~own].ravel(), minlength=ITEMS)
        rate = (earned + PRIOR * reward[~own].mean()) / (lists + PRIOR)
        predicted[own], expected[own] = rate[shown[own]], rate[target[own]].sum(axis=1)
    return predicted, expected


def measure(kind: Kind, worlds: int) -> str:
    """A row of the table of coverage."""
    inside = dict.fromkeys((*TRUE, "covered", "normal"), 0)
    wide: dict[str, list[float]] = {name: [] for name in (*TRUE, "normal")}
    worth = []
    for seed in range(worlds):
        lists, truth = world(kind, seed)
        found = estimate(lists)
        for name in (*TRUE, "covered"):
            one = getattr(found, name)
            inside[name] += one.low <= (truth if name in TRUE else 1.0) <= one.high
            if name in TRUE:
                wide[name].append(one.high - one.low)
        low, high = normal_interval(lists)
        inside["normal"] += low <= truth <= high
        wide["normal"].append(high - low)
        worth.append(found.effective_places)
    cells = [f"{100 * inside[name] / worlds:.1f} % ({np.mean(wide[name]):.2f})" for name in (*TRUE, "normal")]
    told = f"{100 * inside['covered'] / worlds:.1f} %"
    return (
        f"| {kind.name} | {kind.users * kind.lists_a_user:,} | {np.mean(worth):,.0f} | {' | '.join(cells)} | {told} |"
    )


def normal_interval(lists: WeighedLists) -> tuple[float, float]:
    """IPS +- 1.96 standard errors, with users as independent: what most programs print."""
    terms = np.bincount(lists.user, np.bincount(lists.of_list, lists.weight * lists.reward))
    counts = np.bincount(lists.user)
    value = terms.sum() / counts.sum()
    half = 1.96 * float(np.sqrt(((terms - value * counts) ** 2).sum())) / float(counts.sum())
    return value - half, value + half


def beside_obp() -> str:
    """obp's estimates and ours on obp's own data, or that it is not installed."""
    try:
        from obp.dataset import OpenBanditDataset
        from obp.ope import DoublyRobust, InverseProbabilityWeighting, SelfNormalizedInverseProbabilityWeighting
    except ImportError:
        return "The package obp is not installed here, so its estimators were not run.\n"
    logs = {
        name: OpenBanditDataset(behavior_policy=name, campaign="all").obtain_batch_bandit_feedback()
        for name in ("random", "bts")
    }
    log, other = logs["random"], logs["bts"]
    action, position, reward = log["action"], log["position"], log["reward"].astype(np.float64)
    n, shape = log["n_rounds"], (log["n_actions"], int(position.max()) + 1)
    target, lists, earned = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    np.add.at(target, (other["action"], other["position"]), 1)
    target /= target.sum(axis=0)
    np.add.at(lists, (action, position), 1)
    np.add.at(earned, (action, position), reward)
    rate = (earned + PRIOR * reward.mean()) / (lists + PRIOR)
    given = {
        "reward": reward,
        "action": action,
        "pscore": log["pscore"],
        "position": position,
        "action_dist": np.broadcast_to(target, (n, *shape)).copy(),
    }
    theirs = (
        InverseProbabilityWeighting().estimate_policy_value(**given),
        SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**given),
        DoublyRobust().estimate_policy_value(
            estimated_rewards_by_reg_model=np.broadcast_to(rate, (n, *shape)).copy(), **given
        ),
    )
    found = estimate(
        WeighedLists(
            np.arange(n),
            np.arange(n),
            target[action, position] / log["pscore"],
            reward,
            rate[action, position],
            (target * rate).sum(axis=0)[position],
            np.ones(n),
        )
    )
    ours = (found.ips, found.snips, found.dr)
    rows = "\n".join(
        f"| {name} | {their:.12f} | {own.value:.12f} | [{own.low:.5f}, {own.high:.5f}] |"
        for name, their, own in zip(("IPS", "SNIPS", "DR"), theirs, ours, strict=True)
    )
    return f"""| estimator | obp | Movierec | its 95 % interval |
|---|---|---|---|
{rows}

{n:,} rounds of uniformly random choices in three places, of its bundled sample; the target chooses as often as the
bundled sample of Thompson sampling did at each place, in which {100 * other["reward"].mean():.2f} % were clicked.
The reward model is the smoothed rate of an item at its place.
"""


def main(worlds: int, part: str = "") -> None:
    began = time.time()
    rows = []
    for kind in (one for one in KINDS if part in one.name):
        rows.append(measure(kind, worlds))
        print(rows[-1], f"{time.time() - began:.0f} s", flush=True)
    if part:
        return
    RESULT.write_text(written(rows, worlds, beside_obp()), encoding="utf-8")


def written(rows: list[str], worlds: int, beside: str) -> str:
    return f"""# Off-policy estimates against the truth

By `python benchmarks/off_policy_coverage.py`, {platform.machine()}, Python {platform.python_version()}. {worlds:,}
worlds of each kind, lists of {LENGTH} with {POOL} movies to explore. Cells: how often the nominal 95 % interval holds
what the target truly earns, and the interval's mean width in rewards a list. "Normal" is IPS with 1.96 standard errors,
which is what is usually printed. "Seen" is how often the interval of the share of the target's places that the log
could have shown holds 100 %.

| worlds | lists | worth places | IPS | SNIPS | DR | normal | seen |
|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

## Beside obp

{beside}"""


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else WORLDS, *sys.argv[2:3])
