"""From Hydra's configuration to typed settings: the one place that reads configs/."""

import copy
import difflib
import itertools
import os
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from movierec_engine.api.config import ServingConfig
from movierec_engine.data.config import DataConfig, packaged
from movierec_engine.device import resolve_device
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.config import EvaluationConfig
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.feedback.config import FeedbackLogConfig
from movierec_engine.models.registry import model_class, outside_models
from movierec_engine.overrides import in_quotes
from movierec_engine.retrieval.config import RetrievalConfig
from movierec_engine.tracking.config import LoggerConfig
from movierec_engine.tracking.server import without_credentials
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.direction import check_direction

T = TypeVar("T")
MAX_SEED = 2**32 - 1
_NAMES_IN_A_SENTENCE = 20
_OF_CONFIGS = ("config.yaml", "data", "model", "trainer", "release", "serving")
"""The names in a folder of settings."""
_CHOICE = re.compile(r"\w+=\w+")
"""A choice of one of a group's files, such as `model=ease`."""
_WITHOUT_QUOTES = re.compile(r"[A-Za-z0-9_./-]+")
"""Values that Hydra reads as they are, whatever they mean."""
_hydra_lock = threading.Lock()  # Hydra keeps global state; two threads that compose at once break each other


GROUPS = {
    "data": DataConfig,
    "trainer": TrainerConfig,
    "evaluation": EvaluationConfig,
    "retrieval": RetrievalConfig,
    "release": ReleaseConfig,
    "serving": ServingConfig,
    "feedback": FeedbackLogConfig,
    "logger": LoggerConfig,
}
"""The groups of settings beside `model`, whose settings are its model's own. Each default's home is its dataclass."""


@dataclass(frozen=True)
class PathsConfig:
    """Folders that runs write to."""

    artifacts: str = "artifacts"
    """The artifact store, a folder or a URL such as s3://bucket/prefix: all that a run leaves for others."""
    checkpoints: str = "checkpoints"
    """`<model>_last.pt` and `<model>_best.pt` of the run in progress, or of the last one; below a URL such as
    s3://bucket/prefix the newest of each run alone, from which training goes on at any host."""


@dataclass(frozen=True)
class Settings:
    """Everything that one run needs, typed and checked."""

    model_name: str
    model: Any
    """The model's own config dataclass."""
    data: DataConfig
    trainer: TrainerConfig
    evaluation: EvaluationConfig
    retrieval: RetrievalConfig
    release: ReleaseConfig
    serving: ServingConfig
    feedback: FeedbackLogConfig
    logger: LoggerConfig
    paths: PathsConfig
    device: str
    """Where to train: auto, cpu, cuda, cuda:N or mps; an error where it isn't there. Here `auto` is resolved."""
    seed: int
    """Seed of initialisation, batches and negatives; the split has `data.split_seed`."""
    experiment_name: str
    """The experiment that MLflow puts the run under."""
    run_name: str
    """The run's name in trackers; without one <model>-<device>-<seed>."""
    overrides: list[str] = field(default_factory=list)
    """Settings on top of the defaults, in Hydra's syntax."""

    def resolved(self) -> dict[str, Any]:
        """All values as plain JSON-able data, for manifests and trackers; addresses without their credentials."""
        everything = asdict(self)
        everything["model"] = {"name": everything.pop("model_name"), **everything["model"]}
        return _without_credentials(everything)  # type: ignore[no-any-return]


def config_dir() -> Path:
    """The folder of settings: what MOVIEREC_CONFIGS names, else configs/ of the working folder, else the package's own.

    Another project's configs/ in the working folder is not taken for ours: it has other groups. Raises ConfigError
    where MOVIEREC_CONFIGS names no folder of settings.
    """
    if named := os.environ.get("MOVIEREC_CONFIGS"):
        if not (Path(named) / "config.yaml").is_file():
            raise ConfigError(f"MOVIEREC_CONFIGS={named} has no config.yaml; name a copy of configs/, or unset it")
        return Path(named).absolute()
    own = Path("configs").absolute()
    return own if all((own / name).exists() for name in _OF_CONFIGS) else packaged("configs")


