"""The models by name. A new model is one file, one YAML in configs/model/ and one line here."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from movierec_engine.errors import ConfigError, MissingExtraError
from movierec_engine.models.base import read_description

if TYPE_CHECKING:
    from movierec_engine.models.base import Recommender

_CLASSES = {
    "popularity": "movierec_engine.models.classic.popularity:Popularity",
    "item_cf": "movierec_engine.models.classic.item_cf:ItemCF",
    "svd": "movierec_engine.models.classic.svd:SVD",
    "ease": "movierec_engine.models.classic.ease:EASE",
    "als": "movierec_engine.models.classic.als:ALS",
    "gmf": "movierec_engine.models.neural.gmf:GMF",
    "mlp": "movierec_engine.models.neural.mlp:MLP",
    "ncf": "movierec_engine.models.neural.ncf:NCF",
    "ngcf": "movierec_engine.models.graph.ngcf:NGCF",
    "lightgcn": "movierec_engine.models.graph.lightgcn:LightGCN",
    "hybrid_ensemble": "movierec_engine.models.ensemble.hybrid:HybridEnsemble",
}

MODEL_NAMES = tuple(_CLASSES)
SINGLE_MODELS = tuple(name for name in MODEL_NAMES if name != "hybrid_ensemble")
"""The models that learn from train by themselves; an ensemble is made of them."""


def model_class(name: str) -> "type[Recommender]":
    """The class of a model; imports its module only now, since some bring torch with them.

    Raises ConfigError for an unknown name, MissingExtraError where a library that the model needs is not installed.
    """
    if name not in _CLASSES:
        raise ConfigError(f"there is no model {name!r}; choose one of {', '.join(MODEL_NAMES)}")
    module, attribute = _CLASSES[name].split(":")
    try:
        return getattr(import_module(module), attribute)  # type: ignore[no-any-return]
    except ModuleNotFoundError as error:
        raise MissingExtraError(error) from error


def load_model(folder: Path | str) -> "Recommender":
    """The model saved in a folder, whichever kind it is. Raises StoreError when it cannot be read."""
    return model_class(read_description(Path(folder))["name"]).load(folder)
