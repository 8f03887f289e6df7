"""Runs one training, or a sweep over several, through Hydra."""

import os
import sys
from collections.abc import Callable, Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from movierec_engine import pipeline
from movierec_engine.cli.comparison_tables import report_table
from movierec_engine.cli.console import exit_code, log_to_console, print_error
from movierec_engine.cli.study_tables import sweep_table
from movierec_engine.cli.tables import Format, print_line, print_tables
from movierec_engine.config import (
    PathsConfig,
    Settings,
    completed,
    config_dir,
    explain,
    offer_outside_models,
    typed_settings,
)
from movierec_engine.errors import ConfigError, MissingExtraError, MovierecError
from movierec_engine.evaluation.report import REPORT_FILE, EvaluationReport
from movierec_engine.feedback.config import URL_VARIABLE
from movierec_engine.store import Artifact, ArtifactStore, kinds
from movierec_engine.store.object_storage import local_root
from movierec_engine.store.storage import is_url
from movierec_engine.tuning import trials
from movierec_engine.tuning.trials import SweepTrials, Trial


def run(arguments: Sequence[str], form: Format) -> None:
    """Run Hydra's command line: overrides, `--multirun` and `--cfg job`.

    In a sweep a job that fails does not stop the others; at its end stands a table of the best, and the exit code tells
    of the first failure.
    """
    arguments = completed(url_in_environment(arguments))
    sys.argv = [sys.argv[0], *arguments]
    full_error = os.environ.get("HYDRA_FULL_ERROR") == "1"
    failures: list[MovierecError] = []
    swept: list[Trial] = []
    sweep: list[DictConfig] = []  # the settings of the first job of a sweep

    def task(composed: DictConfig) -> None:
        log_to_console()
        overrides = list(HydraConfig.get().overrides.task)
        if HydraConfig.get().mode == RunMode.MULTIRUN and not sweep:
            sweep.append(composed)
        try:
            settings = typed_settings(composed, overrides)
            made = pipeline.run_tracked(settings)
            if not sweep or form == "table":
                show(made[kinds.EVALUATION_REPORT], settings, form)
            swept.append(Trial.of(made[kinds.EVALUATION_REPORT]))
        except (MovierecError, ModuleNotFoundError) as error:  # here, before Hydra adds lines of its own
            told = MissingExtraError(error) if isinstance(error, ModuleNotFoundError) else error
            swept.append(Trial(tuple(overrides), error=str(told)))
            if full_error:
                raise
            print_error(told)
            failures.append(told)
        except Exception as error:  # not the user's to mend: Hydra shows it when the other jobs are through
            swept.append(Trial(tuple(overrides), error=f"{type(error).__name__}: {error}"))
            raise

    offer_outside_models(arguments)
    command = _hydra(task)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # lets Hydra's errors reach us instead of being printed by Hydra
    try:
        command()
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        if full_error:
            raise
        raise _told(error, arguments) from error
    finally:
        if not full_error:
            del os.environ["HYDRA_FULL_ERROR"]
        if sweep:
            stopping = sweep[0].trainer.early_stopping
            store = ArtifactStore(sweep[0].paths.artifacts)
            done = SweepTrials(tuple(swept), str(stopping.metric), str(stopping.mode))
            print_tables([sweep_table(done)], form)
            trials.publish(store, str(sweep[0].data.name), done, arguments)
    if failures:
        sys.exit(exit_code(failures[0]))


def _hydra(task: Callable[[DictConfig], None]) -> Callable[[], None]:
    """A function that runs a task by the settings of configs/ and Hydra's command line."""
    OmegaConf.register_resolver("hosts_folder", _hosts_folder, replace=True)
    run_task: Callable[[], None] = hydra.main(config_path=str(config_dir()), config_name="config")(task)
    return run_task


def _told(error: BaseException, arguments: Sequence[str]) -> MovierecError:
    """The cause that stopped Hydra, in one sentence: our own error, of `_hosts_folder`, or Hydra's."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, MovierecError):
            return behind
        behind = behind.__cause__ or behind.__context__
    return ConfigError(explain(error, [word for word in arguments if "=" in word]))


def _hosts_folder(artifacts: str) -> str:
    """The folder on this host of what is no artifact, such as Hydra's own files; of a store in a folder, that."""
    return str(local_root()) if is_url(artifacts) else artifacts or PathsConfig.artifacts


def url_in_environment(arguments: Sequence[str]) -> list[str]:
    """The words, with what feedback.url is set to moved to the environment.

    An address may hold a password, and Hydra prints overrides and writes them to files.
    """
    words = list(arguments)
    for number, word in enumerate(words):
        key, _, value = word.partition("=")
        if key.lstrip("+") == "feedback.url" and value:
            os.environ[URL_VARIABLE] = value.strip("'\"")
            words[number] = f"{key}=${{oc.env:{URL_VARIABLE}}}"
    return words


def show(report: Artifact, settings: Settings, form: Format) -> None:
    """Print what a run reached, and where its report is; in a sweep of W&B's also the best trials so far."""
    print_tables([report_table(EvaluationReport.load(report.folder))], form)
    if (sweep_id := report.origin.get("wandb_sweep_id")) and form == "table":
        store, stopping = ArtifactStore(settings.paths.artifacts), settings.trainer.early_stopping
        so_far = SweepTrials(tuple(trials.of_wandb_sweep(store, sweep_id)), stopping.metric, stopping.mode)
        print_tables([sweep_table(so_far)])
    print_line(f"report: {report.folder / REPORT_FILE}", form)
