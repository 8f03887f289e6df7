"""RecTools' SASRec on the rows of `sasrec_settings.py`, in an environment of its own (`pip install rectools[torch]`).

    OMP_NUM_THREADS=1 PYTHON benchmarks/rectools_sasrec.py --folder FOLDER --seconds 600

The size of our default (64 wide, 2 blocks, 1 head, the newest 200 items, dropout .2, softmax over the catalogue); all
else is RecTools' default, and a second training has its learning rate at that of ours. After each epoch everything
but a history is ranked for the validation's next items. Seconds are of this process's CPU, of training alone.

Writes benchmarks/results/sasrec_settings/rectools*.json, which `sasrec_settings.py --page` reads.
"""

import argparse
import json
import logging
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

RESULTS = Path(__file__).with_name("results") / "sasrec_settings"
RATES = {"rectools": 0.001, "rectools_rate_.005": 0.005}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder of ml1m_sequences")
    parser.add_argument("--models", nargs="*", choices=RATES, default=list(RATES))
    parser.add_argument("--seconds", type=float, default=600, help="of CPU that a training may take")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    train, validation = parts_of(asked.folder)
    for name in asked.models:
        measure(name, train, validation, asked.seconds)


def parts_of(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All but each user's last two items, and the one before the last: what data.split=next_item makes of them."""
    rows = pd.read_parquet(folder / "ml1m_sequences" / "ratings.parquet").sort_values(["user", "timestamp"])
    rows = rows.rename(columns={"user": Columns.User, "item": Columns.Item, "timestamp": Columns.Datetime})
    rows[Columns.Weight] = 1.0
    behind = rows.groupby(Columns.User).cumcount(ascending=False)
    rows[Columns.Datetime] = pd.to_datetime(rows[Columns.Datetime], unit="s")
    return rows[behind > 1], rows[behind == 1]


def measure(name: str, train: pd.DataFrame, validation: pd.DataFrame, budget: float) -> None:
    torch.manual_seed(42)
    data = Dataset.construct(train)
    model = SASRecModel(
        n_factors=64, n_blocks=2, n_heads=1, session_max_len=200, dropout_rate=0.2, loss="softmax", lr=RATES[name]
    )
    wanted = validation.set_index(Columns.User)[Columns.Item]
    epochs, seconds = [], 0.0
    while not epochs or seconds * (1 + 0.5 / len(epochs)) < budget:
        started = time.process_time()
        model.fit_partial(data, min_epochs=1, max_epochs=1)
        seconds += time.process_time() - started
        lists = model.recommend(wanted.index.to_numpy(), data, k=10, filter_viewed=True)
        hit = lists[lists[Columns.Item] == lists[Columns.User].map(wanted)]
        gain = (1 / np.log2(hit[Columns.Rank] + 1)).sum() / len(wanted)
        epochs.append(
            {
                "seconds": round(seconds, 1),
                "hit_rate@10": round(len(hit) / len(wanted), 5),
                "ndcg@10": round(float(gain), 5),
            }
        )
        print(name, epochs[-1], flush=True)
        record = {"settings": [f"RecTools {version('rectools')}"], "budget": budget, "epochs": epochs}
        (RESULTS / f"{name}.json").write_text(json.dumps(record) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
