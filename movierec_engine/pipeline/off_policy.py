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
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.id_map import PublicId
from movierec_engine.data.rating_scale import least_like
from movierec_engine.errors import DataError
from movierec_engine.evaluation.off_policy import WeighedLists, estimate
from movierec_engine.evaluation.off_policy.question import OffPolicyQuestion, OffPolicyResult
from movierec_engine.feedback import FeedbackLog
from movierec_engine.pipeline.logged_lists import OF_LOST_RULES, LoggedLists, read_lists
from movierec_engine.pipeline.off_policy_target import Chances, TargetLists
from movierec_engine.pipeline.target_rules import TargetRules
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.versions import RULES_FILE
from movierec_engine.reporting import numbers
from movierec_engine.reporting.off_policy import sentences
from movierec_engine.reporting.progress import advance, step
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.store import Artifact, ArtifactStore, content_key, kinds
from movierec_engine.store.plain_json import plain_json

ESTIMATES_FILE = "estimates.json"
PRIOR = 10.0
"""A: how many lists the mean counts for in the reward model."""

Values = NDArray[np.float64]


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
    target = TargetLists(served, log, logged, question.exploration, rules)
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
        "estimates": plain_json(asdict(result.estimates)),
        "rewards": result.rewards,
        "left_out": result.left_out,
        "early": result.early,
        "under_rules": result.under_rules,
        "unmet": result.unmet,
        "sentences": sentences(result),
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
def _weighed(target: TargetLists, logged: LoggedLists, question: OffPolicyQuestion) -> WeighedLists:
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


@dataclass(frozen=True)
class ItemRates:
    """The smoothed rate of each movie; called with a movie, what it is expected to earn in a list.

    earned, lists: by movie, what it earned and in how many lists it was shown. mean: of a place.
    """

    earned: Mapping[PublicId, float]
    lists: Mapping[PublicId, int]
    mean: float

    @classmethod
    def of(cls, shown: Iterable[PublicId], reward: Iterable[float]) -> "ItemRates":
        """Each place with its movie and what it earned."""
        earned: dict[PublicId, float] = defaultdict(float)
        lists: Counter[PublicId] = Counter()
        for movie, amount in zip(shown, reward, strict=True):
            earned[movie] += amount
            lists[movie] += 1
        return cls(earned, lists, sum(earned.values()) / max(lists.total(), 1))

    def __call__(self, movie: PublicId) -> float:
        return (self.earned.get(movie, 0.0) + PRIOR * self.mean) / (self.lists.get(movie, 0) + PRIOR)


def _predicted(
    of_list: NDArray[np.int64],
    user: NDArray[np.int64],
    shown: Sequence[PublicId],
    reward: Values,
    wanted: Sequence[Chances],
) -> tuple[Values, Values]:
    """The reward model's prediction of each place that was shown, and its sum over each list of the target's.

    Each half of the users is predicted from the other.
    """
    half = user % 2
    of_place = half[of_list]
    rates: list[ItemRates] = []
    for other in (1, 0):
        places = np.flatnonzero(of_place == other)
        rates.append(ItemRates.of([shown[place] for place in places.tolist()], reward[places].tolist()))
    predicted = [rates[own](movie) for own, movie in zip(of_place.tolist(), shown, strict=True)]
    expected = [
        sum(chance * rates[own](movie) for movie, chance in chances.items())
        for own, chances in zip(half.tolist(), wanted, strict=True)
    ]
    return np.array(predicted), np.array(expected)
