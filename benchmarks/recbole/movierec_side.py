"""This project's side: trains one of its models through its own training loop and reports each epoch.

    python movierec_side.py '{"overrides": ["model=lightgcn"], "data": "...", "epochs": 1, "steps": 0, "threads": 2}'

`data` is a folder that `Split.save` wrote.
"""

import json
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import torch
from measuring import Cost, measured, report

from movierec_engine.config import load_settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.split import Split
from movierec_engine.evaluation.evaluator import Evaluation, Evaluator
from movierec_engine.models.base import Recommender
from movierec_engine.models.fitting import Epoch, Fitting
from movierec_engine.models.gradient import GradientRecommender
from movierec_engine.models.registry import model_class
from movierec_engine.training.config import EarlyStoppingConfig


class MeasuredEvaluator(Evaluator):
    """The project's evaluator; also keeps what its last evaluation cost.

    That includes taking the arrays that scoring needs from the network, as RecBole does while it evaluates.
    spent: seconds of that evaluation with the measuring itself, which are no training time.
    """

    cost = Cost()
    spent = 0.0

    def evaluate(self, model: Recommender, heldout: HeldOut) -> Evaluation:
        started = time.perf_counter()
        with measured() as self.cost:
            if isinstance(model, GradientRecommender):
                model.export()
            evaluation = super().evaluate(model, heldout)
        self.spent = time.perf_counter() - started
        return evaluation


def main(job: dict[str, Any]) -> None:
    torch.set_num_threads(job["threads"])
    started = time.perf_counter()
    settings = load_settings([*job["overrides"], "device=cpu"])
    parts = Split.load(Path(job["data"]), "random", {})
    model = model_class(settings.model_name)(settings.model)
    graph = build_graph(parts.train)
    positives = parts.train
    if job["steps"]:  # the graph stays whole, so that a step costs what it costs in a full epoch
        count = min(len(positives), job["steps"] * settings.trainer.batch_of(len(positives)))
        positives = positives.select(np.random.default_rng(settings.seed).choice(len(positives), count, replace=False))
    evaluator = MeasuredEvaluator((10,), ("ndcg",))
    validation = parts.validation_heldout()
    versions = {"torch": torch.__version__, "numpy": np.__version__, "scipy": scipy.__version__}
    report(
        "ready",
        seconds=time.perf_counter() - started,
        versions=versions | {"python": platform.python_version()},
        train=len(parts.train),
        users=parts.train.n_users,
        items=parts.train.n_items,
    )

    def tell(number: int, seconds: float, ndcg: float) -> None:
        report(
            "epoch",
            number=number,
            train_seconds=seconds,
            samples=len(positives),
            ndcg=ndcg,
            evaluation_seconds=evaluator.cost.seconds,
            evaluation_mb=evaluator.cost.memory_mb,
        )

    def after(epoch: Epoch) -> None:
        tell(epoch.number, epoch.seconds - evaluator.spent, epoch.metrics["ndcg@10"])

    trainer = replace(settings.trainer, max_epochs=job["epochs"], early_stopping=EarlyStoppingConfig(enabled=False))
    fitting = Fitting(trainer, seed=settings.seed, evaluator=evaluator, on_epoch=after)
    data = Dataset(positives, validation, lambda: graph)
    started = time.perf_counter()
    model.fit(data, fitting)
    if not model.epochs:
        seconds = time.perf_counter() - started
        tell(1, seconds, evaluator.evaluate(model, validation).metrics["ndcg@10"])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
