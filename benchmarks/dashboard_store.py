"""A large artifact store for measuring the dashboard: random numbers in the files that real runs would have.

Raw ratings and a split, evaluation reports of eleven models over all users (metrics, lists of 20 and relevant items),
and so many further versions of reports and trained models, which hard-link the files of the first; two indices over all
users and movies, a sweep, decisions with notes, kept views, backtests, prices of rules, off-policy estimates, newer
ratings to tell the drift of, and a feedback log.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from movierec_engine.data.id_map import IdMap
from movierec_engine.data.ratings import MOVIES_SCHEMA
from movierec_engine.evaluation.drift import save_counts
from movierec_engine.feedback import Exposure, FeedbackEvent, SqliteLog, log_file
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.lightgcn import LightGCNFoldIn
from movierec_engine.recommending.dials import ItemFacts
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.release.decisions import Decision, carry_out, record
from movierec_engine.release.notes import pin_note
from movierec_engine.reporting.kept_views import keep_view
from movierec_engine.retrieval.build import build_faiss
from movierec_engine.retrieval.flat import shared_vectors
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.index_facts import IndexFacts
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.store import Artifact, ArtifactStore, Slot
from movierec_engine.tuning import trials
from movierec_engine.tuning.trials import Trial

MODELS = ("popularity", "item_cf", "svd", "ease", "als", "gf_cf", "gmf", "mlp", "ncf", "ngcf", "lightgcn")
MOVIES, LENGTH, TEST_ITEMS = 20_000, 20, 5
DIMENSIONS = 64
"""Of the item vectors of the indices that Explore asks."""
TRIALS, DECISIONS, EVENTS, EXPOSURES, NOTES, VIEWS, RULES, WINDOWS = 500, 500, 100_000, 20_000, 100, 50, 20, 12
METRICS = tuple(
    f"{metric}@{k}" for metric in ("ndcg", "recall", "precision", "hit_rate", "map", "mrr") for k in (10, 20)
)
MOVIES_TABLE = pa.table(
    {
        "movie_id": list(range(1, MOVIES + 1)),
        "title": [f"Movie number {number}" for number in range(MOVIES)],
        "year": [1950 + number % 70 for number in range(MOVIES)],
        "genres": [[("Drama", "Comedy", "Action", "Horror")[number % 4]] for number in range(MOVIES)],
    },
    schema=MOVIES_SCHEMA,
)
OLDER = "20200101T{:09d}Z-old-0000"
"""Names of the older versions, by their number."""


def build(root: Path, users: int, ratings: int, versions: int) -> None:
    """Fill a store. versions: of reports over all models, and as many of trained models."""
    store, connection = ArtifactStore(root), duckdb.connect()
    connection.execute("SELECT setseed(0.5)")
    connection.execute("SET memory_limit = '2GB'")
    slot = "large"
    versions_of_data = []
    for share, key in ((1.0, "r"), (0.9, "newer")):
        count = int(ratings * share)
        query = f"""SELECT (row_number() OVER ())::BIGINT % {users} + 1 AS user_id,
                           ({MOVIES} * pow(random(), 2))::BIGINT + 1 AS movie_id,
                           ((random() * 9)::INT + 1) / 2.0::FLOAT AS rating,
                           (946684800 + 500000000 * random())::BIGINT AS timestamp
                    FROM range({count})"""
        made = store.publish(
            Slot("raw_ratings", slot),
            lambda folder, query=query: write_ratings(connection, folder, query),
            key=key,
            fingerprint="",
            facts={"ratings": count, "users": users, "movies": MOVIES, "validation": {"rows_read": count}},
        )
        versions_of_data.append(made)
    raw = versions_of_data[0]
    movies = publish(store, Slot("raw_movies", slot), {"movies.parquet": MOVIES_TABLE}, facts={"movies": MOVIES})
    interactions = store.publish(
        Slot("interactions", slot),
        lambda folder: None,
        key="i",
        fingerprint="",
        parents={"raw_ratings": raw},
        facts={"interactions": ratings, "users": users, "items": MOVIES, "density": 0.005, "dropped_share": 0.0},
    )
    parts = f"""SELECT *, CASE WHEN hash(movie_id, user_id) % 10 < 8 THEN 'train'
                              WHEN hash(movie_id, user_id) % 10 = 8 THEN 'validation' ELSE 'test' END AS part
                FROM read_parquet('{raw.folder}/ratings.parquet')"""
    splits = store.publish(
        Slot("splits", slot),
        lambda folder: copy(connection, parts, folder / "split.parquet"),
        key="s",
        fingerprint="f",
        parents={"interactions": interactions},
        facts={"strategy": "random", "boundaries": {}, "future_share": 1.0, "items": MOVIES},
    )
    for number, model in enumerate(MODELS):
        history = """SELECT i AS epoch, 1.0 / i AS loss, 0.5 AS seconds, 0.2 - 0.1 / i AS "ndcg@10"
                     FROM range(1, 101) t(i)"""
        trained = store.publish(
            Slot("trained_model", "large", model, "cpu"),
            lambda folder, query=history: copy(connection, query, folder / "history.parquet"),
            key="t",
            fingerprint="f",
            config={"data": {"name": "large"}, "model": {"name": model}, "trainer": {"epochs": 100}, "seed": 1},
            parents={"splits": splits},
            facts={"seconds": 50.0 + number, "epochs": 100, "peak_memory_mb": 900.0},
        )
        report = store.publish(
            Slot("evaluation_report", "large", model, "cpu"),
            lambda folder, number=number, model=model: write_report(connection, folder, users, number, model),
            key="e",
            fingerprint="f",
            parents={"trained_model": trained, "splits": splits, "raw_movies": movies},
        )
        for artifact in (trained, report):
            multiply(artifact.folder, versions // len(MODELS))
        if model in ("als", "lightgcn"):
            index = write_index(store, model, trained, splits)
            decide(store, index, DECISIONS // 2)
            estimate(store, trained)
        for note in range(NOTES // len(MODELS)):
            pin_note(store, report.reference, f"Note {note} about {model}.")
    price_rules(store, trained)
    sweep(store)
    say(store, users)
    for number in range(VIEWS):
        keep_view(store, f"View {number}", "compare", {"a": MODELS[number % len(MODELS)]})


def write_ratings(connection: duckdb.DuckDBPyConnection, folder: Path, query: str) -> None:
    copy(connection, query, folder / "ratings.parquet")
    save_counts(folder)


def write_report(connection: duckdb.DuckDBPyConnection, folder: Path, users: int, number: int, model: str) -> None:
    """One model's report: its per-user metrics are noise about a mean of its own."""
    chosen = ", ".join(f'(random() * {0.3 + number / 100}) AS "{name}"' for name in METRICS)
    fixed = "i AS user_id, 2 AS test_items, (i * 7919) % 300 AS train_items"
    query = f"SELECT {fixed}, {chosen} FROM range(1, {users + 1}) t(i)"
    copy(connection, query, folder / "users.parquet")
    of_user = f"FROM range(1, {users + 1}) u(i), range(1, {LENGTH + 1}) r(j)"
    lists = f"SELECT i AS user_id, j::INT AS rank, (({MOVIES} * pow(random(), 3))::BIGINT) + 1 AS movie_id {of_user}"
    copy(connection, lists, folder / "lists.parquet")
    relevant = f"SELECT i AS user_id, (i * j) % {MOVIES} + 1 AS movie_id, j::INT AS rank"
    copy(
        connection, f"{relevant} FROM range(1, {users + 1}) u(i), range({TEST_ITEMS}) r(j)", folder / "relevant.parquet"
    )
    kinds = {
        "activity": ("limited", "moderate", "rich"),
        "popularity": ("head", "mid", "tail"),
        "genre": tuple(f"Genre {place}" for place in range(18)),
        "decade": tuple(f"{1910 + 10 * place}s" for place in range(11)),
    }
    rows = ", ".join(
        f"('{kind}', '{segment}', '{metric}', {users}, {users}, 0.2, 0.19, 0.21)"
        for kind, segments in kinds.items()
        for segment in segments
        for metric in (*METRICS, "list_share@10", "list_share@20")
    )
    names = "kind, segment, metric, users, test_items, value, low, high"
    copy(connection, f"SELECT * FROM (VALUES {rows}) t({names})", folder / "segments.parquet")
    means = dict.fromkeys(METRICS, 0.15 + number / 200) | {"novelty@10": 3.0 + number, "coverage@10": 0.4}
    report = {
        **dict.fromkeys(("data", "protocol"), "large"),
        "model": model,
        "device": "cpu",
        "protocol": "full",
        "fingerprint": "f",
        "seed": 1,
        "schema": 2,
        "created_at": "2026-01-01T00:00:00+00:00",
        "seconds": 50.0 + number,
        "peak_memory_mb": 900.0,
        "evaluation_seconds": 20.0,
        "metrics": means,
        "validation_metrics": means,
        "intervals": {name: [mean - 0.001, mean + 0.001] for name, mean in means.items() if name in METRICS},
        "counts": {"users_evaluated": users},
    }
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")


