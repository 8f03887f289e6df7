"""The re-ranking trade-off of a trained model's taste dials, measured and published.

Measured on validation and never on test: how far to turn a dial is a choice, and test is only reported.
"""

from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.data.ratings import Movies
from movierec_engine.models.registry import load_model
from movierec_engine.pipeline.data import Origin, load_split
from movierec_engine.pipeline.training import movies_of
from movierec_engine.reporting.progress import step
from movierec_engine.store import Artifact, ArtifactStore, content_key, kinds

TRADEOFF_FILE = "tradeoff.parquet"


@step("measuring the dials")
def measure_dials(store: ArtifactStore, trained_model: Artifact, origin: Origin | None = None) -> Artifact:
    """Measure every dial at every setting on the validation part of the split that the model was trained on.

    tradeoff.parquet has a row for each dial, setting and measure. Only the curve of the newest trained model
    becomes the slot's newest. Raises MovierecError where there is no validation part.
    """
    from movierec_engine.evaluation.reranking_tradeoff import SETTINGS, K, reranking_tradeoff
    from movierec_engine.recommending.dials import CANDIDATES

    splits = store.resolve(trained_model.parents[kinds.SPLITS]).verify()
    raw_movies = movies_of(store, trained_model)
    heldout = load_split(splits).validation_heldout(Movies.load(raw_movies.verify().folder))
    curve = reranking_tradeoff(load_model(trained_model.verify().folder), heldout)

    def write(folder: Path) -> None:
        pq.write_table(pa.Table.from_pylist([asdict(row) for row in curve]), folder / TRADEOFF_FILE)

    return store.publish(
        trained_model.slot.beside(kinds.RERANKING_TRADEOFF),
        write,
        key=content_key(trained_model.reference, raw_movies.key, SETTINGS, K, CANDIDATES),
        fingerprint=trained_model.fingerprint,
        config=trained_model.config,
        parents={kinds.TRAINED_MODEL: trained_model, kinds.SPLITS: splits, kinds.RAW_MOVIES: raw_movies},
        origin={**trained_model.origin, **(origin or {})},
        facts={"part": "validation", "data": trained_model.config["data"]["name"], "k": K, "candidates": CANDIDATES},
        newest=lambda: store.latest(trained_model.slot) == trained_model,
    )
