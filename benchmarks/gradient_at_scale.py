"""Measure what training by gradient costs on 25 million ratings: a step of each model, timed alone.

    python benchmarks/gradient_at_scale.py                       # 25 million ratings; 8 GB
    python benchmarks/gradient_at_scale.py --scale 0.1 --steps 2

Users, items and ratings are as many as those of MovieLens 25M, or with --scale so many fewer users and ratings, made up
by power laws without structure, since a step's cost hangs on shapes alone; four fifths are train. Every model has its
default settings. A step is timed by the processor's time on one thread, which other work on the machine disturbs least.
Writes benchmarks/results/gradient_at_scale.md.
"""

import argparse
import platform
import resource
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from movierec_engine.config import load_settings
from movierec_engine.data.graph import InteractionGraph, build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.models import model_class
from movierec_engine.models.gradient import GradientRecommender
from movierec_engine.models.graph.base import GraphRecommender
from movierec_engine.training.descent import steps_per_epoch, train_epoch
from movierec_engine.training.objective import Objective
from movierec_engine.training.trainer import start

RESULT = Path(__file__).with_name("results") / "gradient_at_scale.md"
USERS, ITEMS, TRAIN = 162_541, 59_047, 20_000_000
MODELS = ("lightgcn", "ngcf", "gmf", "ncf")
SEED = 42


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of MovieLens 25M's users and ratings")
    parser.add_argument("--steps", type=int, default=1, help="steps timed, after one that warms up")
    parser.add_argument("--models", nargs="+", default=MODELS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.process_time()
    train = made_up(round(USERS * arguments.scale), ITEMS, round(TRAIN * arguments.scale))
    print(f"made up {len(train):,} interactions in {time.process_time() - started:.0f} s", flush=True)
    started = time.process_time()
    graph = build_graph(train)
    graph_seconds = time.process_time() - started
    print(f"built the graph in {graph_seconds:.0f} s", flush=True)
    rows = []
    for name in arguments.models:
        rows.append(row(name, train, graph, arguments.steps))
        print(rows[-1], flush=True)
        RESULT.write_text("\n".join(page(arguments, train, graph, graph_seconds, rows)), encoding="utf-8")


def page(
    arguments: argparse.Namespace, train: Interactions, graph: InteractionGraph, graph_seconds: float, rows: list[str]
) -> list[str]:
    return [
        "# Training by gradient on 25 million ratings",
        "",
        f"`python benchmarks/gradient_at_scale.py --scale {arguments.scale:g} --steps {arguments.steps}`, "
        f"{datetime.now(UTC):%Y-%m-%d}, one thread, {platform.machine()}, torch {torch.__version__}.",
        "",
        f"{train.n_users:,} users, {train.n_items:,} items, {len(train):,} train interactions, made up by power laws, "
        f"{graph.n_edges:,} edges; building the graph takes {graph_seconds:.0f} s. Default settings. "
        f"An epoch is reckoned from a step: it has {steps_per_epoch(len(train), load_settings([]).trainer)}.",
        "",
        "| model | loss | processor s a step | of which propagation | processor min an epoch | peak GB so far |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def made_up(n_users: int, n_items: int, count: int) -> Interactions:
    """Log-normal activity, and the item of rank r in proportion to 1 / (r + 30).

    The graph counts a repeated pair once.
    """
    rng = np.random.default_rng(SEED)
    activity = rng.lognormal(0, 1, n_users)
    user = np.repeat(np.arange(n_users, dtype=np.int32), np.rint(activity / activity.sum() * count).astype(np.int64))
    item = 30 * ((1 + n_items / 30) ** rng.random(len(user), dtype=np.float32) - 1)
    item = np.minimum(item, n_items - 1).astype(np.int32)
    return Interactions(
        user=user,
        item=item,
        rating=np.ones(len(user), dtype=np.float32),
        timestamp=np.zeros(len(user), dtype=np.int64),
        users=IdMap(np.arange(n_users)),
        items=IdMap(np.arange(n_items)),
    )


def row(name: str, train: Interactions, graph: InteractionGraph, steps: int) -> str:
    settings = load_settings([f"model={name}", "device=cpu"])
    model = model_class(name)(settings.model)
    assert isinstance(model, GradientRecommender)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    network = model.build(train, graph, torch.device("cpu"))
    network.train()
    of_epoch = steps_per_epoch(len(train), settings.trainer)
    state = start(network, settings.trainer, rng, HeldOut.nothing(train), "cpu", of_epoch)
    objective = Objective(model, train, rng)
    batch = settings.trainer.batch_of(len(train))
    config = load_settings([f"model={name}", f"trainer.batch_size={batch}"]).trainer
    place = rng.permutation(train.n_users)[train.user]  # whole users, as an epoch's first batches have them
    first = np.argsort(place, kind="stable")
    train_epoch(objective, train.select(np.sort(first[:batch])), config, state)
    part = train.select(np.sort(first[batch : batch * (1 + steps)]))
    started = time.process_time()
    train_epoch(objective, part, config, state)
    seconds = (time.process_time() - started) / max(1, round(len(part) / batch))
    propagation = ""
    if isinstance(model, GraphRecommender):
        started = time.process_time()
        final = torch.cat(network.final())
        final.backward(torch.ones_like(final))
        propagation = f"{time.process_time() - started:.1f}"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    minutes = seconds * of_epoch / 60
    return f"| {name} | {objective.loss_type} | {seconds:.2f} | {propagation} | {minutes:.1f} | {memory:.1f} |"


if __name__ == "__main__":
    main()
