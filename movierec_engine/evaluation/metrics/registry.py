"""The registry of metrics: each is one function, and everything that people and programs read about it.

    @register_metric(title="Precision", formula="hits in the first k / k")
    def precision(hits, k):
        return hits[:, :k].sum(axis=1) / k

The names of its parameters say what a metric needs, as those of a Dagster asset do; INPUTS has all that there are.
Tables, the report, the dashboard, the checks and the trackers take titles, formulas, directions and bounds from here. A
metric of another package is found by an entry point of the group `movierec.metrics`, whose object is the registered
function or a module that registers some; one in a file of its own by the environment variable MOVIEREC_PLUGINS.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.models.plugins import home_of, load_plugins

if TYPE_CHECKING:
    from movierec_engine.evaluation.rankings import Rankings

METRICS_VERSION = 2
"""Raised when a name changes its meaning, and with it every fingerprint, so that the old and the new numbers are never
ranked together. A new metric changes no number that there is, and leaves it as it is."""

ENTRY_POINTS = "movierec.metrics"

Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]
Lists = NDArray[np.int32]
PerUser = NDArray[np.float64]
Direction = Literal["higher", "lower", ""]
Unit = Literal["", "%", "bits"]
F = TypeVar("F", bound=Callable[..., Any])

INPUTS = {
    "k": "int, the depth; a metric that does not ask for it is of the whole ranking",
    "hits": "bool [n, depth], whether the item at each rank is relevant; among equal scores relevant items stand last",
    "relevant": "int64 [n], each user's number of relevant items, at least 1",
    "liked_hits": "hits of the relevant items that the user likes alone; metrics of it are left out where dislikes are "
    "not known, and so for the next three",
    "liked": "int64 [n], each user's number of relevant items that the user likes",
    "disliked_hits": "bool [n, depth], whether the item at each place of a list is a held-out dislike",
    "dislikes": "int64 [n], each user's number of held-out dislikes",
    "lists": "int32 [n, depth], the recommended items, -1 where a list has ended",
    "n_items": "int, the size of the catalogue",
    "catalogue": "what train knows of items and users: popularity, activity, years",
    "genres": "float32 [n_items, g], 1 where an item is of a genre; metrics of it are left out where none is known",
    "embeddings": "float32 [n_items, d], a rank-32 SVD of train, the same for all models",
    "row": "int64 [m], ascending, the row of each relevant item's user",
    "item": "int32 [m], the relevant items",
    "rank": "int32 [m], their ranks from 1, ties against them; 0 where not recommended",
    "tied": "int32 [m], how many irrelevant items have their score; needs the whole ranking",
    "irrelevant": "int64 [n], how many irrelevant items could be recommended to each user",
    "more_popular": "int64 [m], how many more popular items could be recommended to its user; -1 in no list",
}
"""Inputs that a metric may ask for by the name of a parameter: attributes of `Rankings` of n evaluated users, and k."""

_OF_HITS = {"hits", "relevant", "k"}
_OF_FIRST_RANKS = _OF_HITS | {"lists", "n_items"}
_OF_DISLIKES = {"liked_hits", "liked", "disliked_hits", "dislikes"}
_OF_RANKS = _OF_HITS | {"row", "item", "rank", "tied", "irrelevant"}


@dataclass(frozen=True)
class Metric:
    """A registered metric; `register_metric` makes it.

    name: as in `ndcg@10` without the depth. title, formula, meaning: for people; meaning is short, for tables.
    bounds: the least and the greatest possible value. direction: which values are better; "" for neither.
    unit: how a value is written. per_user: whether each user has a value, else all have one together.
    """

    name: str
    title: str
    formula: str
    function: Callable[..., Any]
    meaning: str
    bounds: tuple[float, float]
    direction: Direction
    unit: Unit
    per_user: bool

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """Names of INPUTS."""
        return tuple(inspect.signature(self.function).parameters)

    @property
    def of_hits(self) -> bool:
        """True if it follows from hits and numbers of relevant items, so that it can be taken of some items alone."""
        return self.per_user and set(self.needs) <= _OF_HITS

    @property
    def of_first_ranks(self) -> bool:
        """True if it follows from the first ranks alone, and is cheap enough to be measured after every epoch."""
        return set(self.needs) <= _OF_FIRST_RANKS

    @property
    def of_dislikes(self) -> bool:
        """True if it needs to know dislikes, which test alone has."""
        return bool(_OF_DISLIKES & set(self.needs))

    @property
    def of_accuracy(self) -> bool:
        """True if it says how well relevant items are found, and nothing else."""
        return self.judges and set(self.needs) <= _OF_RANKS

    @property
    def deep(self) -> bool:
        """True if it needs every relevant item's rank, not only those in the lists."""
        return "tied" in self.needs

    @property
    def judges(self) -> bool:
        """True if one model may be called better than another by it, user by user."""
        return self.per_user and bool(self.direction)

    def at(self, k_values: Sequence[int]) -> list[str]:
        """The reported names, such as `ndcg@5` and `ndcg@10`; `auc` for one without a depth."""
        return [f"{self.name}@{k}" for k in k_values] if "k" in self.needs else [self.name]

    def __call__(self, **inputs: Any) -> Any:
        """The function's value of those of the inputs that it needs."""
        return self.function(**{name: inputs[name] for name in self.needs})

    def of(self, rankings: "Rankings", k: int) -> PerUser | float | None:
        """The metric at k: float64 [n] of n users or one number; None where the rankings lack what it needs.

        NaN stands for a user of whom it says nothing. Raises MovierecError for a value of another shape.
        """
        if self.deep and not rankings.deep:
            return None
        inputs = {name: k if name == "k" else getattr(rankings, name) for name in self.needs}
        if any(value is None for value in inputs.values()):
            return None
        value = np.asarray(self.function(**inputs), dtype=np.float64)
        expected = (len(rankings.users),) if self.per_user else ()
        if value.shape != expected:
            raise MovierecError(
                f"metric {self.name} returned values of shape {value.shape} where {expected} was expected; return one "
                "value a user, or register it with per_user=False"
            )
        return value if self.per_user else float(value)


