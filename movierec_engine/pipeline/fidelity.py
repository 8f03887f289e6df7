"""How good a trained model is for people who were not in its training: `evaluation/fidelity.py`, on the store."""

import logging
import time
from pathlib import Path

import pyarrow.parquet as pq
from rich.table import Table

from movierec_engine.evaluation.fidelity import (
    FOLD_IN,
    LEAST_HISTORY,
    POPULARITY,
    TRAINED_IN,
    WHOLE_HISTORY,
    curve_table,
    enough,
    fold_in_curve,
    held_out_users,
    without,
)
from movierec_engine.models.registry import load_model
from movierec_engine.pipeline.canaries import trained_again
from movierec_engine.pipeline.data import Origin, load_split
from movierec_engine.store import Artifact, ArtifactStore, Slot, content_key

log = logging.getLogger(__name__)

KIND = "fold_in_fidelity"
CURVE_FILE = "curve.parquet"

_TITLES = {POPULARITY: "popularity", WHOLE_HISTORY: "their whole train history", TRAINED_IN: "trained on them as well"}


def measure_fold_in(store: ArtifactStore, trained_model: Artifact, origin: Origin | None = None) -> Artifact:
    """Train a model again without some users, meet them as newcomers, and measure how well they are served.

    They are drawn by `data.split_seed`, so that models with other seeds are measured on the same ones. The fact
    `enough` is the number of movies from which on fold-in is better than popularity, or None; the artifact is its
    slot's newest where the model is.
    """
    started = time.perf_counter()
    splits = store.resolve(trained_model.parents["splits"]).verify()
    parts, seed = load_split(splits), trained_model.config["data"]["split_seed"]
    users = held_out_users(parts, seed)
    log.info("fidelity: %s is trained again, without %d users", trained_model.slot.path[0], len(users))
    newcomer_model = trained_again(store, trained_model, without(parts, users))
    curve = fold_in_curve(newcomer_model, load_model(trained_model.verify().folder), parts, users, seed=seed)
    table = curve_table(curve)

    def write(folder: Path) -> None:
        pq.write_table(table, folder / CURVE_FILE)

    return store.publish(
        Slot(KIND, trained_model.slot.path),
        write,
        key=content_key(trained_model.reference),
        fingerprint=trained_model.fingerprint,
        config=trained_model.config,
        parents={"trained_model": trained_model, "splits": splits},
        origin={**trained_model.origin, **(origin or {})},
        facts={"enough": enough(curve), "users": len(users), "seconds": time.perf_counter() - started},
        newest=store.latest(trained_model.slot) == trained_model,
    )


def fold_in_table(made: Artifact) -> Table:
    """What `measure_fold_in` found, for people."""
    least = made.facts["enough"]
    found = (
        f"From {least} {'movie' if least == 1 else 'movies'} on, fold-in is significantly better than popularity."
        if least
        else "At no size is fold-in significantly better than popularity."
    )
    table = Table(
        title=f"{made.slot.path[0]} on {made.slot.path[1]}: ndcg@10 of {made.facts['users']:,} people it has not met",
        caption=f"{found} People with at least {LEAST_HISTORY} train interactions, their test items, full ranking; the "
        "same items are masked in every row.",
        caption_justify="left",
    )
    for column in ("the model knows", "ndcg@10", "95 %"):
        table.add_column(column, justify="left" if column == "the model knows" else "right", no_wrap=True)
    for row in pq.read_table(made.folder / CURVE_FILE).to_pylist():
        known = f"{row['size']} of their movies" if row["source"] == FOLD_IN else _TITLES[row["source"]]
        table.add_row(known, f"{row['value']:.4f}", f"{row['low']:.4f}-{row['high']:.4f}")
    return table
