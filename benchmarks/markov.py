"""Choose the settings of markov on validation, and measure it beside models of sets on what people have next.

    python benchmarks/markov.py --folder FOLDER
    python benchmarks/markov.py --data bundled bundled_time      # those that need no folder

FOLDER holds `ml1m_sequences` (MovieLens 1M: user, item, place). Whose history is asked about is told whole, the newest
item last, and everything else in the catalogue is ranked in full (HR@10, NDCG@10); models are trained without what is
asked, and without validation for test. Everything is varied on validation, one setting at a time from the default; the
default alone and the models of sets are measured on test. What is in benchmarks/results/markov.json is not measured
again but with --again; benchmarks/results/markov.md is written anew.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from defaults import BUNDLED
from ml1m_sequences import ml1m
from numpy.typing import NDArray
from rich.console import Console

from movierec_engine.data.config import DataConfig
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.interactions import Interactions, positives
from movierec_engine.data.readers import read_ratings
from movierec_engine.models import ALS, EASE, Markov, Popularity, Recommender

RESULT = Path(__file__).with_name("results") / "markov.md"
K = 10
BLOCK = 500
VARIED: dict[str, tuple[float | None, ...]] = {
    "window": (1, 5, 20),
    "gap_decay": (0.0, 1.0),
    "backward": (0.0, 0.5),
    "decay": (0.7, 1.3),
    "exponent": (0.0, 0.4),
    "shrinkage": (3.0, 30.0, 100.0),
    "half_life_days": (30.0, 365.0),
}
MODELS: dict[str, Callable[[], Recommender]] = {"popularity": Popularity, "als": ALS, "ease": EASE, "markov": Markov}

console = Console(highlight=False)


class Question(NamedTuple):
    """What is trained on, and what is asked: the histories that are told, and each user's next item, -1 for none."""

    train: Interactions
    told: Interactions
    following: NDArray[np.int64]


def by_order(data: Interactions, asked: int) -> tuple[list[Question], list[Question]]:
    """Validation: the `asked` items before each user's newest, each by all before it. Test: the newest, likewise.

    Both are trained on what comes before all of them.
    """
    order = data.by_time()
    count = np.bincount(data.user, minlength=data.n_users)
    place = np.empty(len(data), dtype=np.int64)
    place[order] = np.arange(len(data)) - np.repeat(np.cumsum(count) - count, count)
    behind = count[data.user] - 1 - place
    train, questions = data.select(behind > asked), []
    for one in range(asked + 1):
        following = np.full(data.n_users, -1, dtype=np.int64)
        target = behind == one
        following[data.user[target]] = data.item[target]
        questions.append(Question(train, data.select(behind > one), following))
    return questions[1:], questions[:1]


