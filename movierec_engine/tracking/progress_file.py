"""Progress of a training run, as a small JSON file below the artifacts that the dashboard reads."""

import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from movierec_engine.store import Artifact, process, replace_file
from movierec_engine.tracking.tracker import End

FOLDER = "progress"
_STOPPING = "trainer.early_stopping"
_SECONDS_BETWEEN = 1.0
"""Epochs that follow each other faster are written together."""


class ProgressFile:
    """Replaces `<artifacts>/progress/<run>.json` after epochs, and removes it once the run is finished or terminated.

    A run that fails leaves its file, in state `failed` and with the reason, until the next one starts there.
    """

    def __init__(self, artifacts: Path) -> None:
        self._folder = artifacts.absolute() / FOLDER
        self._path = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}.json"
        self._run: dict[str, Any] = {}
        self._epochs: list[dict[str, float]] = []
        self._written = float("-inf")

    def start(self, run_name: str, params: Mapping[str, Any]) -> None:
        self._sweep()
        self._run = {
            "name": run_name,
            "model": str(params.get("model.name", run_name)),
            "device": str(params.get("device", "")),
            "max_epochs": params.get("trainer.max_epochs"),
            "metric": params.get(f"{_STOPPING}.metric"),
            "patience": params.get(f"{_STOPPING}.patience") if params.get(f"{_STOPPING}.enabled") else None,
            "place": process.place(),
            "pid": os.getpid(),
            "started": time.time(),
        }
        self._write("running")

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if step is None:
            return
        own = {name.removeprefix("validation/").removeprefix("train/"): value for name, value in metrics.items()}
        self._epochs.append({"epoch": step, **own})
        if time.monotonic() - self._written >= _SECONDS_BETWEEN:
            self._write("running")

    def outcome(self, trained_model: Artifact, report: Artifact) -> None:
        """The store has it."""

    def finish(self, end: End, reason: str = "") -> None:
        if end == "failed":
            self._run["reason"] = reason
            self._write(end)
        else:
            self._path.unlink(missing_ok=True)

    def ids(self) -> dict[str, str]:
        return {}

    def _write(self, state: str) -> None:
        content = {**self._run, "state": state, "changed": time.time(), "epochs": self._epochs}
        replace_file(self._path, json.dumps(content))
        self._written = time.monotonic()

    def _sweep(self) -> None:
        """Remove what earlier runs left whose process is gone."""
        for path in self._folder.glob("*.json"):
            try:
                left = json.loads(path.read_text(encoding="utf-8"))
                if process.is_gone(left["place"], int(left["pid"]), left["changed"]):
                    path.unlink(missing_ok=True)
            except (OSError, ValueError, KeyError, TypeError):
                continue
