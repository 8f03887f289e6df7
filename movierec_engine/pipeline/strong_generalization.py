"""Measures a trained model's strong generalization: `evaluation/strong_generalization.py`, on the store."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from movierec_engine.data.split import Split
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.strong_generalization import (
    DECIDED_ON,
    DRAWS,
    FOLDS,
    REPORTED_ON,
    Part,
    curve_table,
    fold_in_curves,
    fold_in_min_items,
    gains,
    held_out_curves,
    held_out_folds,
    without,
)
from movierec_engine.models.registry import load_model
from movierec_engine.pipeline.canaries import trained_again
from movierec_engine.pipeline.data import Origin, load_split
from movierec_engine.pipeline.training import peak_memory_mb
from movierec_engine.reporting import numbers
from movierec_engine.reporting.progress import step
from movierec_engine.store import Artifact, ArtifactStore, content_key, kinds

if TYPE_CHECKING:
    from movierec_engine.models.base import Recommender

log = logging.getLogger(__name__)

CURVE_FILE = "curve.parquet"


@step("measuring strong generalization")
def measure_strong_generalization(
    store: ArtifactStore, trained_model: Artifact, origin: Origin | None = None, folds: int = FOLDS
) -> Artifact:
    """Train a model again without the users of each fold, meet them as new users, and measure how they are served.

    Where the split holds out whole users, they are met as they are: nothing is trained, and the fact `folds` is 0.
    Folds and movies are drawn by `data.split_seed`, so that models with other seeds are measured on the same ones. The
    fact `fold_in_min_items` is the number of movies from which on fold-in is better than popularity on validation, or
    None, as the fact `decided_on` says; the curves of validation and test are both kept. The artifact is its slot's
    newest where the model is. `seconds` are of everything, `training_seconds` of all folds' training together, and
    `peak_memory_mb` is the largest that the process has had.
    """
    started = time.perf_counter()
    splits = store.resolve(trained_model.parents[kinds.SPLITS]).verify()
    parts, seed = load_split(splits), trained_model.config["data"]["split_seed"]
    model = load_model(trained_model.verify().folder)
    folds = 0 if parts.holds_out_users else folds
    seconds = [0.0] * folds
    if parts.holds_out_users:
        measured = held_out_curves(model, parts, seed=seed)
    else:
        models_without = _trained_without(store, trained_model, parts, held_out_folds(parts, folds, seed), seconds)
        measured = fold_in_curves(models_without, model, parts, seed=seed)
    curves = {curve.part: curve for curve in measured}
    table = pa.concat_tables([curve_table(curve) for curve in curves.values()])

    def write(folder: Path) -> None:
        pq.write_table(table, folder / CURVE_FILE)

    return store.publish(
        trained_model.slot.beside(kinds.STRONG_GENERALIZATION),
        write,
        key=content_key(trained_model.reference, folds),
        fingerprint=trained_model.fingerprint,
        config=trained_model.config,
        parents={kinds.TRAINED_MODEL: trained_model, kinds.SPLITS: splits},
        origin={**trained_model.origin, **(origin or {})},
        facts={
            "fold_in_min_items": fold_in_min_items(gains(curves[DECIDED_ON])),
            "decided_on": DECIDED_ON,
            "users": len(curves[REPORTED_ON].users),
            "folds": folds,
            "draws": DRAWS,
            "seconds": time.perf_counter() - started,
            "training_seconds": sum(seconds),
            "peak_memory_mb": peak_memory_mb(),
        },
        newest=lambda: store.latest(trained_model.slot) == trained_model,
    )


def curve_rows(made: Artifact, part: Part = REPORTED_ON) -> list[dict[str, Any]]:
    """The rows of curve.parquet that were measured on a part, as `curve_table` describes them.

    Raises StoreError when the artifact was made before `fold_in_min_items` was decided on validation.
    """
    if not decided_on_validation(made):
        raise StoreError(
            f"{made.folder}: was measured by an older program, which decided on the test items from how many movies on "
            f"fold-in is enough; measure it again by movierec strong-generalization --model {made.slot.model} "
            f"--device {made.slot.device}"
        )
    try:
        rows: list[dict[str, Any]] = pq.read_table(made.folder / CURVE_FILE, filters=[("part", "=", part)]).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{made.folder / CURVE_FILE}: not a readable curve ({error}); measure it again") from error
    return rows


def decided_on_validation(made: Artifact) -> bool:
    """True if the fact `fold_in_min_items` comes from validation; older artifacts took it from test."""
    return made.facts.get("decided_on") == DECIDED_ON


def _trained_without(
    store: ArtifactStore,
    trained_model: Artifact,
    parts: Split,
    held_out: list[NDArray[np.int64]],
    seconds: list[float],
) -> Iterator[tuple[NDArray[np.int64], "Recommender"]]:
    """The users of each fold and a model trained without them, with a log line a fold; writes each one's seconds."""
    name, started = trained_model.slot.model, time.perf_counter()
    for number, users in enumerate(held_out):
        passed = f", {numbers.duration(time.perf_counter() - started)} so far" if number else ""
        log.info(
            "strong-generalization: fold %d of %d, %s is trained again without %d users%s",
            *(number + 1, len(held_out), name, len(users), passed),
        )
        before = time.perf_counter()
        model = trained_again(store, trained_model, without(parts, users))
        seconds[number] = time.perf_counter() - before
        yield users, model
