"""Conclusions about several models by one metric: who leads, who is tied, what validation picks, what costs less,
and the Pareto front of quality and cost.

Plain sentences for every surface. Two models are statistically tied where the paired tests find no significant
difference between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from movierec_engine.evaluation.comparison import Verdict
from movierec_engine.evaluation.metrics import less_is_better, metric_of, metric_title
from movierec_engine.reporting import numbers, words

BASELINE = "popularity"
"""The model that every other one has to beat."""
_NAMED = 4
"""More models than this on a front are counted and not named."""
_UNTESTED = "it is one number for all users, so no test compares the models"
NOTHING_PROMOTED = "The API answers from the newest index until one is promoted."


@dataclass(frozen=True)
class Outcome:
    """Models by their mean on test, best first, and the leader's paired comparison with each of the others."""

    metric: str
    """As it is reported, such as ndcg@10."""
    means: Mapping[str, float]
    """Name -> mean on test; at least one."""
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    """Name of another model -> the leader against it; missing where the users' own values cannot be compared."""
    below: Mapping[str, Verdict] = field(default_factory=dict)
    """Name of a model of a worse mean than the baseline's -> the baseline against it; missing as above."""

    @property
    def title(self) -> str:
        """The metric as people read it, such as NDCG@10."""
        return metric_title(self.metric)

    @property
    def per_user(self) -> bool:
        """Whether each user has a value of the metric, so that models can be tested by it."""
        known = metric_of(self.metric)
        return known is None or known.per_user

    @property
    def leader(self) -> str:
        return next(iter(self.means))

    @property
    def others(self) -> list[str]:
        return [name for name in self.means if name != self.leader]

    @property
    def compared(self) -> bool:
        """True if the leader was compared with every other model."""
        return bool(self.others) and all(name in self.verdicts for name in self.others)

    @property
    def tied(self) -> list[str]:
        """The other models that are not significantly worse than the leader, in order of mean."""
        return [name for name in self.others if name in self.verdicts and not self.verdicts[name].significant]


def outcome(metric: str, means: Mapping[str, float], tested: Sequence[Verdict]) -> Outcome:
    """The outcome of models with their means, best first. tested: the paired tests of all their pairs."""
    leader = next(iter(means))

    def against(name: str) -> dict[str, Verdict]:
        return {one.worse: one for one in tested if one.better == name and one.worse in means}

    return Outcome(metric, means, against(leader), against(BASELINE))


def corrected_p(verdict: Verdict) -> float:
    """The larger of the two tests' Holm-corrected p values: the one that decides."""
    return max(verdict.p_bootstrap, verdict.p_wilcoxon)


def headline(found: Outcome) -> str:
    """The conclusion in one sentence."""
    value = f"{found.title} {numbers.score(found.means[found.leader])} on test"
    if not found.others:
        return f"{found.leader} is the only model measured here, with {value}."
    field_of = f"{words.spelled(len(found.means))} models"
    if not found.per_user:
        return f"{_furthest(found)} of {field_of}, {numbers.score(found.means[found.leader])} on test; {_UNTESTED}."
    if not found.compared:
        return f"{found.leader} has the best mean of {field_of}, {value}; whether that is significant is not known."
    if not found.tied:
        return f"{found.leader} is the best of {field_of}, with {value}, significantly ahead of every other."
    return f"{found.leader} leads {field_of} with {value}, {_tied_with(found)}."


def chart_title(found: Outcome) -> str:
    """The same as a chart's title, without the numbers."""
    if not found.others:
        return f"{found.leader} is the only model here"
    if not found.per_user:
        return _furthest(found)
    if not found.compared:
        return f"{found.leader} has the best mean"
    if not found.tied:
        return f"{found.leader} is significantly better than every other model"
    return f"{found.leader} is ahead, {_tied_with(found)}"


def above_baseline(found: Outcome) -> str:
    """The leader's distance from the baseline, or "" where there is nothing to say: `2.2 times popularity`.

    Where less is better: `20.0 % lower than popularity`.
    """
    base = found.means.get(BASELINE, 0.0)
    if found.leader == BASELINE or base <= 0:
        return ""
    if less_is_better(found.metric):
        return f"{numbers.percent(1 - found.means[found.leader] / base)} lower than {BASELINE}"
    far = numbers.relative(found.means[found.leader], base)
    return f"{far} {BASELINE}" if far.endswith("times") else f"{far} against {BASELINE}"


def below_baseline(found: Outcome) -> str:
    """Sentence on the models that are significantly worse than the baseline, which knows nothing of anybody; or "".

    Tuning is advised by metrics of accuracy alone, which is what it looks for.
    """
    below = [name for name in found.means if name in found.below and found.below[name].significant]
    if not below:
        return ""
    verb = "is" if len(below) == 1 else "are"
    said = f"{numbers.listed(below)} {verb} significantly worse than {BASELINE}, which recommends the same to everybody"
    known = metric_of(found.metric)
    if known is None or not known.of_accuracy:
        return f"{said}."
    return f"{said}; `movierec tune {below[-1].partition('/')[0]} --minutes 10` looks for better settings."


