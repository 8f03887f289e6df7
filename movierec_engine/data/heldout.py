"""A held-out part with the mask that it is ranked under."""

from dataclasses import dataclass

from scipy import sparse

from movierec_engine.data.interactions import Interactions


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What a model is asked to find, among what.

    interactions: the relevant items of each user.
    seen: CSR [n_users, n_items], items that are left out of every ranking; what is already known of the user.
    mask: the name of what `seen` holds.
    candidates: where given, each user's relevant items are ranked against only these.
    """

    interactions: Interactions
    seen: sparse.csr_matrix
    mask: str
    candidates: Interactions | None = None

    def __len__(self) -> int:
        return len(self.interactions)
