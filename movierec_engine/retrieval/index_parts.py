"""The parts of an index, and the files that hold them. Needs faiss, numpy, pyarrow and scipy; no torch."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.id_map import IdMap, as_ids
from movierec_engine.data.interactions import load_id_maps, save_id_maps
from movierec_engine.data.rating_scale import MOVIELENS, RatingScale
from movierec_engine.errors import StoreError
from movierec_engine.models.ensemble.fused_scorer import scorer_from_arrays
from movierec_engine.models.fold_in import Basis, FoldInScorer, fold_in_from_arrays
from movierec_engine.models.pair_scorer import Scorer
from movierec_engine.models.registry import import_outside_models
from movierec_engine.recommending.dials import ItemFacts
from movierec_engine.recommending.rows.ratings_by_item import RatingsByItem
from movierec_engine.retrieval.array_files import check_finite, equal, matrix_of, matrix_parts, read_arrays
from movierec_engine.retrieval.config import INDEX_LAYOUT
from movierec_engine.retrieval.flat import Floats, is_flat, shared_vectors
from movierec_engine.retrieval.index_facts import SPARSE, IndexFacts
from movierec_engine.retrieval.rated import RatedMovies

FAISS_FILE = "index.faiss"
VECTORS_FILE = "vectors.npy"
SPARSE_FILE = "vectors.npz"
SCORER_FILE = "scorer.npz"
FOLD_IN_FILE = "fold_in.npz"
ITEM_FACTS_FILE = "item_facts.npz"
RATINGS_FILE = "ratings_by_item.npz"


@dataclass(frozen=True, eq=False)
class IndexParts:
    """Item vectors in FAISS, a query vector for each user, and what everybody has rated; they fit one another.

    index: inner products over n_items vectors of d dimensions; position = item index. None where they are sparse.
    vectors: float32 [n_items, d], what FAISS indexes: its own memory where it keeps all of it, as `Flat` does; CSC
        where they are sparse.
    queries: float32 [n_users, d], CSR, so that sparse queries (a user's history, for EASE) stay small.
    rated: what every person of the raw data has rated, also those and of those movies that are not in the index.
    history: [n_users, n_items] CSR, the train interactions, with the fold-in scorer's `history_values`.
    explanation_inputs: float32 CSR [n_users, e], what explanations of a user's scores need beside the history.
    popularity: float32 [n_items], train interactions of each item; ranks for users without a history.
    personal: bool [n_users], False for users without a train interaction, who get popularity.
    similar, similarity: int32 and float32 [n_items, s], most similar items first, -1 where there are no more.
    movies: MOVIES_SCHEMA [n_items], in item order.
    item_facts: what taste dials know of the items.
    fold_in_scorer: scores people by their history alone, and explains scores.
    scorer: scores the candidates exactly where inner products only approximate the model's scores; else None.
    ratings_by_item: what all ratings say of each item; None in an index of before there was such a thing.
    """

    index: faiss.Index | None
    vectors: Any
    users: IdMap
    items: IdMap
    queries: sparse.csr_matrix
    rated: RatedMovies
    history: sparse.csr_matrix
    explanation_inputs: sparse.csr_matrix
    popularity: Floats
    personal: NDArray[np.bool_]
    similar: NDArray[np.int32]
    similarity: Floats
    movies: pa.Table
    item_facts: ItemFacts
    fold_in_scorer: FoldInScorer
    facts: IndexFacts
    scorer: Scorer | None = None
    ratings_by_item: RatingsByItem | None = None

    def __post_init__(self) -> None:
        rows = {
            "the FAISS index": self.vectors.shape[0] if self.index is None else self.index.ntotal,
            "vectors": self.vectors.shape[0],
            "movies": len(self.movies),
            "popularity": len(self.popularity),
            "similar items": len(self.similar),
            "facts": len(self.item_facts.year),
        }
        if self.ratings_by_item is not None:
            rows["ratings by item"] = len(self.ratings_by_item.count)
        for name, count in rows.items():
            if count != len(self.items):
                raise StoreError(f"{name} has {count} rows for {len(self.items)} items; build the index again")
        d = self.vectors.shape[1] if self.index is None else self.index.d
        if d != self.queries.shape[1] or not len(self.personal) == self.queries.shape[0] == len(self.users):
            raise StoreError(f"queries do not fit {len(self.users)} users and {d} dimensions; build it again")
        if self.vectors.shape[1] != d or self.history.shape != (len(self.users), len(self.items)):
            raise StoreError("item vectors or train interactions do not fit the index; build it again")
        if not np.array_equal(as_ids(self.movies["movie_id"]), self.items.ids):
            raise StoreError("movies are not in the order of the items; build the index again")
        held = self.vectors.data if self.index is None else self.vectors
        for name, values in (("item vectors", held), ("queries", self.queries.data)):
            check_finite(name, values)

    def save(self, folder: Path) -> None:
        """Write everything into a folder; nothing is pickled, and no large part is written twice."""
        if self.index is None:
            np.savez(folder / SPARSE_FILE, **dict[str, Any](matrix_parts("vectors", self.vectors.T)))
        else:
            with (folder / FAISS_FILE).open("wb") as file:  # FAISS's own overlooks a disk that is full at its end
                faiss.write_index(self.index, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]
            if not is_flat(self.index):
                np.save(folder / VECTORS_FILE, self.vectors)
        save_id_maps(folder, self.users, self.items)
        matrices = {"history": self.history, "explanation_inputs": self.explanation_inputs}
        if not equal(self.queries, self.history):
            matrices["queries"] = self.queries
        parts: dict[str, Any] = {}
        for name, matrix in matrices.items():
            parts |= matrix_parts(name, matrix)
        np.savez(
            folder / "retrieval.npz",
            **parts,
            n_explanation_inputs=np.array(self.explanation_inputs.shape[1]),
            popularity=self.popularity,
            personal=self.personal,
            similar=self.similar,
            similarity=self.similarity,
        )
        self.rated.save(folder)
        np.savez(folder / FOLD_IN_FILE, **dict[str, Any](self.fold_in_scorer.arrays()))
        np.savez(
            folder / ITEM_FACTS_FILE,
            **{field.name: getattr(self.item_facts, field.name) for field in fields(ItemFacts)},
        )
        if self.scorer is not None:
            np.savez(folder / SCORER_FILE, **dict[str, Any](self.scorer.arrays()))
        if self.ratings_by_item is not None:
            np.savez(folder / RATINGS_FILE, **dict[str, Any](self.ratings_by_item.arrays()))
        pq.write_table(self.movies, folder / "movies.parquet", compression="zstd")
        described = {"layout": INDEX_LAYOUT, **asdict(self.facts)}
        (folder / "index.json").write_text(json.dumps(described, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The index that `save` wrote.

        Raises StoreError where it is of an older layout, or where its parts do not fit together.
        """
        described = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        if described.pop("layout", None) != INDEX_LAYOUT:
            raise StoreError(f"{folder}: was built by a version of Movierec with other files; materialize it again")
        scale = RatingScale(**described.pop("rating_scale", asdict(MOVIELENS)))
        facts = IndexFacts(**described, rating_scale=scale)
        users, items = load_id_maps(folder)
        index, vectors = _read_vectors(folder, facts, len(items))
        arrays = read_arrays(folder / "retrieval.npz")
        over_items = (len(users), len(items))
        history = matrix_of("history", arrays, over_items)
        has_queries = "queries_indptr" in arrays
        import_outside_models()  # the fold-in scorer may be of one
        fold_in_scorer = fold_in_from_arrays(read_arrays(folder / FOLD_IN_FILE), Basis(vectors, history))
        scorer = None
        if (folder / SCORER_FILE).exists():
            scorer = scorer_from_arrays(read_arrays(folder / SCORER_FILE), vectors, fold_in_scorer)
        by_item = None
        if (folder / RATINGS_FILE).exists():
            by_item = RatingsByItem.from_arrays(read_arrays(folder / RATINGS_FILE))
        return cls(
            index=index,
            vectors=vectors,
            users=users,
            items=items,
            queries=matrix_of("queries", arrays, (len(users), facts.dimensions)) if has_queries else history,
            rated=RatedMovies.load(folder),
            history=history,
            explanation_inputs=matrix_of(
                "explanation_inputs", arrays, (len(users), int(arrays["n_explanation_inputs"]))
            ),
            **{name: arrays[name] for name in ("popularity", "personal", "similar", "similarity")},
            movies=pq.read_table(folder / "movies.parquet"),
            item_facts=ItemFacts(**read_arrays(folder / ITEM_FACTS_FILE)),
            fold_in_scorer=fold_in_scorer,
            facts=facts,
            scorer=scorer,
            ratings_by_item=by_item,
        )


def _read_vectors(folder: Path, facts: IndexFacts, n_items: int) -> tuple[faiss.Index | None, Any]:
    """The FAISS index and the item vectors of a saved index."""
    if facts.factory == SPARSE:
        return None, matrix_of("vectors", read_arrays(folder / SPARSE_FILE), (facts.dimensions, n_items)).T
    index = faiss.read_index(str(folder / FAISS_FILE))
    return index, shared_vectors(index) if is_flat(index) else np.load(folder / VECTORS_FILE, allow_pickle=False)
