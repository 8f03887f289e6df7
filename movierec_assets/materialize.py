"""Materialize models from the raw files to the served index, in one process: what `movierec demo` runs.

    python -m movierec_assets.materialize --model ease --model lightgcn --device cpu trainer.max_epochs=5

The runs are recorded in the Dagster instance of DAGSTER_HOME, so that the UI shows them.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import click
import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError
from dagster_shared.check import CheckError
from filelock import FileLock
from sqlalchemy.exc import SQLAlchemyError
from yaml import YAMLError  # type: ignore[import-untyped]

from movierec_assets.definitions import defs
from movierec_assets.jobs import DATA, MODEL, RELEASE, everything, hybrid
from movierec_assets.partitions import partition_key
from movierec_assets.resources import SettingsResource
from movierec_assets.step import EngineFailure
from movierec_engine.cli.console import log_to_console, one_sentence_errors
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.models.registry import single_models


def materialize(models: Sequence[str], device: str, overrides: Sequence[str], instance: dg.DagsterInstance) -> None:
    """Data once, then each model's partition, then ensembles of them, then the release; one Dagster run each.

    Raises the engine's own error: before any work for a setting, a model or a device that is none, else when a step
    fails; what was materialized before it stays.
    """
    settings = SettingsResource(overrides=list(overrides))
    for model in models:
        settings.of(device, model)
    _run(DATA, overrides, instance)
    for model in models:
        if model in single_models():
            _run(MODEL, overrides, instance, partition_key(device, model))
    for model in models:
        if model not in single_models():
            _run((model,), overrides, instance, device, hybrid.name)
    _run(RELEASE, overrides, instance)


def _run(
    assets: Sequence[str],
    overrides: Sequence[str],
    instance: dg.DagsterInstance,
    partition: str | None = None,
    job_name: str = everything.name,
) -> None:
    job = defs.resolve_job_def(job_name)
    run_id = str(uuid4())
    try:
        job.execute_in_process(
            run_id=run_id,
            instance=instance,
            asset_selection=[dg.AssetKey(name) for name in assets],
            partition_key=partition,
            run_config={
                "resources": {"settings": {"config": {"overrides": list(overrides)}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
    except EngineFailure as failure:
        raise failure.error from None
    except DagsterAssetCheckFailedError as error:
        raise MovierecError("; ".join(_failed_checks(instance, run_id)) or str(error)) from None


def _failed_checks(instance: dg.DagsterInstance, run_id: str) -> Iterator[str]:
    """The findings of the checks that stopped a run."""
    for record in instance.all_logs(run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = record.get_dagster_event().asset_check_evaluation_data
        if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR:
            yield f"{check.asset_key.to_user_string()} fails its check {check.check_name}: {check.description}"


def open_instance() -> dg.DagsterInstance:
    """Dagster's instance of DAGSTER_HOME; one process at a time sets its database up, as two corrupt a fresh SQLite.

    Raises ConfigError where DAGSTER_HOME names no folder, or one whose dagster.yaml or records Dagster cannot use.
    """
    named = os.environ.get("DAGSTER_HOME", "")
    home = Path(named)
    if not (home.is_absolute() and home.is_dir()):
        raise ConfigError(
            f"DAGSTER_HOME={named} is not the full path of a folder for Dagster's records; "
            "make one and say, for example, export DAGSTER_HOME=$PWD/artifacts/dagster"
        )
    try:
        with FileLock(home / "setup.lock"):
            return dg.DagsterInstance.get()
    except (dg.DagsterError, CheckError, YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{home / 'dagster.yaml'} is not what Dagster takes: {_one_line(error)}") from error
    except (OSError, SQLAlchemyError) as error:
        raise ConfigError(f"DAGSTER_HOME={home}: Dagster cannot keep its records there: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


@click.command()
@click.option("--model", "models", multiple=True, required=True, help="A model to materialize; repeat for more.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or mps.")
@click.argument("overrides", nargs=-1)
def main(models: tuple[str, ...], device: str, overrides: tuple[str, ...]) -> None:
    """Materialize models through Dagster; OVERRIDES are settings in Hydra's syntax."""
    log_to_console("movierec_assets")
    with one_sentence_errors(), open_instance() as instance:
        materialize(models, device, overrides, instance)


if __name__ == "__main__":
    main()
