"""Measure the sampled softmax against the full one: what it learns, and from which catalogue on its steps are cheaper.

    python benchmarks/sampled_softmax.py                 # all parts
    python benchmarks/sampled_softmax.py --part steps    # one; the others stay as they were

Quality is that of a tenth of the interactions, held out, at the best epoch of one seed. Steps are
of made-up users with HISTORY interactions each, in batches of 8,192 interactions, on one thread, by the processor's
time, which other work on the machine disturbs least. Writes benchmarks/results/sampled_softmax.md, whose numbers are
behind TAIL (training/sampled_items.py) and LARGEST_FULL_SOFTMAX (training/objective.py).
"""

import argparse
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import made_up_data
import numpy as np
import torch
from bundled_data import bundled

from movierec_engine.config import load_settings
from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import model_class
from movierec_engine.models.fitting import Fitting
from movierec_engine.models.gradient import GradientRecommender
from movierec_engine.training import sampled_items
from movierec_engine.training.descent import train_epoch
from movierec_engine.training.objective import Objective
from movierec_engine.training.trainer import start

RESULT = Path(__file__).with_name("results") / "sampled_softmax.md"
SEED = 42
Row = tuple[str, str, int, float]
"""Model, loss, items drawn for a batch, and TAIL."""
QUALITY: list[Row] = [
    ("gmf", "softmax", 0, 0.0),
    *(("gmf", "sampled_softmax", count, tail) for count in (256, 2048) for tail in (0.0, 0.5, 1.0)),
    ("lightgcn", "softmax", 0, 0.0),
    ("lightgcn", "sampled_softmax", 2048, 0.5),
]
LARGE = made_up_data.Shape(1_500, 25_000, 0.002)
LARGE_QUALITY: list[Row] = [("gmf", "sampled_softmax", 2048, 0.5), ("gmf", "softmax", 0, 0.0)]
CATALOGUES = (5_000, 10_000, 20_000)
TITLES = {
    "quality": "What is learnt on the bundled data",
    "large": "What is learnt on a large catalogue",
    "steps": "What a step costs",
}
HISTORY, STEPS, BATCH = 20, 2, 8192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, nargs="+", default=list(PARTS))
    torch.set_num_threads(1)
    for part in parser.parse_args().part:
        write(part, PARTS[part]())


def write(part: str, lines: list[str]) -> None:
    """Put a part's section into the page, which begins anew with the date."""
    page = RESULT.read_text(encoding="utf-8") if RESULT.exists() else ""
    sections = {section.split("\n")[0]: section.strip() for section in page.split("\n## ")[1:]}
    sections[TITLES[part]] = "\n".join([TITLES[part], "", *lines])
    head = (
        "# Sampled and full softmax\n\n`python benchmarks/sampled_softmax.py`, "
        f"{datetime.now(UTC):%Y-%m-%d}, one thread, {platform.machine()}, torch {torch.__version__}."
    )
    body = [f"## {sections[title]}" for title in TITLES.values() if title in sections]
    RESULT.write_text("\n\n".join([head, *body]) + "\n", encoding="utf-8")


def quality() -> list[str]:
    return learnt(bundled(), "The bundled data", QUALITY, max_epochs=100)


def large() -> list[str]:
    return learnt(made_up_data.made_up(LARGE), "Made up (made_up_data.py)", LARGE_QUALITY, max_epochs=20)


def learnt(interactions: Interactions, title: str, rows: list[Row], max_epochs: int) -> list[str]:
    """Validation ndcg@10 of each row at its best epoch."""
    held = np.random.default_rng(SEED).random(len(interactions)) < 0.1
    train = interactions.select(~held)
    validation = HeldOut(interactions.select(held), train.matrix(), "train", Catalogue.of(train))
    graph = build_graph(train)
    lines = [
        f"{title}: {train.n_users:,} users, {train.n_items:,} items, {len(train):,} train interactions; at most "
        f"{max_epochs} epochs, a batch of {BATCH:,}. Items are drawn in proportion to (train count + 1)^tail.",
        "",
        "| model | loss | items drawn | tail | validation ndcg@10 | best epoch | processor seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, loss, count, tail in rows:
        sampled_items.TAIL = tail
        settings = load_settings(
            [
                f"model={name}",
                "device=cpu",
                f"model.loss_type={loss}",
                f"model.sampled_items={count or 1}",
                f"trainer.max_epochs={max_epochs}",
            ]
        )
        model = model_class(name)(settings.model)
        started = time.process_time()
        fitting = Fitting(settings.trainer, seed=SEED, evaluator=Evaluator((10,), ("ndcg",)))
        model.fit(Dataset(train, validation, lambda: graph), fitting)
        values = [epoch.metrics["ndcg@10"] for epoch in model.epochs]
        what = f"{count:,} | {tail:g}" if count else "all | "
        seconds = time.process_time() - started
        lines.append(f"| {name} | {loss} | {what} | {max(values):.4f} | {np.argmax(values) + 1} | {seconds:.1f} |")
        print(lines[-1], flush=True)
    return lines


def steps() -> list[str]:
    lines = [
        f"Processor milliseconds of a batch of {BATCH:,} interactions, {BATCH // HISTORY} users of {HISTORY}; the mean "
        f"of {STEPS} steps. {model_class('gmf').Config().sampled_items:,} items are drawn beside the batch's own.",
        "",
        "| items | " + " | ".join(f"{name}, full | sampled" for name in ("gmf", "lightgcn", "ncf")) + " |",
        "|---|" + "---|---|" * 3,
    ]
    for n_items in CATALOGUES:
        interactions = made_up(BATCH // HISTORY * (STEPS + 1), n_items)
        cells = [
            f"{1000 * step_seconds(name, loss, interactions):,.0f}"
            for name in ("gmf", "lightgcn", "ncf")
            for loss in ("softmax", "sampled_softmax")
        ]
        lines.append(f"| {n_items:,} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def made_up(n_users: int, n_items: int) -> Interactions:
    """Users of HISTORY items each, drawn by Zipf's law."""
    rng = np.random.default_rng(SEED)
    share = 1 / (np.arange(n_items) + 10)
    item = rng.choice(n_items, n_users * HISTORY, p=share / share.sum()).astype(np.int32)
    user = np.repeat(np.arange(n_users, dtype=np.int32), HISTORY)
    ones = np.ones(len(user), dtype=np.float32)
    return Interactions(
        user, item, ones, np.zeros(len(user), dtype=np.int64), IdMap(np.arange(n_users)), IdMap(np.arange(n_items))
    )


def step_seconds(name: str, loss: str, interactions: Interactions) -> float:
    settings = load_settings([f"model={name}", "device=cpu", f"model.loss_type={loss}"])
    model = model_class(name)(settings.model)
    assert isinstance(model, GradientRecommender)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    network = model.build(interactions, build_graph(interactions), torch.device("cpu"))
    network.train()
    state = start(network, settings.trainer, rng, HeldOut.nothing(interactions), "cpu", STEPS + 1)
    objective = Objective(model, interactions, rng)
    whole = interactions.user < BATCH // HISTORY
    train_epoch(objective, interactions.select(whole), settings.trainer, state)  # warms up
    started = time.process_time()
    train_epoch(objective, interactions.select(~whole), settings.trainer, state)
    return (time.process_time() - started) / STEPS


PARTS = {"quality": quality, "large": large, "steps": steps}

if __name__ == "__main__":
    main()