def load_settings(overrides: list[str]) -> Settings:
    """Settings from configs/ and overrides in Hydra's syntax, such as `model=lightgcn` or `trainer.max_epochs=5`.

    Raises ConfigError, in one sentence with the nearest valid choice, for what is no setting or no value of one.
    """
    overrides = completed(overrides)
    try:
        composed = _composed(overrides)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(explain(error, overrides)) from error
    return typed_settings(composed, overrides)


def completed(overrides: Sequence[str]) -> list[str]:
    """The overrides as Hydra needs them.

    With the group of settings that a file of ratings implies, `data=custom` or `data=presplit`, and with quotes around
    a text that Hydra can't read without them, such as `data.columns.user=Hörer`.
    """
    quoted = [_quoted(override) for override in overrides]
    keys = {override.partition("=")[0].lstrip("+") for override in quoted}
    for setting, group in (("data.ratings_file", "custom"), ("data.train_file", "presplit")):
        if setting in keys and "data" not in keys:
            return [f"data={group}", *quoted]
    return quoted


def _quoted(override: str) -> str:
    key, sign, value = override.partition("=")
    if not sign or value[:1] in ("", *"'\"[{(") or _WITHOUT_QUOTES.fullmatch(value):
        return override
    try:
        OverridesParser.create().parse_override(override)
    except HydraException:
        return f"{key}={in_quotes(value)}"
    return override


def _composed(overrides: Sequence[str]) -> DictConfig:
    """The configuration by overrides.

    What it is by choices of files takes Hydra most of the time; it is kept, and plain values are set on a copy of it.
    """
    offer_outside_models(overrides)
    folder = config_dir()
    values = [override for override in overrides if _sets_a_value(override, folder)]
    choices = tuple(override for override in overrides if override not in values)
    with _hydra_lock:
        if all(_CHOICE.fullmatch(choice) for choice in choices) and not outside_models():
            try:
                return _with_values(_of_choices(choices, folder, _state(folder)), values)
            except (HydraException, OmegaConfBaseException, OSError):
                pass  # Hydra says below what is wrong
        return _composed_by_hydra(overrides, folder)


def _sets_a_value(override: str, folder: Path) -> bool:
    """Whether an override is such as `trainer.max_epochs=5` or `seed=1`, and chooses, adds and takes away nothing."""
    key = override.partition("=")[0]
    return all(part.isidentifier() for part in key.split(".")) and key != "hydra" and not (folder / key).is_dir()


def _with_values(config: DictConfig, values: Sequence[str]) -> DictConfig:
    """A copy in which plain values are set as Hydra would. Raises an error of Hydra's or OmegaConf's for others."""
    copied = copy.deepcopy(config)
    for override in OverridesParser.create().parse_overrides(list(values)):
        if override.is_sweep_override() or override.is_list_extend():
            raise HydraException(f"{override.input_line} is no plain value")
        OmegaConf.update(copied, override.key_or_group, override.value(), merge=True)
    return copied


@lru_cache(maxsize=64)
def _of_choices(choices: tuple[str, ...], folder: Path, state: object) -> DictConfig:
    """The configuration by choices of groups' files alone, as long as the files stay as they are."""
    return _composed_by_hydra(choices, folder)