def by_time(data: Interactions, percent: range) -> list[Question]:
    """Each user's first item from a moment on, by all before it, for moments before which these shares lie."""
    order, questions = data.by_time()[::-1], []
    for share in percent:
        moment = np.sort(data.timestamp)[share * len(data) // 100]
        before = data.select(data.timestamp < moment)
        after = order[data.timestamp[order] >= moment]
        following = np.full(data.n_users, -1, dtype=np.int64)
        following[data.user[after]] = data.item[after]  # the last that is written is the first in time
        questions.append(Question(before, before, following))
    return questions


def bundled(folder: Path | None) -> Interactions:
    config = DataConfig(dir=str(BUNDLED))
    return positives(read_ratings(config), config)


Parts = tuple[list[Question], list[Question]]
DATA: dict[str, tuple[str, Callable[[Path | None], Parts]]] = {
    "ml1m_sequences": (
        "MovieLens 1M in the order of the sequence papers; each user's last item is test, the one before validation.",
        lambda folder: by_order(ml1m(folder), 1),
    ),
    "bundled": (
        "The bundled data: the newest item of each user is test, each of the five before it validation.",
        lambda folder: by_order(bundled(folder), 5),
    ),
    "bundled_time": (
        "The bundled data by global time: the first item of each user after a moment, and nothing later in train or in "
        "a history; validation at 40, 45, ... 70 % of all interactions, test at 75, 80, ... 95 %.",
        lambda folder: (by_time(bundled(folder), range(40, 75, 5)), by_time(bundled(folder), range(75, 100, 5))),
    ),
}
"""What each is, and its validation and its test."""


def measure(make: Callable[[], Recommender], questions: list[Question]) -> dict[str, float]:
    """HR and NDCG over all users who have a history and a next item; ties count against the model."""
    ranks, seconds, trained = list[NDArray[np.int64]](), 0.0, None
    for question in questions:
        if question.train is not trained:
            started, trained = time.process_time(), question.train
            model = make().fit(Dataset(trained))
            seconds = time.process_time() - started
        known = question.told.history(model.history_values)
        users = np.flatnonzero((question.following >= 0) & (np.diff(known.indptr) > 0))
        for start in range(0, len(users), BLOCK):
            block = users[start : start + BLOCK]
            scores, seen = model.fold_in(known[block]), known[block]
            scores[np.repeat(np.arange(len(block)), np.diff(seen.indptr)), seen.indices] = -np.inf
            own = scores[np.arange(len(block)), question.following[block]]
            ranks.append((scores >= own[:, None]).sum(axis=1))
    rank = np.concatenate(ranks)
    gain = np.where(rank <= K, 1 / np.log2(rank + 1), 0)
    return {"hr": float((rank <= K).mean()), "ndcg": float(gain.mean()), "asked": len(rank), "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder of ml1m_sequences")
    parser.add_argument("--data", nargs="*", choices=DATA, default=list(DATA))
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    asked = parser.parse_args()
    file = RESULT.with_suffix(".json")
    rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    default = Markov.Config()
    for data in asked.data:
        runs = [(f"{part}: {name}", make, part) for part in ("validation", "test") for name, make in MODELS.items()]
        for name, values in VARIED.items():
            for value in values:
                config = replace(default, **{name: value})
                runs.append((f"{name}={value}", lambda config=config: Markov(config), "validation"))  # type: ignore[misc]
        parts = dict(zip(("validation", "test"), DATA[data][1](asked.folder), strict=True))
        for name, make, part in runs:
            if asked.again or name not in rows.get(data, {}):
                rows.setdefault(data, {})[name] = made = measure(make, parts[part])
                console.print(data, name, made, soft_wrap=True)
                file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    RESULT.write_text("\n".join(page(rows)), encoding="utf-8")


def page(rows: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    lines = [
        "# What people have next, by counted transitions",
        "",
        f"`python benchmarks/markov.py --folder FOLDER`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores. HR@10 "
        "and NDCG@10 of the next item, all items ranked in full, ties against the model; seconds of CPU of fitting. "
        f"`markov` is {Markov.Config()}.",
        "",
    ]
    for data, (said, _) in DATA.items():
        if data not in rows:
            continue
        found = rows[data]
        asked = [int(found[f"{part}: markov"]["asked"]) for part in ("validation", "test")]
        lines += [f"## {data}", "", f"{said} {asked[0]:,} and {asked[1]:,} next items.", ""]
        lines += ["| model | validation HR / NDCG | test HR / NDCG | fit s |", "|---|---|---|---|"]
        for name in MODELS:
            of_parts = [found[f"{part}: {name}"] for part in ("validation", "test")]
            texts = [f"{one['hr']:.4f} / {one['ndcg']:.4f}" for one in of_parts]
            lines.append(f"| {name} | {' | '.join(texts)} | {of_parts[1]['seconds']:.1f} |")
        lines += ["", "| one setting of markov changed | validation HR / NDCG |", "|---|---|"]
        for name, values in VARIED.items():
            each = [found[f"{name}={value}"] for value in values]
            lines += [
                f"| {name}={value} | {one['hr']:.4f} / {one['ndcg']:.4f} |"
                for value, one in zip(values, each, strict=True)
            ]
        lines.append("")
    return lines


if __name__ == "__main__":
    main()
