"""Off-policy evaluation: the reward that another model, other rules or another exploration would have earned.

The target's list is made anew for each explored list of the log: for the same user, of the same length, by what the
user had said by that moment, and under rules (`target_rules.py`). The log's propensities are what they were under the
rules of then, whatever the target's are. Two assumptions are to choose from, by which a movie's probabilities are
compared:

- `movie`: what a movie earns does not depend on its place in the list, nor on the movies beside it. The target's
  probability to have it anywhere in the list is compared with the log's.
- `place`: it may depend on the place, not on the movies beside it (Li et al. 2018, the item-position model). The
  probabilities at that place are compared, which leaves far fewer places to learn from.

The reward model of the doubly robust estimate is the smoothed item rate: q(i) = (r_i + A r) / (n_i + A), with r_i what
movie i earned in n_i lists of the other half of the users, r the mean of a place there, and A = PRIOR.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.id_map import PublicId
from movierec_engine.data.rating_scale import least_like
from movierec_engine.errors import DataError
from movierec_engine.evaluation.off_policy import PolicyEstimates, WeighedLists, estimate
from movierec_engine.feedback import FeedbackLog
from movierec_engine.pipeline.logged_lists import OF_LOST_RULES, LoggedLists, Reward, read_lists
from movierec_engine.pipeline.target_rules import NONE, THEN, TargetRules
from movierec_engine.recommending.cold_items import ColdItems
from movierec_engine.recommending.exploration import ExplorationConfig
from movierec_engine.recommending.rules.active import ActiveRules
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.versions import RULES_FILE
from movierec_engine.reporting import numbers
from movierec_engine.reporting.progress import advance, step
from movierec_engine.serving.exploration_pool import exploration_of
from movierec_engine.serving.list_making import MadeList, list_for
from movierec_engine.serving.list_options import ListOptions
from movierec_engine.serving.live_exploration import Impressions, kept
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.serving.person import of_user
from movierec_engine.store import Artifact, ArtifactStore, content_key, kinds

Assumption = Literal["movie", "place"]
ESTIMATES_FILE = "estimates.json"
PRIOR = 10.0
"""A: how many lists the mean counts for in the reward model."""
SEEN = 0.98
"""Share of the target's places from which on the log is said to have seen what it shows."""

Values = NDArray[np.float64]
Chances = dict[PublicId, float]


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

    def sentences(self) -> list[str]:
        """The reservations about the numbers, a sentence each."""
        found, asked = self.estimates, self.question
        share = found.covered.value
        said = [
            f"From {numbers.counted(found.lists, 'explored list')} of {numbers.counted(found.users, 'user')}, of which "
            f"{numbers.counted(self.rewards, 'place')} earned a {asked.reward} within {asked.minutes:g} minutes; the "
            f"weights are worth {found.effective_places:,.0f} places, and the largest is {found.largest_weight:,.1f}."
        ]
        if share < SEEN and found.covered.high < 1:
            said.append(
                f"The log could not have shown about {numbers.percent(1 - share, 0)} of the places of these lists: IPS "
                "counts nothing for them, SNIPS takes them to be like the others, and DR believes its reward model."
            )
        said += self._of_rules()
        if asked.clip:
            said.append(f"Weights above {asked.clip:g} are cut down to it, which pulls the estimates towards 0.")
        assumed = {
            "movie": "A movie is taken to earn the same at every place of a list.",
            "place": "A movie is taken to earn the same at its place, whatever stands beside it.",
        }
        said.append(assumed[asked.by] + " Intervals are of 95 %, with users as independent.")
        if self.left_out:
            whys = [f"{count:,} that {why}" for why, count in sorted(self.left_out.items(), key=lambda one: -one[1])]
            said.append(f"Lists that are left out: {numbers.listed(whys)}.")
        if self.early:
            said.append(
                f"{numbers.counted(self.early, 'event')} dated more than a minute before the list named by it is left "
                "out; the clocks of clients and servers differ."
            )
        return said

    def _of_rules(self) -> list[str]:
        """Under which rules the target's lists were made."""
        if self.question.rules == NONE:
            return ["The lists are made without rules."]
        which = "the rules of then" if self.question.rules == THEN else f"the rules of {self.question.rules}"
        said = f"The lists are made under {which}, which hold for {self.under_rules:,} of them"
        return [f"{said}; {numbers.counted(self.unmet, 'list')} could not meet one." if self.unmet else f"{said}."]


