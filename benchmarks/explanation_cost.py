"""Measure what explain=true costs, against the plain list of the same people.

    python benchmarks/explanation_cost.py [--store FOLDER]

Trains the models on the bundled data and asks /api/recommend in this process, by user and by history, for people with
histories of different lengths: the list with and without reasons in turn. The CPU time of the thread counts, the
fastest of several runs. Lists are not remembered, so that each is computed. --store keeps the models, and takes those
that are there. Writes benchmarks/results/explanation_cost.md, in some minutes.
"""

import argparse
import os
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from bundled_data import FOLDER
from flask.testing import FlaskClient
from rich.console import Console

from movierec_engine import pipeline
from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.config import load_settings
from movierec_engine.errors import MovierecError
from movierec_engine.models.registry import model_names
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.store import Artifact, ArtifactStore

RESULT = Path(__file__).with_name("results") / "explanation_cost.md"
QUANTILES = {"short": 0.1, "median": 0.5, "long": 0.9, "longest": 1.0}
LENGTHS = (18, 50)
REPEATS = 7
console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="where the models are kept; a temporary folder without it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        store = ArtifactStore(asked.store or Path(temporary))
        indices = {name: indexed(store, name) for name in (*reversed(model_names()),) if name != "popularity"}
        client = create_app(store.root, ServingConfig(remembered_lists=0, models_in_memory=len(indices))).test_client()
        lines = [
            "# What explain=true costs",
            "",
            f"`python benchmarks/explanation_cost.py`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, "
            f"Python {platform.python_version()}, numpy {np.__version__}, bundled data. CPU milliseconds of a request, "
            f"the fastest of {REPEATS}; lists with and without reasons in turn, none of them remembered.",
            "",
            "| model | asked by | movies of the history | plain 18 | explained 18 | ratio | plain 50 | explained 50 | "
            "ratio |",
            "|---|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for name, artifact in indices.items():
            for line in lines_of(client, name, RetrievalIndex.load(artifact.folder)):
                console.print(line)
                lines.append(line)
    RESULT.write_text("\n".join([*lines, ""]), encoding="utf-8")


def indexed(store: ArtifactStore, name: str) -> Artifact:
    settings = load_settings(
        [
            f"model={name}",
            "device=cpu",
            f"data.dir='{FOLDER}'",
            f"paths.checkpoints='{store.root / 'checkpoints'}'",
            "logger.use_mlflow=false",
            "logger.use_wandb=false",
        ]
    )
    try:
        return store.require(pipeline.model_slot("faiss_index", settings))
    except MovierecError:
        made = pipeline.prepare(store, settings.data)
        try:
            model = pipeline.find_trained_model(store, settings.data.name, name)
        except MovierecError:
            model = pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])
        return pipeline.build_faiss_index(store, model, made["raw_movies"], settings.retrieval)


def lines_of(client: FlaskClient, name: str, index: RetrievalIndex) -> list[str]:
    length = np.diff(index.history.indptr)
    by_length = np.argsort(length, kind="stable")
    lines = []
    for quantile in QUANTILES.values():
        user = int(by_length[int(quantile * (len(by_length) - 1))])
        items = index.history[[user]].indices
        told = ",".join(map(str, index.items.ids[items].tolist()[:500]))
        for by, person in {"user": f"user_id={index.users.ids[user]}", "history": f"history={told}"}.items():
            cells = []
            for k in LENGTHS:
                plain, explained = milliseconds(client, f"/api/recommend?model={name}&{person}&top_k={k}")
                cells.append(f"{plain:.1f} | {explained:.1f} | {explained / plain:.1f}")
            known = len(items) if by == "user" else min(len(items), 500)
            lines.append(f"| {name} | {by} | {known} | {' | '.join(cells)} |")
    return lines


def milliseconds(client: FlaskClient, path: str) -> tuple[float, float]:
    """CPU time of a list without and with its reasons."""
    fastest = [np.inf, np.inf]
    for _ in range(REPEATS):
        for place, address in enumerate((path, f"{path}&explain=true")):
            started = time.thread_time()
            answer = client.get(address)
            fastest[place] = min(fastest[place], time.thread_time() - started)
            assert answer.status_code == 200, answer.text
    return fastest[0] * 1000, fastest[1] * 1000


if __name__ == "__main__":
    main()
