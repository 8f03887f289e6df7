"""Measure what one answer of sasrec costs without PyTorch: the scores of one history, and whole requests to the API.

    OMP_NUM_THREADS=1 python benchmarks/sasrec_serving.py

One person's history of 200 items, the most that the model looks at, over a catalogue of 3,416 items, on one core and
with random weights, whose values cost the same as trained ones. A request goes through the whole application in this
process, from the parsed HTTP request to the bytes of the answer. Writes benchmarks/results/sasrec_serving.md.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from flask.testing import FlaskClient
from rich.console import Console
from scipy import sparse

from movierec_engine.api.app import create_app
from movierec_engine.data.graph import build_graph
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.ratings import MOVIES_SCHEMA, RATINGS_SCHEMA, Movies
from movierec_engine.data.sequences import told_times
from movierec_engine.models import SASRec
from movierec_engine.models.fold_in import FoldInScorer
from movierec_engine.retrieval.build import build_index
from movierec_engine.retrieval.config import RetrievalConfig
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.store import ArtifactStore, Slot

RESULT = Path(__file__).with_name("results") / "sasrec_serving.md"
USERS, N_ITEMS, LENGTH = 100, 3_416, 200
SETTINGS: dict[str, dict[str, object]] = {
    "plain": {"block": "plain"},
    "plain, without times": {"block": "plain", "relative_time": "never"},
    "gated": {"block": "gated"},
    "gated, without times": {"block": "gated", "relative_time": "never"},
    "gated, 128 wide": {"block": "gated", "embedding_dim": 128, "num_heads": 2},
    "plain, 256 wide, 3 blocks": {"block": "plain", "embedding_dim": 256, "num_heads": 4, "num_blocks": 3},
}
REQUESTED = ("plain", "plain, without times", "gated")
"""Those that requests are made of."""

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=1_000, help="of each model")
    answers = parser.parse_args().answers
    lines = [
        "# The cost of an answer of sasrec",
        "",
        f"`OMP_NUM_THREADS=1 python benchmarks/sasrec_serving.py --answers {answers}`, {datetime.now(UTC):%Y-%m-%d}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, {os.cpu_count()} cores that did other "
        "work beside. CPU is of this process alone, so that it says what one core to itself takes.",
        "",
        f"A history of {LENGTH} items, all scores of {N_ITEMS:,} items, and an explanation of ten of them, which folds "
        "the person in again without each of the 50 closest items of the history.",
        "",
        "| model | scores, CPU ms, mean | p50 | p99 | by the clock, p99 | explanation, CPU ms, mean |",
        "|---|---|---|---|---|---|",
    ]
    for name, settings in SETTINGS.items():
        scorer = scorer_of(SASRec(**settings))
        cpu, clock = scored(scorer, answers)
        why = explained(scorer, max(1, answers // 100))
        lines.append(
            f"| {name} | {cpu.mean():.2f} | {np.quantile(cpu, 0.5):.2f} | {np.quantile(cpu, 0.99):.2f} "
            f"| {np.quantile(clock, 0.99):.2f} | {why:.0f} |"
        )
        console.print(lines[-1], soft_wrap=True)
    lines += [
        "",
        f"Requests to `/api/recommend` for ten of the {N_ITEMS:,} items, by a log of feedback on the disk. Asked for: "
        "under 10 ms at p99.",
        "",
        "| model | request | CPU ms, mean | p50 | p99 | by the clock, p50 | p99 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in REQUESTED:
        for request, (cpu, clock) in requested(SASRec(**SETTINGS[name]), answers).items():
            cells = [cpu.mean(), *np.quantile(cpu, [0.5, 0.99]), *np.quantile(clock, [0.5, 0.99])]
            lines.append(f"| {name} | {request} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")
            console.print(lines[-1], soft_wrap=True)
            RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    console.print(f"wrote {RESULT}")


def scorer_of(model: SASRec) -> FoldInScorer:
    build(model)
    return model.fold_in_scorer()


def build(model: SASRec) -> Interactions:
    """Random weights, and USERS whose histories have LENGTH items each, which are returned."""
    rng = np.random.default_rng(2)
    items = np.concatenate([rng.choice(N_ITEMS, LENGTH, replace=False) for _ in range(USERS)])
    train = Interactions(
        user=np.repeat(np.arange(USERS, dtype=np.int32), LENGTH),
        item=items.astype(np.int32),
        rating=np.full(len(items), 5, dtype=np.float32),
        timestamp=np.tile(10**9 + np.arange(LENGTH) ** 3, USERS),
        users=IdMap(np.arange(1, USERS + 1)),
        items=IdMap(np.arange(1, N_ITEMS + 1)),
    )
    torch.manual_seed(0)
    model.build(train, build_graph(train), torch.device("cpu"))
    model.export()
    return train


def history(rng: np.random.Generator) -> sparse.csr_matrix:
    items = rng.choice(N_ITEMS, LENGTH, replace=False)
    times = told_times(10**9 + np.cumsum(rng.integers(1, 10**5, LENGTH)))
    return sparse.csr_matrix((times, items, [0, LENGTH]), (1, N_ITEMS))


Milliseconds = tuple[np.ndarray, np.ndarray]
"""Of each answer: of this process's CPU, and by the clock."""