def _state(folder: Path) -> object:
    return tuple((path, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*.yaml")))


def _composed_by_hydra(overrides: Sequence[str], folder: Path) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(folder)):
        return compose("config", overrides=list(overrides))


def offer_outside_models(overrides: Iterable[str]) -> None:
    """Let `model=NAME` choose a model from outside that has no YAML in configs/model/: its settings' defaults."""
    wanted = {value for override in overrides for value in override.partition("=")[2].split(",")}
    for name in outside_models():
        if name in wanted and not (config_dir() / "model" / f"{name}.yaml").exists():
            defaults = asdict(model_class(name).Config())
            defaults |= {"seed": "${seed}"} if "seed" in defaults else {}
            ConfigStore.instance().store(name, {"name": name, **defaults}, group="model", replace=True)


def load_serving(overrides: list[str]) -> ServingConfig:
    """The serving group alone, from configs/ and overrides such as `serving.follow=latest`; imports no model.

    Raises ConfigError for an unknown setting or an invalid value.
    """
    return _group_of_server(ServingConfig, "serving", overrides)


def load_feedback(overrides: list[str]) -> FeedbackLogConfig:
    """The feedback group alone, as `load_serving` has the serving group; each takes the other's overrides too."""
    return _group_of_server(FeedbackLogConfig, "feedback", overrides)


def _group_of_server(kind: type[T], group: str, overrides: list[str]) -> T:
    for override in overrides:
        if re.split(r"[.=]", override.lstrip("+~"), maxsplit=1)[0] not in ("serving", "feedback"):
            raise ConfigError(f"{override!r} is no setting of the server; use settings such as serving.follow=latest")
    try:
        composed = _composed(overrides)
        return typed(kind, OmegaConf.to_container(composed[group], resolve=True), group)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(explain(error, overrides)) from error


def usual_data_set() -> str:
    """The name of the data set of configs/, which a run has that is given no other."""
    return str(_composed(()).data.name)


def typed_settings(composed: DictConfig, overrides: list[str]) -> Settings:
    """Settings from a configuration that Hydra composed."""
    for name in sorted(OmegaConf.missing_keys(composed)):
        raise ConfigError(f"{name} is not set; add {name}=...")
    values: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    for name in ("model", "device", "seed", "experiment_name", "run_name"):
        if name not in values:
            raise ConfigError(f"{name} was taken away; every run needs it, so add {name}=...")
    for name in ("seed", "data.split_seed", "model.seed"):
        seed = OmegaConf.select(composed, name)
        if isinstance(seed, int) and not 0 <= seed <= MAX_SEED:
            raise ConfigError(f"{name}={seed} must be a whole number from 0 to {MAX_SEED}")
    model = dict(values.pop("model"))
    name = model.pop("name")
    model.pop("type", None)  # the family; for people who read the YAML
    device = resolve_device(str(values.pop("device")))
    seed = _convert(int, values.pop("seed"), "seed")
    groups: dict[str, Any] = {group: typed(kind, values.pop(group, {}), group) for group, kind in GROUPS.items()}
    groups["evaluation"] = groups["evaluation"].of_split(groups["data"].split)
    groups["trainer"] = groups["trainer"].of_model(model_class(name).learning_rate)
    check_direction(groups["trainer"].early_stopping)
    return Settings(
        model_name=name,
        model=typed(model_class(name).Config, model, "model"),
        **groups,
        paths=typed(PathsConfig, _given(values.pop("paths", {})), "paths"),
        device=device,
        seed=seed,
        experiment_name=str(values.pop("experiment_name")),
        run_name=str(values.pop("run_name") or f"{name}-{device}-{seed}"),
        overrides=list(overrides),
    )


def _given(paths: Any) -> Any:
    """The folders without those that are empty: an empty environment variable is as one that is not set."""
    return {name: folder for name, folder in paths.items() if folder} if isinstance(paths, dict) else paths


def typed(kind: type[T], values: Any, where: str) -> T:
    """A dataclass from plain values, each of the field's type; nested dataclasses and tuples included.

    Raises ConfigError naming the setting, and for an unknown one the nearest that exists.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{where}={values!r} must be a group of settings, not a single value")
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise ConfigError(
                f"{where}.{name} is not a setting{nearest(f'{where}.{name}', [f'{where}.{item}' for item in known])}"
            )
    hints = get_type_hints(kind)
    return kind(**{name: _convert(hints[name], value, f"{where}.{name}") for name, value in values.items()})


def nearest(wanted: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` with the closest known name; without a close one, the names, or where to see them all."""
    names = list(known)
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    if len(names) > _NAMES_IN_A_SENTENCE:
        return "; `movierec train --cfg job` shows every setting"
    return f"; choose from {', '.join(names) or 'none'}"


def explain(error: BaseException, overrides: list[str]) -> str:
    """One sentence for an error of Hydra's about overrides."""
    if isinstance(error, OverrideParseException):
        return f"override {error.override!r} is not in Hydra's syntax; write key=value and quote special characters"
    chosen: list[list[str]] = []
    for override in overrides:
        key, _, value = override.partition("=")
        options = _choices(key) if key.isidentifier() else []
        if options and not set(value.split(",")) <= set(options):
            wrong = next(choice for choice in value.split(",") if choice not in options)
            return f"there is no {key} {wrong!r}{nearest(wrong, options)}"
        if options:
            chosen.append([f"{key}={choice}" for choice in value.split(",")])
    named = re.search(r"Could not override '([^']+)'", str(error))
    keys = [named[1]] if named else [override.partition("=")[0].lstrip("+~") for override in overrides]
    for groups in itertools.product(*chosen):
        known = known_keys(groups)
        for key in keys:
            if key not in known and not key.startswith("hydra"):
                return f"{key} is not a setting{nearest(key, _without_groups(known))}"
    return " ".join(str(error).split())


def _choices(group: str) -> list[str]:
    """The choices of a group of configs/, such as `model`."""
    outside = outside_models() if group == "model" else ()
    return sorted({*(path.stem for path in (config_dir() / group).glob("*.yaml")), *outside})


def known_keys(groups: Sequence[str] = ()) -> list[str]:
    """Every setting's dotted name, under the given choices of groups such as `model=ncf`, and the groups' own names."""
    return _leaves(OmegaConf.to_container(_composed(groups), resolve=False), "")


def _without_groups(names: Sequence[str]) -> list[str]:
    """The settings among dotted names, without the groups that they are in."""
    groups = {name.rpartition(".")[0] for name in names}
    return [name for name in names if name not in groups]


def _without_credentials(value: Any) -> Any:
    """Plain data whose addresses lack their user information, such as the password in feedback.url."""
    if isinstance(value, dict):
        return {name: _without_credentials(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_without_credentials, value))
    return without_credentials(value) if isinstance(value, str) else value


def _leaves(values: Any, prefix: str) -> list[str]:
    if not isinstance(values, dict):
        return [prefix]
    names = [prefix] if prefix else []
    for name, value in values.items():
        names += _leaves(value, f"{prefix}.{name}" if prefix else str(name))
    return names


def _convert(kind: Any, value: Any, where: str) -> Any:
    """A plain value as the given type; an integer serves as a float, nothing else is guessed."""
    if is_dataclass(kind):
        return typed(kind, value, where)  # type: ignore[arg-type]
    if isinstance(kind, UnionType):  # a type or None
        return None if value is None else _convert(kind.__args__[0], value, where)
    if getattr(kind, "__origin__", None) is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where}={value!r} must be a list such as [{_example(kind.__args__[0])}]")
        arguments = kind.__args__
        variable = len(arguments) == 2 and arguments[1] is Ellipsis
        if not variable and len(value) != len(arguments):
            raise ConfigError(f"{where}={list(value)} must have {len(arguments)} values")
        kinds = [arguments[0]] * len(value) if variable else arguments
        return tuple(_convert(part, item, where) for part, item in zip(kinds, value, strict=True))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is str and value is None:
        return ""
    if type(value) is not kind:
        names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
        raise ConfigError(f"{where}={value!r} must be {names.get(kind, kind.__name__)}")
    return value


def _example(kind: type) -> str:
    return "5,10,20" if kind is int else "ndcg,recall" if kind is str else "0.9,0.999"
