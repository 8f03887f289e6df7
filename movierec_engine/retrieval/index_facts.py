"""Measurements of an index from when it was built."""

from dataclasses import dataclass

from movierec_engine.data.rating_scale import MOVIELENS, RatingScale

SPARSE = "sparse"
"""Placeholder for the factory of an index without FAISS, whose vectors are sparse."""


@dataclass(frozen=True)
class FoldInMinItems:
    """Number of movies from which on a new user is folded in, None where none is enough; measured, or assumed."""

    items: int | None
    measured: bool


@dataclass(frozen=True)
class IndexFacts:
    """Measurements of an index from when it was built."""

    model: str
    device: str
    factory: str
    dimensions: int
    recall: float
    """Mean share of the `recall_k` unseen items of highest score that the index recommends, over the sampled users."""
    recall_k: int
    users_sampled: int
    build_seconds: float
    similar_recall: float = 1.0
    """Mean share of the most similar items that are kept, over sampled items; below 1 only in large catalogues."""
    fold_in_min_items: int | None = None
    """Movies from which on new users are folded in, and not answered by popularity; None where no number is enough."""
    fold_in_min_items_measured: bool = False
    """Whether `movierec strong-generalization` found that number for this model, or it is the setting's."""
    liked_from: float = 0.0
    """The rating from which on a movie counts as liked."""
    rating_scale: RatingScale = MOVIELENS
    """Scale of the ratings that people may give; MovieLens' for an index that does not say."""
