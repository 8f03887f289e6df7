"""Measure what the taste dials cost and buy on the bundled data, and how long re-ranking takes a request.

    python benchmarks/reranking_tradeoff.py

Trains ease, als and lightgcn with their default settings into a store of its own and runs `movierec dials` on each: on
validation, each dial alone. Then times `rerank` for many users of ease, one request at a time: 100 candidates, lists of
20. Writes benchmarks/results/reranking_tradeoff.md, in about a minute.
"""

import os
import platform
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console

from movierec_engine import pipeline
from movierec_engine.cli.study_tables import dials_table
from movierec_engine.cli.tables import print_tables
from movierec_engine.config import load_settings
from movierec_engine.data.ratings import Movies
from movierec_engine.evaluation.rankings import rank_users
from movierec_engine.evaluation.reranking_tradeoff import ACCURACY, BUYS, SETTINGS
from movierec_engine.models import load_model
from movierec_engine.pipeline.reranking_tradeoff import TRADEOFF_FILE, measure_dials
from movierec_engine.recommending.dials import CANDIDATES, DIALS, Dials, ItemFacts, rerank
from movierec_engine.store import Artifact, ArtifactStore

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_name("results") / "reranking_tradeoff.md"
MODELS = ("ease", "als", "lightgcn")
LENGTH = 20
"""Length of the lists that are timed."""
TIMED = {
    "all at 0": Dials(),
    **{dial.replace("_", " "): Dials.of({dial: 0.5}) for dial in DIALS},
    "diversity over embeddings": Dials(diversity=0.5, diversity_over="embeddings"),
    "all four": Dials(0.5, 0.5, 0.5, 0.5),
}

console = Console(highlight=False)


def trained(store: ArtifactStore, name: str) -> Artifact:
    settings = load_settings(
        [
            f"model={name}",
            "device=cpu",
            f"data.dir='{ROOT / 'data/movielens-small'}'",
            f"paths.checkpoints='{store.root / 'checkpoints'}'",
            "logger.use_mlflow=false",
            "logger.use_wandb=false",
        ]
    )
    made = pipeline.prepare(store, settings.data)
    return pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])


def tradeoff_lines(name: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    """A row for each dial and setting: every measure, and the interval of what accuracy loses."""
    measures = [ACCURACY, *BUYS.values()]
    lines = [
        "",
        f"## {name}",
        "",
        f"| dial | setting | {ACCURACY} | its difference from 0 [95 %] | {' | '.join(measures[1:])} |",
        "|---|---|---|---|" + "---|" * len(BUYS),
    ]
    for dial in BUYS:
        own = {(row["setting"], row["measure"]): row for row in rows if row["dial"] == dial}
        for setting in SETTINGS:
            accuracy = own[setting, ACCURACY]
            lost = accuracy["value"] - own[0, ACCURACY]["value"]
            difference = f"{lost:+.4f} [{accuracy['difference_low']:+.4f}, {accuracy['difference_high']:+.4f}]"
            values = [f"{own[setting, measure]['value']:.3f}" for measure in measures[1:]]
            lines.append(
                f"| {dial.replace('_', ' ')} | {setting:g} | {accuracy['value']:.4f} "
                f"| {difference if setting else '-'} | {' | '.join(values)} |"
            )
    return lines


def timing_lines(store: ArtifactStore, model: Artifact) -> list[str]:
    """Milliseconds of one request after another, every user once for each row of the table."""
    splits = store.resolve(model.parents["splits"])
    movies = Movies.load(pipeline.movies_of(store, model).folder)
    heldout = pipeline.load_split(splits).validation_heldout(movies)
    recommender = load_model(model.folder)
    rankings = rank_users(recommender, heldout, CANDIDATES, deep=False)
    scores = recommender.score_users(rankings.users)
    facts = ItemFacts.of(heldout.catalogue)
    lines = ["", "| dials, turned ones at 0.5 | median ms | 95 % of requests within ms |", "|---|---|---|"]
    for name, dials in TIMED.items():
        seconds = []
        for row, user in enumerate(rankings.users):
            items, history = rankings.lists[row], heldout.seen[[user]].indices
            of_items = scores[row, items]
            started = time.perf_counter()
            rerank(items, of_items, history, facts, dials, LENGTH)
            seconds.append(time.perf_counter() - started)
        median, most = 1000 * np.quantile(seconds[1:], [0.5, 0.95])
        lines.append(f"| {name} | {median:.2f} | {most:.2f} |")
    return lines


def main() -> None:
    lines = [
        "# What the taste dials cost, and what they buy",
        "",
        f"`python benchmarks/reranking_tradeoff.py`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch")),
        "",
        "Bundled data, random split per user 80/10/10, measured on validation, where how far to turn a dial is chosen; "
        f"test stays untouched. Each dial alone re-ranks the model's best {CANDIDATES}, train masked. A divergence is "
        "from the shares in the user's own train items, in nats: lower is nearer. Intervals are bootstraps over users, "
        "of the paired differences.",
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(Path(folder) / "store")
        for name in MODELS:
            curve = measure_dials(store, trained(store, name))
            print_tables([dials_table(curve)])
            lines += tradeoff_lines(name, pq.read_table(curve.folder / TRADEOFF_FILE).to_pylist())
        lines += [
            "",
            "## Time a request",
            "",
            f"`rerank` alone, one thread, {CANDIDATES} candidates of ease, lists of {LENGTH}, once for every user; "
            "other programs ran beside.",
            *timing_lines(store, pipeline.find_trained_model(store, store.data_sets("trained_model")[0], MODELS[0])),
        ]
    RESULT.write_text("\n".join([*lines, ""]), encoding="utf-8")
    console.print(f"written: {RESULT}")


if __name__ == "__main__":
    main()