def paired(verdict: Verdict, metric: str) -> str:
    """The paired comparison of two models over the same users, in a sentence. metric: as it is reported."""
    one = verdict.comparison
    conclusion = "significant" if verdict.significant else "not statistically significant"
    scores = f"scores {numbers.signed(one.difference)} against {verdict.worse}"
    if less_is_better(metric):
        scores = f"is lower by {numbers.score(one.difference)} than {verdict.worse}"
    span = numbers.signed_interval(one.low, one.high)
    return (
        f"User by user, {verdict.better} {scores} over the same {numbers.counted(one.users, 'user')} (95 % interval "
        f"{span}; {numbers.p_equals(corrected_p(verdict))}, corrected for all pairs of models): {conclusion}."
    )


def against_leader(found: Outcome, name: str) -> str:
    """A model's mark in a table: `best`, `tied best`, `tied (p = .35)`, `worse (p < .001)` or `not compared`."""
    if name == found.leader:
        return "tied best" if found.tied else "best" if found.compared else "best mean"
    verdict = found.verdicts.get(name)
    if verdict is None:
        return "not compared"
    return f"{'worse' if verdict.significant else 'tied'} ({numbers.p_equals(corrected_p(verdict))})"


def picked(found: Outcome, validation: Mapping[str, float]) -> str:
    """The model with the best mean on validation, or "" where none was measured there."""
    best = min if less_is_better(found.metric) else max
    return best(validation, key=validation.__getitem__, default="")


def validation_pick(found: Outcome, validation: Mapping[str, float]) -> str:
    """The model that validation picks, and whether test confirms it.

    validation: name -> mean on validation, of the models that were measured there.
    """
    known = metric_of(found.metric)
    if not validation and known is not None and known.of_dislikes:
        return f"{found.title} is measured on test alone, so no model can be picked by it."
    if not validation:
        return f"These reports have no {found.title} on validation, so nothing can be picked."
    pick = picked(found, validation)
    text = f"Pick on validation; test only confirms. Validation picks {pick} ({found.title} "
    text += numbers.score(validation[pick])
    if not found.others:
        return f"{text})."
    if pick == found.leader:
        return f"{text}), and test confirms it." if found.per_user else f"{text}), which is ahead on test, too."
    if pick not in found.verdicts:
        return f"{text}); on test {found.leader} is ahead."
    told = "significantly worse than" if found.verdicts[pick].significant else "statistically tied with"
    return f"{text}), which on test is {told} {found.leader}."


def cheaper_tie(found: Outcome, seconds: Mapping[str, float]) -> str:
    """The tied model that trains fastest, if in less than half of the leader's time; else "". seconds: of training."""
    trained = [name for name in found.tied if seconds[name]]  # given lists were not trained here
    quickest = min(trained, key=lambda name: seconds[name], default=found.leader)
    if seconds[quickest] >= seconds[found.leader] / 2:
        return ""
    return (
        f"If cost matters: {quickest} is statistically tied with {found.leader} and trains in "
        f"{numbers.duration(seconds[quickest])} instead of {numbers.duration(seconds[found.leader])}."
    )


def _furthest(found: Outcome) -> str:
    return f"{found.leader} has the {'lowest' if less_is_better(found.metric) else 'highest'} {found.title}"


def _tied_with(found: Outcome) -> str:
    if len(found.tied) == len(found.others) > 1:
        return "but all of them are statistically tied"
    p = f" ({numbers.p_equals(corrected_p(found.verdicts[found.tied[0]]))})" if len(found.tied) == 1 else ""
    return f"statistically tied with {numbers.listed(found.tied)}{p}"


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names that no other one dominates: at least equal in both values, and better in one.

    points: name -> two values of which more is better; of a cost, its negative.
    """
    return [
        name
        for name, (x, y) in points.items()
        if not any(x <= u and y <= v and (u, v) != (x, y) for u, v in points.values())
    ]


def front_sentence(front: Sequence[str], models: int, values: str) -> str:
    """Sentence on the models on a front, and the number of dominated ones.

    front: names of the models on it, at least one. models: how many there are. values: such as `cost-quality`.
    """
    dominated = models - len(front)
    if len(front) == 1 and dominated:
        return f"{front[0]} dominates every other model: it is alone on the {values} front"
    if not dominated:
        everybody = {1: "The model is", 2: "Both models are"}.get(models, f"All {models} models are")
        return f"{everybody} on the {values} front"
    on_front = numbers.listed(front) if len(front) <= _NAMED else f"{len(front)} models"
    verb = "is" if dominated == 1 else "are"
    return f"{on_front} are on the {values} front; {dominated} {verb} dominated"


def ends_sentence(points: Mapping[str, tuple[float, float]], first: str, second: str) -> str:
    """Sentence on who is furthest by each of two values, of which one has no better end, so that no model dominates.

    points: as in `pareto_front`; at least one. first, second: the values' ends, such as `highest NDCG@10`.
    """
    one, other = (max(points, key=lambda name: points[name][axis]) for axis in (0, 1))
    return f"{one} has the {first}{' and' if one == other else f', {other}'} the {second}"
