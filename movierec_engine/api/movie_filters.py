"""The filters of a request, applied to the movies of a catalogue."""

import numpy as np

from movierec_engine.api.errors import ApiError
from movierec_engine.api.requests import Filters
from movierec_engine.serving.catalogue import Mask, MovieCatalogue


def allowed_movies(catalogue: MovieCatalogue, by: Filters) -> Mask | None:
    """The movies that filters leave, bool [movies] by place; None where no filter is set.

    Raises ApiError 422 for a genre that no movie is of.
    """
    if not by.filtered:
        return None
    allowed = np.ones(len(catalogue.movies), dtype=np.bool_)
    if by.genres:
        allowed = np.any([_of_genre(catalogue, name, "genres") for name in by.genres], axis=0)
    for name in by.genres_not:
        allowed = allowed & ~_of_genre(catalogue, name, "genres_not")
    if by.year_from is not None:
        allowed = allowed & (catalogue.years >= by.year_from)
    if by.year_to is not None:
        allowed = allowed & (catalogue.years <= by.year_to) & (catalogue.years > 0)
    if by.candidates:
        named = np.zeros(len(catalogue.movies), dtype=np.bool_)
        named[[place for one in by.candidates if (place := catalogue.place(one)) is not None]] = True
        allowed = allowed & named
    return np.asarray(allowed)


def _of_genre(catalogue: MovieCatalogue, name: str, parameter: str) -> Mask:
    mask = catalogue.of_genre(name)
    if mask is None:
        raise ApiError(422, f"there is no genre {name!r}; there are {', '.join(catalogue.genre_names)}", parameter)
    return mask