def write_index(store: ArtifactStore, model: str, trained: Artifact, splits: Artifact) -> Artifact:
    """Random vectors of all users and movies, over the split's train part."""
    vectors = np.random.default_rng(0).normal(size=(MOVIES, DIMENSIONS)).astype(np.float32)
    rows = duckdb.execute(
        f"SELECT DISTINCT user_id - 1, movie_id - 1 FROM read_parquet('{splits.folder}/split.parquet') "
        f"WHERE part = 'train' AND movie_id <= {MOVIES}"
    ).fetchnumpy()
    user, item = (np.asarray(column) for column in rows.values())
    users = int(user.max()) + 1
    history = sparse.csr_matrix((np.ones(len(user), np.float32), (user, item)), shape=(users, MOVIES))
    popularity = np.bincount(item, minlength=MOVIES).astype(np.float32)
    similar = np.random.default_rng(1).integers(0, MOVIES, (MOVIES, 50)).astype(np.int32)
    faiss = build_faiss(vectors, "Flat")
    index = RetrievalIndex(
        index=faiss,
        vectors=shared_vectors(faiss),
        users=IdMap(np.arange(1, users + 1)),
        items=IdMap(np.arange(1, MOVIES + 1)),
        queries=sparse.csr_matrix(np.random.default_rng(2).normal(size=(users, DIMENSIONS)).astype(np.float32)),
        rated=RatedMovies.of(pa.table({"user_id": user + 1, "movie_id": item + 1, "rating": np.ones(len(user))})),
        history=history,
        explanation_inputs=sparse.csr_matrix((users, 0), dtype=np.float32),
        popularity=popularity,
        personal=np.ones(users, dtype=np.bool_),
        similar=similar,
        similarity=np.tile(np.linspace(1, 0.5, 50, dtype=np.float32), (MOVIES, 1)),
        movies=MOVIES_TABLE,
        item_facts=ItemFacts(
            np.eye(4, dtype=np.float32)[np.arange(MOVIES) % 4],
            np.arange(MOVIES, dtype=np.int32) % 70 + 1950,
            np.maximum(popularity, 1).astype(np.float64) / users,
            vectors[:, :32],
        ),
        fold_in_scorer=LightGCNFoldIn(Basis(vectors, history), vectors),
        facts=IndexFacts(model, "cpu", "Flat", DIMENSIONS, 1.0, 10, 3, 0.1, fold_in_min_items=1),
    )
    return store.publish(
        Slot("faiss_index", "large", model, "cpu"),
        index.save,
        key="x",
        fingerprint="f",
        parents={"trained_model": trained, "splits": splits},
        facts={"factory": "Flat", "recall": 1.0, "recall_k": 10, "users_sampled": 3},
    )


