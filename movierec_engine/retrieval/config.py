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

    def __post_init__(self) -> None:
        for name in ("recall_k", "similar_items"):
            if getattr(self, name) < 1:
                raise ConfigError(f"retrieval.{name}={getattr(self, name)} must be at least 1")
