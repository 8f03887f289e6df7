"""Searches a model's best settings with Optuna, over a search space of configs/sweep/.

Trials are judged by validation, and kept in a SQLite database below the artifacts: the same command goes on where a
killed one stopped. They are versions in the store but never the newest of their model.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.errors import MovierecError
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.pipeline.members import TRIAL_OF
from movierec_engine.store import ArtifactStore, kinds
from movierec_engine.tuning.request import read_request, study_name
from movierec_engine.tuning.space import distributions, first_values
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
    with open_study(store, name, stopping.mode, settings.seed) as study:
        searched = distributions(request.space)
        while (done := len(_finished(study))) < request.n_trials:
            asked = study.ask(searched)
            values = [f"{key}={value}" for key, value in asked.params.items()]
            log.info("trial %d of %d: %s", done + 1, request.n_trials, " ".join(values))
            trial = _run([*request.fixed, *values], name)
            asked.set_user_attr("trial", json.dumps(asdict(trial)))
            score = trial.validation.get(stopping.metric)
            failed = optuna.trial.TrialState.FAIL if score is None else None
            study.tell(asked, score, state=failed)
            log.info(
                "trial %d: %s", done + 1, trial.error or (f"validation {stopping.metric} {score:.4f}" if score else "")
            )
        finished = _finished(study)
    swept = SweepTrials(tuple(finished), stopping.metric, stopping.mode)
    publish(store, settings.data.name, swept, arguments)
    return swept


def _run(overrides: list[str], study: str) -> Trial:
    try:
        return Trial.of(pipeline.run_tracked(load_settings(overrides), {TRIAL_OF: study})[kinds.EVALUATION_REPORT])
    except MovierecError as error:
        return Trial(tuple(overrides), error=str(error))


def _finished(study: "optuna.Study") -> list[Trial]:
    found = []
    for trial in study.trials:
        if text := trial.user_attrs.get("trial"):
            values = json.loads(text)
            found.append(Trial(**{**values, "overrides": tuple(values["overrides"])}))
    return found