def decide(store: ArtifactStore, index: Artifact, count: int) -> None:
    against = {
        "name": "another",
        "difference": 0.1,
        "low": 0.0,
        "high": 0.2,
        "users": 9,
        "passed": True,
        "sentence": "x",
    }
    evidence = {"metric": "ndcg@10", "part": "validation", "comparisons": [against] * 3}
    for _ in range(count):
        made = Decision(
            "large", "promoted", "it is better", "gate", "", index.reference, index.reference, evidence=evidence
        )
        made = record(store, made, {"user": "somebody"})
    carry_out(store, made, index)


def estimate(store: ArtifactStore, trained: Artifact) -> None:
    """A backtest of so many windows, and off-policy estimates, of a model."""
    windows = [
        {"window": n, "test_from": 946_684_800 + n * 8_640_000, "users": 900, "users_without_history": 9 * n}
        for n in range(WINDOWS)
    ]
    measures = [
        {"window": n, "users": users, "count": 900, "metric": name, "value": 0.2, "low": 0.19, "high": 0.21}
        for n in range(WINDOWS)
        for users in ("all", "with_history")
        for name in METRICS
    ]
    tables = {"windows.parquet": pa.Table.from_pylist(windows), "metrics.parquet": pa.Table.from_pylist(measures)}
    facts = {"windows": WINDOWS, "data": "large"}
    publish(store, trained.slot.beside("backtest"), tables, parents={"trained_model": trained}, facts=facts)
    value = {"value": 0.5, "low": 0.4, "high": 0.6}
    names = ("logged", "ips", "snips", "dr", "covered", "ips_gain", "snips_gain", "dr_gain")
    facts = {
        "question": {"reward": "click", "minutes": 30.0, "by": "movie", "clip": 0.0, "exploration": {"share": 0.1}},
        "estimates": dict.fromkeys(names, value)
        | {"lists": 20_000, "users": 9_000, "effective_places": 321.0, "largest_weight": 12.5},
        "sentences": ["From explored lists."],
    }
    publish(store, trained.slot.beside("off_policy_estimate"), {}, parents={"trained_model": trained}, facts=facts)


