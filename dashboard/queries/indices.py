"""Recommendations and explanations of the stored indices: for a user, a new user, or beside a movie.

The lists are those that the API answers, without a person's live feedback.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.queries.data import SPLIT_FILE
from dashboard.queries.parquet import records
from dashboard.queries.store_files import folders, slot_folders, slot_of, store_at, wanted_first
from movierec_engine.data.display_titles import display_title
from movierec_engine.data.id_map import IdMap, PublicId
from movierec_engine.data.nouns import MOVIES, Nouns, nouns_of_titles
from movierec_engine.data.written_ids import escaped, parsed_id, split, unescaped
from movierec_engine.errors import DataError, StoreError
from movierec_engine.feedback import UserState
from movierec_engine.models.explanation import Explanation
from movierec_engine.recommending import explanation
from movierec_engine.recommending.dials import Dials
from movierec_engine.recommending.title_search import TitleSearch
from movierec_engine.store import SERVING, Artifact, ArtifactStore, is_refitted, kinds

if TYPE_CHECKING:
    from movierec_engine.retrieval.index import RetrievalIndex
    from movierec_engine.serving.loaded_index import LoadedIndex
    from movierec_engine.serving.person import Person


@dataclass(frozen=True)
class IndexVersion:
    """An index that can be asked, as its manifest has it."""

    id: str
    model: str
    device: str
    version: str
    data: str
    trained_model: str
    folder: str
    split: str
    """The file of the split that it was trained on, "" where it is gone."""
    fingerprint: str
    """Fingerprint of the evaluation set-up that it was measured in."""
    served: bool
    report: str
    """The folder of the report on its trained model, "" where there is none."""
    refitted: bool
    """Whether it is a measured version refitted on all interactions, so that it knows the test part."""
    nouns: Nouns = MOVIES
    """The data set's words for one item, and several."""


@dataclass(frozen=True, eq=False)
class SearchableIndex:
    """An index in memory, as the API loads it, with a search over its titles."""

    served: "LoadedIndex"
    titles: tuple[str, ...]
    """By item, with the year."""
    genres: tuple[tuple[str, ...], ...]
    search: TitleSearch

    @property
    def index(self) -> "RetrievalIndex":
        return self.served.index

    def item(self, movie_id: PublicId) -> int | None:
        return self.index.items.place(movie_id)

    def user(self, user_id: PublicId) -> int | None:
        return self.index.users.place(user_id)

    def written(self, ids: IdMap, text: str) -> PublicId | None:
        """The id that somebody has typed in; None for what cannot be one here."""
        try:
            return parsed_id(text, ids.are_texts)
        except DataError:
            return None

    def trained_with(self, user_id: PublicId) -> bool:
        """True for a user with train interactions; others are folded in from all their ratings, as the API does."""
        user = self.user(user_id)
        return user is not None and bool(self.index.personal[user])

    def rated_by(self, user_id: PublicId) -> dict[PublicId, float]:
        """Movie id -> rating of everything that somebody has rated in the raw data."""
        movies, ratings = self.index.rated.by(user_id)
        return dict(zip(movies.tolist(), ratings.tolist(), strict=True))

    def knows(self, user_id: PublicId) -> bool:
        """True for a user who is in the data, also outside of what models are trained on."""
        return self.user(user_id) is not None or len(self.index.rated.by(user_id)[0]) > 0

    def movie_id(self, item: int) -> PublicId:
        public_id: PublicId = self.index.items.ids[item].item()
        return public_id

    def find(self, text: str, k: int) -> list[PublicId]:
        """The movie ids that a search finds, best first; the most popular ones for no search."""
        if not text:
            return [self.movie_id(item) for item in self.index.most_popular(k)[0].tolist()]
        return [self.movie_id(item) for item, _ in self.search.find(text, k)]

    def title(self, movie_id: PublicId) -> str:
        item = self.item(movie_id)
        return f"Movie {movie_id}" if item is None else self.titles[item]


@dataclass(frozen=True)
class Recommended:
    """One place of a list."""

    rank: int
    movie_id: PublicId
    title: str
    score: float
    """The model's own: scores of different models are on different scales."""


@dataclass(frozen=True)
class RecommendedList:
    """A list, best first, and where it comes from: personal, fold-in or popularity."""

    source: str
    movies: tuple[Recommended, ...]


@dataclass(frozen=True)
class Reason:
    """The explanation of a movie's score for a person."""

    sentence: str
    score: float
    base: float
    exact: bool
    contributions: tuple[tuple[str, float], ...]
    """Title of a movie of the history and what it adds, the largest first; no dislike that raises the score."""


@dataclass(frozen=True)
class Rated:
    """A movie that a user has rated, and in which part of the split."""

    movie_id: PublicId
    rating: float | None
    part: str