def judge(
    served: LoadedIndex, log: FeedbackLog, question: OffPolicyQuestion, rules: TargetRules | None = None
) -> OffPolicyResult:
    """Estimate what a model's lists would have earned.

    rules: that its lists are made under, None for none. Raises DataError where the log has no list to learn from, and
    ConfigError where rules that never held would hold for no list.
    """
    liked_from = least_like(served.artifact.facts)
    logged = read_lists(log, question.reward, question.minutes, liked_from, served.lineage.newest_feedback)
    if rules is not None:
        logged = logged.without(lambda one: not rules.known(one), OF_LOST_RULES)
    if not logged.lists:
        whys = [f"{count:,} {why}" for why, count in logged.left_out.items()]
        reason = f"; of those that were shown {numbers.listed(whys)}" if whys else ""
        raise DataError(
            f"the feedback log of {served.lineage.data_set} has no explored list to learn from{reason}; serve with "
            "serving.exploration.share=0.1, and ask again when people have answered"
        )
    target = _Target(served, log, logged, question.exploration, rules)
    lists = _weighed(target, logged, question)
    return OffPolicyResult(
        question,
        estimate(lists.clipped(question.clip) if question.clip else lists),
        int(lists.reward.sum()),
        logged.left_out,
        logged.early,
        target.under_rules,
        target.unmet,
    )


def publish_result(
    store: ArtifactStore, served: LoadedIndex, result: OffPolicyResult, document: RuleDocument | None = None
) -> Artifact:
    """Publish estimates, for the dashboard. document: the rules that were judged, where they are no version's."""
    facts: dict[str, Any] = {
        "question": asdict(result.question),
        "estimates": _without_nan(asdict(result.estimates)),
        "rewards": result.rewards,
        "left_out": result.left_out,
        "early": result.early,
        "under_rules": result.under_rules,
        "unmet": result.unmet,
        "sentences": result.sentences(),
    }

    def write(folder: Path) -> None:
        (folder / ESTIMATES_FILE).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        if document is not None:
            (folder / RULES_FILE).write_text(document.text, encoding="utf-8")

    index = served.artifact
    return store.publish(
        index.slot.beside(kinds.OFF_POLICY),
        write,
        key=content_key(index.reference, facts, document.text if document else ""),
        fingerprint=index.fingerprint,
        parents={kinds.FAISS_INDEX: index},
        facts=facts,
    )


@step("making the lists to judge")
def _weighed(target: "_Target", logged: LoggedLists, question: OffPolicyQuestion) -> WeighedLists:
    """The logged lists with the target's probabilities over the logged ones."""
    users: dict[PublicId, int] = {}
    of_list, weight, reward, shown = list[int](), list[float](), list[float](), list[PublicId]()
    wanted: list[Chances] = []
    for number, one in enumerate(logged.lists):
        chances, at_place = target.chances(number)
        logged_chance = one.inclusions if question.by == "movie" else one.propensities
        for place, (movie, chance) in enumerate(zip(one.movie_ids, logged_chance, strict=True)):
            of_target = chances.get(movie, 0.0) if question.by == "movie" else at_place(place, movie)
            of_list.append(number)
            weight.append(of_target / chance)
        reward += one.rewards
        shown += one.movie_ids
        wanted.append(chances)
        users.setdefault(one.user_id, len(users))
        if number % 100 == 0:
            advance(number, len(logged.lists), "lists")
    user = np.array([users[one.user_id] for one in logged.lists])
    rewards = np.array(reward)
    predicted, expected = _predicted(np.array(of_list), user, shown, rewards, wanted)
    places = np.array([sum(chances.values()) for chances in wanted])
    return WeighedLists(np.array(of_list), user, np.array(weight), rewards, predicted, expected, places)


