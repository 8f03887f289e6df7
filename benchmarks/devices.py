"""Measure what an epoch of training costs on each device of this machine, and whether the devices learn the same.

    python benchmarks/devices.py                                      # the bundled data
    python benchmarks/devices.py --interactions train.parquet         # and a larger data set

The Parquet file has the integer columns `user` and `item`. Every model that is trained by gradient descent is trained
with its default settings and one seed on each device for a few epochs, with a tenth of the interactions held out. An
epoch is timed without its validation, which runs on the CPU whatever the device; the first epoch, which also loads
libraries, counts apart. Writes benchmarks/results/devices.md.
"""

import argparse
import os
import platform
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from bundled_data import bundled
from recbole.pairs_file import read_pairs
from rich.console import Console

from movierec_engine.config import load_settings
from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.graph import build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import model_class, single_models
from movierec_engine.models.gradient import GradientRecommender
from movierec_engine.training.descent import steps_per_epoch, train_epoch
from movierec_engine.training.objective import Objective
from movierec_engine.training.trainer import start

RESULT = Path(__file__).with_name("results") / "devices.md"
EPOCHS = 6
SEED = 42

console = Console(highlight=False)


@dataclass(frozen=True)
class Course:
    """Results of one training."""

    first_seconds: float
    seconds: float
    """Median of the later epochs."""
    ndcg: float
    """On the held-out interactions after the last epoch."""
    same_again: bool
    """Whether a second training ended with the same scores to the bit."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=Path, help="Parquet with the columns user and item")
    path = parser.parse_args().interactions
    data = {"MovieLens latest-small": bundled()} | ({path.stem: read_pairs(path)} if path else {})
    devices = ["cpu", *(kind for kind in ("cuda", "mps") if torch.get_device_module(kind).is_available())]
    lines = [
        "# What an epoch of training costs on each device",
        "",
        "`python benchmarks/devices.py --interactions FILE`",
        "",
        f"{processor()}, PyTorch {torch.__version__}, default settings, seed {SEED}, {EPOCHS} epochs; seconds of an "
        "epoch are the median of all but the first, without validation. ndcg@10 is of a tenth of the interactions, "
        "held out, after the last epoch; devices start from the same weights, but add in another order and draw other "
        "dropout.",
    ]
    for title, interactions in data.items():
        lines += [
            "",
            f"## {title}: {len(interactions)} interactions, {interactions.n_users} users, {interactions.n_items} items",
            "",
            "| model | device | first epoch, s | an epoch, s | times the CPU's speed | ndcg@10 | same scores again |",
            "|---|---|---|---|---|---|---|",
        ]
        console.print("\n".join(lines[-4:]))
        for name in single_models():
            if issubclass(model_class(name), GradientRecommender):
                for row in rows(name, devices, interactions):
                    console.print(row)
                    lines.append(row)
    RESULT.write_text("\n".join([*lines, ""]), encoding="utf-8")


def rows(name: str, devices: list[str], interactions: Interactions) -> list[str]:
    """A model's lines of the table."""
    courses = {device: course(name, device, interactions) for device in devices}
    of_the_cpu = courses["cpu"].seconds
    return [
        f"| {name} | {device} | {one.first_seconds:.2f} | {one.seconds:.3f} | {of_the_cpu / one.seconds:.1f} "
        f"| {one.ndcg:.4f} | {'yes' if one.same_again else 'no'} |"
        for device, one in courses.items()
    ]


def course(name: str, device: str, interactions: Interactions) -> Course:
    """Train twice, and measure the first time."""
    held = np.random.default_rng(SEED).random(len(interactions)) < 0.1
    train = interactions.select(~held)
    part = HeldOut(interactions.select(held), train.matrix(), "train", Catalogue.of(train))
    users = np.arange(train.n_users)
    model, seconds = trained(name, device, train)
    again, _ = trained(name, device, train)
    return Course(
        seconds[0],
        statistics.median(seconds[1:]),
        Evaluator([10], ("ndcg",)).evaluate(model, part).metrics["ndcg@10"],
        np.array_equal(model.score_users(users), again.score_users(users)),
    )


def trained(name: str, device: str, train: Interactions) -> tuple[GradientRecommender, list[float]]:
    """A model after EPOCHS epochs, and the seconds of each."""
    settings = load_settings([f"model={name}", "device=cpu"])
    model = model_class(name)(settings.model)
    assert isinstance(model, GradientRecommender)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    config = replace(settings.trainer, max_epochs=EPOCHS)
    network = model.build(train, build_graph(train), torch.device(device))
    objective = Objective(model, train, rng)
    nothing = HeldOut(train.select(np.zeros(len(train), dtype=bool)), train.matrix(), "train", Catalogue.of(train))
    state = start(network, config, rng, nothing, device, steps_per_epoch(len(train), config))
    seconds = []
    for _ in range(EPOCHS):
        started = time.perf_counter()
        network.train()
        train_epoch(objective, train, config, state)  # ends by reading the loss, for which the device must be done
        seconds.append(time.perf_counter() - started)
    network.cpu()
    model.export()
    return model, seconds


def processor() -> str:
    """The processor of this machine."""
    accelerator = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{os.cpu_count()} cores ({platform.machine()}){accelerator}"


if __name__ == "__main__":
    main()
