"""Settings of the retrieval group."""

from dataclasses import dataclass

from movierec_engine.errors import ConfigError


@dataclass(frozen=True)
class RetrievalConfig:
    """How the FAISS index is built and measured."""

    factory: str = "Flat"
    """FAISS index factory string over inner products: `Flat` is exact, `HNSW32` or `IVF64,Flat` are approximate."""
    recall_k: int = 10
    """The measured recall compares this many nearest items with the exact ones."""
    similar_items: int = 100
    """Similar items kept for each item."""
    fold_in_from: int = 5
    """Movies from which on a newcomer is answered by fold-in, and not by popularity, until `movierec fidelity` has
    measured it for the model. On validation of MovieLens latest-small 3 to 5 were enough for six of nine models
    and 10 for ease and item_cf."""

    def __post_init__(self) -> None:
        for name in ("recall_k", "similar_items", "fold_in_from"):
            if getattr(self, name) < 1:
                raise ConfigError(f"retrieval.{name}={getattr(self, name)} must be at least 1")
