"""Measure how many users a second `movierec export` serves at the size of 25 million ratings.

    python benchmarks/export.py

Makes up an index of a factor model of 64 dimensions, whose ratings are drawn at random with popularity falling as
1 / rank, and exports the lists of all its users to Parquet, 50 places each, by all cores. Beside it stands what the
scores alone cost: the same products of matrices, by as many threads, in the same run. Linux only. Writes
benchmarks/results/export.md.
"""

import argparse
import os
import platform
import resource
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy import sparse
from threadpoolctl import threadpool_limits

from movierec_engine.api.live_feedback import LiveFeedback
from movierec_engine.api.metrics import Metrics
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.ratings import MOVIES_SCHEMA
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.popularity import PopularityFoldIn
from movierec_engine.pipeline.export import _BLOCK_BYTES, index_to_export, make_lists
from movierec_engine.pipeline.export_target import target_of
from movierec_engine.recommending.dials import ItemFacts
from movierec_engine.retrieval.build import build_faiss
from movierec_engine.retrieval.faiss_index import IndexFacts, RetrievalIndex
from movierec_engine.retrieval.flat import shared_vectors
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.store import ArtifactStore, Slot

RESULT = Path(__file__).with_name("results") / "export.md"
DIMENSIONS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=175_802)
    parser.add_argument("--items", type=int, default=54_396)
    parser.add_argument("--ratings", type=int, default=25_128_243)
    parser.add_argument("--k", type=int, default=50)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(Path(folder) / "store")
        index = made_index(asked.users, asked.items, asked.ratings)
        store.publish(Slot("faiss_index", "made-up", "als", "cpu"), index.save, key="k", fingerprint="f00d")
        del index
        started = time.perf_counter()
        served = index_to_export(store, "made-up")
        loaded = time.perf_counter() - started
        scoring = scores_alone(served.index)
        started, cpu = time.perf_counter(), time.process_time()
        lists = make_lists(served, LiveFeedback(FeedbackLogs(store.root), Metrics()), Path(folder) / "parts", asked.k)
        made = time.perf_counter() - started
        target = Path(folder) / "lists.parquet"
        rows = target_of(str(target)).write(lists)
        whole, used = time.perf_counter() - started, time.process_time() - cpu
        peak, size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, target.stat().st_size / 1e6
    users = lists.users
    RESULT.write_text(
        f"""# Exporting the lists of all users

`python benchmarks/export.py`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()},
load average {os.getloadavg()[0]:.1f} at the end. Made up: {users:,} users, {asked.items:,} items, {asked.ratings:,}
ratings, a factor model of {DIMENSIONS} dimensions; {asked.k} places for each user, those rated left out, to Parquet.

| | seconds | users a second | times the scores alone |
|---|---|---|---|
| load the index | {loaded:.1f} | | |
| the scores alone | {scoring:.1f} | {users / scoring:,.0f} | 1 |
| scores and lists | {made:.1f} | {users / made:,.0f} | {made / scoring:.2f} |
| all, with the file of {rows:,} rows and {size:.0f} MB | {whole:.1f} | {users / whole:,.0f} | {whole / scoring:.2f} |

{used:.0f} s of CPU, {used / users * 1e6:.0f} µs a user; {peak:.1f} GB resident at most, with the
making of the data.
Asked for: 5,000 users a second on 2 cores.
""",
        encoding="utf-8",
    )
    print(RESULT.read_text(encoding="utf-8"))


def scores_alone(index: RetrievalIndex) -> float:
    """Seconds of the products of matrices that score all items for all users, in the export's blocks and threads."""
    rows = max(1, _BLOCK_BYTES // (4 * len(index.items)))
    starts = range(0, len(index.users), rows)

    def score(start: int) -> None:
        index.queries[start : start + rows].toarray() @ index.vectors.T

    with ThreadPoolExecutor(os.cpu_count()) as pool, threadpool_limits(1, "blas"):
        started = time.perf_counter()
        for _ in pool.map(score, starts):
            pass
        return time.perf_counter() - started


def made_index(n_users: int, n_items: int, n_ratings: int) -> RetrievalIndex:
    """An index of random factors and ratings."""
    rng = np.random.default_rng(0)
    vectors, queries = (rng.standard_normal((n, DIMENSIONS), dtype=np.float32) for n in (n_items, n_users))
    chance = 1 / np.arange(1, n_items + 1)
    user = np.sort(rng.integers(n_users, size=n_ratings).astype(np.int32))
    item = np.searchsorted(np.cumsum(chance / chance.sum()), rng.random(n_ratings)).clip(max=n_items - 1)
    pairs = np.unique(user.astype(np.int64) * n_items + item)
    user, item = pairs // n_items, pairs % n_items
    history = sparse.csr_matrix((np.ones(len(pairs), dtype=np.float32), (user, item)), (n_users, n_items))
    ones = np.ones(len(pairs), dtype=np.float32)
    movies = {
        "movie_id": np.arange(n_items),
        "title": [f"Movie {number}" for number in range(n_items)],
        "year": np.full(n_items, 2000),
        "genres": [["Drama"]] * n_items,
    }
    index = build_faiss(vectors, "Flat")
    held = shared_vectors(index)
    popularity = np.asarray(history.sum(axis=0), dtype=np.float32)[0]
    return RetrievalIndex(
        index=index,
        vectors=held,
        users=IdMap(np.arange(n_users)),
        items=IdMap(np.arange(n_items)),
        queries=sparse.csr_matrix(queries),
        rated=RatedMovies.of(pa.table({"user_id": user, "movie_id": item, "rating": ones})),
        history=history,
        explanation_inputs=sparse.csr_matrix((n_users, 0), dtype=np.float32),
        popularity=popularity,
        personal=np.ones(n_users, dtype=np.bool_),
        similar=np.full((n_items, 1), -1, dtype=np.int32),
        similarity=np.zeros((n_items, 1), dtype=np.float32),
        movies=pa.table(movies, schema=MOVIES_SCHEMA),
        item_facts=ItemFacts(
            genres=np.ones((n_items, 1), dtype=np.float32),
            year=np.full(n_items, 2000, dtype=np.int32),
            share=popularity / n_users,
            embeddings=held,
        ),
        fold_in_scorer=PopularityFoldIn(Basis(held, history)),
        facts=IndexFacts("als", "cpu", "Flat", DIMENSIONS, 1.0, 10, 0, 0.0),
    )


if __name__ == "__main__":
    main()
