"""The engine: raw ratings in, evaluated models and served indices out. Knows nothing of Dagster or Streamlit.

    from movierec_engine import EASE, Dataset

    data = Dataset.from_frame(frame)              # pandas, polars or Arrow; ids are numbers or texts
    model = EASE().fit(data)
    model.recommend([17, 42], k=10).to_pandas()

A name is imported when it is first asked for, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from movierec_engine.data.dataset import Dataset
    from movierec_engine.evaluation.evaluator import Evaluator
    from movierec_engine.evaluation.metrics import register_metric
    from movierec_engine.models.base import ClosedFormRecommender, Recommender
    from movierec_engine.models.classic.als import ALS
    from movierec_engine.models.classic.ease import EASE
    from movierec_engine.models.classic.gf_cf import GFCF
    from movierec_engine.models.classic.item_cf import ItemCF
    from movierec_engine.models.classic.popularity import Popularity
    from movierec_engine.models.classic.svd import SVD
    from movierec_engine.models.ensemble.hybrid import HybridEnsemble
    from movierec_engine.models.fitting import Fitting
    from movierec_engine.models.graph.lightgcn import LightGCN
    from movierec_engine.models.graph.ngcf import NGCF
    from movierec_engine.models.neural.gmf import GMF
    from movierec_engine.models.neural.mlp import MLP
    from movierec_engine.models.neural.ncf import NCF
    from movierec_engine.models.neural.recvae import RecVAE
    from movierec_engine.models.registry import load_model, register_model
    from movierec_engine.models.sequence.markov import Markov
    from movierec_engine.models.sequence.sasrec import SASRec
    from movierec_engine.training.config import TrainerConfig

__all__ = [
    "ALS",
    "EASE",
    "GFCF",
    "GMF",
    "MLP",
    "NCF",
    "NGCF",
    "SVD",
    "ClosedFormRecommender",
    "Dataset",
    "Evaluator",
    "Fitting",
    "HybridEnsemble",
    "ItemCF",
    "LightGCN",
    "Markov",
    "Popularity",
    "RecVAE",
    "Recommender",
    "SASRec",
    "TrainerConfig",
    "load_model",
    "register_metric",
    "register_model",
]

_HOMES = {
    "ClosedFormRecommender": "models.base",
    "Dataset": "data.dataset",
    "Evaluator": "evaluation.evaluator",
    "Fitting": "models.fitting",
    "TrainerConfig": "training.config",
    "register_metric": "evaluation.metrics",
}
"""Where a name is; what is not here is in `models`."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("movierec")
        except PackageNotFoundError:  # a checkout that was never installed
            return "0+unknown"
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'models')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
