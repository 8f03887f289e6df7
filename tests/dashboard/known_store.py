"""A small store in which everything that the pages show can be worked out by hand.

Three users and four movies; `ease` (a) and `popularity` (b) with lists of two, and a learning curve of `lightgcn`.
Indices of ease and popularity, of which ease is promoted; two decisions, a sweep, a backtest and a feedback log.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from movierec_engine.data.id_map import IdMap
from movierec_engine.data.ratings import MOVIES_SCHEMA
from movierec_engine.evaluation.segments import SEGMENTS_SCHEMA
from movierec_engine.feedback import Exposure, FeedbackEvent, SqliteLog, log_file
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.linear import LinearFoldIn
from movierec_engine.recommending.dials import ItemFacts
from movierec_engine.release.decisions import Decision, carry_out, record
from movierec_engine.retrieval.build import build_faiss
from movierec_engine.retrieval.flat import shared_vectors
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.index_facts import IndexFacts
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.store import Artifact, ArtifactStore, Slot
from movierec_engine.tuning import trials
from movierec_engine.tuning.trials import Trial

DAY = 86_400
START = 946_684_800
"""2000-01-01."""
FINGERPRINT = "f" * 12

RATINGS = {
    "user_id": [1, 1, 1, 2, 2, 3],
    "movie_id": [10, 20, 30, 10, 20, 10],
    "rating": [5.0, 4.0, 1.0, 4.0, 4.0, 2.0],
    "timestamp": [START + DAY * day for day in (0, 1, 2, 0, 3, 40)],
}
NDCG = {"ease": [0.9, 0.5, 0.5], "popularity": [0.3, 0.5, 0.6]}
DISLIKED = {"ease": [0.0, 0.0, 0.5], "popularity": [0.5, 0.0, 0.5]}
LISTS = {"ease": [(10, 20), (20, 30), (30, 40)], "popularity": [(10, 20), (10, 20), (10, 20)]}
"""Of users 1, 2 and 3."""
VECTORS = [[0.0, 0.0, 0.0, 0.0], [0.5, 0.0, 0.1, 0.0], [0.3, 0.2, 0.0, 0.1], [0.1, 0.4, 0.6, 0.0]]
"""What movie j of a history, by column, adds to ease's score of movie i, by row; movies 10, 20, 30 and 40."""
TRIALS = {1: (0.1, 0.2), 10: (0.3, 0.4), 100: (0.2, 0.3)}
"""l2 -> validation of two seeds; test is 0.05 less."""


def fill(root: Path) -> ArtifactStore:
    """Publish everything."""
    store = ArtifactStore(root)
    splits, movies = _data(store)
    indices = {}
    for model, epochs in (("ease", 0), ("popularity", 0), ("lightgcn", 3)):
        trained = _trained(store, model, epochs, splits)
        if model in NDCG:
            _report(store, model, trained, splits, movies)
            indices[model] = _index(store, model, trained, splits)
        if model == "ease":
            _curves(store, trained)
            _backtest(store)
    _decisions(store, indices)
    _sweep(store)
    _feedback(store)
    return store


def _publish(store: ArtifactStore, slot: Slot, tables: dict[str, pa.Table], **more: Any) -> Artifact:
    def write(folder: Path) -> None:
        for name, table in tables.items():
            pq.write_table(table, folder / name)

    return store.publish(slot, write, key="k", fingerprint=FINGERPRINT, **more)


