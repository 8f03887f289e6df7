"""Versions of evaluation reports by their manifests alone: model, set-up, seed and settings, with no report opened."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.queries.store_files import folders, latest_name, slot_folders, slot_of
from movierec_engine.reporting import numbers
from movierec_engine.store import Slot, kinds

_ASIDE = (
    *("trainer.resume", "trainer.checkpoint_seconds", "trainer.workers", "trainer.worker_threads"),
    *("trainer.ray_address", "model.name", "model.seed"),
)
"""Settings that do not decide what is trained, or that say the model and the seed again."""
_OF_DATA = ("train_size", "negative_samples")
"""Settings of data that the fingerprint does not tell apart."""


@dataclass(frozen=True)
class ReportVersion:
    """One version of an evaluation report, as its manifest has it."""

    id: str
    data: str
    model: str
    device: str
    version: str
    folder: str
    fingerprint: str
    """Fingerprint of the evaluation set-up."""
    created_at: str
    trained_model: str
    seed: int | None
    settings: tuple[tuple[str, str], ...]
    """Setting such as model.l2 -> its value, of those that decide a trained model, except for the seed."""

    @property
    def key(self) -> str:
        """Its name in an address: model/device/version."""
        return f"{self.model}/{self.device}/{self.version}"


_read: dict[Path, ReportVersion] = {}
"""Manifests that were read: a version never changes."""


def report_versions(root: Path, folder: Path) -> list[ReportVersion | Path]:
    """The versions of a slot's folder: the one that LATEST names, then the newest first.

    A version whose manifest cannot be read is its folder. Each manifest is read once in a process.
    """
    latest, slot = latest_name(folder), slot_of(root, folder)
    paths = sorted(folders(folder), key=lambda path: (path.name == latest, path.name), reverse=True)
    return [_version(slot, path) or path for path in paths]


def versions_in(root: Path, data: str, fingerprint: str) -> list[ReportVersion]:
    """All versions of a set-up, by model and device, of each in the order of `report_versions`."""
    return [
        one
        for folder in slot_folders(root, kinds.EVALUATION_REPORT, data)
        for one in report_versions(root, folder)
        if isinstance(one, ReportVersion) and one.fingerprint == fingerprint
    ]


def _version(slot: Slot, folder: Path) -> ReportVersion | None:
    if folder not in _read:
        try:
            manifest = json.loads((folder / "manifest.json").read_bytes())
            config = manifest["config"]
            seed = config.get("seed")
            _read[folder] = ReportVersion(
                id=f"{slot}/{folder.name}",
                data=slot.data_set,
                model=slot.model,
                device=slot.device,
                version=folder.name,
                folder=str(folder),
                fingerprint=str(manifest["fingerprint"]),
                created_at=str(manifest["created_at"]),
                trained_model=str(manifest["parents"].get(kinds.TRAINED_MODEL, "")),
                seed=seed if isinstance(seed, int) else None,
                settings=_settings(config),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
    return _read[folder]


def _settings(config: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    data = config.get("data") or {}
    decisive = {
        "model": config.get("model") or {},
        "trainer": config.get("trainer") or {},
        "data": {name: data[name] for name in _OF_DATA if name in data},
    }
    return tuple((name, value) for name, value in _flat(decisive) if name not in _ASIDE)


def _flat(settings: dict[str, Any], above: str = "") -> list[tuple[str, str]]:
    found = []
    for name, value in settings.items():
        path = f"{above}{name}"
        found += _flat(value, f"{path}.") if isinstance(value, dict) else [(path, json.dumps(value).strip('"'))]
    return found


def version_labels(
    versions: Sequence[ReportVersion], newest: Mapping[tuple[str, str], ReportVersion]
) -> dict[str, str]:
    """Key of each version -> its name beside the newest of its model and device, such as `als · seed 2 · l2 0.1`.

    newest: (model, device) -> the version whose seed and settings go without saying. Versions that differ in neither
    have the minute that they were made in.
    """
    several = {one.model for one in versions if (one.model, one.device) not in newest}
    several |= {model for model, device in newest if sum(other == model for other, _ in newest) > 1}
    names = {one.key: f"{one.model}/{one.device}" if one.model in several else one.model for one in versions}
    found = {}
    for one in versions:
        usual = newest.get((one.model, one.device))
        found[one.key] = " · ".join([names[one.key], *(_differences(one, usual) if usual else [])])
    taken = Counter([*found.values(), *(names[one.key] for one in versions)])
    made = {one.key: numbers.minute(one.created_at).removesuffix(" UTC") for one in versions}
    found = {key: f"{label} · {made[key]}" if taken[label] > 1 else label for key, label in found.items()}
    again = Counter(found.values())
    return {key: f"{label} · {key[-4:]}" if again[label] > 1 else label for key, label in found.items()}


_NAMED = 2
"""Settings that a version is named by; more are counted."""


def _differences(one: ReportVersion, usual: ReportVersion) -> list[str]:
    ours, theirs = dict(one.settings), dict(usual.settings)
    differ = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    parts = [f"seed {one.seed}"] if one.seed != usual.seed else []
    parts += [f"{name.rpartition('.')[2]} {ours.get(name, numbers.NONE)}" for name in differ[:_NAMED]]
    return parts + ([f"{len(differ) - _NAMED} more settings"] if len(differ) > _NAMED else [])
