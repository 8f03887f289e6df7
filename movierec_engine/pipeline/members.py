"""The trained models that another one starts from or is made of: none may have seen other parts than it sees itself.

`model.pretrained_<name>` and the entries of `model.models` are the settings that name one, and `find_members` is all
that follows them.
"""

from typing import Any

from movierec_engine.config import Settings
from movierec_engine.device import device_kind
from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.models.ensemble.hybrid import STARTERS
from movierec_engine.models.registry import model_class, model_names, single_models
from movierec_engine.store import Artifact, ArtifactStore, Slot, kinds

TRIAL_OF = "optuna_study"
"""In an artifact's origin: the sweep that it is a trial of. A trial is a version of its slot but never the newest, and
no member, baseline or successor: only what is trained again with the winner's settings is."""

PRETRAINED = "pretrained_"
"""Settings of this prefix name a trained model to start from."""


DATA_STEPS = (kinds.SPLITS, kinds.INTERACTION_GRAPH)
"""Kinds of a trained model's parents that are no models."""


def model_slot(kind: str, settings: Settings, model: str = "") -> Slot:
    """The slot of a model step's versions: `<kind>/<data set>/<model>/<device>`; by default those of the settings."""
    return Slot(kind, settings.data.name, model or settings.model_name, device_kind(settings.device))


def find_members(store: ArtifactStore, settings: Settings, splits: Artifact) -> dict[str, Artifact | None]:
    """The trained models that a model's settings name, by name; None for one that has yet to be trained.

    `latest`, and a bare name in `model.models`, is the newest version on the device that was trained on this very split
    and share of it, has the widths that the model takes over, and is no trial of a sweep. A reference to a version
    takes that one.

    An ensemble that names none may be made of everything that is trained on the split, and of those to start with.

    Raises ConfigError for a name that is no model to combine, and for a version that is not of the named model or saw
    another split, share of train, or anything else; StoreError for a version that is not in the store.
    """
    found = dict[str, Artifact | None]()
    if getattr(settings.model, "models", None) == ():
        newest = {name: _newest(store, settings, name, splits) for name in single_models()}
        return {name: newest[name] for name in (*STARTERS, *newest) if newest[name] or name in STARTERS}
    for name, (setting, reference) in _wanted(settings).items():
        if not reference:
            found[name] = _newest(store, settings, name, splits)
            continue
        found[name] = member = store.resolve(reference)
        if (member.slot.kind, member.slot.model) != (kinds.TRAINED_MODEL, name):
            raise ConfigError(f"{setting} names {reference}, which is no trained {name}; name a version of one")
        for stranger, saw in strangers(store, member, splits.reference, settings.data.train_size).items():
            raise ConfigError(
                f"{setting} names {reference}, but {stranger} saw {saw}, and this model sees "
                f"{_seen(splits.reference, settings.data.train_size)}; name a version that saw the same"
            )
    return found


def shared_settings(settings: Settings, member: str) -> dict[str, Any]:
    """The model settings that a member to start from must have in common with the model, with their values."""
    if not hasattr(settings.model, PRETRAINED + member):
        return {}
    names: tuple[str, ...] = model_class(settings.model_name).members[member]  # type: ignore[attr-defined]
    return {name: _plain(getattr(settings.model, name)) for name in names}


def family(store: ArtifactStore, model: Artifact) -> list[Artifact]:
    """A trained model, the models that it started from or is made of, those of these, and so on.

    Raises StoreError for one that is not in the store.
    """
    parents = (store.resolve(reference) for kind, reference in model.parents.items() if kind not in DATA_STEPS)
    return [model, *(one for parent in parents for one in family(store, parent))]


def strangers(store: ArtifactStore, model: Artifact, splits: str, train_size: float) -> dict[str, str]:
    """The models of a trained model's family that were fitted on another split, or on another share of its train part.

    splits: a reference. Returns the reference of each with what it saw. With one that is gone the model is a stranger,
    since it cannot be told what that one saw.
    """
    try:
        members = family(store, model)
    except StoreError as error:
        return {model.reference: str(error)}
    return {one.reference: _what_saw(one) for one in members if _what_saw(one) != _seen(splits, train_size)}


def _wanted(settings: Settings) -> dict[str, tuple[str, str]]:
    """Name of each member -> the setting that names it, and the reference to a version, or "" for the newest."""
    wanted = {}
    for name in model_names():
        if value := getattr(settings.model, PRETRAINED + name, ""):
            wanted[name] = f"model.{PRETRAINED}{name}", "" if value == "latest" else value
    for entry in getattr(settings.model, "models", ()):
        name, *version = entry.split("/")
        if name not in model_names() or name == settings.model_name:
            choices = ", ".join(one for one in model_names() if one != settings.model_name)
            raise ConfigError(f"model.models: {entry!r} is no model to combine; choose from {choices}")
        wanted[name] = "model.models", f"trained_model/{settings.data.name}/{entry}" if version else ""
    return wanted


def _newest(store: ArtifactStore, settings: Settings, name: str, splits: Artifact) -> Artifact | None:
    shared = shared_settings(settings, name)
    for one in reversed(store.versions(model_slot(kinds.TRAINED_MODEL, settings, name))):
        fits = all(_plain(one.config["model"].get(setting)) == value for setting, value in shared.items())
        usable = fits and TRIAL_OF not in one.origin
        if usable and not strangers(store, one, splits.reference, settings.data.train_size):
            return one
    return None


def _what_saw(model: Artifact) -> str:
    if model.slot.kind != kinds.TRAINED_MODEL:
        return f"other parts, being a {model.slot.kind}"
    return _seen(model.parents.get(kinds.SPLITS, "no split"), model.config["data"]["train_size"])


def _seen(splits: str, train_size: float) -> str:
    return f"{train_size:.6g} of the train part of {splits}"


def _plain(value: Any) -> Any:
    """A setting's value as a manifest has it."""
    return list(value) if isinstance(value, tuple) else value
