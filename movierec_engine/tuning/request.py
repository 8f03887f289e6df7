"""A search request: the fixed settings, the space of the others, and how long to search."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from movierec_engine.config import Settings, completed, explain
from movierec_engine.errors import ConfigError
from movierec_engine.store import content_key
from movierec_engine.tuning.space import Space, space_of

USUAL_TRIALS, MOST_TRIALS = 20, 1000
"""Trials where neither their number nor a time is named, and where a time alone is."""


@dataclass(frozen=True)
class Request:
    """A search as the command line asks for it."""

    fixed: tuple[str, ...]
    """Settings that hold in every trial."""
    space: Space
    """Setting -> the values that are tried."""
    n_trials: int
    """Trials at most, those of an earlier, equal search included."""
    n_jobs: int
    """Trials at the same time."""


def read_request(arguments: Sequence[str], timed: bool = False) -> Request:
    """The command line's words, and the search space that they name.

    timed: whether a time ends the search, so that it has as many trials as it can.

    Raises ConfigError, in one sentence with the nearest valid choice.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(completed(arguments))
    except HydraException as error:
        raise ConfigError(explain(error, list(arguments))) from error
    words = {override.get_key_element(): override for override in parsed}
    n_trials = _whole(words, "n_trials", MOST_TRIALS if timed else USUAL_TRIALS)
    n_jobs = _whole(words, "n_jobs", 1)
    if timed and n_jobs > 1:
        raise ConfigError(
            f"n_jobs={n_jobs} is for a number of trials; a search by minutes runs one after another, so leave one out"
        )
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
    return Request(tuple(fixed), space, n_trials, n_jobs)


def _whole(words: dict[str, Override], name: str, usual: int) -> int:
    """Take a number of at least 1 from the words; the usual one where it is not among them."""
    number = words.pop(name).value() if name in words else usual
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ConfigError(f"{name}={number} must be a whole number of at least 1")
    return number


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
