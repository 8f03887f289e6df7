"""Searches a model's best settings with Optuna, over a search space of configs/sweep/.

Trials are judged by validation, and kept in a SQLite database below the artifacts: the same command goes on where a
killed one stopped. They are versions in the store but never the newest of their model.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from movierec_engine import pipeline
from movierec_engine.config import Settings, explain, load_settings
from movierec_engine.errors import ConfigError, MissingExtraError, MovierecError
from movierec_engine.pipeline.members import TRIAL_OF
from movierec_engine.store import ArtifactStore, content_key, kinds
from movierec_engine.tuning.space import distributions, first_values, space_of
from movierec_engine.tuning.trials import SweepTrials, Trial, publish

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

_STARTUP_TRIALS = 10
"""Random trials before TPE has something to model."""


@dataclass(frozen=True)
class Request:
    """A search as the command line asks for it."""

    fixed: tuple[str, ...]
    """Settings that hold in every trial."""
    space: Mapping[str, Override]
    """Setting -> the values that are tried."""
    n_trials: int


def search(arguments: Sequence[str]) -> SweepTrials:
    """Run trials until there are `n_trials`, those of an earlier, equal command included.

    Raises ConfigError for wrong settings before the first trial. A trial that fails does not stop the others.
    """
    request = read_request(arguments)
    optuna = _optuna()
    settings = load_settings([*request.fixed, *first_values(request.space)])
    store = ArtifactStore(settings.paths.artifacts)
    stopping = settings.trainer.early_stopping
    name = study_name(request, settings, pipeline.prepare(store, settings.data)[kinds.SPLITS].fingerprint)
    home = store.root / "optuna"
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / f"{name}.lock", timeout=0)
    try:
        held = lock.acquire()
    except Timeout as error:
        raise MovierecError(f"{name}: another process is at this sweep; wait for it, or change a setting") from error
    with held:
        study = optuna.create_study(
            storage=f"sqlite:///{home / 'studies.db'}",
            study_name=name,
            direction="maximize" if stopping.mode == "max" else "minimize",
            load_if_exists=True,
        )
        _forget_unfinished(study)
        # the seed moves on with the trials: a sweep that goes on does not draw its first values again
        study.sampler = optuna.samplers.TPESampler(
            seed=settings.seed + len(study.trials), n_startup_trials=_STARTUP_TRIALS
        )
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


def read_request(arguments: Sequence[str]) -> Request:
    """The command line's words, and the search space that they name.

    Raises ConfigError, in one sentence with the nearest valid choice.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(arguments))
    except HydraException as error:
        raise ConfigError(explain(error, list(arguments))) from error
    words = {override.get_key_element(): override for override in parsed}
    n_trials = words.pop("n_trials").value() if "n_trials" in words else 20
    if not isinstance(n_trials, int) or n_trials < 1:
        raise ConfigError(f"n_trials={n_trials} must be a whole number of at least 1")
    named = words.pop("space", words.get("model"))
    model = str(named.value()) if named else "lightgcn"
    space = space_of(model)
    for key, override in words.items():
        if override.is_sweep_override():
            space[key] = override
        else:
            space.pop(key, None)
    if not space:
        raise ConfigError(
            f"nothing is left to search; configs/sweep/{model}.yaml and the command line fix every setting"
        )
    fixed = [override.input_line or "" for override in words.values() if not override.is_sweep_override()]
    if "model" not in words:
        fixed.insert(0, f"model={model}")
    return Request(tuple(fixed), space, n_trials)


def study_name(request: Request, settings: Settings, fingerprint: str) -> str:
    """The same for everything that asks for the same search on the same data, whatever the number of trials."""
    resolved = settings.resolved()
    for name in ("overrides", "logger", "paths", "serving", "run_name", "experiment_name"):
        del resolved[name]
    for key in request.space:
        group, _, name = key.partition(".")
        if isinstance(resolved.get(group), dict):
            resolved[group].pop(name, None)
    space = {key: str(override.get_value_string()) for key, override in request.space.items()}
    return f"{settings.model_name}-{content_key(resolved, space, fingerprint)}"


def _run(overrides: list[str], study: str) -> Trial:
    try:
        return Trial.of(pipeline.run_tracked(load_settings(overrides), {TRIAL_OF: study})[kinds.EVALUATION_REPORT])
    except MovierecError as error:
        return Trial(tuple(overrides), error=str(error))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError(error) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _finished(study: "optuna.Study") -> list[Trial]:
    found = []
    for trial in study.trials:
        if text := trial.user_attrs.get("trial"):
            values = json.loads(text)
            found.append(Trial(**{**values, "overrides": tuple(values["overrides"])}))
    return found


def _forget_unfinished(study: "optuna.Study") -> None:
    """Let what a killed sweep left running be no trial at all; called only while no other process is at the study."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
