"""Searches a model's best settings with Optuna, over a search space of configs/sweep/.

Trials are judged by validation, and kept beside the artifacts: the same command goes on where a killed one stopped, on
another host where these are in an object store. They are versions in the store but never the newest of their model.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from movierec_engine import pipeline
from movierec_engine.config import Settings, load_settings
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.reporting import numbers
from movierec_engine.store import ArtifactStore, kinds
from movierec_engine.tuning.request import Request, read_request, study_name
from movierec_engine.tuning.side_by_side import run_side_by_side, run_trial
from movierec_engine.tuning.space import axes, distributions, first_values
from movierec_engine.tuning.study import import_optuna, open_study
from movierec_engine.tuning.trials import SweepTrials, Trial, publish

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)


def search(arguments: Sequence[str]) -> SweepTrials:
    """Run trials until there are `n_trials`, those of an earlier, equal command included.

    Raises ConfigError for wrong settings before the first trial. A trial that fails does not stop the others.
    """
    request = read_request(arguments)
    optuna = import_optuna()
    settings = load_settings([*request.fixed, *first_values(request.space)])
    store = ArtifactStore(settings.paths.artifacts)
    stopping = settings.trainer.early_stopping
    logs = FeedbackLogs(store.root, settings.feedback.url)
    splits = pipeline.prepare(store, settings.data, feedback=logs)[kinds.SPLITS]
    name = study_name(request, settings, splits.fingerprint)
    with open_study(store, name, stopping.mode, settings.seed, request.n_jobs) as study:
        for one, trial in _trials(request, settings, study):
            one.set_user_attr("trial", json.dumps(asdict(trial)))
            score = trial.validation.get(stopping.metric)
            study.tell(one, score, state=optuna.trial.TrialState.FAIL if score is None else None)
            number = len(_finished(study))
            reached = f"validation {stopping.metric} {numbers.score(score)}" if score else ""
            log.info("trial %d: %s", number, trial.error or reached)
        finished = _finished(study)
    swept = SweepTrials(tuple(finished), stopping.metric, stopping.mode, space=axes(request.space))
    publish(store, settings.data.name, swept, arguments)
    return swept


def _trials(
    request: Request, settings: Settings, study: "optuna.Study"
) -> Iterator[tuple["optuna.trial.Trial", Trial]]:
    """Runs the study's trials, `n_jobs` at a time, until there are `n_trials`; yields each with its result."""

    missing = range(len(_finished(study)) + 1, request.n_trials + 1)

    def asked() -> Iterator[tuple["optuna.trial.Trial", list[str]]]:
        searched = distributions(request.space)
        for number in missing:
            one = study.ask(searched)
            values = [f"{key}={value}" for key, value in one.params.items()]
            log.info("trial %d of %d: %s", number, request.n_trials, " ".join(values))
            yield one, [*request.fixed, *values]

    if (n_jobs := min(request.n_jobs, len(missing))) > 1:
        yield from run_side_by_side(asked(), study.study_name, settings, n_jobs)
    else:
        for one, overrides in asked():
            yield one, run_trial(overrides, study.study_name)


def _finished(study: "optuna.Study") -> list[Trial]:
    found = []
    for trial in study.trials:
        if text := trial.user_attrs.get("trial"):
            values = json.loads(text)
            found.append(Trial(**{**values, "overrides": tuple(values["overrides"])}))
    return found