class _Target:
    """The lists that a model would have shown, with its probabilities.

    under_rules: how many of the lists asked for so far rules held for. unmet: how many of those do not meet one.
    """

    def __init__(
        self,
        served: LoadedIndex,
        log: FeedbackLog,
        logged: LoggedLists,
        exploration: ExplorationConfig,
        rules: TargetRules | None,
    ) -> None:
        self._rules = [None if rules is None else rules.of(one) for one in logged.lists]
        if rules is not None:
            rules.require_any(self._rules)
        self.under_rules = sum(one is not None for one in self._rules)
        self.unmet = 0
        self._served, self._logged, self._config = served, logged, exploration
        self._erased = frozenset(log.erased_since(served.lineage.newest_erasure))
        self._erasure = log.newest_erasure()
        self._known: dict[tuple[PublicId, int], tuple[int, ActiveRules | None, MadeList]] = {}
        self._shows = _Shows(served.catalogue.new) if exploration.on else None

    def chances(self, number: int) -> tuple[Chances, Callable[[int, PublicId], float]]:
        """Each movie's probability to be in the target's list, and a function of a place and a movie for there."""
        one, rules = self._logged.lists[number], self._rules[number]
        said, state = self._logged.state_at(one.user_id, one.at_ms, self._erasure if one.user_id in self._erased else 0)
        length, movies = len(one.movie_ids), self._served.catalogue.movies
        person, options = of_user(self._served, one.user_id, state), ListOptions(length)
        before = self._known.get((one.user_id, length))
        if before is None or before[0] != said or before[1] is not rules:
            made = list_for(self._served, person, options, rules=rules)
            before = self._known[one.user_id, length] = said, rules, made
        made = before[2]
        self.unmet += bool(made.unmet)
        own = [movies[item]["movie_id"] for item in made.items]
        if self._shows is None:
            return dict.fromkeys(own, 1.0), lambda place, movie: float(place < len(own) and own[place] == movie)
        parts = exploration_of(self._served, person, options, made, self._config, self._shows, rules)
        stays = kept(len(own), parts).tolist()
        chances = dict(zip(own, stays, strict=True))
        pooled: dict[int, Chances] = {}
        for exploration, pool in parts:
            if exploration.places:
                others = pool()
                weights = self._config.weights(others.scores, others.seen, len(exploration.places))
                ids = [movies[place]["movie_id"] for place in others.movies.tolist()]
                chances |= dict(zip(ids, exploration.in_list(weights).tolist(), strict=True))
                at_each = dict(zip(ids, exploration.at_place(weights).tolist(), strict=True))
                pooled |= dict.fromkeys(exploration.places, at_each)
        self._shows.add(one.movie_ids)

        def at_place(place: int, movie: PublicId) -> float:
            if place < len(own) and own[place] == movie:
                return float(stays[place])
            return pooled.get(place, {}).get(movie, 0.0)

        return chances, at_place


class _Shows(Impressions):
    """How many lists had shown each new movie, as the log is gone through."""

    def __init__(self, new: ColdItems) -> None:
        super().__init__({})
        self._new, self._lists_of_new = new, np.zeros(len(new))

    def of_new(self, new: ColdItems) -> Values:
        return self._lists_of_new

    def add(self, movie_ids: Sequence[PublicId]) -> None:
        self._lists_of_new[self._new.rows(movie_ids)] += 1


def _predicted(
    of_list: NDArray[np.int64],
    user: NDArray[np.int64],
    shown: Sequence[PublicId],
    reward: Values,
    wanted: Sequence[Chances],
) -> tuple[Values, Values]:
    """The reward model's prediction of each place that was shown, and its sum over each list of the target's."""
    half = user % 2
    of_place = half[of_list]
    rates: list[Callable[[PublicId], float]] = []
    for other in (1, 0):
        earned: dict[PublicId, float] = defaultdict(float)
        lists: dict[PublicId, int] = defaultdict(int)
        for place in np.flatnonzero(of_place == other).tolist():
            earned[shown[place]] += float(reward[place])
            lists[shown[place]] += 1
        mean = sum(earned.values()) / max(sum(lists.values()), 1)
        rates.append(
            lambda movie, earned=earned, lists=lists, mean=mean: (  # type: ignore[misc]
                (earned.get(movie, 0.0) + PRIOR * mean) / (lists.get(movie, 0) + PRIOR)
            )
        )
    predicted = [rates[own](movie) for own, movie in zip(of_place.tolist(), shown, strict=True)]
    expected = [
        sum(chance * rates[own](movie) for movie, chance in chances.items())
        for own, chances in zip(half.tolist(), wanted, strict=True)
    ]
    return np.array(predicted), np.array(expected)


def _without_nan(value: Any) -> Any:
    """Plain data with None for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value


def described(exploration: ExplorationConfig) -> str:
    """An exploration in a few words."""
    if not exploration.on:
        return "not explored"
    return (
        f"{numbers.percent(exploration.share, 0)} of the places from {exploration.from_place} on explored by "
        f"{exploration.strategy}, {exploration.candidates} movies"
    )
