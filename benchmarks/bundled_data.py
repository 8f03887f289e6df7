"""The bundled ratings, as models train on them."""

from pathlib import Path

from movierec_engine.data.config import DataConfig
from movierec_engine.data.interactions import Interactions, positives
from movierec_engine.data.readers import read_ratings

FOLDER = Path(__file__).resolve().parents[1] / "data" / "movielens-small"


def bundled() -> Interactions:
    config = DataConfig(dir=str(FOLDER))
    return positives(read_ratings(config), config)