def index_versions(root: Path) -> list[IndexVersion]:
    """The promoted index of each data set, then of every model and device the newest measured one of each set-up."""
    store = store_at(root)
    served = [made for folder in folders(root / "pointers") if (made := _served(store, folder.name)) is not None]
    others = [made for folder in slot_folders(root, kinds.FAISS_INDEX) for made in _measured(store, folder)]
    measured = [made for made in others if made not in served]
    return [_version(store, made, made in served) for made in (*served, *measured)]


def _measured(store: ArtifactStore, folder: Path) -> list[Artifact]:
    """The newest version of each set-up in a slot's folder, without refitted ones."""
    found: dict[str, Artifact] = {}
    for version in wanted_first(folder):
        made = _manifest(store.root, folder, version)
        if made is not None and not is_refitted(made):
            found.setdefault(made.fingerprint, made)
    return list(found.values())


@lru_cache(maxsize=5_000)
def _manifest(root: Path, folder: Path, version: str) -> Artifact | None:
    """A version, which never changes; None where its manifest cannot be read."""
    try:
        return store_at(root).get(slot_of(root, folder), version)
    except (StoreError, OSError, ValueError):
        return None


def load(root: Path, folder: Path) -> SearchableIndex:
    """The index in a folder. Raises StoreError where it cannot be read, or is of an older layout."""
    from movierec_engine.retrieval.index import RetrievalIndex
    from movierec_engine.retrieval.masks import serving_mask
    from movierec_engine.serving.catalogue import MovieCatalogue
    from movierec_engine.serving.lineage import Lineage
    from movierec_engine.serving.loaded_index import LoadedIndex

    store = store_at(root)
    try:
        artifact = store.get(slot_of(root, folder.parent), folder.name)
        index = RetrievalIndex.load(folder)
    except Exception as error:  # whatever is wrong with the files
        raise StoreError(f"{folder.name} cannot be read ({error})") from error
    lineage = Lineage.of(store, artifact)
    catalogue = MovieCatalogue(index, lineage)
    movies = catalogue.movies[: catalogue.n_items]
    return SearchableIndex(
        LoadedIndex(artifact, index, catalogue, lineage, serving_mask(index)),
        tuple(map(_titled, movies)),
        tuple(tuple(movie["genres"] or ()) for movie in movies),
        TitleSearch([movie["title"] for movie in movies], [movie["year"] for movie in movies], index.popularity),
    )


def _titled(movie: Mapping[str, Any]) -> str:
    """A movie's title as people read it, with its year, where that is known."""
    title = display_title(movie["title"])
    return f"{title} ({movie['year']})" if movie["year"] else title


def rated_by(split: str, user_id: PublicId) -> list[Rated]:
    """Movies that a user has rated, newest first; none where the split cannot be read."""
    rows = records(
        "SELECT movie_id, rating, part FROM parquet_file(?) WHERE user_id = ? ORDER BY timestamp DESC, movie_id",
        *(split, user_id),
    )
    return [Rated(row["movie_id"], float(row["rating"]), str(row["part"])) for row in rows or []]