def _data(store: ArtifactStore) -> tuple[Artifact, Artifact]:
    slot = "tiny"
    validation = {"rows_read": 8, "duplicate_rows": 2, "duplicate_pairs": 0}
    table = pa.table(RATINGS)
    raw = _publish(
        store,
        Slot("raw_ratings", slot),
        {"ratings.parquet": table},
        facts={"ratings": 6, "users": 3, "movies": 3, "validation": validation},
    )
    movies = _publish(
        store,
        Slot("raw_movies", slot),
        {"movies.parquet": pa.table({"movie_id": [10, 20, 30], "title": ["Ten", "Twenty", "Thirty"]})},
        facts={"movies": 3},
    )
    interactions = _publish(
        store,
        Slot("interactions", slot),
        {},
        config={"rating_threshold": 2.0, "min_user_interactions": 1, "min_item_interactions": 1},
        parents={"raw_ratings": raw},
        facts={"interactions": 5, "users": 3, "items": 4, "density": 5 / 12, "dropped_share": 1 / 6},
    )
    kept = table.filter(pa.array([rating >= 2 for rating in RATINGS["rating"]]))
    split = kept.append_column("part", pa.array(["train", "validation", "train", "test", "test"]))
    splits = _publish(
        store,
        Slot("splits", slot),
        {"split.parquet": split},
        parents={"interactions": interactions},
        facts={
            "strategy": "global_time",
            "boundaries": {"test": START + 3 * DAY},
            "future_share": 0.0,
            "items": 4,
            "train": 2,
            "validation": 1,
            "test": 2,
        },
    )
    return splits, movies


def _trained(store: ArtifactStore, model: str, epochs: int, splits: Artifact) -> Artifact:
    history = {
        "epoch": list(range(1, epochs + 1)),
        "loss": [1.0 / epoch for epoch in range(1, epochs + 1)],
        "seconds": [2.0] * epochs,
        "ndcg@10": [0.1, 0.3, 0.2][:epochs],
    }
    return _publish(
        store,
        Slot("trained_model", "tiny", model, "cpu"),
        {"history.parquet": pa.table(history)} if epochs else {},
        config={
            "data": {"name": "tiny"},
            "seed": 42,
            "model": {"name": model, **({"l2": 0.5} if model == "ease" else {})},
        },
        parents={"splits": splits},
        origin={"dagster_run_id": "12345678-dagster", "mlflow_run_id": "abcdef"},
        facts={"seconds": 6.0, "epochs": epochs, "peak_memory_mb": 512.0, "validation_metrics": {"ndcg@10": 0.3}},
    )


