"""Fall of newer data against those of the served model: fewer ratings, or users and items that are gone.

A file that arrived half is valid, and so is one in which every id was renamed. Metrics do not show it either, as those
of other data are of other users.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from movierec_engine.evaluation.drift import COUNTS_FILE
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.pipeline.data_drift import served_data, version_before
from movierec_engine.store import Artifact, ArtifactStore

log = logging.getLogger(__name__)
_RATINGS = "ratings.parquet"


def data_fall(then: Artifact, now: Artifact, config: ReleaseConfig) -> str:
    """Fall of raw ratings against an earlier version, in words; "" within the limits of the release settings.

    Files that cannot be read tell of no fall.
    """
    if then.key == now.key:
        return ""
    try:
        return "; ".join(_falls(then.folder, now.folder, config))
    except (OSError, KeyError, pa.ArrowException):
        return ""


def warn_of_fallen_data(store: ArtifactStore, raw_ratings: Artifact, config: ReleaseConfig) -> None:
    """Log a warning where data have fallen against the served model's; while none is, against the version before."""
    served = served_data(store, raw_ratings.slot.data_set)
    before = served or version_before(store, raw_ratings)
    if before is None or not (fall := data_fall(before, raw_ratings, config)):
        return
    of = "the data of the served model, which the release gate keeps" if served else "the version before"
    log.warning("%s: %s, against %s; see whether the data are whole", raw_ratings.slot.data_set, fall, of)


def _falls(then: Path, now: Path, config: ReleaseConfig) -> Iterator[str]:
    before, after = (pq.read_metadata(folder / _RATINGS).num_rows for folder in (then, now))
    if after < config.min_volume * before:
        yield f"{after:,} ratings after {before:,} (release.min_volume={config.min_volume:g})"
    for column, noun in (("user_id", "users"), ("movie_id", "items")):
        old, new = (distinct_ids(folder, column) for folder in (then, now))
        kept = pc.sum(pc.is_in(old, value_set=new)).as_py() or 0 if old.type == new.type else 0
        if kept < config.min_overlap * len(old):
            yield f"{kept:,} of {len(old):,} {noun} are still there (release.min_overlap={config.min_overlap:g})"


def distinct_ids(folder: Path, column: str) -> pa.Array:
    """The distinct ids of a version's users or items, from its counts where it has any."""
    counts = folder / COUNTS_FILE
    table = pq.read_table(counts if counts.is_file() else folder / _RATINGS, columns=[column])
    return pc.unique(table[column].drop_null())
