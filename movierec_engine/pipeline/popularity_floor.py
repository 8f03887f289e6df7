"""Popularity's value on validation, which every model should reach, and the sentence about one that does not."""

from movierec_engine.data.dataset import Dataset
from movierec_engine.evaluation.evaluator import Evaluator
from movierec_engine.evaluation.metrics import Reported, less_is_better
from movierec_engine.models.classic.popularity import Popularity
from movierec_engine.reporting import numbers
from movierec_engine.store import Artifact, ArtifactStore, kinds

FACT = "popularity"
"""A trained model's fact: popularity's value of the metric that it is chosen by, on its validation, by the metric."""


def popularity_floor(store: ArtifactStore, splits: Artifact, data: Dataset, metric: str) -> dict[str, float]:
    """Metric -> popularity's value on validation; measured once for a split, then taken from another trained model."""
    for slot in store.slots(kinds.TRAINED_MODEL, splits.slot.data_set):
        other = store.latest(slot)
        if other and other.parents.get(kinds.SPLITS) == splits.reference and metric in other.facts.get(FACT, {}):
            return {metric: other.facts[FACT][metric]}
    name, depth = Reported.read(metric)
    evaluator = Evaluator((depth or 10,), (name,))
    return {metric: evaluator.evaluate(Popularity().fit(data), data.validation, deep=False).metrics[metric]}


def below_popularity(trained_model: Artifact) -> str:
    """A sentence about a trained model that is worse than popularity on validation; of any other nothing."""
    for metric, floor in trained_model.facts.get(FACT, {}).items():
        value, name = trained_model.facts["validation_metrics"][metric], trained_model.slot.model
        if value > floor if less_is_better(metric) else value < floor:
            return (
                f"{name} is worse than popularity on validation ({metric} {numbers.score(value)} against "
                f"{numbers.score(floor)}); find better settings with `movierec tune {name} --minutes 10`"
            )
    return ""