def price_rules(store: ArtifactStore, trained: Artifact) -> None:
    rules = RuleDocument.of({"rules": [{"name": f"rule {n}", "deny": [n + 1]} for n in range(RULES)]})
    before = {"ndcg_before": 0.5, "coverage_before": 0.5, "novelty_before": 3.0}
    price = before | {"users": 10_000, "ndcg": 0.49, "difference": -0.01, "low": -0.012, "high": -0.008}
    price |= {"coverage": 0.4, "novelty": 2.9, "changed": 0.1, "unmet": 0.0}
    names = [("all together", ""), *((f"rule {n}", "deny") for n in range(RULES))]
    table = pa.Table.from_pylist([{"rule": rule, "kind": kind, **price} for rule, kind in names])

    def write(folder: Path) -> None:
        pq.write_table(table, folder / "price.parquet")
        (folder / "rules.json").write_text(rules.text, encoding="utf-8")

    facts = {"part": "validation", "data": "large", "scenario": "home", "region": None, "k": 10}
    slot, parents = trained.slot.beside("rules_price"), {"trained_model": trained}
    store.publish(slot, write, key="p", fingerprint=trained.fingerprint, parents=parents, facts=facts)


def sweep(store: ArtifactStore) -> None:
    rng = np.random.default_rng(3)
    tried = [
        Trial(
            overrides=("model=ease", f"model.l2={rng.uniform(1, 1000)}", f"model.other={rng.integers(9)}"),
            report="evaluation_report/large/ease/cpu/x",
            model="ease",
            device="cpu",
            seed=1,
            fingerprint="f",
            seconds=1.0,
            validation={"ndcg@10": float(rng.uniform())},
            test={"ndcg@10": 0.1},
        )
        for _ in range(TRIALS)
    ]
    trials.publish(store, "large", trials.SweepTrials(tuple(tried), "ndcg@10", "max"), ["model=ease"])


def say(store: ArtifactStore, users: int) -> None:
    """Lists of an experiment, a quarter of the events answering them."""
    log = SqliteLog(log_file(store.root, "large"))
    movies = tuple(range(1, 11))
    log.expose(
        [
            Exposure(
                f"r{place}",
                place % users + 1,
                movies,
                model="als",
                version=f"version {place % 5}",
                experiment="e",
                variant="ab"[place % 2],
            )
            for place in range(EXPOSURES)
        ]
    )
    for start in range(0, EVENTS, 10_000):
        log.record(
            [
                FeedbackEvent(f"k{n}", n % users + 1, n % 10 + 1, "click", shown_in=f"r{n}" if n % 4 == 0 else "")
                for n in range(start, start + 10_000)
            ]
        )
    log.close()


def multiply(folder: Path, count: int) -> None:
    """Older versions of the same content, their files hard-linked."""
    for number in range(count):
        older = folder.with_name(OLDER.format(number))
        older.mkdir()
        for file in folder.iterdir():
            os.link(file, older / file.name)


def publish(store: ArtifactStore, slot: Slot, tables: Mapping[str, pa.Table], **more: Any) -> Artifact:
    def write(folder: Path) -> None:
        for name, table in tables.items():
            pq.write_table(table, folder / name)

    return store.publish(slot, write, key="k", fingerprint="f", **more)


def copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
