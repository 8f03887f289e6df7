"""The raw ratings that a run is of: one version from its first step to its last, and for all runs of a batch.

A batch is what a schedule or a sensor starts together, or a backfill of the UI's.

People rate while models are trained. A run that took the newest data at every step, or a batch at every run, would
compare models of different data.
"""

from collections.abc import Callable

import dagster as dg
from dagster._core.storage.tags import BACKFILL_ID_TAG
from filelock import FileLock

from movierec_assets.automation import BATCH, RAW_RATINGS
from movierec_engine.store import Artifact, ArtifactStore


def ratings_of(instance: dg.DagsterInstance, run: dg.DagsterRun, store: ArtifactStore) -> Artifact | None:
    """The raw ratings that a run has read, or any run of its batch; None while none of them has."""
    own = instance.get_run_by_id(run.run_id)
    if own and (reference := own.tags.get(RAW_RATINGS)):
        return store.resolve(reference)
    return _ratings_of_batch(instance, run, store)


def read_once(
    instance: dg.DagsterInstance, run: dg.DagsterRun, store: ArtifactStore, read: Callable[[], Artifact]
) -> Artifact:
    """The raw ratings of a run, noted in its tags; of a batch the first run reads them, and the others wait for it."""
    lock = store.root / ".order" / "reading"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        made = _ratings_of_batch(instance, run, store) or read()
        instance.add_run_tags(run.run_id, {RAW_RATINGS: made.reference})
    return made


def _ratings_of_batch(instance: dg.DagsterInstance, run: dg.DagsterRun, store: ArtifactStore) -> Artifact | None:
    for tag in (BATCH, BACKFILL_ID_TAG):
        if batch := run.tags.get(tag):
            for other in instance.get_runs(dg.RunsFilter(tags={tag: batch})):
                if reference := other.tags.get(RAW_RATINGS):
                    return store.resolve(reference)
    return None
