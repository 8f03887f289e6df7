"""`python -m movierec_engine.train model=lightgcn trainer.max_epochs=5`: prepare, train, evaluate, index one model."""

import os
import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from movierec_engine import pipeline
from movierec_engine.cli.console import exit_code, log_to_console, one_sentence_errors, print_error, read_env_file
from movierec_engine.config import Settings, config_dir, explain, offer_outside_models, typed_settings
from movierec_engine.errors import ConfigError, MissingExtraError, MovierecError
from movierec_engine.evaluation.report import REPORT_FILE, EvaluationReport, report_table
from movierec_engine.store import Artifact, ArtifactStore, kinds
from movierec_engine.tuning import trials
from movierec_engine.tuning.trials import Trial


def main(arguments: list[str] | None = None) -> None:
    """The command line: Hydra's overrides, `--multirun`, `--cfg job` and `--help`.

    In a sweep a job that fails does not stop the others; at its end stands a table of the best, and the exit code tells
    of the first failure.
    """
    read_env_file()
    arguments = sys.argv[1:] if arguments is None else arguments
    sys.argv = [sys.argv[0], *arguments]
    full_error = os.environ.get("HYDRA_FULL_ERROR") == "1"
    failures, swept = list[MovierecError](), list[Trial]()
    sweep: list[DictConfig] = []  # the settings of the first job of a sweep

    def task(composed: DictConfig) -> None:
        log_to_console()
        overrides = list(HydraConfig.get().overrides.task)
        if HydraConfig.get().mode == RunMode.MULTIRUN and not sweep:
            sweep.append(composed)
        try:
            settings = typed_settings(composed, overrides)
            made = pipeline.run_tracked(settings)
            show(made[kinds.EVALUATION_REPORT], settings)
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

    with one_sentence_errors():
        if any(word.startswith("sweep=") for word in arguments):  # Hydra's help lists configs/sweep/ as a group
            raise ConfigError("sweep=... is no setting of a training; run python -m movierec_engine.sweep model=...")
        offer_outside_models(arguments)
        command = hydra.main(config_path=str(config_dir()), config_name="config")(task)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # lets Hydra's errors reach us instead of being printed by Hydra
        try:
            command()
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            if full_error:
                raise
            raise ConfigError(explain(error, [word for word in arguments if "=" in word])) from error
        finally:
            if not full_error:
                del os.environ["HYDRA_FULL_ERROR"]
            if sweep:
                stopping = sweep[0].trainer.early_stopping
                store = ArtifactStore(sweep[0].paths.artifacts)
                trials.conclude(
                    store, str(sweep[0].data.name), swept, str(stopping.metric), str(stopping.mode), arguments
                )
    if failures:
        sys.exit(exit_code(failures[0]))


def show(report: Artifact, settings: Settings) -> None:
    """Print what a run reached, and where its report is; in a sweep of W&B's also the best trials so far."""
    console = Console()
    console.print(report_table(EvaluationReport.load(report.folder)))
    if sweep_id := report.origin.get("wandb_sweep_id"):
        store, stopping = ArtifactStore(settings.paths.artifacts), settings.trainer.early_stopping
        trials.show(store, trials.of_wandb_sweep(store, sweep_id), stopping.metric, stopping.mode)
    console.print(f"report: {report.folder / REPORT_FILE}", soft_wrap=True, highlight=False, markup=False)
