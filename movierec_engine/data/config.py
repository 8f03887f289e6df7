"""Settings of the data group: where ratings come from, which become positives, how they are split."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from movierec_engine.errors import ConfigError

Layout = Literal["auto", "custom", "presplit"]
SplitStrategy = Literal["random", "global_time", "leave_one_out", "user_time", "users", "next_item", "next_item_after"]

USERS = "users"
"""The strategy that holds out whole users, for strong generalization: what is measured is fold-in."""
NEXT_ITEM, NEXT_ITEM_AFTER = "next_item", "next_item_after"
NEXT = (NEXT_ITEM, NEXT_ITEM_AFTER)
"""The strategies that ask for the next item of a history, which is folded in."""

BUNDLED = "data/movielens-small"
"""The data set that comes with the package, as `dir` names it."""

_FOLDER_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")
_LONGEST_MADE_NAME = 40
_OF_THE_STORE = ("latest", "manifest.json")
"""Names of the store's own files, which stand beside the folders of data sets and versions."""


@dataclass(frozen=True)
class ColumnNames:
    """The names that files of one's own give to their columns; those of a file without header are column1, column2, ...

    A name such as column2, or one that stands in the first line, also says whether there is a header, where that is
    in doubt.
    Where a file has no column of a name that stands here by default, usual names of the field are looked for.
    """

    user: str = "user"
    """The column of the users' ids; by default also userId, User-ID, uid, visitorid, reviewer and the like."""
    item: str = "item"
    """The column of the items' ids; by default also movieId, ISBN, artistID, venue_id, asin and the like."""
    rating: str = "rating"
    """The column of ratings or counts; by default also score, stars, weight, plays and the like, or without header the
    one behind users and items. Without one every row is a like; empty says that the file has none."""
    timestamp: str = "timestamp"
    """The column of times, as numbers since 1970 or as dates; by default also time, date, created_at and the like, or
    without header the only one of times. Without one nothing is split by time; empty says that the file has none."""
    id: str = "id"
    """The column of `movies_file` with the items' ids; by default also the name of the item's column in the ratings,
    and the usual ones. Without header it is the first, before title and genres, or a year and a title."""
    title: str = "title"
    """The column of `movies_file` with titles; by default also name, Book-Title, movie_title and the like."""
    genres: str = "genres"
    """The column of `movies_file` with genres; by default also genre, categories, tags and the like."""
    year: str = "year"
    """The column of `movies_file` with years; by default also release_year, Year-Of-Publication and the like; without
    one the year at the end of a title, `Heat (1995)`."""


@dataclass(frozen=True)
class TextFormat:
    """Settings of the form of a text file, where it cannot be detected or is detected wrongly."""

    _group = "data.movies_format"

    delimiter: str = ""
    """Separator of fields: a character, `::`, or one of `tab`, `comma`, `semicolon`, `pipe`, `space`; empty:
    told from the file."""
    header: str = "auto"
    """`yes` where the first line names the columns, `no` where it holds data; `auto`: told from the file."""
    encoding: str = ""
    """`utf-8`, `utf-16`, `latin-1` or `cp1252`; empty: told from the file."""

    def __post_init__(self) -> None:
        _one_of(f"{self._group}.header", self.header, ("auto", "yes", "no"))
        _one_of(f"{self._group}.encoding", self.encoding, ("", "utf-8", "utf-16", "latin-1", "cp1252"))


