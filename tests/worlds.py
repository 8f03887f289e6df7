"""Small worlds in which the right answer is known: interactions, and an index whose answers can be read off."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy import sparse

from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.rating_scale import RatingScale
from movierec_engine.data.ratings import MOVIES_SCHEMA, RATINGS_SCHEMA
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.lightgcn import LightGCNFoldIn
from movierec_engine.recommending.dials import ItemFacts
from movierec_engine.retrieval.build import build_faiss
from movierec_engine.retrieval.flat import shared_vectors
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.index_facts import IndexFacts
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.store import Artifact

Publish = Callable[..., Artifact]
"""`publish("ease", sign=-1, device="cpu")` publishes a `small_index`."""

MOVIES = [10, 20, 30, 40, 2**63 - 1]
"""Public ids of items 0 to 4. Item i has the vector (i+1, 1) and popularity 5 - i."""

USERS = [1, 7, 9]
"""Likes later items, has seen 50's neighbour 40; likes earlier ones; has no history."""

RATED = pa.table({"user_id": [1, 9], "movie_id": [40, 10], "rating": [4.5, 5.0], "timestamp": [20, 5]}, RATINGS_SCHEMA)
"""User 1 has rated 40, in train; user 9 has rated 10, in validation."""

ENOUGH = 2
"""Movies from which on a new user is folded in: who has movies 30 to 50 (items 2 to 4) likes later items, who has 10 or
20 earlier ones."""


def small_index(model: str = "ease", sign: int = 1, liked_from: float = 0.0) -> RetrievalIndex:
    """Users 1 and 7 have the queries (sign, 0) and (-sign, 0); what they have rated is RATED.

    A new user's score of item i is (i + 1) sign / sqrt(h), summed over the h items of the history, each for or against.
    """
    vectors = np.array([[i + 1, 1] for i in range(5)], dtype=np.float32)
    queries = np.array([[sign, 0], [-sign, 0], [0, 0]], dtype=np.float32)
    history = sparse.csr_matrix(np.array([[0, 0, 0, 1, 0], [1, 0, 0, 0, 0], [0] * 5], dtype=np.float32))
    steps = np.array([[sign if i >= 2 else -sign, 0] for i in range(5)], dtype=np.float32)
    similar = np.array([[(i + 1) % 5, (i + 2) % 5, -1] for i in range(5)], dtype=np.int32)
    titles = [f'Movie & "{i}" <b>' for i in range(5)]
    table = {"movie_id": MOVIES, "title": titles, "year": [1990, None, 2000, 2001, 2002], "genres": [["Drama"]] * 5}
    index = build_faiss(vectors, "Flat")
    return RetrievalIndex(
        index=index,
        vectors=shared_vectors(index),
        users=IdMap(np.array(USERS)),
        items=IdMap(np.array(MOVIES)),
        queries=sparse.csr_matrix(queries),
        rated=RatedMovies.of(RATED),
        history=history,
        explanation_inputs=sparse.csr_matrix((3, 0), dtype=np.float32),
        popularity=np.array([5, 4, 3, 2, 1], dtype=np.float32),
        personal=np.array([True, True, False]),
        similar=similar,
        similarity=np.tile(np.array([0.9, 0.5, 0.0], dtype=np.float32), (5, 1)),
        movies=pa.table(table, schema=MOVIES_SCHEMA),
        item_facts=ItemFacts(
            genres=np.ones((5, 1), dtype=np.float32),
            year=np.array([1990, 0, 2000, 2001, 2002], dtype=np.int32),
            share=np.array([5, 4, 3, 2, 1]) / 5,
            embeddings=vectors,
        ),
        fold_in_scorer=LightGCNFoldIn(Basis(vectors, history), steps),
        facts=IndexFacts(model, "cpu", "Flat", 2, 1.0, 10, 2, 0.1, fold_in_min_items=ENOUGH, liked_from=liked_from),
    )


def with_scale(index: RetrievalIndex, scale: RatingScale) -> RetrievalIndex:
    """An index of ratings of another scale."""
    return replace(index, facts=replace(index.facts, rating_scale=scale))


TEXT_USERS = {1: "u:1,a/b", 7: "ünï 100%", 9: "17"}
TEXT_MOVIES = {10: "0501", 20: "/B/0,0:X", 30: "..a\\b", 40: "ß %2F", 2**63 - 1: "x" * 256}
"""Texts that are ids in the place of USERS and MOVIES: they hold what paths and query strings write otherwise."""


def text_index() -> RetrievalIndex:
    """`small_index` with texts as ids, users and items each in another order."""
    index = small_index()
    users, items = sorted(USERS, key=TEXT_USERS.__getitem__), sorted(MOVIES, key=TEXT_MOVIES.__getitem__)
    titles = index.movies.drop_columns("movie_id")
    rated = {"user_id": [TEXT_USERS[1], TEXT_USERS[9]], "movie_id": [TEXT_MOVIES[40], TEXT_MOVIES[10]]}
    return replace(
        index,
        users=IdMap.of([TEXT_USERS[one] for one in users]),
        items=IdMap.of([TEXT_MOVIES[one] for one in items]),
        movies=titles.add_column(0, "movie_id", pa.array([TEXT_MOVIES[one] for one in items])),
        rated=RatedMovies.of(pa.table({**rated, "rating": [4.5, 5.0], "timestamp": [20, 5]})),
    )


def write_noisy_camps(folder: Path) -> None:
    """A MovieLens folder with 80 users of 14 ratings each, among 40 movies: mostly of the parity of their own id."""
    folder.mkdir()
    rng = np.random.default_rng(7)
    rows = ["userId,movieId,rating,timestamp"]
    for user in range(1, 81):
        own = [100 + movie for movie in range(40) if movie % 2 == user % 2 or rng.random() < 0.15]
        for movie in rng.choice(own, size=14, replace=False):
            rows.append(f"{user},{movie},{rng.integers(6, 11) / 2},{1_000_000_000 + rng.integers(10_000)}")
    titles = ["movieId,title,genres", *(f"{100 + m},Film {m} ({1950 + m}),Drama|War" for m in range(40))]
    (folder / "ratings.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "movies.csv").write_text("\n".join(titles) + "\n", encoding="utf-8")


def interactions_of(pairs: np.ndarray, users: IdMap, items: IdMap) -> Interactions:
    """Interactions from int [n, 2] user and item indices, one second apart."""
    return Interactions(
        user=pairs[:, 0].astype(np.int32),
        item=pairs[:, 1].astype(np.int32),
        rating=np.full(len(pairs), 5, dtype=np.float32),
        timestamp=np.arange(len(pairs), dtype=np.int64),
        users=users,
        items=items,
    )


def joined(one: Interactions, other: Interactions) -> Interactions:
    """The interactions of two parts over one vocabulary."""
    columns = ("user", "item", "rating", "timestamp")
    return replace(one, **{name: np.append(getattr(one, name), getattr(other, name)) for name in columns})


def pairs(part: Interactions | None) -> set[tuple[int, int]]:
    """The (user, movie) pairs of a part, by public id."""
    assert part is not None
    return set(zip(part.users.ids[part.user].tolist(), part.items.ids[part.item].tolist(), strict=True))
