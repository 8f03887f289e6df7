"""Automation: its settings, and the condition under which leaderboard and release follow by themselves.

The settings are configs/automation/<MOVIEREC_AUTOMATION>.yaml on top of default.yaml. They are no part of a training's
settings, and so of no key or manifest.
"""

import os
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster._core.definitions.utils import is_valid_owner
from omegaconf import OmegaConf

from movierec_assets.alerts import AlertsConfig
from movierec_engine.config import config_dir, nearest, typed
from movierec_engine.device import DEVICE_KINDS, resolve_device
from movierec_engine.errors import ConfigError, DeviceError
from movierec_engine.models.registry import single_models
from movierec_engine.pipeline.export_config import ExportConfig
from movierec_engine.release.freshness import FreshnessConfig

STARTED_BY, DEVICE = "movierec/started_by", "movierec/device"
"""Tags of the runs that are started so; dagster.yaml limits how many runs of a device there are at once."""
BATCH, BATCH_SIZE = "movierec/batch", "movierec/batch_size"
"""Tags of the same: what was started together, and how many runs that are."""
RAW_RATINGS = "movierec/raw_ratings"
"""Tag of every run that has read the data: the version of the raw ratings that it is of, with all runs of its batch."""

EVERY_DEVICE = tuple(DEVICE_KINDS)
TURNED_ON_BY = (
    "Off unless you turn it on: here, or with all others by starting Dagster with MOVIEREC_AUTOMATION=demo "
    "(configs/automation/)."
)


@dataclass(frozen=True)
class RetrainingConfig:
    """Settings of scheduled retraining, from the raw files to the release."""

    cron: str = "0 2 * * *"
    """When, in cron's five fields: nightly at two."""
    models: tuple[str, ...] = ("popularity", "item_cf", "svd", "ease", "als", "gf_cf", "gmf", "lightgcn")
    """The models that are trained again, each in a run of its own."""
    devices: tuple[str, ...] = EVERY_DEVICE
    """Devices that they are trained on, as far as there are any by `automation.devices`."""
    hybrid: bool = True
    """Whether the device's hybrid ensemble is made anew once they are trained, before one of them all is released."""

    def __post_init__(self) -> None:
        check_names("automation.retraining", self.models, self.devices)


@dataclass(frozen=True)
class FeedbackConfig:
    """Settings of retraining by feedback."""

    events: int = 100
    """So many ratings in the API's log that were not taken in yet; an erasure starts one whatever their number."""
    seconds: int = 60
    """How often the sensor looks at the log."""

    def __post_init__(self) -> None:
        if self.events < 1:
            raise ConfigError(f"automation.feedback.events={self.events} must be at least 1")


@dataclass(frozen=True)
class SweepSchedule:
    """Settings of scheduled sweeps."""

    cron: str = "0 3 * * 6"
    """When, in cron's five fields: on Saturdays at three."""
    models: tuple[str, ...] = ("lightgcn",)
    """The models whose search spaces, configs/sweep/MODEL.yaml, are searched."""
    devices: tuple[str, ...] = EVERY_DEVICE
    """Devices that they are searched on, as far as there are any by `automation.devices`."""
    trials: int = 20
    """Trials of each search."""

    def __post_init__(self) -> None:
        check_names("automation.sweep", self.models, self.devices)


@dataclass(frozen=True)
class BacktestSchedule:
    """Settings of scheduled backtests."""

    cron: str = "0 3 * * 0"
    """When, in cron's five fields: on Sundays at three."""
    models: tuple[str, ...] = ("ease", "lightgcn")
    """The models that are tested."""
    devices: tuple[str, ...] = EVERY_DEVICE
    """Devices that they are tested on, as far as there are any by `automation.devices`."""
    windows: int = 4
    """Tests, each on what came after what it trains on."""

    def __post_init__(self) -> None:
        check_names("automation.backtest", self.models, self.devices)


@dataclass(frozen=True)
class OwnersConfig:
    """Settings of whom Dagster shows as the owners of assets, by domain: mail addresses, or teams as team:NAME."""

    data: tuple[str, ...] = ()
    """Owners of the input files and what is made of them up to the graph."""
    models: tuple[str, ...] = ()
    """Owners of trained models, reports and indices."""
    studies: tuple[str, ...] = ()
    """Owners of backtests and sweeps."""
    release: tuple[str, ...] = ()
    """Owners of the leaderboard and what is served."""
    surfaces: tuple[str, ...] = ()
    """Owners of the API, the dashboard, MLflow's registry and exported lists."""

    def __post_init__(self) -> None:
        for domain, owners in vars(self).items():
            for owner in owners:
                if not is_valid_owner(owner):
                    raise ConfigError(f"automation.owners.{domain}: {owner!r} is no mail address and no team:NAME")


