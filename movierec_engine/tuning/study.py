"""A search's trials as Optuna keeps them, for one process at a time.

They are in a SQLite database below the artifacts; those of a number of trials, where the artifacts are in an object
store, in a journal there, so that the same command goes on on another host.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from movierec_engine.errors import MissingExtraError, MovierecError
from movierec_engine.store import ArtifactStore
from movierec_engine.store.lease import LEASE_SECONDS
from movierec_engine.store.objects import Objects
from movierec_engine.store.storage import is_url

if TYPE_CHECKING:
    import optuna

_STARTUP_TRIALS = 10
"""Random trials before TPE has something to model."""
_LEASE_TIMEOUT = LEASE_SECONDS + 5
"""Seconds in which the lease of a search that was killed runs out."""


def open_study(
    store: ArtifactStore, name: str, mode: str, seed: int, n_jobs: int = 1
) -> AbstractContextManager["optuna.Study"]:
    """The study of a name, with what earlier searches of that name left in it; mode: whether max or min is best.

    n_jobs: trials at the same time; where there are several, none is drawn near one that still runs.

    Raises MovierecError while another process is at it.
    """
    kept = _in_object_store(store, name) if is_url(store.location) else _on_this_host(store, name)
    return _opened(kept, name, mode, seed, n_jobs)


def open_study_of_host(store: ArtifactStore, name: str, mode: str, seed: int) -> AbstractContextManager["optuna.Study"]:
    """`open_study` on this host wherever the artifacts are, for a search that keeps more than trials here."""
    return _opened(_on_this_host(store, name), name, mode, seed, 1)


@contextmanager
def _opened(
    kept: AbstractContextManager[Any], name: str, mode: str, seed: int, n_jobs: int
) -> Iterator["optuna.Study"]:
    optuna = import_optuna()
    with kept as storage:
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction="maximize" if mode == "max" else "minimize",
            load_if_exists=True,
        )
        for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # what a killed search left is no trial
        # the seed moves on with the trials: a search that goes on does not draw its first values again
        study.sampler = optuna.samplers.TPESampler(
            seed=seed + len(study.trials), n_startup_trials=_STARTUP_TRIALS, constant_liar=n_jobs > 1
        )
        yield study


@contextmanager
def _on_this_host(store: ArtifactStore, name: str) -> Iterator[str]:
    """The address of the database, while no other process of this host is at the study."""
    folder = study_folder(store)
    lock = FileLock(folder / f"{name}.lock", timeout=0)
    try:
        held = lock.acquire()
    except Timeout as error:
        raise MovierecError(f"{name}: another process is at this sweep; wait for it, or change a setting") from error
    with held:
        yield f"sqlite:///{folder / 'studies.db'}"


@contextmanager
def _in_object_store(store: ArtifactStore, name: str) -> Iterator[Any]:
    """The journal, while this process has the study's lease."""
    storages = import_optuna().storages
    from movierec_engine.tuning.study_journal import ObjectJournal

    with store.storage.hold(f"studies/{name}.lock", _LEASE_TIMEOUT):
        yield storages.JournalStorage(ObjectJournal(Objects(store.location), f"studies/{name}.jsonl"))


def study_folder(store: ArtifactStore) -> Path:
    folder = store.root / "optuna"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def import_optuna() -> Any:
    """The library, quiet. Raises MissingExtraError where it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError(error) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
