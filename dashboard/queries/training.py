"""Trained models as runs: what they cost, how they learned, with which settings; and the runs that are on now."""

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dashboard.queries.parquet import records
from dashboard.queries.store_files import Signature, folders, slot_folders, slot_of, store_at
from movierec_engine.errors import StoreError
from movierec_engine.pipeline.training import HISTORY_FILE
from movierec_engine.store import Artifact, kinds
from movierec_engine.store.process import is_gone
from movierec_engine.tracking.progress_file import FOLDER as PROGRESS_FOLDER
from movierec_engine.tracking.tracker import flatten

PER_SLOT = 20
"""Runs of each model and device that can be chosen, newest first."""
_ASIDE = ("overrides", "paths", "logger", "serving", "experiment_name", "run_name")
"""Settings that decide nothing of what is trained."""
SHOWN_SECONDS = 3600.0
"""How long a run that broke off is shown."""


@dataclass(frozen=True)
class Run:
    """One trained version."""

    id: str
    model: str
    device: str
    version: str
    created_at: str
    data: str
    fingerprint: str
    seconds: float | None
    epochs: int
    memory_mb: float | None
    validation: dict[str, float]
    config: dict[str, Any]
    """Dotted name -> value."""
    mlflow: str
    dagster: str
    history: Path | None
    """Its learning curve; None for a model that is fitted in one go."""

    @property
    def metric(self) -> str:
        """The validation metric that chooses its best epoch, such as ndcg@10."""
        return str(self.config.get("trainer.early_stopping.metric") or "ndcg@10")

    @property
    def patience(self) -> int | None:
        """Epochs without a better one after which it stops; None where it trains them all."""
        enabled, patience = (self.config.get(f"trainer.early_stopping.{name}") for name in ("enabled", "patience"))
        return int(patience) if enabled and patience else None


@dataclass(frozen=True)
class Progress:
    """A training that has not published its model yet."""

    name: str
    model: str
    device: str
    started: float
    changed: float
    """Seconds since 1970."""
    state: str
    """running, failed or stopped (its process is gone)."""
    reason: str
    """Why it failed, in a sentence; "" where that is not known."""
    max_epochs: int | None
    metric: str
    patience: int | None
    """Epochs without a better value of the metric after which it stops."""
    epochs: tuple[dict[str, float], ...]
    """epoch, loss, seconds and validation metrics such as ndcg@10."""


def runs(root: Path) -> list[Run]:
    """The newest PER_SLOT readable versions of every model and device, newest first."""
    store = store_at(root)
    found = [
        run
        for folder in slot_folders(root, kinds.TRAINED_MODEL)
        for version in reversed(folders(folder)[-PER_SLOT:])
        if (run := _run(store.root, version)) is not None
    ]
    return sorted(found, key=lambda run: run.version, reverse=True)


def history(path: Path) -> list[dict[str, float]]:
    """One row an epoch, as progress has them; none when it cannot be read."""
    return records("SELECT * FROM parquet_file(?) ORDER BY epoch", str(path)) or []


def states(root: Path) -> Signature:
    """Changes whenever a run begins, or is over."""
    return tuple((f"{one.name} {one.state}", int(one.started), 0) for one in in_progress(root))


def in_progress(root: Path) -> list[Progress]:
    """Runs that are on, and those that broke off within SHOWN_SECONDS, newest first."""
    found = [progress for path in _progress_files(root) if (progress := _progress(path)) is not None]
    now = time.time()
    shown = [one for one in found if one.state == "running" or now - one.changed < SHOWN_SECONDS]
    return sorted(shown, key=lambda one: one.started, reverse=True)


def _progress_files(root: Path) -> list[Path]:
    try:
        return sorted((root / PROGRESS_FOLDER).glob("*.json"))
    except OSError:
        return []


def _progress(path: Path) -> Progress | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        epochs = tuple({str(name): float(value) for name, value in row.items()} for row in values["epochs"])
        state = str(values["state"])
        if state == "running" and is_gone(values["place"], int(values["pid"]), float(values["changed"])):
            state = "stopped"
        return Progress(
            name=str(values["name"]),
            model=str(values["model"]),
            device=str(values["device"]),
            started=float(values["started"]),
            changed=float(values["changed"]),
            state=state,
            reason=str(values.get("reason") or ""),
            max_epochs=int(values["max_epochs"]) if values.get("max_epochs") else None,
            metric=str(values.get("metric") or ""),
            patience=int(values["patience"]) if values.get("patience") else None,
            epochs=epochs,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


@lru_cache(maxsize=5_000)
def _run(root: Path, folder: Path) -> Run | None:
    """One version, which never changes; None when its manifest cannot be used."""
    try:
        artifact = store_at(root).get(slot_of(root, folder.parent), folder.name)
        return _of(artifact)
    except (StoreError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None


def _of(artifact: Artifact) -> Run:
    facts, config = artifact.facts, artifact.config
    settings = {name: value for name, value in config.items() if name not in _ASIDE}
    return Run(
        id=artifact.reference,
        model=artifact.slot.model,
        device=artifact.slot.device,
        version=artifact.version,
        created_at=artifact.created_at,
        data=str(config.get("data", {}).get("name", "")),
        fingerprint=artifact.fingerprint,
        seconds=_number(facts.get("seconds")),
        epochs=int(facts.get("epochs") or 0),
        memory_mb=_number(facts.get("peak_memory_mb")),
        validation={
            str(name): float(value)
            for name, value in dict(facts.get("validation_metrics") or {}).items()
            if isinstance(value, int | float)
        },
        config=flatten(settings),
        mlflow=str(artifact.origin.get("mlflow_run_id", "")),
        dagster=str(artifact.origin.get("dagster_run_id", "")),
        history=artifact.folder / HISTORY_FILE if HISTORY_FILE in artifact.files else None,
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