@dataclass(frozen=True)
class AutomationConfig:
    """Everything that runs without being asked for, and who is asked about it."""

    enabled: bool = False
    """Whether schedules and sensors run from the start; in Dagster's UI each is turned on and off."""
    devices: tuple[str, ...] = ()
    """Kinds of devices that runs find, cpu, cuda or mps, on whichever machine they are: the partitions that there are.
    Empty: those of the machine that has the definitions."""
    run_per_partition: bool = False
    """Whether a range of partitions that is launched in the UI is a run for each of them, in a process of its own, and
    not one run for all; `dagster asset materialize --partition-range` needs the latter."""
    time_zone: str = "UTC"
    """Time zone of all schedules, such as Europe/Berlin."""
    overrides: tuple[str, ...] = ()
    """Settings of every run that is not given its own, in Hydra's syntax: also of those started by hand."""
    retraining: RetrainingConfig = field(default_factory=RetrainingConfig)
    sweep: SweepSchedule = field(default_factory=SweepSchedule)
    backtest: BacktestSchedule = field(default_factory=BacktestSchedule)
    feedback: FeedbackConfig = field(default_factory=FeedbackConfig)
    freshness: FreshnessConfig = field(default_factory=FreshnessConfig)
    ratings_seconds: int = 60
    """How often the sensor looks at the ratings file."""
    alerts: AlertsConfig = field(default_factory=AlertsConfig)
    owners: OwnersConfig = field(default_factory=OwnersConfig)
    export: ExportConfig = field(default_factory=ExportConfig)

    def __post_init__(self) -> None:
        check_names("automation", (), self.devices)

    @property
    def schedule_status(self) -> dg.DefaultScheduleStatus:
        return dg.DefaultScheduleStatus.RUNNING if self.enabled else dg.DefaultScheduleStatus.STOPPED

    @property
    def sensor_status(self) -> dg.DefaultSensorStatus:
        return dg.DefaultSensorStatus.RUNNING if self.enabled else dg.DefaultSensorStatus.STOPPED

    def description(self, text: str) -> str:
        """The description of a schedule or sensor; of one that is off with how to turn it on."""
        return text if self.enabled else f"{text} {TURNED_ON_BY}"

    def run_config(self, ops: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run configuration with the overrides, and with the config of assets by name."""
        resources = {"settings": {"config": {"overrides": list(self.overrides)}}}
        return {"resources": resources, **({"ops": ops} if ops else {})}


def load_automation() -> AutomationConfig:
    """The settings that MOVIEREC_AUTOMATION names. Raises ConfigError for a file, a setting or a value that is none."""
    name = os.environ.get("MOVIEREC_AUTOMATION") or "default"
    folder = config_dir() / "automation"
    if not (folder / f"{name}.yaml").is_file():
        known = sorted(path.stem for path in folder.glob("*.yaml"))
        raise ConfigError(f"MOVIEREC_AUTOMATION={name}: there is no {name}.yaml in {folder}{nearest(name, known)}")
    files = dict.fromkeys(("default", name))
    values = OmegaConf.to_container(OmegaConf.merge(*(OmegaConf.load(folder / f"{file}.yaml") for file in files)))
    return typed(AutomationConfig, values, "automation")


def check_names(where: str, models: tuple[str, ...], devices: tuple[str, ...]) -> None:
    """Raises ConfigError naming the first model or device that there is not."""
    for setting, wanted, known in (("models", models, single_models()), ("devices", devices, DEVICE_KINDS)):
        for name in wanted:
            if name not in known:
                raise ConfigError(f"{where}.{setting}: there is no {name!r} here{nearest(name, known)}")


def usable(config: AutomationConfig, wanted: tuple[str, ...]) -> list[str]:
    """The kinds of devices that runs find, of those that are wanted."""
    if config.devices:
        return [device for device in wanted if device in config.devices]
    found = []
    for device in wanted:
        try:
            resolve_device(device)
        except DeviceError:
            continue
        found.append(device)
    return found


_NEWS = dg.AutomationCondition.any_deps_match(
    (
        dg.AutomationCondition.newly_updated()
        & ~dg.AutomationCondition.executed_with_root_target()
        & ~dg.AutomationCondition.all_new_updates_have_run_tags(tag_keys={BATCH})
    )
    | dg.AutomationCondition.will_be_requested()
).with_label("a new version upstream that no other run follows")

ON_NEWS = (
    _NEWS.since_last_handled() & ~dg.AutomationCondition.in_progress() & ~dg.AutomationCondition.any_deps_in_progress()
).with_label("once nothing upstream is in progress")
"""Once for all that was made before it, however many partitions, and not while some of them are still being made.

Not for runs that make it themselves, such as those of the job `everything`; nor for those of a retraining, which the
sensor `after_retraining` follows with one release of all its models. Unlike `AutomationCondition.eager()` it does not
wait for the partitions that nobody ever makes, such as those of devices that are not on the machine.
"""

ON_RELEASE = (
    dg.AutomationCondition.any_deps_match(dg.AutomationCondition.newly_updated()).since_last_handled()
    & ~dg.AutomationCondition.in_progress()
    & ~dg.AutomationCondition.any_deps_in_progress()
).with_label("after each release, of whichever run")
"""After each decision about what is served, also a person's promotion or rollback and the end of a retraining."""