def examples(found: SearchableIndex, hit: Collection[PublicId] = ()) -> dict[str, PublicId]:
    """Users to begin with: those with the fewest, a typical number of, and the most train movies.

    hit: users with a hit in their list, of whom the typical one is then.
    """
    activity = np.diff(found.index.history.indptr)
    trained = np.flatnonzero(activity)
    if not len(trained):
        return {}
    order = trained[np.argsort(activity[trained], kind="stable")]
    places = {"Fewest movies": 0, "Typical": len(order) // 2, "Most movies": len(order) - 1}
    users = {name: found.index.users.ids[order[place]].item() for name, place in places.items()}
    if hit and users["Typical"] not in hit:
        named = found.index.users.ids[order]
        having = np.flatnonzero([user in hit for user in named.tolist()])
        if len(having):
            users["Typical"] = named[having[np.abs(having - len(order) // 2).argmin()]].item()
    return users


def for_user(
    found: SearchableIndex, user_id: PublicId, k: int, dials: Dials, known: Collection[PublicId] | None = None
) -> RecommendedList:
    """The list of a user, as the API would give it without the live log.

    known: the movies that a trained user's list leaves out, where it is to be as measured: then those of the test part
    can be hit. By default all that the user has rated.
    """
    served = found.served
    if known is not None:
        measured = served.catalogue.items([*known])
        served = replace(served, mask=lambda user: measured)
    return _listed(served, _user(served, user_id), k, dials)


def for_history(found: SearchableIndex, told: Mapping[PublicId, float | None], k: int, dials: Dials) -> RecommendedList:
    """The list of somebody who has told these movies, movie id -> rating, None for one without."""
    from movierec_engine.serving.person import of_history

    return _listed(found.served, of_history(found.served, told), k, dials)


def why(
    found: SearchableIndex, user_id: PublicId | None, movie_id: PublicId, ratings: Mapping[PublicId, float | None]
) -> Reason:
    """Explain a movie's score in a user's list, or, where user_id is None, of a new user with these ratings.

    ratings: movie id -> the person's rating, as far as it is known.
    """
    from movierec_engine.serving.person import of_history

    served, index, item = found.served, found.index, found.item(movie_id)
    assert item is not None
    person = of_history(served, ratings) if user_id is None else _user(served, user_id)
    if person.user is not None:
        made: Explanation = index.explain(person.user, item)
    else:
        made, ratings = index.explain_for_history(person.taste, item), person.ratings
    given = ((found.item(movie), rating) for movie, rating in ratings.items())
    own = {place: rating for place, rating in given if place is not None and rating is not None}
    titles = dict(enumerate(found.titles))
    least = index.facts.liked_from
    return Reason(
        explanation.sentence(made, titles, own, least, found.served.lineage.nouns),
        made.score,
        made.base,
        made.exact,
        tuple((found.titles[place], amount) for place, amount in explanation.reasons_to_show(made, own, least)),
    )


def similar(found: SearchableIndex, movie_id: PublicId, k: int) -> list[dict[str, Any]]:
    """The movies most like one: movie_id, title, similarity, and the genres that both have."""
    item = found.item(movie_id)
    if item is None:
        return []
    own = set(found.genres[item])
    return [
        {
            "movie_id": found.movie_id(other),
            "title": found.titles[other],
            "similarity": value,
            "shared": [genre for genre in found.genres[other] if genre in own],
        }
        for other, value in zip(*(part.tolist() for part in found.index.similar_to(item, k)), strict=True)
    ]


def _user(served: "LoadedIndex", user_id: PublicId) -> "Person":
    """A user of whom the live log says nothing."""
    from movierec_engine.serving.person import of_user

    return of_user(served, user_id, UserState())


def _listed(served: "LoadedIndex", person: "Person", k: int, dials: Dials) -> RecommendedList:
    """A person's list as plain values. Raises ConfigError for what dials cannot know."""
    from movierec_engine.serving.list_making import list_for
    from movierec_engine.serving.list_options import ListOptions

    made = list_for(served, person, ListOptions(k, dials))
    movies = served.catalogue.movies
    return RecommendedList(
        made.source,
        tuple(
            Recommended(rank, movies[item]["movie_id"], _titled(movies[item]), score)
            for rank, (item, score) in enumerate(zip(made.items, made.scores, strict=True), start=1)
        ),
    )


def _served(store: ArtifactStore, data: str) -> Artifact | None:
    try:
        served = store.pointed(SERVING, data)
    except (StoreError, OSError):
        return None
    return served if served is not None and served.slot.kind == kinds.FAISS_INDEX else None


def _version(store: ArtifactStore, made: Artifact, served: bool) -> IndexVersion:
    split, slot = "", made.slot
    with suppress(StoreError, OSError, ValueError, IndexError):
        splits = store.resolve(str(made.parents.get(kinds.SPLITS) or _splits_of(store, made)))
        split = str(splits.folder / SPLIT_FILE)
    nouns = MOVIES
    with suppress(StoreError, OSError, ValueError, IndexError):
        nouns = nouns_of_titles(store.resolve(made.parents.get(kinds.RAW_MOVIES, "")).facts)
    trained, folder = str(made.parents.get(kinds.TRAINED_MODEL, "")), str(made.folder)
    of = (made.reference, slot.model, slot.device, made.version, slot.data_set, trained, folder, split)
    return IndexVersion(*of, made.fingerprint, served, "", is_refitted(made), nouns)


def _splits_of(store: ArtifactStore, made: Artifact) -> str:
    return store.resolve(str(made.parents.get(kinds.TRAINED_MODEL, ""))).parents.get(kinds.SPLITS, "")


def parsed_history(text: str, texts: bool) -> dict[PublicId, float | None]:
    """Movie id -> rating, None without one, from a text such as `1:5,318:4.5,7`; what is none of these is left out.

    texts: whether the movies' ids are texts.
    """
    found: dict[PublicId, float | None] = {}
    for word in split(text, ",")[:MOST_TOLD]:
        movie, *given = split(word, ":", 1)
        with suppress(ValueError, DataError):
            rating = float(given[0]) if any(given) else None
            if movie and (rating is None or 0 <= rating <= 1000):
                found[parsed_id(unescaped(movie), texts)] = rating
    return found


def unread_history(text: str, texts: bool, told: Collection[PublicId]) -> list[str]:
    """The words of such a text that tell of none of these movies."""
    return [word for word in split(text, ",") if word and not set(parsed_history(word, texts)) & set(told)]


def written_history(ratings: Mapping[PublicId, float | None]) -> str:
    """The text that `parsed_history` reads."""
    return ",".join(
        escaped(movie) if rating is None else f"{escaped(movie)}:{rating:g}" for movie, rating in ratings.items()
    )


MOST_TOLD = 50
"""Movies that a new user can tell."""


def in_every(lists: Sequence[RecommendedList]) -> set[PublicId]:
    """The movies that stand in every list."""
    return set.intersection(*({one.movie_id for one in answer.movies} for answer in lists)) if lists else set()
