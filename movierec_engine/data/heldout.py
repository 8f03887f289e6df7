"""A held-out part with the mask that it is ranked under."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.interactions import HistoryValues, Interactions


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A held-out part: the relevant items of each user, the mask, and the candidates.

    interactions: the relevant items of each user.
    seen: CSR [n_users, n_items], items that are left out of every ranking; what is already known of the user.
    mask: the name of what `seen` holds.
    catalogue: what is known of items and users from train; the metrics beyond accuracy are relative to it.
    candidates: where given, CSR [n_users, n_items]; each user's relevant items are ranked against only these.
    protocol: the name of what is ranked, `full` or one that begins with `sampled`.
    disliked: CSR [n_users, n_items], held-out items that the user rated low, relevant ones among them where low ratings
        are interactions too; None where it is not known.
    fold_in: the histories of its users, where these are to be folded in; None where models go by what they trained on.
    new_people: whether the users are people whom no model was trained on.
    """

    interactions: Interactions
    seen: sparse.csr_matrix
    mask: str
    catalogue: Catalogue
    candidates: sparse.csr_matrix | None = None
    protocol: str = "full"
    disliked: sparse.csr_matrix | None = None
    fold_in: Interactions | None = None
    new_people: bool = False

    @property
    def asks_for_next(self) -> bool:
        """True if the relevant item of a user is the next one of the history that is folded in."""
        return self.fold_in is not None and not self.new_people

    @cached_property
    def activity(self) -> NDArray[np.int64]:
        """int64 [n_users], how many interactions of each user a model is told of: in train, or folded in."""
        if self.fold_in is None:
            return self.catalogue.activity
        return np.bincount(self.fold_in.user, minlength=self.fold_in.n_users)

    def histories(self, values: HistoryValues) -> sparse.csr_matrix:
        """The histories to fold in, CSR [n_users, n_items], with these entries."""
        assert self.fold_in is not None
        if values not in self._histories:
            self._histories[values] = self.fold_in.history(values)
        return self._histories[values]

    @cached_property
    def _histories(self) -> dict[HistoryValues, sparse.csr_matrix]:
        """Cache of `histories`, by the kind of entries."""
        return {}

    @classmethod
    def nothing(cls, train: Interactions) -> Self:
        """An empty part beside train interactions: nothing is measured on it and nothing stops by it."""
        catalogue = Catalogue.of(train)
        return cls(train.select(np.zeros(len(train), dtype=np.bool_)), catalogue.train, "train", catalogue)

    def sampled(self, users: int, seed: int) -> "HeldOut":
        """The same of so many of its users alone, drawn uniformly; all of it where it has no more."""
        held = np.unique(self.interactions.user)
        if len(held) <= users:
            return self
        chosen = np.zeros(self.interactions.n_users, dtype=np.bool_)
        chosen[np.random.default_rng(seed).choice(held, users, replace=False)] = True
        return replace(self, interactions=self.interactions.select(chosen[self.interactions.user]))

    def __len__(self) -> int:
        return len(self.interactions)
