"""Popularity beside what a model has learned, by a weight that validation decides.

    score(u, i) = f(u, i) + b_i,    b_i = weight s z_i

f: what the model learned. z_i: log(1 + n_i) of the n_i users that item i has in train, brought to mean 0 and standard
deviation 1 over the items. s: the median, over users, of the standard deviation of f(u, .), so that with weight 1
popularity says as much as the model does.

Where users have one or two interactions, or a few users nearly everything, vectors keep some of the noise and rank
worse than popularity does; where there is enough to learn, weight 0 is best (benchmarks/results/odd_densities.md). The
weight is the best of `WEIGHTS` by the metric of early stopping on a sample of validation, and 0 unless it ranks better
than 0 by two standard errors: chosen as the best epoch is. Without validation it is 0; a refit takes over the weight
of the model that was measured. In an explanation b is part of the base, and no item's contribution.
"""

import logging
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.evaluator import Evaluator
from movierec_engine.evaluation.metrics import Reported, less_is_better
from movierec_engine.models.base import Floats, Recommender
from movierec_engine.models.fitting import Fitting
from movierec_engine.reporting import numbers

log = logging.getLogger(__name__)

PRIOR = "popularity"
"""Name of `prior_tensors`."""

WEIGHTS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Weights that are tried beside 0, ascending."""
_USERS = 2_000
"""Users of validation that decide, at most."""
_SPREAD_USERS = 100
"""Users whose scores s is the median of, at most."""
_CLEAR = 2.0
"""Standard errors by which a weight has to rank better than 0, or worse."""


class PopularityWeighted(Recommender):
    """A model to whose item scores `item_prior` is added; mixed in before the class whose `fit` learns f.

    popularity_weight: the weight above. popularity_scale: s above.
    """

    popularity_weight: float = 0.0
    popularity_scale: float = 0.0

    def fit(self, data: Dataset, fitting: Fitting | None = None) -> Self:
        self._learn(data, fitting)
        if self.config.popularity_weight is not None:
            self._weigh(self.config.popularity_weight)
        elif len(data.validation):
            how = fitting or Fitting()
            self._weigh(self._best_weight(data.validation.sampled(_USERS, how.seed), how.trainer.early_stopping.metric))
        return self

    def fit_like(self, measured: Path, data: Dataset, fitting: Fitting | None = None) -> Self:
        """`fit`, with the weight of popularity that a saved model of the same settings has."""
        weight = type(self).load(measured).popularity_weight
        self._learn(data, fitting)
        self._weigh(weight)
        return self

    @property
    def takes_popularity(self) -> bool:
        """Whether popularity may be added to the scores: not where they predict ratings."""
        return not self.uses_ratings

    @property
    def item_prior(self) -> Floats | None:
        """b above, float32 [n_items]; None where popularity has no weight."""
        if not self.popularity_weight:
            return None
        return np.asarray(self.popularity_weight * self.popularity_scale * self._standard_log, dtype=np.float32)

    @cached_property
    def _standard_log(self) -> NDArray[np.float64]:
        """z above."""
        logs = np.log1p(self.popularity.astype(np.float64))
        return np.asarray((logs - logs.mean()) / (logs.std() or 1.0))

    def with_prior(self, scores: Floats) -> Floats:
        """Scores float32 [..., n_items] with b added."""
        prior = self.item_prior
        return scores if prior is None else scores + prior

    def prior_tensors(self) -> dict[str, NDArray[Any]]:
        """The weight and s, of `tensors`; nothing where popularity has no weight."""
        if not self.popularity_weight:
            return {}
        return {PRIOR: np.array([self.popularity_weight, self.popularity_scale])}

    def restore_prior(self, tensors: dict[str, NDArray[Any]]) -> None:
        """Take back what `prior_tensors` gave."""
        self._forget()
        if PRIOR in tensors:
            self.popularity_weight, self.popularity_scale = tensors[PRIOR].tolist()

    def _learn(self, data: Dataset, fitting: Fitting | None) -> None:
        """Learn f, and s."""
        self._forget()
        super().fit(data, fitting)  # type: ignore[safe-super]
        known = np.flatnonzero(np.diff(self.history.indptr))
        sample = np.random.default_rng(0).permutation(known)[:_SPREAD_USERS]
        self.popularity_scale = float(np.median(self.score_known(sample).std(axis=1))) or 1.0

    def _forget(self) -> None:
        self.popularity_weight, self.popularity_scale = 0.0, 0.0
        self.__dict__.pop("_standard_log", None)

    def _weigh(self, weight: float) -> None:
        """Give popularity this weight in a model that has learned f."""
        self.popularity_weight = float(weight) if self.takes_popularity else 0.0

    def _best_weight(self, validation: HeldOut, metric: str) -> float:
        """The weight of which a metric makes most on validation. Weights above one that does clearly worse than 0 are
        not tried."""
        name, depth = Reported.read(metric)
        evaluator, sign = Evaluator((depth or 10,), (name,)), -1.0 if less_is_better(metric) else 1.0

        def measured(weight: float) -> NDArray[np.float64]:
            self._weigh(weight)
            each = evaluator.evaluate(self, validation, deep=False).per_user.get(metric, np.zeros(0))
            return sign * each[~np.isnan(each)]

        none = measured(0.0)
        if not self.takes_popularity or not len(none):  # such as a metric of all lists together
            return 0.0
        best, most = 0.0, 0.0
        for weight in WEIGHTS:
            gains = measured(weight) - none
            clear = _CLEAR * gains.std() / np.sqrt(max(len(gains), 1))
            if gains.mean() < -clear:
                break
            if gains.mean() > max(most, clear):
                best, most = weight, gains.mean()
        if best:
            log.info(
                "%s: popularity is added with a weight of %g, by which %s on validation is %s instead of %s",
                *(self.name, best, metric, numbers.score(abs(none.mean() + most)), numbers.score(abs(none.mean()))),
            )
        return best


def check_popularity_weight(weight: float | None) -> None:
    """Raises ConfigError for a weight below 0."""
    if weight is not None and not 0 <= weight < np.inf:
        raise ConfigError(f"model.popularity_weight={weight} must not be below 0")