def _report(store: ArtifactStore, model: str, trained: Artifact, splits: Artifact, movies: Artifact) -> Artifact:
    """Metrics at 2; gini and coverage of its lists over the four movies of the catalogue."""
    mean = sum(NDCG[model]) / 3
    report = {
        "model": model,
        "device": "cpu",
        "data": "tiny",
        "protocol": "full",
        "fingerprint": FINGERPRINT,
        "seed": 42,
        "created_at": "2026-01-02T03:04:05+00:00",
        "seconds": 6.0,
        "peak_memory_mb": 512.0,
        "evaluation_seconds": 0.3,
        "metrics": {
            "ndcg@2": mean,
            "novelty@2": 3.0 if model == "ease" else 1.0,
            "disliked@2": sum(DISLIKED[model]) / 3,
        },
        "intervals": {"ndcg@2": [mean - 0.1, mean + 0.1]},
        "validation_metrics": {"ndcg@2": mean},
        "counts": {"users_evaluated": 3},
        "schema": 2,
    }
    users = {"user_id": [1, 2, 3], "train_items": [2, 1, 1], "ndcg@2": NDCG[model], "disliked@2": DISLIKED[model]}
    lists = [(user, rank + 1, movie) for user, own in enumerate(LISTS[model], 1) for rank, movie in enumerate(own)]
    columns = dict(zip(("user_id", "rank", "movie_id"), zip(*lists, strict=True), strict=True))
    segments = [
        {
            "kind": kind,
            "segment": segment,
            "metric": metric,
            "users": 3,
            "test_items": 3,
            "value": value,
            "low": value - 0.01,
            "high": value + 0.01,
        }
        for kind, segment, metric, value in (
            ("activity", "cold", "ndcg@2", mean),
            ("popularity", "head", "ndcg@2", mean),
            ("genre", "Drama", "ndcg@2", 0.1 if model == "ease" else 0.4),
            ("decade", "1990s", "ndcg@2", mean),
            *(("popularity", tier, "list_share@2", 1 / 3) for tier in ("head", "mid", "tail")),
        )
    ]
    tables = {
        "users.parquet": pa.table(users),
        "lists.parquet": pa.table({name: list(values) for name, values in columns.items()}),
        "relevant.parquet": pa.table({"user_id": [1, 2, 3], "movie_id": [20, 30, 10], "rank": [2, 1, 9]}),
        "segments.parquet": pa.Table.from_pylist(segments, schema=SEGMENTS_SCHEMA),
    }

    def write(folder: Path) -> None:
        (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
        for name, table in tables.items():
            pq.write_table(table, folder / name)

    return store.publish(
        Slot("evaluation_report", "tiny", model, "cpu"),
        write,
        key="k",
        fingerprint=FINGERPRINT,
        parents={"trained_model": trained, "splits": splits, "raw_movies": movies},
    )


def _curves(store: ArtifactStore, trained: Artifact) -> None:
    curve = [
        {"part": part, "source": source, "size": size, "value": value, "low": value - 0.01, "high": value + 0.01}
        for part, others in (("validation", 0.3), ("test", 0.0))
        for source, size, value in (
            ("popularity", 0, 0.1 + others),
            ("fold_in", 1, 0.12 + others),
            ("fold_in", 4, 0.16 + others),
            ("whole_history", None, 0.18 + others),
            ("trained_in", None, 0.2 + others),
        )
    ]
    tradeoff = [
        {"dial": dial, "setting": setting, "measure": measure, "value": value, "low": value, "high": value}
        for dial, bought in (("diversity", "genre_diversity@10"), ("novelty", "novelty@10"))
        for setting, loss in ((0.0, 0.0), (1.0, 0.05 if dial == "diversity" else 0.1))
        for measure, value in (("ndcg@10", 0.2 - loss), (bought, 1.0 + loss))
    ]
    facts = {"users": 3, "folds": 5}
    parents = {"trained_model": trained}
    _publish(
        store,
        trained.slot.beside("strong_generalization"),
        {"curve.parquet": pa.Table.from_pylist(curve)},
        facts=facts,
        parents=parents,
    )
    _publish(
        store,
        trained.slot.beside("reranking_tradeoff"),
        {"tradeoff.parquet": pa.Table.from_pylist(tradeoff)},
        parents=parents,
    )


RATED = {"user_id": [1, 1, 2, 4, 4], "movie_id": [10, 20, 10, 10, 30], "rating": [4.0, 3.0, 5.0, 1.0, 5.0]}


def _index(store: ArtifactStore, model: str, trained: Artifact, splits: Artifact) -> Artifact:
    """User 1 has 10 in train and 20 in validation, user 2 has 10 in train, user 3 has nothing.

    User 4, whom no model knows, rated 30 and disliked 10.
    """
    vectors = np.array(VECTORS, dtype=np.float32)
    history = sparse.csr_matrix(np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0] * 4], dtype=np.float32))
    table = {
        "movie_id": [10, 20, 30, 40],
        "title": ["Ten", "Twenty", "Thirty", "Forty"],
        "year": [1990, 1991, 1992, None],
        "genres": [["Drama"], ["Drama", "Comedy"], ["Comedy"], []],
    }
    faiss = build_faiss(vectors, "Flat")
    index = RetrievalIndex(
        index=faiss,
        vectors=shared_vectors(faiss),
        users=IdMap(np.array([1, 2, 3])),
        items=IdMap(np.array([10, 20, 30, 40])),
        queries=history,
        rated=RatedMovies.of(pa.table(RATED)),
        history=history,
        explanation_inputs=sparse.csr_matrix((3, 0), dtype=np.float32),
        popularity=np.array([2, 0, 0, 0], dtype=np.float32),
        personal=np.array([model == "ease", model == "ease", False]),
        similar=np.array([[1, 2], [0, 2], [3, -1], [2, -1]], dtype=np.int32),
        similarity=np.array([[0.9, 0.5], [0.9, 0.4], [0.7, 0.0], [0.7, 0.0]], dtype=np.float32),
        movies=pa.table(table, schema=MOVIES_SCHEMA),
        item_facts=ItemFacts(
            genres=np.array([[1, 0], [1, 1], [0, 1], [0, 0]], dtype=np.float32),
            year=np.array([1990, 1991, 1992, 0], dtype=np.int32),
            share=np.array([2 / 3, 1 / 3, 1 / 3, 1 / 3]),
            embeddings=np.array([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]], dtype=np.float32),
        ),
        fold_in_scorer=LinearFoldIn(Basis(vectors, history)),
        facts=IndexFacts(model, "cpu", "Flat", 4, 1.0, 10, 3, 0.1, fold_in_min_items=1, liked_from=2.5),
    )
    recall = 1.0 if model == "ease" else 0.5
    return store.publish(
        Slot("faiss_index", "tiny", model, "cpu"),
        index.save,
        key="k",
        fingerprint=FINGERPRINT,
        parents={"trained_model": trained, "splits": splits},
        facts={"factory": "Flat", "recall": recall, "recall_k": 10, "users_sampled": 3, "liked_from": 2.5},
    )


