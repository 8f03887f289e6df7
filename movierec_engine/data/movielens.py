"""The MovieLens folder layouts, told apart by the files in them."""

from dataclasses import dataclass, replace
from pathlib import Path

from movierec_engine.data.config import ColumnNames
from movierec_engine.data.download import ARCHIVES
from movierec_engine.data.table_file import TableFile, open_headerless, open_table, sql_text
from movierec_engine.errors import DataError

RATING_COLUMNS = ColumnNames(user="userId", item="movieId", rating="rating", timestamp="timestamp")
MOVIE_COLUMNS = ("movieId", "title", "genres")
TITLE_COLUMNS = ColumnNames(id="movieId", title="title", genres="genres", year="")
GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""The 19 flags at the end of a line of u.item, in their order."""


@dataclass(frozen=True)
class Layout:
    """One form of MovieLens folder: it is known by its ratings file and, where two share that, by a `marker` file.

    latin1: its titles are published in Latin-1, not in UTF-8.
    """

    name: str
    ratings: str
    movies: str
    delimiter: str
    latin1: bool = False
    marker: str = ""

    def is_in(self, folder: Path) -> bool:
        return (folder / self.ratings).is_file() and (folder / self.marker).exists()


LAYOUTS = (
    Layout("latest-small, 20M, 25M or 32M", "ratings.csv", "movies.csv", ","),
    Layout("100K", "u.data", "u.item", "\t", latin1=True),
    Layout("1M", "ratings.dat", "movies.dat", "::", latin1=True, marker="users.dat"),
    Layout("10M", "ratings.dat", "movies.dat", "::"),
)


def find_layout(folder: Path) -> Layout:
    """The layout of a MovieLens folder; raises DataError when it is none."""
    if folder.is_file():
        raise DataError(f"{folder}: data.dir is a file; give the folder that holds it")
    if not folder.exists():
        raise DataError(f"{folder}: no such folder; {_fetch_hint(folder)}")
    for layout in LAYOUTS:
        if layout.is_in(folder):
            return layout
    raise DataError(f"{folder}: no ratings.csv, u.data or ratings.dat in this folder; {_fetch_hint(folder)}")


def open_ratings(folder: Path, layout: Layout) -> TableFile:
    """The ratings file of a layout, with the columns RATING_COLUMNS."""
    names = (RATING_COLUMNS.user, RATING_COLUMNS.item, RATING_COLUMNS.rating, RATING_COLUMNS.timestamp)
    path = folder / layout.ratings
    if layout.ratings.endswith(".csv"):
        return open_table(path, names, missing_hint=_fetch_hint(folder))
    hint = _fetch_hint(folder)
    return open_headerless(path, names, layout.delimiter, should_be_utf8=not layout.latin1, missing_hint=hint)


def open_movies(folder: Path, layout: Layout) -> TableFile:
    """The movies file of a layout, with the columns MOVIE_COLUMNS."""
    path = folder / layout.movies
    if layout.movies.endswith(".csv"):
        return open_table(path, MOVIE_COLUMNS, missing_hint=_fetch_hint(folder))
    if layout.movies == "u.item":
        return _open_u_item(path, _fetch_hint(folder))
    hint = _fetch_hint(folder)
    return open_headerless(path, MOVIE_COLUMNS, layout.delimiter, should_be_utf8=not layout.latin1, missing_hint=hint)


def _open_u_item(path: Path, missing_hint: str) -> TableFile:
    """id | title | release date | video release date | IMDb URL | 19 flags, one for each genre."""
    before = ("movieId", "title", "released", "video", "url")
    file = open_headerless(path, (*before, *GENRES_100K), "|", should_be_utf8=False, missing_hint=missing_hint)
    flags = ", ".join(
        f"CASE WHEN {file.columns[genre]} = '1' THEN {sql_text(genre)} END"
        for genre in GENRES_100K
        if genre != "unknown"
    )
    return replace(file, columns=file.columns | {"genres": f"concat_ws('|', {flags})"})


def _fetch_hint(folder: Path) -> str:
    name = folder.name if folder.name in ARCHIVES else "ml-latest-small"
    return f"run `movierec data fetch {name}` or unpack a MovieLens archive there"
