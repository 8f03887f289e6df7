"""Trials of a sweep at the same time, each on a worker of its own: processes of this machine, or actors on Ray."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from movierec_engine import pipeline
from movierec_engine.config import Settings, load_settings
from movierec_engine.errors import MovierecError
from movierec_engine.pipeline.members import TRIAL_OF
from movierec_engine.store import kinds
from movierec_engine.tuning.trials import Trial
from movierec_engine.workers.start import start_team
from movierec_engine.workers.team import WorkerLost

log = logging.getLogger(__name__)

Asked = TypeVar("Asked")


def run_trial(overrides: Sequence[str], study: str) -> Trial:
    """Train, evaluate and index a model in a study; what it raises is the trial's error."""
    try:
        return Trial.of(
            pipeline.run_tracked(load_settings(list(overrides)), {TRIAL_OF: study})[kinds.EVALUATION_REPORT]
        )
    except MovierecError as error:
        return Trial(tuple(overrides), error=str(error))


class TrialWorker:
    """Runs trials, one after another."""

    def __init__(self, study: str) -> None:
        self._study = study

    def run(self, overrides: Sequence[str]) -> Trial:
        return run_trial(overrides, self._study)


def run_side_by_side(
    asked: Iterator[tuple[Asked, Sequence[str]]], study: str, settings: Settings, n_jobs: int
) -> Iterator[tuple[Asked, Trial]]:
    """Run trials in processes side by side; yields each request with its trial, in the order in which they end.

    asked: with the settings that are tried, taken one at a time when a worker is free. A worker that is lost takes its
    trial with it, and the others go on.

    Raises MovierecError once all workers are lost, and ConfigError for a cluster that does not answer or is too small.
    """
    team = start_team(
        TrialWorker,
        [(study,)] * n_jobs,
        n_jobs,
        ray_address=settings.trainer.ray_address,
        threads=settings.trainer.worker_threads,
        gpus=int(settings.device.startswith("cuda")),
    )
    free, lost = list(range(n_jobs)), 0
    running: dict[Future[Trial], tuple[int, Asked, Sequence[str]]] = {}
    with ThreadPoolExecutor(n_jobs) as threads, team:  # the team ends first, so that no thread waits for a worker
        while True:
            while free and (following := next(asked, None)):
                number = free.pop()
                running[threads.submit(team.ask, number, "run", following[1])] = number, *following
            if not running:
                return
            for ended in wait(running, return_when=FIRST_COMPLETED).done:
                number, one, overrides = running.pop(ended)
                try:
                    trial = ended.result()
                    free.append(number)
                except WorkerLost as error:
                    lost += 1
                    if lost == n_jobs:
                        raise MovierecError(f"{error}, the last that was left; the same command goes on") from error
                    log.warning("%s, and its trial with it; %d go on", error, n_jobs - lost)
                    trial = Trial(tuple(overrides), error=str(error))
                yield one, trial