def _decisions(store: ArtifactStore, indices: dict[str, Artifact]) -> None:
    """The gate promotes ease, then keeps it against popularity."""
    ease, popularity = indices["ease"], indices["popularity"]
    model = ease.parents["trained_model"]
    promoted = Decision("tiny", "promoted", "ease is the first", "gate", "", ease.reference, ease.reference, "", model)
    carry_out(store, record(store, promoted, {"user": "somebody"}), ease)
    against = {"name": "champion ease", "difference": -0.2, "low": -0.3, "high": -0.1, "users": 3, "passed": False}
    kept = Decision(
        data_set="tiny",
        verdict="kept",
        sentence="ease stays",
        by="gate",
        champion=ease.reference,
        served=ease.reference,
        challenger=popularity.reference,
        evidence={
            "metric": "ndcg@2",
            "part": "validation",
            "comparisons": [{**against, "sentence": "is lower"}],
            "checks": [{"name": "index_is_there", "passed": True, "sentence": "it is there"}],
        },
    )
    record(store, kept, {"user": "somebody"})


def _sweep(store: ArtifactStore) -> None:
    tried = [
        Trial(
            overrides=("model=ease", f"model.l2={l2}", f"seed={seed}"),
            report=f"evaluation_report/ease/cpu/{l2}-{seed}",
            model="ease",
            device="cpu",
            seed=seed,
            fingerprint=FINGERPRINT,
            seconds=2.0,
            validation={"ndcg@10": value},
            test={"ndcg@10": value - 0.05},
        )
        for l2, values in TRIALS.items()
        for seed, value in enumerate(values, start=1)
    ]
    failed = Trial(("model=ease", "model.l2=-1", "seed=1"), error="l2 must be positive")
    swept = trials.SweepTrials((*tried, failed), "ndcg@10", "max")
    trials.publish(store, "tiny", swept, ["model=ease", "model.l2=1,10,100", "seed=1,2"])


def _backtest(store: ArtifactStore) -> None:
    """Two windows; in the second, half of the users are new."""
    windows = [
        {
            "window": number,
            "test_from": START + number * 100 * DAY,
            "test_until": START + (number + 1) * 100 * DAY,
            "users": 4,
            "users_without_history": 2 * (number - 1),
        }
        for number in (1, 2)
    ]
    measures = [
        {"window": number, "users": users, "count": 4, "metric": "ndcg@10", "value": value, "low": 0.1, "high": 0.9}
        for number, value in ((1, 0.4), (2, 0.3))
        for users in ("all", "with_history")
    ]
    tables = {"windows.parquet": pa.Table.from_pylist(windows), "metrics.parquet": pa.Table.from_pylist(measures)}
    _publish(store, Slot("backtest", "tiny", "ease", "cpu"), tables, facts={"windows": 2, "data": "tiny"})


def _feedback(store: ArtifactStore) -> None:
    """Four lists of an experiment; of two by each variant, one by `new` was clicked."""
    log = SqliteLog(log_file(store.root, "tiny"))
    for number, variant in enumerate(("old", "old", "new", "new"), start=1):
        shown = Exposure(f"r{number}", number, (10, 20), model="ease", experiment="trial", variant=variant)
        log.expose([shown])
    log.record(
        [
            FeedbackEvent("a", user_id=3, movie_id=10, kind="click", shown_in="r3"),
            FeedbackEvent("b", user_id=3, movie_id=10, kind="rating", rating=5.0),
        ]
    )
    log.close()