def scored(scorer: FoldInScorer, answers: int) -> Milliseconds:
    rng = np.random.default_rng(0)
    return measured(lambda: scorer.scores(history(rng)), answers)


def requested(model: SASRec, answers: int) -> dict[str, Milliseconds]:
    """Of requests for somebody who has just watched one more item, for one whom nobody knows, and with reasons."""
    with tempfile.TemporaryDirectory() as folder:
        client = served(model, ArtifactStore(Path(folder)))
        rng = np.random.default_rng(0)

        def watched() -> None:
            said = {"user_id": int(rng.integers(USERS)) + 1, "movie_id": int(rng.integers(N_ITEMS)) + 1}
            answer = client.post("/api/feedback", json={**said, "kind": "rating", "rating": 5.0})
            assert answer.status_code == 200, answer.json
            users.append(said["user_id"])

        def ask(**asked: object) -> None:
            answer = client.post("/api/recommend", json={"top_k": 10, **asked})
            assert answer.status_code == 200 and answer.json["source"] != "popularity", answer.json

        users: list[int] = []
        told = [history(rng).indices + 1 for _ in range(answers)]
        return {
            "a user after one more event": measured(lambda: ask(user_id=users[-1]), answers, watched),
            f"a history of {LENGTH} that is told": measured(
                lambda: ask(history=told[len(users) % answers].tolist()), answers, lambda: users.append(0)
            ),
            "a user, with reasons": measured(lambda: ask(user_id=users[-1], explain=True), answers // 10, watched),
        }


def served(model: SASRec, store: ArtifactStore) -> FlaskClient:
    """The API over an index of the model."""
    train = build(model)
    ids = train.items.ids
    titles = {
        "movie_id": ids,
        "title": [f"Film {i}" for i in ids],
        "year": [2000] * N_ITEMS,
        "genres": [["Drama"]] * N_ITEMS,
    }
    movies = Movies(pa.table(titles, schema=MOVIES_SCHEMA))
    rated = RatedMovies.of(train.to_table().cast(RATINGS_SCHEMA))
    config = RetrievalConfig(similar_items=10, fold_in_min_items=1)
    index = build_index(model, rated, movies, config, "cpu", liked_from=3.0)
    store.publish(Slot("faiss_index", "made_up", "sasrec", "cpu"), index.save, key="k", fingerprint="f00d")
    return create_app(store.root).test_client()


def measured(ask: Callable[[], object], answers: int, before: Callable[[], None] = lambda: None) -> Milliseconds:
    """Of answers after twenty to warm up; `before` each comes something that isn't measured."""
    cpu, clock = [], []
    for _ in range(answers + 20):
        before()
        used, started = time.process_time(), time.perf_counter()
        ask()
        cpu.append(time.process_time() - used)
        clock.append(time.perf_counter() - started)
    return 1e3 * np.array(cpu[20:]), 1e3 * np.array(clock[20:])


def explained(scorer: FoldInScorer, times: int) -> float:
    """Milliseconds of CPU of one explanation of ten items."""
    rng = np.random.default_rng(1)
    used = time.process_time()
    for _ in range(times):
        scorer.contributions(history(rng), rng.choice(N_ITEMS, 10, replace=False))
    return 1e3 * (time.process_time() - used) / times


if __name__ == "__main__":
    main()
