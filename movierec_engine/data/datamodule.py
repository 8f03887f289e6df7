"""Data for a notebook or a script, without the artifact store: read, filter and split in one go."""

from dataclasses import replace
from pathlib import Path

from movierec_engine.data.config import DataConfig
from movierec_engine.data.graph import InteractionGraph, build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions, positives
from movierec_engine.data.ratings import Movies
from movierec_engine.data.readers import read_movies, read_ratings
from movierec_engine.data.split import Split, split


class MovieLensDataModule:
    """A MovieLens folder as train, validation and test.

        data = MovieLensDataModule("data/movielens-small")
        data.setup()
        Evaluator().evaluate(model, data.test_data)

    data_dir: the folder. config: how to filter and split; the defaults are those of the command line.
    """

    movies: Movies
    split: Split
    train_data: Interactions
    validation_data: HeldOut
    """Validation interactions, to be ranked among what is not in train."""
    test_data: HeldOut
    """Test interactions, to be ranked among what is not in train or validation."""

    def __init__(self, data_dir: Path | str, config: DataConfig | None = None) -> None:
        self.config = replace(config or DataConfig(), dir=str(data_dir))

    def setup(self) -> None:
        """Read the files and split them. Raises DataError for files that cannot be used."""
        ratings = read_ratings(self.config)
        self.movies = read_movies(self.config)
        self.split = split(positives(ratings, self.config), self.config, ratings)
        self.train_data = self.split.train
        self.validation_data = self.split.validation_heldout(self.movies)
        self.test_data = self.split.test_heldout(self.movies)

    def graph(self) -> InteractionGraph:
        """The normalised graph of the train interactions."""
        return build_graph(self.train_data)