@dataclass(frozen=True)
class FileFormat(TextFormat):
    """Settings of the form of ratings files, where it cannot be detected or is detected wrongly."""

    _group = "data.format"

    rows: str = "auto"
    """`pairs` where a line is a user and an item, `lists` where it is a user and all of the user's items, separated by
    spaces; `auto`: told from the file."""
    decimal: str = ""
    """`.` or `,` before the fraction of ratings such as 3.5, of which the other parts thousands; empty: told from the
    file."""
    times: str = ""
    """`seconds`, `milliseconds`, `microseconds` or `nanoseconds` since 1970, or a date's format such as
    `%d/%m/%Y %H:%M`; empty: told from the file."""
    bad_rows: str = "refuse"
    """`drop` leaves out rows that cannot be read and counts them; `refuse` stops at the first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("data.format.rows", self.rows, ("auto", "pairs", "lists"))
        _one_of("data.format.decimal", self.decimal, ("", ".", ","))
        _one_of("data.format.bad_rows", self.bad_rows, ("refuse", "drop"))


@dataclass(frozen=True)
class DataConfig:
    """Settings of the data: source, filters and split."""

    name: str = "movielens-small"
    """Name of the data set; artifacts of different data sets stand in different folders."""
    layout: str = "auto"
    """`custom` (ratings of one's own), `presplit` (split by somebody else) or `auto`: by which files are given, and a
    MovieLens folder, told apart by its files, where none is."""
    dir: str = BUNDLED
    """Folder of a MovieLens data set (layout auto); data/movielens-small also means the one that the package brings."""

    ratings_file: str = ""
    """Ratings (layout custom): a text file of any delimiter, packed or not, a Parquet file, a folder or pattern of such
    files (`ratings/*.parquet`), whose folders such as `dt=2021-03-01` are columns, or an address that
    begins with `s3://` or `https://`."""
    movies_file: str = ""
    """Optional file with titles, genres and years, of any form that `ratings_file` may have (layouts custom and
    presplit)."""
    genres_separator: str = ""
    """Separator of the genres of an item in `movies_file`; empty: `|`, or what the file seems to have."""
    columns: ColumnNames = field(default_factory=ColumnNames)
    """Column names of these files (layouts custom and presplit)."""
    format: FileFormat = field(default_factory=FileFormat)
    """How the ratings' files are written (layouts custom and presplit)."""
    movies_format: TextFormat = field(default_factory=TextFormat)
    """How `movies_file` is written (layouts custom and presplit)."""
    item_noun: str = "movie"
    """Name of one item, in the singular: book, song, place."""
    item_nouns: str = ""
    """Name of several items; empty: `item_noun` with an s."""

    train_file: str = ""
    """Like `ratings_file`: what to train on (layout presplit)."""
    valid_file: str = ""
    """Like `train_file`; without it `val_ratio` of each user's train is validation, drawn at random."""
    test_file: str = ""
    """Like `train_file`."""
    negatives_file: str = ""
    """Optional user,item rows: the candidates that each user's test items are ranked against."""

    rating_min: float = 0.5
    """Smallest valid rating; `rating_min` and `rating_max` both 0: the smallest and the largest of the data."""
    rating_max: float = 5.0
    """Largest valid rating."""

    feedback: bool = True
    """Whether ratings given to the API become ratings, each at its own time (not with layout presplit, whose parts
    are given). People who had their data erased are left out in any case."""

    rating_threshold: float = 3.0
    """A rating of at least this much is a positive interaction; 0 takes every one that is not negative. A lone
    negative number beside a scale of others, as -1 beside 1 to 10, is no rating: neither liked nor disliked. Of
    MovieLens' .5 to 5 stars 3 and more are likes: trained on those alone, models find held-out likes better and list
    fewer dislikes than trained on all, but svd, which learns from how ratings differ and finds fewer of both
    (benchmarks/results/rating_values.md). configs/ sets 0 for other people's files."""
    min_user_interactions: int = 5
    """Users with fewer positives are left out (k-core)."""
    min_item_interactions: int = 5
    """Items with fewer positives are left out (k-core)."""

    split: str = "random"
    """`random` per user, `global_time` at one moment for all, `leave_one_out` (the newest of each user), `user_time`
    (the newest shares of each user; leaky: train of one user holds interactions later than another user's test),
    `users`: whole users are held out, to measure how people are served whom the model has never seen, or what comes
    next in a history that is folded in: `next_item` (each user's newest; leaky), `next_item_after` (the first one after
    one moment for all)."""
    split_seed: int = 42
    """Seed of what a split draws at random; apart from `seed`, so that runs with other seeds are compared on the same
    split."""
    train_ratio: float = 0.8
    """Share of the interactions in train: of each user's in `random` and `user_time`, of all in `global_time` and
    `next_item_after`, whose moments it decides; the share of the users in `users`."""
    val_ratio: float = 0.1
    """Share of the interactions, or of the users, in validation; test gets the rest."""
    fold_in_ratio: float = 0.8
    """Share of a held-out user's interactions that the model is told of (strategy `users`); the rest is to be found."""
    train_size: float = 1.0
    """Share of the train interactions to train on, for quick tries; evaluation is unchanged."""
    negative_samples: int = 1
    """Negatives for each positive in the losses that sample: what `model.num_negatives` of lightgcn and ngcf is."""

    @property
    def scale_is_set(self) -> bool:
        """True if ratings have a range that they must be in, rather than one that they tell."""
        return bool(self.rating_min or self.rating_max)

    @property
    def nouns(self) -> tuple[str, str]:
        """Names of one item and of several."""
        return self.item_noun, self.item_nouns or f"{self.item_noun}s"

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
        if self.layout == "auto" and (self.ratings_file or self.train_file):
            object.__setattr__(self, "layout", "custom" if self.ratings_file else "presplit")
        if not self.item_noun.strip():
            raise ConfigError("data.item_noun is empty; say what an item is called, such as book")
        _one_of("data.split", self.split, get_args(SplitStrategy))
        if not 0 < self.train_ratio < 1 or not 0 <= self.val_ratio < 1 or self.train_ratio + self.val_ratio >= 1:
            raise ConfigError(
                f"data.train_ratio={self.train_ratio} and data.val_ratio={self.val_ratio} leave nothing for test; "
                "choose shares above 0 that sum to less than 1"
            )
        if not 0 < self.fold_in_ratio < 1:
            raise ConfigError(
                f"data.fold_in_ratio={self.fold_in_ratio} leaves nothing to fold in or nothing to find; choose a share "
                "between 0 and 1"
            )
        if self.layout == "presplit" and self.split in (USERS, *NEXT):
            what = "users" if self.split == USERS else "histories"
            raise ConfigError(
                f"data.split={self.split} divides the {what} itself, and these data come with their parts (layout "
                "presplit); give all ratings as data.ratings_file, or leave data.split as it is"
            )
        if not 0 < self.train_size <= 1:
            raise ConfigError(f"data.train_size={self.train_size} must be above 0 and at most 1")
        if self.scale_is_set and self.rating_min >= self.rating_max:
            raise ConfigError(f"data.rating_min={self.rating_min} must be below data.rating_max={self.rating_max}")
        for name in ("min_user_interactions", "min_item_interactions", "negative_samples"):
            if getattr(self, name) < 1:
                raise ConfigError(f"data.{name}={getattr(self, name)} must be at least 1")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        told = " or leave it empty" if "" in choices else ""
        raise ConfigError(f"{name}={value} is not known; choose one of {', '.join(filter(None, choices))}{told}")


def data_set_name(text: str) -> str:
    """A name for a data set by its file's or folder's; "" where none can be made of it."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:_LONGEST_MADE_NAME].strip("-")
    return "" if name.lower() in _OF_THE_STORE else name


def packaged(name: str) -> Path:
    """A folder at the top of the repository, such as configs/: inside an installed package, or in the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "packaged" / name
    return installed if installed.exists() else package.parent / name
