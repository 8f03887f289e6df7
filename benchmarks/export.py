"""Measure how many users a second `movierec export` serves at the size of 25 million ratings, with and without rules.

    python benchmarks/export.py

Makes up an index of a factor model of 64 dimensions, whose ratings are drawn at random with popularity falling as
1 / rank, and whose movies have the years and genres of the bundled ones, and exports the lists of all its users to
Parquet, 50 places each, by all cores: without rules, under filters alone, under the ten rules of benchmarks/rules.py
with shares and caps, and of a segment under these. Beside it stands what the scores alone cost: the same products of
matrices, by as many threads, in the same run. Linux only. Writes benchmarks/results/export.md.
"""

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from bundled_data import FOLDER
from rules import RULES
from scipy import sparse
from threadpoolctl import threadpool_limits

from movierec_engine.data.config import DataConfig
from movierec_engine.data.id_map import IdMap, Ids
from movierec_engine.data.ratings import MOVIES_SCHEMA
from movierec_engine.data.readers import read_movies
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.popularity import PopularityFoldIn
from movierec_engine.models.lists import rows_in
from movierec_engine.pipeline.export import BLOCK_BYTES, index_to_export, make_lists
from movierec_engine.pipeline.export_target import target_of
from movierec_engine.recommending.dials import ItemFacts
from movierec_engine.recommending.rules.active import ActiveRules
from movierec_engine.recommending.rules.compiled import CompiledRules
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.item_columns import ItemColumns
from movierec_engine.retrieval.build import build_faiss
from movierec_engine.retrieval.flat import shared_vectors
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.index_facts import IndexFacts
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.serving.live_feedback import LiveFeedback
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.store import ArtifactStore, Slot

RESULT = Path(__file__).with_name("results") / "export.md"
DIMENSIONS = 64
FILTERS = ("no horror", "lawsuit", "region")


@dataclass(frozen=True)
class Measured:
    """An export: its users, rows, seconds of the lists and of all, seconds of CPU, and megabytes of the file."""

    name: str
    users: int
    rows: int
    made: float
    whole: float
    cpu: float
    size: float

    def row(self) -> str:
        return (
            f"| {self.name} | {self.users:,} | {self.made:.1f} | {self.whole:.1f} | {self.users / self.whole:,.0f} | "
            f"{self.cpu / self.users * 1e6:.0f} | {2 * self.users / self.cpu:,.0f} | {self.size:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=162_541)
    parser.add_argument("--items", type=int, default=59_047)
    parser.add_argument("--ratings", type=int, default=25_128_243)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--result", type=Path, default=RESULT)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(Path(folder) / "store")
        index = made_index(asked.users, asked.items, asked.ratings)
        ratings = index.history.nnz
        store.publish(Slot("faiss_index", "made-up", "als", "cpu"), index.save, key="k", fingerprint="f00d")
        del index
        started = time.perf_counter()
        served = index_to_export(store, "made-up")
        loaded = time.perf_counter() - started
        scoring, cpu_of_scoring = scores_alone(served.index)
        filters = RuleDocument.of({"rules": [one for one in json.loads(RULES.text)["rules"] if one["name"] in FILTERS]})
        ten = rules_of(served, RULES)
        some = served.index.users.ids[::10]
        rows = [
            measured("no rules", served, store, Path(folder), asked.k, None),
            measured("three filters", served, store, Path(folder), asked.k, rules_of(served, filters)),
            measured("ten rules", served, store, Path(folder), asked.k, ten),
            measured("ten rules, a segment", served, store, Path(folder), asked.k, ten, some),
        ]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    users = len(served.index.users)
    bare = cpu_of_scoring / users
    lines = "\n".join(row.row() for row in rows)
    asked.result.write_text(
        f"""# Exporting the lists of all users

`python benchmarks/export.py`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()},
load average {os.getloadavg()[0]:.1f} at the end, of other work on the machine too. Made up: {users:,} users,
{asked.items:,} items, {ratings:,} ratings, a factor model of {DIMENSIONS} dimensions; {asked.k} places for each
user, those rated left out, to Parquet. The ten rules are those of `benchmarks/rules.py`: a filter, a list of what is
denied, a region, two boosts, a pin, two shares, two caps; the segment is every tenth user.

| | users | seconds, lists | seconds, all | users a second | µs of CPU a user | 2 / CPU a user | MB |
|---|---|---|---|---|---|---|---|
| the scores alone | {users:,} | | {scoring:.1f} | {users / scoring:,.0f} | {bare * 1e6:.0f} | {2 / bare:,.0f} | |
{lines}

2 / CPU a user is what two cores do in a second that have nothing else to do. The index was loaded in {loaded:.1f} s;
{peak:.1f} GB resident at most, with the making of the data.
Asked for: 5,000 users a second on 2 cores.
""",
        encoding="utf-8",
    )
    print(asked.result.read_text(encoding="utf-8"))


def rules_of(served: LoadedIndex, document: RuleDocument) -> ActiveRules | None:
    """A document for the movies of an index, now."""
    columns = ItemColumns(served.index.movies)
    return CompiledRules(document, columns, len(served.index.items), "v").at(datetime.now(UTC))


def measured(
    name: str,
    served: LoadedIndex,
    store: ArtifactStore,
    folder: Path,
    k: int,
    rules: ActiveRules | None,
    only: Ids | None = None,
) -> Measured:
    """Export once."""
    started, cpu = time.perf_counter(), time.process_time()
    live = LiveFeedback(FeedbackLogs(store.root))
    lists = make_lists(served, live, folder / "parts", k, only, rules=rules)
    made = time.perf_counter() - started
    target = folder / "lists.parquet"
    rows = target_of(str(target)).write(lists)
    lists.remove()
    whole, used = time.perf_counter() - started, time.process_time() - cpu
    return Measured(name, lists.users, rows, made, whole, used, target.stat().st_size / 1e6)


def scores_alone(index: RetrievalIndex) -> tuple[float, float]:
    """Seconds, and seconds of CPU, of the products of matrices that score all items for all users.

    In the export's blocks and threads.
    """
    rows = rows_in(BLOCK_BYTES, len(index.items))
    starts = range(0, len(index.users), rows)

    def score(start: int) -> None:
        index.queries[start : start + rows].toarray() @ index.vectors.T

    with ThreadPoolExecutor(os.cpu_count()) as pool, threadpool_limits(1, "blas"):
        started, cpu = time.perf_counter(), time.process_time()
        for _ in pool.map(score, starts):
            pass
        return time.perf_counter() - started, time.process_time() - cpu


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
    bundled = read_movies(DataConfig(dir=str(FOLDER))).table
    like = rng.integers(len(bundled), size=n_items)
    movies = {
        "movie_id": np.arange(n_items),
        "title": [f"Movie {number}" for number in range(n_items)],
        "year": bundled["year"].take(like),
        "genres": bundled["genres"].take(like),
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
