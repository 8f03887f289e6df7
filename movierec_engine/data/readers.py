"""Ratings and movies of a configured data set, read and validated."""

from movierec_engine.data.config import DataConfig
from movierec_engine.data.id_kinds import kinds_of_ids, read_typed
from movierec_engine.data.mapped_files import id_columns, open_ratings_files, open_titles, title_ids
from movierec_engine.data.movielens import RATING_COLUMNS, find_layout, open_movies, open_ratings
from movierec_engine.data.movies import complete_movies, validated_movies
from movierec_engine.data.presplit import read_presplit
from movierec_engine.data.ratings import MOVIES_SCHEMA, Movies, Ratings
from movierec_engine.data.validation import validated_ratings

__all__ = ["complete_movies", "read_movies", "read_ratings"]


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
        file, columns = open_ratings_files(config)[""]
        return read_typed(
            id_columns(config), lambda kinds: validated_ratings(file, columns, config, kinds), title_ids(config)
        )
    folder = config.folder
    return validated_ratings(open_ratings(folder, find_layout(folder)), RATING_COLUMNS, config)


def read_movies(config: DataConfig) -> Movies:
    """The movies of a data set: MOVIES_SCHEMA, sorted by movie_id; empty for layouts custom and presplit without one.

    Ids are of the type of the ratings' items.

    Raises DataError, naming file, line and remedy, when the file is missing, unreadable or holds an id that is not
    valid (see `validated_movies`).
    """
    if config.layout == "auto":
        folder = config.folder
        return validated_movies(open_movies(folder, find_layout(folder)))
    file = open_titles(config)
    if file is None:
        return Movies(MOVIES_SCHEMA.empty_table())
    of_ratings = id_columns(config) if config.ratings_file or config.train_file else []
    return validated_movies(file, kinds_of_ids([*title_ids(config), *of_ratings]))
