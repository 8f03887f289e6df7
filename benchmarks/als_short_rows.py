"""Measure how strongly als has to regularise where users and items have few interactions.

    python benchmarks/als_short_rows.py --folder FOLDER

Each data set keeps ever fewer of its train interactions, drawn at random; of those left out a tenth as many are the
validation (of all of them the data set's own). FOLDER has ml1m_sequences and lastfm. Writes
benchmarks/results/als_short_rows.md, which is behind _LEAST_L2, _MOST_L2 and _SHORT_ROW of models/classic/als.py.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from defaults import world_of

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import ALS, Popularity

RESULT = Path(__file__).with_name("results") / "als_short_rows.md"
SHARES = {
    "lastfm": (1.0, 0.5, 0.25, 0.12, 0.06),
    "bundled": (1.0, 0.3, 0.1, 0.05, 0.03),
    "ml1m_sequences": (0.1, 0.03, 0.01, 0.005),
}
STRENGTHS = (0.2, 0.3, 0.39, 0.5, 0.6, 0.7, 0.85, 1.1)
EVALUATOR = Evaluator((10,), ("ndcg",))
SEED = 42


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder of ml1m_sequences and lastfm")
    folder = parser.parse_args().folder
    lines = [
        "# How strongly als has to regularise where rows are short",
        "",
        f"`python benchmarks/als_short_rows.py --folder FOLDER`, {datetime.now(UTC):%Y-%m-%d}. ndcg@10 on validation, "
        "ranked in full; the best strength of each row in bold. A row is as long as the geometric mean of a user's and "
        "of an item's interactions.",
        "",
        f"| data | kept | row | popularity | default | {' | '.join(f'relative_l2={one:g}' for one in STRENGTHS)} |",
        "|---|---|---|---|---|" + "---|" * len(STRENGTHS),
    ]
    for name, shares in SHARES.items():
        for share in shares:
            lines.append(line(name, folder, share))
            print(lines[-1], flush=True)
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


def line(name: str, folder: Path | None, share: float) -> str:
    """The row of a data set of which a share is kept."""
    train, validation = thinned(name, folder, share)
    data = Dataset(train)
    floor = ndcg(Popularity().fit(data), validation)
    default = ALS().fit(data)
    values = [ndcg(ALS(relative_l2=one).fit(data), validation) for one in STRENGTHS]
    cells = " | ".join(f"**{one:.4f}**" if one == max(values) else f"{one:.4f}" for one in values)
    mean = ndcg(default, validation)
    return f"| {name} | {100 * share:g} % | {default.row_length:.1f} | {floor:.4f} | {mean:.4f} | {cells} |"


def thinned(name: str, folder: Path | None, share: float) -> tuple[Interactions, HeldOut]:
    """What is kept of a data set's train, and its validation."""
    data = world_of(name, folder).data
    if share == 1:
        return data.train, data.validation
    drawn = np.random.default_rng(SEED).random(len(data.train))
    train, held = data.train.select(drawn < share), data.train.select((drawn >= share) & (drawn < 1.1 * share))
    return train, HeldOut(held, train.matrix(), "train", Catalogue.of(train))


def ndcg(model: ALS | Popularity, validation: HeldOut) -> float:
    return EVALUATOR.evaluate(model, validation, deep=False).metrics["ndcg@10"]


if __name__ == "__main__":
    main()
