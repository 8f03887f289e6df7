"""User-based fold-in: neighbours are found by the similarity of histories.

score(i) = sum_{v in N} s_v r_vi + c q_i        N: the k trained users most similar to the new user

s: of `classic/item_cf.py`. q: popularity as in `prior.py`; c: its strength, the same for everybody.
"""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import HistoryValues
from movierec_engine.models.classic.neighbourhood import ItemCFConfig, compared, similarity_blocks, strongest
from movierec_engine.models.fold_in.base import Basis, Floats, FoldInScorer, Indices
from movierec_engine.models.fold_in.prior import shares


@dataclass(frozen=True, eq=False)
class UserCFFoldIn(FoldInScorer):
    """User-based collaborative filtering; the `explanation_inputs` of a trained user are the s_v, [n_users].

    item_baseline: float64 [n_items], of pearson_baseline. rest: c.
    """

    kind: ClassVar[str] = "user_cf"
    exact: ClassVar[bool] = True

    config: ItemCFConfig
    item_baseline: NDArray[np.float64]
    ratings: bool
    rest: float = 0.0

    @property
    def history_values(self) -> HistoryValues:
        return "ratings" if self.ratings else "ones"

    @property
    def n_explanation_inputs(self) -> int:
        return int(self.basis.history.shape[0])

    def scores(self, histories: sparse.csr_matrix) -> Floats:
        scores = (self._weights_of(histories) @ self.basis.history).toarray()
        return np.asarray(scores + self.rest * shares(self.basis.popularity), dtype=np.float32)

    def contributions(
        self, history: sparse.csr_matrix, items: Indices, inputs: Floats | None = None
    ) -> NDArray[np.float64]:
        """Each s_v r_vi is split over the items that both have, by their terms in the sum above the fraction of s_v
        (msd, which has no such sum: equally). Who the neighbours are, and what s_v is divided by, is taken as given.
        """
        weights = self._weights_of(history) if inputs is None else sparse.csr_matrix(inputs[None])
        votes = weights.data[:, None] * self.basis.history[weights.indices][:, items].toarray()
        votes_at_all = votes.any(axis=1)
        shares = self._shares(history, self.basis.history[weights.indices[votes_at_all]])
        return np.asarray(votes[votes_at_all].T @ shares, dtype=np.float64)

    def closeness(self, history: sparse.csr_matrix, items: Indices) -> NDArray[Any]:
        return self.contributions(history, items)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "kind": np.array(self.kind),
            "config": np.array(json.dumps(asdict(self.config))),
            "item_baseline": self.item_baseline,
            "ratings": np.array(self.ratings),
            "rest": np.array(self.rest),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], basis: Basis) -> Self:
        config = ItemCFConfig(**json.loads(str(arrays["config"])))
        return cls(basis, config, arrays["item_baseline"], bool(arrays["ratings"]), float(arrays.get("rest", 0)))

    @cached_property
    def _trained(self) -> sparse.csr_matrix:
        return self._compared(self.basis.history)

    def _weights_of(self, histories: sparse.csr_matrix) -> sparse.csr_matrix:
        """s_v of new users' neighbours by their histories: CSR [n, n_users]."""
        blocks = similarity_blocks(self._compared(histories), self._trained, self.config, self.ratings)
        k = self.config.neighbours(self.ratings, self._trained.nnz / np.prod(self._trained.shape))
        return sparse.vstack([strongest(similar, k) for _, similar in blocks], format="csr")

    def _shares(self, history: sparse.csr_matrix, others: sparse.csr_matrix) -> NDArray[np.float64]:
        """The share of each item of a history [h] in its similarity to each of the others [n]: float64 [n, h]."""
        common = others[:, history.indices].toarray() != 0
        if self.config.similarity == "msd":
            terms = common.astype(np.float64)
        else:
            theirs = self._compared(others)[:, history.indices].toarray()
            mine = np.where(common, self._compared(history).data, 0)
            if self.config.similarity == "pearson":
                count = common.sum(axis=1, keepdims=True)
                theirs, mine = (values - values.sum(axis=1, keepdims=True) / count for values in (theirs, mine))
            terms = np.where(common, mine * theirs, 0)
        return np.asarray(terms / terms.sum(axis=1, keepdims=True), dtype=np.float64)

    def _compared(self, histories: sparse.csr_matrix) -> sparse.csr_matrix:
        return compared(histories, self.config, self.item_baseline)
