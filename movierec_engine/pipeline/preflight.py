"""The preflight: what a fit, an evaluation and an index will need, and the refusal of what cannot succeed.

The models say what they cost themselves (`models/cost.py`); here stands what the data takes in each step. Both are held
against what was measured by benchmarks/size_ladder.py.
"""

from dataclasses import asdict, dataclass

from movierec_engine.config import Settings, typed
from movierec_engine.data.split_strategies import FOLD_IN, PARTS
from movierec_engine.models.base import Recommender
from movierec_engine.models.cost import FLOPS, DataSize, too_large
from movierec_engine.models.likeness import EXACT_ITEMS
from movierec_engine.models.memory import memory_budget
from movierec_engine.models.registry import model_class
from movierec_engine.pipeline.data import data_slot
from movierec_engine.store import Artifact, ArtifactStore, kinds
from movierec_engine.training.config import TrainerConfig

STEPS = FIT, EVALUATION, INDEX = "fit", "evaluation", "index"

_PROGRAM, _TORCH = 300e6, 150e6
"""Bytes of Python and the libraries that every training loads, and of PyTorch."""
_ROW = {FIT: 100.0, EVALUATION: 95.0, INDEX: 85.0}
"""Bytes of an interaction at a step's peak: the parts of the split as they are read, and the matrices made of them."""
_USER = {FIT: 400.0, EVALUATION: 1500.0, INDEX: 200.0}
"""Bytes of a user: lists, metrics by user and depth, and their tables."""
_ITEM = {FIT: 1000.0, EVALUATION: 1000.0, INDEX: 3000.0}
"""Bytes of an item: embeddings, genres, titles; similar items."""
_BLOCKS = 30e6
"""Bytes of the blocks of scores that are ranked at once."""
_READ = {FIT: 0.4e-6, EVALUATION: 2e-6, INDEX: 2e-6}
"""Seconds of an interaction at a step: the parts as they are read and made into matrices, and the items' embeddings."""
_RANKED = 1.5e-9
"""Seconds to rank one score."""
_ALIKE = 3e-9
"""Seconds to tell how alike two items are."""


@dataclass(frozen=True)
class DataCounts:
    """Amount of data that a model of a split is trained and measured on."""

    users: int
    items: int
    train: int
    interactions: int
    """Interactions of all parts."""

    @property
    def size(self) -> DataSize:
        return DataSize(self.users, self.items, self.train)

    @classmethod
    def of(cls, splits: Artifact, train_size: float = 1.0) -> "DataCounts":
        """The counts of a split, or of a share of its train part."""
        facts = splits.facts
        everything = sum(facts.get(name, 0) for name in (*PARTS, FOLD_IN))
        return cls(facts["users"], facts["items"], round(train_size * facts["train"]), everything)


@dataclass(frozen=True)
class Estimate:
    """Memory and time of one step of one model; None where the model does not say."""

    model: str
    step: str
    n_bytes: float | None
    """Memory of the whole process at its peak."""
    seconds: float | None
    instead: str = ""
    """Remedy where it is too much."""

    def fits(self, budget: float) -> bool | None:
        """True if it fits into so many bytes; None where that is not known."""
        return None if self.n_bytes is None else self.n_bytes <= budget


def estimates(settings: Settings, counts: DataCounts) -> list[Estimate]:
    """Estimates of the fit, the evaluation and the index of the settings' model on so much data."""
    model = model_class(settings.model_name)(settings.model)
    on_cpu = settings.device == "cpu"
    return [_estimate(model, step, settings.trainer, counts, on_cpu) for step in STEPS]


def require_memory(step: str, settings: Settings, counts: DataCounts) -> None:
    """Raises TooLargeError for a step of the settings' model that needs more memory than this process may have."""
    _refuse_too_large(estimates(settings, counts)[STEPS.index(step)], counts)


def require_memory_for(step: str, trained_model: Artifact, counts: DataCounts) -> None:
    """The same of a step with a trained model."""
    described = dict(trained_model.config["model"])
    described.pop("type", None)
    kind = model_class(described.pop("name"))
    model = kind(typed(kind.Config, described, "model"))
    trainer = typed(TrainerConfig, trained_model.config["trainer"], "trainer")
    _refuse_too_large(_estimate(model, step, trainer, counts), counts)


def _refuse_too_large(estimate: Estimate, counts: DataCounts) -> None:
    budget = memory_budget()
    if estimate.n_bytes is not None and estimate.n_bytes > budget:
        work = f"the {estimate.step} of {estimate.model}"
        raise too_large(work, estimate.n_bytes, counts.size, budget, estimate.instead)


def counts_in_store(store: ArtifactStore, settings: Settings) -> DataCounts | None:
    """The counts of the newest split that was made with these data settings; None where there is none."""
    splits = store.latest(data_slot(kinds.SPLITS, settings.data))
    if splits is None:
        return None
    wanted = {**asdict(settings.data), "train_size": splits.config["train_size"]}
    if wanted | splits.config != wanted:  # a setting that is newer than the split is not compared
        return None
    return DataCounts.of(splits, settings.data.train_size)


def _estimate(
    model: Recommender, step: str, trainer: TrainerConfig, counts: DataCounts, on_cpu: bool = True
) -> Estimate:
    cost = model.cost(counts.size, trainer)
    if cost is None or (step == FIT and not on_cpu and hasattr(model.config, "loss_type")):  # in the device's memory
        return Estimate(model.name, step, None, None)
    ranked, alike = float(counts.users) * counts.items, float(counts.items) * min(counts.items, EXACT_ITEMS)
    ranking = counts.users * cost.score_operations / FLOPS + ranked * _RANKED
    of_model, seconds = {
        FIT: (max(cost.fit_bytes, cost.model_bytes + _BLOCKS), cost.seconds + ranking),  # that of validation
        EVALUATION: (1.5 * cost.model_bytes + _BLOCKS, ranking),  # of which half is mapped while it is read
        INDEX: (
            cost.model_bytes + cost.index_bytes + _BLOCKS,
            counts.items * max(cost.score_operations, cost.similar_operations) / FLOPS + alike * _ALIKE,
        ),
    }[step]
    data = _ROW[step] * counts.interactions + _USER[step] * counts.users + _ITEM[step] * counts.items
    seconds += _READ[step] * counts.interactions
    instead = cost.instead if of_model > data else "take a machine with more memory, as the data alone needs most of it"
    program = _PROGRAM + _TORCH * model.on_torch
    return Estimate(model.name, step, program + data + of_model, seconds, instead)
