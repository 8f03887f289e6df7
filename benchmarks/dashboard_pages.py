"""Measure how long every page of the dashboard takes over a large store.

    python benchmarks/dashboard_pages.py [--users 200000] [--ratings 20000000] [--versions 2000]

Makes a store below a temporary folder: raw ratings and a split of so many rows, evaluation reports of ten models over
all users (metrics, lists of 20 and relevant items), and so many further versions of reports and trained models, which
hard-link the files of the first; two indices over all users and movies, a sweep of 500 trials, 500 decisions, and a
feedback log of 100,000 events and 20,000 lists. Then a visitor opens each page (`AppTest`, one process): the first
load reads and aggregates, the later ones are another metric, or the same page once more. Writes
benchmarks/results/dashboard_pages.md.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from scipy import sparse

from movierec_engine.data.id_map import IdMap
from movierec_engine.data.ratings import MOVIES_SCHEMA
from movierec_engine.feedback import Exposure, FeedbackEvent, SqliteLog, log_file
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.lightgcn import LightGCNFoldIn
from movierec_engine.recommending.dials import ItemFacts
from movierec_engine.release.decisions import Decision, carry_out, record
from movierec_engine.retrieval.build import build_faiss
from movierec_engine.retrieval.faiss_index import IndexFacts, RetrievalIndex
from movierec_engine.retrieval.flat import shared_vectors
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.store import Artifact, ArtifactStore, Slot
from movierec_engine.tuning import trials
from movierec_engine.tuning.trials import Trial

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_name("results") / "dashboard_pages.md"
MODELS = ("popularity", "item_cf", "svd", "ease", "als", "gf_cf", "gmf", "mlp", "ncf", "ngcf", "lightgcn")
MOVIES, LENGTH, TEST_ITEMS = 20_000, 20, 5
PAGES = (
    *("leaderboard", "compare", "side_by_side", "tradeoffs", "training"),
    *("segments", "explore", "data", "sweeps", "operations"),
)
DIMENSIONS = 64
"""Of the item vectors of the indices that explore asks."""
TRIALS, DECISIONS, EVENTS, EXPOSURES = 500, 500, 100_000, 20_000
METRICS = tuple(
    f"{metric}@{k}" for metric in ("ndcg", "recall", "precision", "hit_rate", "map", "mrr") for k in (10, 20)
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how long every page of the dashboard takes.")
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--ratings", type=int, default=20_000_000)
    parser.add_argument("--versions", type=int, default=2_000, help="of reports, and as many of trained models")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="dashboard-")) / "store"
    os.environ["MOVIEREC_ARTIFACTS"] = str(root)
    try:
        build(root, arguments.users, arguments.ratings, arguments.versions)
        rows = [timed(page) for page in PAGES]
    finally:
        shutil.rmtree(root.parent)
    lines = [
        "# How long the dashboard's pages take",
        "",
        "`python benchmarks/dashboard_pages.py`",
        "",
        f"{arguments.users:,} users, {arguments.ratings:,} ratings, {MOVIES:,} movies; {len(MODELS)} models, "
        f"{arguments.versions:,} versions of reports and as many of trained models; two indices of {DIMENSIONS} "
        f"dimensions; {TRIALS} trials, {DECISIONS} decisions, {EVENTS:,} feedback events; {os.cpu_count()} cores. "
        "Seconds "
        "until the server has drawn the page, measured by AppTest in one process. First: nothing is cached (the first "
        "page also imports the libraries). Again: the slowest of three further runs. Another choice: the first time "
        "that another metric, pair of models, curve, version, user, trial or decision is asked for.",
        "",
        "| page | first, s | again, s | another choice, s |",
        "|---|---|---|---|",
        *(f"| {page} | {first:.2f} | {again:.2f} | {other:.2f} |" for page, first, again, other in rows),
    ]
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def timed(page: str) -> tuple[str, float, float, float]:
    """Seconds of a page's first load, of the slowest of three more, and of the first with another choice."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=300)
    if page != "leaderboard":
        app.switch_page(f"views/{page}.py")
    first = _run(app)
    again = max(_run(app) for _ in range(3))
    if page == "training":
        app.selectbox(key="curve").select("loss")
    elif page == "data":
        app.selectbox(key="version").select_index(1)
    elif page == "explore":
        app.text_input(key="user").set_value("4711")
    elif page in ("sweeps", "operations"):
        app.selectbox(key="rank" if page == "sweeps" else "decision").select_index(1)
    else:
        app.selectbox(key="metric").select("recall")
    return page, first, again, _run(app)


def _run(app: object) -> float:
    started = time.perf_counter()
    app.run()  # type: ignore[attr-defined]
    seconds = time.perf_counter() - started
    assert not app.exception, app.exception  # type: ignore[attr-defined]
    return seconds


def build(root: Path, users: int, ratings: int, versions: int) -> None:
    store, connection = ArtifactStore(root), duckdb.connect()
    connection.execute("SELECT setseed(0.5)")
    slot = "large"
    for share in (0.9, 1.0):  # two versions of the data
        count = int(ratings * share)
        query = f"""SELECT (row_number() OVER ())::BIGINT % {users} + 1 AS user_id,
                           ({MOVIES} * pow(random(), 2))::BIGINT + 1 AS movie_id,
                           ((random() * 9)::INT + 1) / 2.0::FLOAT AS rating,
                           (946684800 + 500000000 * random())::BIGINT AS timestamp
                    FROM range({count})"""
        raw = store.publish(
            Slot("raw_ratings", slot),
            lambda folder, query=query: copy(connection, query, folder / "ratings.parquet"),
            key="r",
            fingerprint="",
            facts={"ratings": count, "users": users, "movies": MOVIES, "validation": {"rows_read": count}},
        )
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
            parents={"trained_model": trained, "splits": splits},
        )
        for artifact in (trained, report):
            multiply(artifact.folder, versions // len(MODELS))
        if model in ("als", "lightgcn"):
            index = write_index(store, model, trained, splits)
            decide(store, index, DECISIONS // 2)
    sweep(store)
    say(store, users)


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
    movies = {
        "movie_id": list(range(1, MOVIES + 1)),
        "title": [f"Movie number {number}" for number in range(MOVIES)],
        "year": [1950 + number % 70 for number in range(MOVIES)],
        "genres": [[("Drama", "Comedy", "Action", "Horror")[number % 4]] for number in range(MOVIES)],
    }
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
        movies=pa.table(movies, schema=MOVIES_SCHEMA),
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
            Exposure(f"r{place}", place % users + 1, movies, model="als", experiment="e", variant="ab"[place % 2])
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
        older = folder.with_name(f"20200101T{number:09d}Z-old-0000")
        older.mkdir()
        for file in folder.iterdir():
            os.link(file, older / file.name)


def copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


if __name__ == "__main__":
    main()
