"""RecBole's side: trains one of its models on prepared parts and reports each epoch.

    python recbole_side.py '{"model": "LightGCN", "settings": {...}, "epochs": 1, "steps": 0, "threads": 2}'

Runs in RecBole's own environment.
"""

import itertools
import json
import platform
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import scipy
import torch
from measuring import measured, report

# RecBole 1.2.1 uses this alias, which NumPy 1.24 removed; its files stay as they are.
np.float = float  # type: ignore[attr-defined]  # noqa: NPY001

from recbole.config import Config  # type: ignore[import-not-found, unused-ignore]  # noqa: E402
from recbole.data import create_dataset, data_preparation  # type: ignore[import-not-found, unused-ignore]  # noqa: E402
from recbole.utils import get_model, get_trainer, init_seed  # type: ignore[import-not-found, unused-ignore]  # noqa: E402


class FirstBatches:
    """The first batches of a loader, for a short trial."""

    def __init__(self, loader: Any, count: int) -> None:
        self.loader, self.count = loader, count

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(iter(self.loader), self.count)


def count_items(model: Any, train: Any) -> None:
    """Give Pop the train interactions of each item; its own counting misses repetitions within a batch."""
    model.item_cnt = torch.bincount(train.inter_feat[train.iid_field], minlength=train.item_num)[:, None]
    model.max_cnt = model.item_cnt.max(dim=0)[0]


def main(job: dict[str, Any]) -> None:
    torch.set_num_threads(job["threads"])
    started = time.perf_counter()
    config = Config(model=job["model"], dataset="parts", config_dict=job["settings"])
    init_seed(config["seed"], config["reproducibility"])
    train, validation, _ = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, train.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.eval_collector.data_collect(train)
    versions = {"recbole": version("recbole"), "torch": torch.__version__, "numpy": np.__version__}
    versions |= {"scipy": scipy.__version__, "python": platform.python_version()}
    report(
        "ready",
        seconds=time.perf_counter() - started,
        versions=versions,
        train=len(train.dataset),
        users=int(train.dataset.user_num) - 1,  # without the padding
        items=int(train.dataset.item_num) - 1,
    )
    step = train.step if config["train_neg_sample_args"]["distribution"] != "none" else config["train_batch_size"]
    samples = min(len(train.dataset), job["steps"] * step) if job["steps"] else len(train.dataset)
    for number in range(1, job["epochs"] + 1):
        started = time.perf_counter()
        trainer._train_epoch(FirstBatches(train, job["steps"]) if job["steps"] else train, number)
        seconds = time.perf_counter() - started
        if job["model"] == "Pop":
            count_items(model, train.dataset)
        with measured() as cost:
            result = trainer.evaluate(validation, load_best_model=False)
        report(
            "epoch",
            number=number,
            train_seconds=seconds,
            samples=samples,
            ndcg=float(result["ndcg@10"]),
            evaluation_seconds=cost.seconds,
            evaluation_mb=cost.memory_mb,
        )


if __name__ == "__main__":
    main(json.loads(sys.argv.pop()))  # RecBole would read settings from the arguments that are left
