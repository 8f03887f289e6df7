"""Settings of the data group: where ratings come from, which become positives, how they are split."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from movierec_engine.errors import ConfigError

Layout = Literal["auto", "custom", "presplit"]
SplitStrategy = Literal["random", "global_time", "leave_one_out", "user_time"]

BUNDLED = "data/movielens-small"
"""The data set that comes with the package, as `dir` names it."""

_FOLDER_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")
_OF_THE_STORE = ("latest", "manifest.json")
"""Names of the store's own files, which stand beside the folders of data sets and versions."""


@dataclass(frozen=True)
class ColumnNames:
    """The names that a custom file gives to the four columns; an empty name says that the file has no such column."""

    user: str = "user"
    """The column of the users' ids."""
    item: str = "item"
    """The column of the items' ids."""
    rating: str = "rating"
    """The column of the ratings. Without one, or where the file has none called rating, every row is a like."""
    timestamp: str = "timestamp"
    """The column of the times, in seconds or milliseconds since 1970. Without one, or where the file has none called
    timestamp, nothing is split by time."""


@dataclass(frozen=True)
class DataConfig:
    """Settings of the data: source, filters and split."""

    name: str = "movielens-small"
    """Name of the data set; artifacts of different data sets stand in different folders."""
    layout: str = "auto"
    """`auto` (a MovieLens folder, told apart by its files), `custom` (one file with mapped columns) or `presplit`."""
    dir: str = BUNDLED
    """Folder of a MovieLens data set (layout auto); data/movielens-small also means the one that the package brings."""

    ratings_file: str = ""
    """CSV or Parquet file with the ratings (layout custom)."""
    movies_file: str = ""
    """Optional `movieId,title,genres` CSV with the titles (layouts custom and presplit)."""
    columns: ColumnNames = field(default_factory=ColumnNames)
    """Column names of `ratings_file` (layout custom)."""

    train_file: str = ""
    """CSV or Parquet with columns user,item and optionally rating,timestamp (layout presplit)."""
    valid_file: str = ""
    """Like `train_file`; without it nothing is held out for early stopping."""
    test_file: str = ""
    """Like `train_file`."""
    negatives_file: str = ""
    """Optional user,item rows: the candidates that each user's test items are ranked against."""

    rating_min: float = 0.5
    """Smallest valid rating."""
    rating_max: float = 5.0
    """Largest valid rating."""

    feedback: bool = True
    """Whether ratings given to the API become ratings, each at its own time (not with layout presplit, whose parts
    are given). People who had their data erased are left out in any case."""

    rating_threshold: float = 3.0
    """A rating of at least this much is a positive interaction; 0 takes every rating as one. Of MovieLens' .5 to 5
    stars 3 and more are likes: trained on those alone, models find held-out likes better and list fewer dislikes than
    trained on all, but svd, which learns from how ratings differ and finds fewer of both
    (benchmarks/results/rating_values.md). configs/ sets 0 for other people's files."""
    min_user_interactions: int = 5
    """Users with fewer positives are left out (k-core)."""
    min_item_interactions: int = 5
    """Items with fewer positives are left out (k-core)."""

    split: str = "random"
    """`random` per user, `global_time` at one moment for all, `leave_one_out` (the newest of each user), or `user_time`
    (the newest shares of each user; leaky: train of one user holds interactions later than another user's test)."""
    split_seed: int = 42
    """Seed of the random split; apart from `seed`, so that runs with other seeds are compared on the same split."""
    train_ratio: float = 0.8
    """Share of the interactions in train: of each user's in `random` and `user_time`, of all in `global_time`."""
    val_ratio: float = 0.1
    """Share of the interactions in validation; test gets the rest."""
    train_size: float = 1.0
    """Share of the train interactions to train on, for quick tries; evaluation is unchanged."""
    negative_samples: int = 1
    """Negatives for each positive in the losses that sample: what `model.num_negatives` of lightgcn and ngcf is."""

    @property
    def folder(self) -> Path:
        """`dir` below the working folder, or the bundled data set where that is meant and not there."""
        folder = Path(self.dir)
        return packaged(BUNDLED) if self.dir == BUNDLED and not folder.exists() else folder

    def __post_init__(self) -> None:
        if not _FOLDER_NAME.fullmatch(self.name) or self.name.lower() in _OF_THE_STORE:
            raise ConfigError(
                f"data.name={self.name!r} cannot be the name of a folder in the store; use at most 100 letters, "
                f"digits, '.', '_' and '-', and not {' or '.join(_OF_THE_STORE)}"
            )
        _one_of("data.layout", self.layout, get_args(Layout))
        _one_of("data.split", self.split, get_args(SplitStrategy))
        if not 0 < self.train_ratio < 1 or not 0 <= self.val_ratio < 1 or self.train_ratio + self.val_ratio >= 1:
            raise ConfigError(
                f"data.train_ratio={self.train_ratio} and data.val_ratio={self.val_ratio} leave nothing for test; "
                "choose shares above 0 that sum to less than 1"
            )
        if not 0 < self.train_size <= 1:
            raise ConfigError(f"data.train_size={self.train_size} must be above 0 and at most 1")
        if self.rating_min >= self.rating_max:
            raise ConfigError(f"data.rating_min={self.rating_min} must be below data.rating_max={self.rating_max}")
        for name in ("min_user_interactions", "min_item_interactions", "negative_samples"):
            if getattr(self, name) < 1:
                raise ConfigError(f"data.{name}={getattr(self, name)} must be at least 1")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{name}={value} is not known; choose one of {', '.join(choices)}")


def packaged(name: str) -> Path:
    """A folder at the top of the repository, such as configs/: inside an installed package, or in the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "packaged" / name
    return installed if installed.exists() else package.parent / name
