"""The models by name: those of this package, and those of other packages and files.

A model of another package is an entry point of the group `movierec.models`: its name and its class. A model in a file
of its own is registered there, and the environment variable MOVIEREC_PLUGINS names the file:

    @register_model
    class Mine(ClosedFormRecommender):
        name = "mine"
"""

import re
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TypeVar

from movierec_engine.errors import ConfigError, MissingExtraError
from movierec_engine.models.base import Recommender, read_description
from movierec_engine.models.plugins import home_of, load_plugins

M = TypeVar("M", bound=type[Recommender])

ENTRY_POINTS = "movierec.models"

OWN_MODELS = {
    "popularity": "movierec_engine.models.classic.popularity:Popularity",
    "item_cf": "movierec_engine.models.classic.item_cf:ItemCF",
    "svd": "movierec_engine.models.classic.svd:SVD",
    "ease": "movierec_engine.models.classic.ease:EASE",
    "als": "movierec_engine.models.classic.als:ALS",
    "gf_cf": "movierec_engine.models.classic.gf_cf:GFCF",
    "markov": "movierec_engine.models.sequence.markov:Markov",
    "gmf": "movierec_engine.models.neural.gmf:GMF",
    "mlp": "movierec_engine.models.neural.mlp:MLP",
    "ncf": "movierec_engine.models.neural.ncf:NCF",
    "recvae": "movierec_engine.models.neural.recvae:RecVAE",
    "ngcf": "movierec_engine.models.graph.ngcf:NGCF",
    "lightgcn": "movierec_engine.models.graph.lightgcn:LightGCN",
    "sasrec": "movierec_engine.models.sequence.sasrec:SASRec",
    "hybrid_ensemble": "movierec_engine.models.ensemble.hybrid:HybridEnsemble",
}

"""This package's models, and where their classes are."""

_registered: dict[str, type[Recommender]] = {}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")


def register_model(model: M) -> M:
    """Make a model class known by its `name`, on every surface; a class decorator.

    Raises ConfigError for a name that is taken, or can't be a folder's and a setting's, and for a model that lacks a
    method, such as the one by which people are folded in whom it has never seen.
    """
    name = getattr(model, "name", "")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{model.__name__}.name={name!r} must be up to 50 lower-case letters, digits and _")
    if name in OWN_MODELS or name in _entry_points() or home_of(_registered.get(name, model)) != home_of(model):
        raise ConfigError(f"there is a model {name!r} already; give {model.__name__} another name")
    _require_methods(model)
    _registered[name] = model
    return model


def model_names() -> tuple[str, ...]:
    """The names of all models: this package's, then those from outside."""
    return (*OWN_MODELS, *outside_models())


def single_models() -> tuple[str, ...]:
    """The models that learn from train by themselves; an ensemble is made of them."""
    return tuple(name for name in model_names() if name != "hybrid_ensemble")


def outside_models() -> tuple[str, ...]:
    """The names of the models of other packages and files; none of them is imported for it.

    Raises ConfigError for a file of MOVIEREC_PLUGINS that can't be loaded.
    """
    load_plugins()
    return (*_entry_points(), *_registered)


def model_class(name: str) -> type[Recommender]:
    """The class of a model; imports its module only now, since some bring torch with them.

    Raises ConfigError for an unknown name and for an entry point that is no model, MissingExtraError where a library
    that the model needs is not installed.
    """
    if name in OWN_MODELS:
        module, attribute = OWN_MODELS[name].split(":")
        try:
            return getattr(import_module(module), attribute)  # type: ignore[no-any-return]
        except ModuleNotFoundError as error:
            raise MissingExtraError(error) from error
    if name not in outside_models():
        raise ConfigError(f"there is no model {name!r}; choose one of {', '.join(model_names())}")
    return _registered[name] if name in _registered else _loaded(_entry_points()[name])


def load_model(folder: Path | str) -> Recommender:
    """The model saved in a folder or a checkpoint, whichever kind it is. Raises StoreError when it cannot be read."""
    return model_class(read_description(Path(folder))["name"]).load(folder)


def import_outside_models() -> None:
    """Import the models of other packages, whose modules may define fold-in scorers that an index holds."""
    for name in outside_models():
        model_class(name)


@cache
def _entry_points() -> dict[str, EntryPoint]:
    """By model name. Raises ConfigError for a name that this package has."""
    found = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    for name, point in found.items():
        if name in OWN_MODELS or not _NAME.fullmatch(name):
            raise ConfigError(
                f"the entry point {name} = {point.value} must have another name, of up to 50 lower-case letters, "
                "digits and _; mend or uninstall that package"
            )
    return found


@cache
def _loaded(point: EntryPoint) -> type[Recommender]:
    try:
        model = point.load()
    except Exception as error:  # whatever another package's module raises
        raise ConfigError(
            f"the model {point.name} ({point.value}) cannot be loaded: {error}; mend or uninstall that package"
        ) from error
    if not (isinstance(model, type) and issubclass(model, Recommender) and model.name == point.name):
        raise ConfigError(f"the entry point {point.name} = {point.value} must be a model whose name is {point.name!r}")
    _require_methods(model)
    return model


def _require_methods(model: type[Recommender]) -> None:
    if lacking := sorted(getattr(model, "__abstractmethods__", ())):
        raise ConfigError(f"the model {model.name} lacks {', '.join(lacking)}, which every model has; write it")
