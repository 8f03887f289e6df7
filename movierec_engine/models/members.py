"""Fitted models that another one starts from or fuses: each by its own name, and all of the same interactions."""

from collections.abc import Iterable, Mapping

import numpy as np

from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models.base import Recommender


def require_named(members: Mapping[str, Recommender]) -> None:
    """Raises ConfigError for a member that is given by another name than its model's."""
    for name, member in members.items():
        if not isinstance(member, Recommender) or member.name != name:
            given = member.name if isinstance(member, Recommender) else type(member).__name__
            raise ConfigError(f"the {given} that is given as {name!r} is no model of this name; give a fitted {name}")


def require_trained_on(train: Interactions, members: Iterable[Recommender]) -> None:
    """Raises ConfigError for a member that was trained on other interactions: it may know what is held out here."""
    own = train.matrix()
    for member in members:
        theirs = member.history
        if (
            member.users != train.users
            or member.items != train.items
            or not np.array_equal(theirs.indptr, own.indptr)
            or not np.array_equal(theirs.indices, own.indices)
        ):
            raise ConfigError(
                f"{member.name} was trained on other interactions ({theirs.nnz:,}) than these ({own.nnz:,}); "
                "train it on this data"
            )
