"""Measure how long every page of the dashboard takes over a large store.

    python benchmarks/dashboard_pages.py [--users 200000] [--ratings 20000000] [--versions 2000]

Makes a store below a temporary folder: raw ratings and a split of so many rows, evaluation reports of ten models over
all users (metrics, lists of 20 and relevant items), and so many further versions of reports and trained models, which
hard-link the files of the first. Then a visitor opens each page (`AppTest`, one process): the first load reads and
aggregates, the later ones are another metric, or the same page once more. Writes benchmarks/results/dashboard_pages.md.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_name("results") / "dashboard_pages.md"
MODELS = ("popularity", "item_cf", "svd", "ease", "als", "gmf", "mlp", "ncf", "ngcf", "lightgcn")
MOVIES, LENGTH, TEST_ITEMS = 20_000, 20, 5
PAGES = ("leaderboard", "compare", "training", "segments", "data")
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
        f"{arguments.versions:,} versions of reports and as many of trained models; {os.cpu_count()} cores. Seconds "
        "until the server has drawn the page, measured by AppTest in one process. First: nothing is cached (the first "
        "page also imports the libraries). Again: the slowest of three further runs. Another choice: the first time "
        "that another metric, pair of models, curve or version is asked for.",
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
    from movierec_engine.store import ArtifactStore, Slot

    store, connection = ArtifactStore(root), duckdb.connect()
    connection.execute("SELECT setseed(0.5)")
    slot = ("large",)
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
            Slot("trained_model", (model, "cpu")),
            lambda folder, query=history: copy(connection, query, folder / "history.parquet"),
            key="t",
            fingerprint="f",
            config={"data": {"name": "large"}, "model": {"name": model}, "trainer": {"epochs": 100}, "seed": 1},
            parents={"splits": splits},
            facts={"seconds": 50.0 + number, "epochs": 100, "peak_memory_mb": 900.0},
        )
        report = store.publish(
            Slot("evaluation_report", (model, "cpu")),
            lambda folder, number=number, model=model: write_report(connection, folder, users, number, model),
            key="e",
            fingerprint="f",
            parents={"trained_model": trained, "splits": splits},
        )
        for artifact in (trained, report):
            multiply(artifact.folder, versions // len(MODELS))


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
