"""Popularity beside what a model has learned, by a weight that validation decides.

    score(u, i) = f(u, i) + b_i,    b_i = weight s z_i

f: what the model learned. z_i: log(1 + n_i) of the n_i users that item i has in train, brought to mean 0 and standard
deviation 1 over the items. s: the median, over users, of the standard deviation of f(u, .), so that with weight 1
popularity says as much as the model does. Models of item weights have a prior of their own, which the weight makes
stronger (`classic/prior_strength.py`).

Where users have one or two interactions, or a few users nearly everything, vectors keep some of the noise and rank
worse than popularity does (benchmarks/results/odd_densities.md); where there is more to learn, 0 is about best. The
weight is the best of `WEIGHTS` by the metric of early stopping on a sample of validation, and 0 unless it ranks better
than 0 by two standard errors: chosen as the best epoch is. Without validation it is 0; a refit takes over the weight
of the model that was measured. In an explanation b is part of the base, and no item's contribution.
"""

import logging
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
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


class ChosenPopularity(Recommender):
    """A model in which popularity has a weight; mixed in before the class whose `fit` learns f.

    popularity_weight: the weight in force.
    """

    popularity_weight: float = 0.0

    def fit(self, data: Dataset, fitting: Fitting | None = None) -> Self:
        self._learn(data, fitting)
        if self.config.popularity_weight is not None:
            self._weigh(self.config.popularity_weight)
        elif len(data.validation) and self.takes_popularity:
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
        """Whether popularity may have a weight: not where scores predict ratings."""
        return not self.uses_ratings

    def prior_tensors(self) -> dict[str, NDArray[Any]]:
        """The part of `tensors` that says the weight; nothing where popularity has none."""
        return {PRIOR: np.array([self.popularity_weight])} if self.popularity_weight else {}

    def restore_prior(self, tensors: dict[str, NDArray[Any]]) -> None:
        """Take back what `prior_tensors` gave."""
        self.popularity_weight = float(tensors[PRIOR][0]) if PRIOR in tensors else 0.0

    def _learn(self, data: Dataset, fitting: Fitting | None) -> None:
        """Learn f, while popularity has no weight."""
        self.popularity_weight = 0.0
        super().fit(data, fitting)  # type: ignore[safe-super]

    def _weigh(self, weight: float) -> None:
        """Give popularity this weight in a model that has learned f, and whatever weight it had."""
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
        if not len(none):  # such as a metric of all lists together
            return 0.0
        best, most = 0.0, 0.0
        for weight in WEIGHTS:
            gains = measured(weight) - none
            clear = _CLEAR * gains.std() / np.sqrt(len(gains))
            if gains.mean() < -clear:
                break
            if gains.mean() > max(most, clear):
                best, most = weight, float(gains.mean())
        if best:
            log.info(
                "%s: popularity has a weight of %g, by which %s on validation is %s instead of %s",
                *(self.name, best, metric, numbers.score(abs(none.mean() + most)), numbers.score(abs(none.mean()))),
            )
        return best


class PopularityWeighted(ChosenPopularity):
    """A model to whose scores b is added.

    popularity_scale: s above.
    """

    popularity_scale: float = 0.0

    @property
    def item_prior(self) -> Floats | None:
        """b above, float32 [n_items]; None where popularity has no weight."""
        if not self.popularity_weight:
            return None
        logs = np.log1p(self.popularity.astype(np.float64))
        z = (logs - logs.mean()) / (logs.std() or 1.0)
        return np.asarray(self.popularity_weight * self.popularity_scale * z, dtype=np.float32)

    def with_prior(self, scores: Floats) -> Floats:
        """Scores float32 [..., n_items] with b added."""
        prior = self.item_prior
        return scores if prior is None else scores + prior

    def prior_tensors(self) -> dict[str, NDArray[Any]]:
        """The weight and s."""
        return {name: np.append(weight, self.popularity_scale) for name, weight in super().prior_tensors().items()}

    def restore_prior(self, tensors: dict[str, NDArray[Any]]) -> None:
        super().restore_prior(tensors)
        self.popularity_scale = float(tensors[PRIOR][1]) if PRIOR in tensors else 0.0

    def _learn(self, data: Dataset, fitting: Fitting | None) -> None:
        super()._learn(data, fitting)
        known = np.flatnonzero(np.diff(self.history.indptr))
        sample = np.random.default_rng(0).permutation(known)[:_SPREAD_USERS]
        self.popularity_scale = float(np.median(self.score_known(sample).std(axis=1))) or 1.0
