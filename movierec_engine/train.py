"""`python -m movierec_engine.train model=lightgcn trainer.max_epochs=5`: prepare, train, evaluate, index one model."""

import os
import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from movierec_engine import pipeline
from movierec_engine.config import Settings, config_dir, explain, typed_settings
from movierec_engine.console import exit_code, log_to_console, one_sentence_errors, print_error, read_env_file
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.evaluation.report import REPORT_FILE, EvaluationReport, report_table
from movierec_engine.store import Artifact, ArtifactStore
from movierec_engine.tracking import make_tracker
from movierec_engine.tracking.tracker import flatten


def main(arguments: list[str] | None = None) -> None:
    """The command line: Hydra's overrides, `--multirun`, `--cfg job` and `--help`.

    In a sweep a job that fails does not stop the others; the exit code then tells of the first failure.
    """
    read_env_file()
    arguments = sys.argv[1:] if arguments is None else arguments
    sys.argv = [sys.argv[0], *arguments]
    full_error = os.environ.get("HYDRA_FULL_ERROR") == "1"
    failures: list[MovierecError] = []

    def task(composed: DictConfig) -> None:
        log_to_console()
        try:
            train(typed_settings(composed, list(HydraConfig.get().overrides.task)))
        except MovierecError as error:  # here, before Hydra adds lines of its own
            if full_error:
                raise
            print_error(error)
            failures.append(error)

    with one_sentence_errors():
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
    if failures:
        sys.exit(exit_code(failures[0]))


def train(settings: Settings) -> dict[str, Artifact]:
    """Run the pipeline for one model, tracked, and print what it reached; the artifacts by kind."""
    store = ArtifactStore(settings.paths.artifacts)
    tracker = make_tracker(settings.logger, store.root, settings.experiment_name)
    tracker.start(settings.run_name, flatten(settings.resolved()))
    finished = False
    try:
        made = pipeline.run(store, settings, tracker)
        finished = True
    finally:
        tracker.finish(finished)
    folder = made["evaluation_report"].folder
    console = Console()
    console.print(report_table(EvaluationReport.load(folder)))
    console.print(f"report: {folder / REPORT_FILE}", soft_wrap=True, highlight=False)
    return made


if __name__ == "__main__":
    main()
