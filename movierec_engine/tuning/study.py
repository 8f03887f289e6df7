"""A search's trials as Optuna keeps them: a study in a SQLite database below the artifacts, one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from movierec_engine.errors import MissingExtraError, MovierecError
from movierec_engine.store import ArtifactStore

if TYPE_CHECKING:
    import optuna

_STARTUP_TRIALS = 10
"""Random trials before TPE has something to model."""


@contextmanager
def open_study(store: ArtifactStore, name: str, mode: str, seed: int, n_jobs: int = 1) -> Iterator["optuna.Study"]:
    """The study of a name, with what earlier searches of that name left in it; mode: whether max or min is best.

    n_jobs: trials at the same time; where there are several, none is drawn near one that still runs.

    Raises MovierecError while another process is at it.
    """
    optuna = import_optuna()
    folder = study_folder(store)
    lock = FileLock(folder / f"{name}.lock", timeout=0)
    try:
        held = lock.acquire()
    except Timeout as error:
        raise MovierecError(f"{name}: another process is at this sweep; wait for it, or change a setting") from error
    with held:
        study = optuna.create_study(
            storage=f"sqlite:///{folder / 'studies.db'}",
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
