"""New users of an ensemble: its members' scores, made comparable and added with the weights of `fusion.py`."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.catalogue import activity_tier
from movierec_engine.data.interactions import HistoryValues
from movierec_engine.models.ensemble.fusion import AFFINE, fuse, shift_and_scale
from movierec_engine.models.fold_in import fold_in_from_arrays
from movierec_engine.models.fold_in.base import Basis, Floats, FoldInScorer, Indices, ones


@dataclass(frozen=True, eq=False)
class FusedFoldIn(FoldInScorer):
    """The item vectors are the members' ones beside each other, and a column of ones.

    members: of the models. widths: the lengths of their vectors.
    weights: float32 [tiers, n_features], of each kind of person by activity. normalization: of `fusion.py`.
    history_values: what a history holds; members that learned from neither ratings nor order get ones.
    """

    kind: ClassVar[str] = "fused"

    members: tuple[FoldInScorer, ...]
    widths: tuple[int, ...]
    weights: Floats
    normalization: str
    values: HistoryValues

    @property
    def exact(self) -> bool:  # type: ignore[override]
        return self.affine and all(member.exact for member in self.members)

    @property
    def as_trained(self) -> bool:  # type: ignore[override]
        return all(member.as_trained for member in self.members)

    @property
    def affine(self) -> bool:
        return self.normalization in AFFINE

    @property
    def history_values(self) -> HistoryValues:
        return self.values

    @property
    def n_explanation_inputs(self) -> int:
        """A factor for each member, then what each member must know."""
        return len(self.members) + sum(member.n_explanation_inputs for member in self.members) if self.affine else 0

    def scores(self, histories: sparse.csr_matrix) -> Floats:
        return fuse(self.member_scores(histories), self._weights_of(histories), self.normalization)

    def taste_scores(self, liked: sparse.csr_matrix, disliked: sparse.csr_matrix) -> Floats:
        """The members' taste scores, fused as their scores are."""
        return fuse(self._member_tastes(liked, disliked), self._weights_of(liked), self.normalization)

    def taste_contributions(
        self, liked: sparse.csr_matrix, disliked: sparse.csr_matrix, items: Indices
    ) -> NDArray[np.float64]:
        """The members', each scaled and weighted as its taste scores are; of the fused scores where ranks are added."""
        if not self.affine:
            return super().taste_contributions(liked, disliked, items)
        scale = shift_and_scale(self._member_tastes(liked, disliked), self.normalization)[1][:, 0]
        factor = (scale * self._weights_of(liked)[0]).astype(np.float64)
        each = zip(self._of_each(liked), self._of_each(disliked), strict=True)
        parts = [member.taste_contributions(likes, hates, items) for (member, likes), (_, hates) in each]
        return np.asarray(np.tensordot(factor, np.stack(parts), axes=1))

    def contributions(
        self, history: sparse.csr_matrix, items: Indices, inputs: Floats | None = None
    ) -> NDArray[np.float64]:
        """The members' contributions, each scaled and weighted as its scores are; by deletion where ranks are added."""
        if not self.affine:
            return super().contributions(history, items, inputs)
        m = len(self.members)
        rests: list[Floats | None] = [None] * m
        if inputs is None:
            scale = shift_and_scale(self.member_scores(history), self.normalization)[1][:, 0]
            factor = scale * self._weights_of(history)[0]
        else:
            ends = list(accumulate((member.n_explanation_inputs for member in self.members), initial=m))
            factor = inputs[:m]
            rests = [inputs[start:end] for start, end in pairwise(ends)]
        parts = [
            member.contributions(seen, items, rest)
            for (member, seen), rest in zip(self._of_each(history), rests, strict=True)
        ]
        return np.asarray(np.tensordot(factor.astype(np.float64), np.stack(parts), axes=1))

    def closeness(self, history: sparse.csr_matrix, items: Indices) -> NDArray[Any]:
        """The mean over the members, each made comparable by its z-scores over the history."""
        each = np.stack([member.closeness(seen, items).astype(np.float64) for member, seen in self._of_each(history)])
        spread = np.maximum(each.std(axis=2, keepdims=True), 1e-12)
        return np.asarray(((each - each.mean(axis=2, keepdims=True)) / spread).sum(axis=0))

    def arrays(self) -> dict[str, NDArray[Any]]:
        members = {
            f"{number}.{name}": array
            for number, member in enumerate(self.members)
            for name, array in member.arrays().items()
        }
        return {
            "kind": np.array(self.kind),
            "widths": np.array(self.widths),
            "weights": self.weights,
            "normalization": np.array(self.normalization),
            "values": np.array(self.values),
            **members,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], basis: Basis) -> Self:
        """The members' own vectors are views of the ensemble's."""
        widths, plain = tuple(arrays["widths"].tolist()), Basis(basis.vectors, ones(basis.history))
        members: list[FoldInScorer] = []
        for number, start in enumerate(accumulate(widths[:-1], initial=0)):
            prefix = f"{number}."
            own = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
            vectors = basis.vectors[:, start : start + widths[number]]
            member = fold_in_from_arrays(own, Basis(vectors, basis.history))
            if member.history_values == "ones":
                member = fold_in_from_arrays(own, Basis(vectors, plain.history))
            members.append(member)
        normalization, values = str(arrays["normalization"]), str(arrays["values"])
        return cls(basis, tuple(members), widths, arrays["weights"], normalization, values)  # type: ignore[arg-type]

    def member_scores(self, histories: sparse.csr_matrix) -> Floats:
        """Scores float32 [m, n, n_items], as the members give them."""
        return np.stack([member.scores(seen) for member, seen in self._of_each(histories)])

    def _member_tastes(self, liked: sparse.csr_matrix, disliked: sparse.csr_matrix) -> Floats:
        each = zip(self._of_each(liked), self._of_each(disliked), strict=True)
        return np.stack([member.taste_scores(likes, hates) for (member, likes), (_, hates) in each])

    def _weights_of(self, histories: sparse.csr_matrix) -> Floats:
        """float32 [n, n_features], by the length of each history."""
        return self.weights[activity_tier(np.diff(histories.indptr))]

    def _of_each(self, histories: sparse.csr_matrix) -> Iterator[tuple[FoldInScorer, sparse.csr_matrix]]:
        """Every member with the histories as it takes them: of the ensemble's values, or of ones."""
        plain = histories if self.values == "ones" else ones(histories)
        return ((member, plain if member.history_values == "ones" else histories) for member in self.members)
