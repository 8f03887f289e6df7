"""The prior of ease, item_cf, gf_cf and markov, made stronger where validation says that it helps.

    r = (1 + 8 weight) r_0        r_0: as in `fold_in/prior.py`, or of markov; weight: of `popularity_weight.py`

With 64 of the prior's strengths and more, lists are nearly popularity's.
"""

from typing import Any

import numpy as np

from movierec_engine.data.dataset import Dataset
from movierec_engine.models.base import Floats
from movierec_engine.models.fitting import Fitting
from movierec_engine.models.popularity_weight import ChosenPopularity

_STRONGER = 8.0
"""How many times the prior is added to itself by weight 1, so that `WEIGHTS` are from 2 to 65 times the prior."""


class PriorStrength(ChosenPopularity):
    """rest: float32, r above; None or empty without a prior, which no weight makes stronger."""

    rest: Any

    @property
    def takes_popularity(self) -> bool:
        return super().takes_popularity and self.rest is not None and len(self.rest) > 0

    def _learn(self, data: Dataset, fitting: Fitting | None) -> None:
        super()._learn(data, fitting)
        self._first: Floats | None = self.rest

    def _weigh(self, weight: float) -> None:
        super()._weigh(weight)
        if self.popularity_weight or self.rest is not self._first:
            assert self._first is not None
            self.rest = self._first * np.float32(1 + _STRONGER * self.popularity_weight)
