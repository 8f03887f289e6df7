"""Search spaces: settings and the values that are tried of them, in Hydra's syntax of sweeps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf import OmegaConf

from movierec_engine.config import Settings, config_dir, nearest
from movierec_engine.errors import ConfigError
from movierec_engine.tuning.axis import CHOICE, LINEAR, LOG, Axis

Space = dict[str, Override]
"""Setting -> the values that are tried."""


def space_of(name: str) -> Space:
    """The search space `configs/sweep/<name>.yaml`. Raises ConfigError where there is none."""
    file = config_dir() / "sweep" / f"{name}.yaml"
    if not file.is_file():
        known = sorted(path.stem for path in file.parent.glob("*.yaml") if not path.stem.startswith("wandb_"))
        raise ConfigError(f"there is no search space {name!r} in {file.parent}{nearest(name, known)}")
    return read_space(file)


def read_space(file: Path) -> Space:
    """Setting -> sweep, from a YAML file. Raises ConfigError naming the file and the line's setting."""
    entries: Any = OmegaConf.to_container(OmegaConf.load(file))
    if not isinstance(entries, dict):
        raise ConfigError(f"{file}: not a search space; write lines such as model.num_layers: range(1, 5)")
    space = {}
    for key, value in entries.items():
        try:
            override = OverridesParser.create().parse_override(f"{key}={value}")
        except HydraException as error:
            raise ConfigError(f"{file}: {key}: {value!r} is not in Hydra's syntax of sweeps") from error
        if not override.is_sweep_override():
            raise ConfigError(f"{file}: {key}: {value!r} is one value; write interval(...), range(...) or choice(...)")
        space[str(key)] = override
    return space


def distributions(space: Mapping[str, Override]) -> dict[str, Any]:
    """Optuna's counterpart of each sweep; what is no interval or whole-number range becomes a choice."""
    return {key: _distribution(override) for key, override in space.items()}


def _distribution(override: Override) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    sweep = override.value()
    logarithmic = isinstance(sweep, IntervalSweep | RangeSweep) and "log" in sweep.tags
    if isinstance(sweep, IntervalSweep):
        return FloatDistribution(float(sweep.start or 0), float(sweep.end or 0), log=logarithmic)
    if isinstance(sweep, RangeSweep) and all(isinstance(end, int) for end in (sweep.start, sweep.stop, sweep.step)):
        values = range(int(sweep.start or 0), int(sweep.stop or 0), int(sweep.step))
        return IntDistribution(values[0], values[-1], log=logarithmic, step=values.step)
    return CategoricalDistribution(list(override.sweep_string_iterator()))


def axes(space: Mapping[str, Override]) -> dict[str, Axis]:
    """The scale of each sweep, as Optuna draws from it."""
    found = {}
    for key, distribution in distributions(space).items():
        if hasattr(distribution, "choices"):
            found[key] = Axis(CHOICE)
        else:
            scale = LOG if distribution.log else LINEAR
            found[key] = Axis(scale, float(distribution.low), float(distribution.high))
    return found


def first_values(space: Mapping[str, Override]) -> list[str]:
    """One value of each setting, which shows before the first trial whether the settings exist."""
    values = []
    for key, override in space.items():
        sweep = override.value()
        first = sweep.start if isinstance(sweep, IntervalSweep) else next(iter(override.sweep_string_iterator()))
        values.append(f"{key}={first}")
    return values


def as_parameters(settings: Settings, searched: Mapping[str, Any]) -> dict[str, Any] | None:
    """The values that settings have of what is searched, as Optuna names them; None where one is not in the space.

    A setting that is null goes by the data and has no value of its own: it is left out.
    """
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import create_trial

    parameters: dict[str, Any] = {}
    for key, distribution in searched.items():
        value: Any = settings
        for name in key.split("."):
            value = getattr(value, name)
        if value is None:
            continue
        if isinstance(distribution, CategoricalDistribution):
            value = str(list(value)).replace(" ", "") if isinstance(value, tuple) else str(value)
        parameters[key] = value
    try:
        create_trial(params=parameters, distributions={key: searched[key] for key in parameters}, value=0.0)
    except ValueError:
        return None
    return parameters
