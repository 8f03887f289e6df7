"""The question of an off-policy evaluation, and its result."""

from dataclasses import dataclass, field
from typing import Literal

from movierec_engine.evaluation.off_policy.estimators import PolicyEstimates
from movierec_engine.recommending.exploration import ExplorationConfig

Reward = Literal["like", "click"]
Assumption = Literal["movie", "place"]
"""Assumption on what a movie's reward depends on: on nothing else in the list, or on its place too."""
THEN, NONE = "then", "none"
"""Rules of the target's lists: those that each list was shown under, or no rules."""


@dataclass(frozen=True)
class OffPolicyQuestion:
    """The question of an off-policy evaluation.

    minutes: of the reward. clip: the largest weight, 0 for none. exploration: the target's. rules: the target's, in
    words: `then`, `none`, or the name of a file.
    """

    reward: Reward = "like"
    minutes: float = 1440.0
    by: Assumption = "movie"
    clip: float = 0.0
    exploration: ExplorationConfig = field(default_factory=ExplorationConfig)
    rules: str = NONE


@dataclass(frozen=True)
class OffPolicyResult:
    """Estimates of a target, and what they rest on.

    rewards: places that earned one. left_out: why -> how many lists. early: events dated before the list they name.
    under_rules: lists of the target's that rules held for. unmet: those of them that did not meet one.
    """

    question: OffPolicyQuestion
    estimates: PolicyEstimates
    rewards: int
    left_out: dict[str, int]
    early: int
    under_rules: int = 0
    unmet: int = 0