def register_metric(
    *,
    title: str,
    formula: str,
    meaning: str = "",
    bounds: tuple[float, float] = (0.0, 1.0),
    direction: Direction = "higher",
    unit: Unit = "",
    per_user: bool = True,
    name: str = "",
) -> Callable[[F], F]:
    """Register a function as a metric under its own name, or another; the function itself is left as it is.

    Arguments as in `Metric`. Raises ConfigError for a name that is taken or unfit, and for a parameter that is none of
    INPUTS.
    """

    def register(function: F) -> F:
        metric = Metric(
            name or function.__name__, title, formula, function, meaning or formula, bounds, direction, unit, per_user
        )
        if not re.fullmatch(r"[a-z][a-z0-9_]*", metric.name):
            raise ConfigError(f"{metric.name!r} cannot name a metric; use small letters, digits and _")
        if unknown := [need for need in metric.needs if need not in INPUTS]:
            raise ConfigError(
                f"metric {metric.name} asks for {unknown[0]!r}, which there is not; choose from {', '.join(INPUTS)}"
            )
        if (taken := _registered.get(metric.name)) and home_of(taken.function) != home_of(function):
            one, other = (
                f"{registered.__module__}.{registered.__qualname__}" for registered in (taken.function, function)
            )
            raise ConfigError(f"metric {metric.name} is registered by {one} and by {other}; rename one")
        _registered[metric.name] = metric
        return function

    return register


def metrics() -> dict[str, Metric]:
    """Every metric by name, in the order that they are shown: the package's own, then those of other packages.

    Raises ConfigError for an entry point that cannot be loaded or registers nothing.
    """
    load_plugins()
    _load_entry_points()
    return dict(_registered)


def hit_metrics() -> dict[str, Metric]:
    """The metrics that follow from hits alone, which segments and subsets of items have too."""
    return {name: metric for name, metric in metrics().items() if metric.of_hits}


def judging_metrics() -> dict[str, Metric]:
    """The metrics by which one model may be called better than another, user by user."""
    return {name: metric for name, metric in metrics().items() if metric.judges}


class Reported(NamedTuple):
    """The name of a reported number, in its parts: `ndcg@10`, or `auc` of one that is over all ranks."""

    name: str
    depth: int | None = None

    @classmethod
    def read(cls, text: str) -> "Reported":
        """The parts of a name such as ndcg@10; a name without a depth is whole."""
        name, _, depth = text.rpartition("@")
        return cls(name, int(depth)) if name and depth.isdecimal() else cls(text)

    def __str__(self) -> str:
        return self.name if self.depth is None else f"{self.name}@{self.depth}"


def hits_at(reported: str, setting: str = "metric") -> tuple[str, int]:
    """Name and depth of a metric of hits. Raises ConfigError, which names the setting, for another one."""
    name, depth = Reported.read(reported)
    if name not in hit_metrics() or not depth:
        raise ConfigError(f"{setting}={reported} must be one of {', '.join(hit_metrics())} at a depth: ndcg@10")
    return name, depth


def metric_of(reported: str) -> Metric | None:
    """The metric of a reported name, such as `ndcg@10`; None for one that is not registered here."""
    return metrics().get(Reported.read(reported).name)


def less_is_better(reported: str) -> bool:
    """True if lower values of a reported name are the better ones."""
    metric = metric_of(reported)
    return metric is not None and metric.direction == "lower"


def judges(reported: str) -> bool:
    """True if models may be compared user by user by a reported name."""
    return Reported.read(reported).name in judging_metrics()


def metric_title(reported: str) -> str:
    """`ndcg@10` as NDCG@10; a name that is not registered here as it is."""
    metric = metric_of(reported)
    return str(Reported.read(reported)._replace(name=metric.title)) if metric else reported


_registered: dict[str, Metric] = {}


@cache
def _load_entry_points() -> None:
    for point in entry_points(group=ENTRY_POINTS):
        before = set(_registered)
        try:
            found = point.load()
        except ConfigError:
            raise
        except Exception as error:  # whatever another package's module raises
            raise ConfigError(
                f"the metrics of {point.value} (entry point {point.name}) cannot be loaded: {error}; "
                "mend or uninstall that package"
            ) from error
        own = any(metric.function is found for metric in _registered.values())
        if not (own or inspect.ismodule(found) or set(_registered) - before):
            raise ConfigError(f"{point.value} (entry point {point.name}) registers no metric; use @register_metric")
