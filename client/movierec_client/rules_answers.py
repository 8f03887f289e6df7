"""Answers about rules."""

from dataclasses import dataclass
from typing import Any

from movierec_client.answers import Answered, Movie, UnmetRuleSaid
from movierec_client.decoding import Answer
from movierec_client.requests import Id


@dataclass(frozen=True, kw_only=True)
class RulesChange(Answer):
    """A version of a scenario's rules: who made it, when and why. action: `published`, or `rolled back to` another."""

    version: str
    at: str
    by: str
    note: str
    action: str


@dataclass(frozen=True, kw_only=True)
class ScenarioRules(Answered):
    """version: the one that holds, `none` before any. history: those that have held, the one that holds first."""

    scenario: str
    version: str
    rules: list[dict[str, Any]]
    history: list[RulesChange]


@dataclass(frozen=True, kw_only=True)
class TriedList(Answer):
    """A user's list as it is, and as it would be."""

    user_id: Id
    before: list[Movie]
    after: list[Movie]
    unmet_rules: list[UnmetRuleSaid]


@dataclass(frozen=True, kw_only=True)
class RulesTrial(Answered):
    """The effect of trial rules.

    findings: what is odd, such as ids that are unknown. movies: rule -> movies that it leaves, boosts, pins or counts.
    changed: of `users` lists. unmet: rule -> lists that do not meet it. lists: the first that change.
    """

    scenario: str
    findings: list[str]
    movies: dict[str, int]
    users: int
    changed: int
    unmet: dict[str, int]
    lists: list[TriedList]
