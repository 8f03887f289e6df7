"""Ratings and movies of a configured data set, read and validated."""

import logging

from movierec_engine.data.config import DataConfig
from movierec_engine.data.id_kinds import kinds_of_ids, read_typed
from movierec_engine.data.likes import are_zeros_and_ones, low_ratings, negative_ratings, no_rating
from movierec_engine.data.mapped_files import RatingsFile, TitlesFile, open_files, open_titles, warn_of_missing
from movierec_engine.data.movielens import RATING_COLUMNS, TITLE_COLUMNS, find_layout, open_movies, open_ratings
from movierec_engine.data.movies import complete_movies, items_with_title, lacking_titles, validated_movies
from movierec_engine.data.presplit import read_presplit
from movierec_engine.data.ratings import MOVIES_SCHEMA, Movies, Ratings
from movierec_engine.data.validation import validated_ratings

__all__ = ["complete_movies", "items_with_title", "lacking_titles", "read_movies", "read_ratings"]

log = logging.getLogger(__name__)


def read_ratings(config: DataConfig) -> Ratings:
    """The validated ratings of a data set: RATINGS_SCHEMA, or PRESPLIT_SCHEMA for layout presplit.

    Sorted by user_id, movie_id with one row for each pair; what was dropped or repaired is in the report. Ids of
    MovieLens are int64; of the other layouts user_id and movie_id are int64 or string, as `kinds_of_ids` says.

    Raises DataError, naming file, line and remedy, when a file is missing, unreadable or holds a value that is not
    valid (see `validated_ratings` and `read_presplit`).
    """
    if config.layout == "presplit":
        return read_presplit(config)
    if config.layout == "custom":
        return _read_custom(config)
    folder = config.folder
    return validated_ratings(RatingsFile(open_ratings(folder, find_layout(folder)), RATING_COLUMNS), config)


def read_movies(config: DataConfig) -> Movies:
    """The movies of a data set: MOVIES_SCHEMA, sorted by movie_id; empty for layouts custom and presplit without one.

    Ids are of the type of the ratings' items.

    Raises DataError, naming file, line and remedy, when the file is missing, unreadable or holds an id that is not
    valid (see `validated_movies`).
    """
    if config.layout == "auto":
        folder = config.folder
        return validated_movies(TitlesFile(open_movies(folder, find_layout(folder)), TITLE_COLUMNS), config)
    if not config.movies_file:
        return Movies(MOVIES_SCHEMA.empty_table())
    if not (config.ratings_file or config.train_file):
        titles = open_titles(config)
        assert titles is not None
        return validated_movies(titles, config, kinds_of_ids([titles.ids]))
    files = open_files(config)
    assert files.titles is not None
    return validated_movies(files.titles, config, kinds_of_ids([*files.title_ids(), *files.ids()]))


def _read_custom(config: DataConfig) -> Ratings:
    files = open_files(config)
    opened = files.ratings[""]
    warn_of_missing(opened, config.columns)
    ratings = read_typed(
        files.ids(),
        lambda kinds: validated_ratings(opened, config, kinds),
        files.title_ids(),
        bad_ids_are_said=config.format.bad_rows == "refuse",
    )
    log.info("%s is read as %s; %s", opened.file.name, opened, ratings)
    values = ratings.table["rating"].to_numpy()
    if are_zeros_and_ones(values) and (said := low_ratings(values, config.rating_threshold)):
        log.warning("%s: of %s %s", opened.file.name, opened.columns.rating, said)
    if no_rating(values) is not None and (said := negative_ratings(values, config.rating_threshold)):
        log.warning("%s: of %s %s", opened.file.name, opened.columns.rating, said)
    return ratings
