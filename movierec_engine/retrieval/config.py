"""Settings of the retrieval group, and the layout of an index's files."""

from dataclasses import dataclass

from movierec_engine.errors import ConfigError

INDEX_LAYOUT = 5
"""Goes up when an index gets other files: an index of another layout is made anew, and refused where it is read."""


@dataclass(frozen=True)
class RetrievalConfig:
    """Settings of the FAISS index: how it is built and measured."""

    factory: str = "Flat"
    """FAISS index factory string over inner products: `Flat` is exact, `HNSW32` or `IVF64,Flat` are approximate. The
    sparse vectors of item_cf, of items or users, of markov, and of ease above 20,000 items, are searched exactly
    without FAISS where they would take more than 64 MB as dense ones: weights between 4,000 items."""
    ef_construction: int = 100
    """HNSW alone: candidates that are looked at for each item's neighbours when the graph is built."""
    ef_search: int = 200
    """HNSW alone: candidates that a search keeps; more find more and take longer. 200 found .987 of the best 100
    of a million synthetic items, with a p99 of 1.3 ms: benchmarks/results/retrieval_scale.md."""
    nprobe: int = 8
    """IVF alone: cells that a search goes through, of all that the factory names."""
    recall_k: int = 10
    """The measured recall compares this many nearest items with the exact ones."""
    similar_items: int = 100
    """Similar items kept for each item."""
    fold_in_min_items: int = 3
    """Movies from which on a new user is answered by fold-in, and not by popularity, until `movierec
    strong-generalization` has measured it for the model. On validation of the bundled data nine of ten models are
    significantly better than popularity with 3, and ease, which is from 5 on, is no worse with 3."""

    def __post_init__(self) -> None:
        for name in ("ef_construction", "ef_search", "nprobe", "recall_k", "similar_items", "fold_in_min_items"):
            if getattr(self, name) < 1:
                raise ConfigError(f"retrieval.{name}={getattr(self, name)} must be at least 1")
