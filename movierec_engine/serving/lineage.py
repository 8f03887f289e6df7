"""Lineage of an index, as far as answers need it: read from the parents' manifests when it is loaded."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.data.id_map import PublicId
from movierec_engine.data.interactions import EARLY
from movierec_engine.data.nouns import MOVIES, Nouns, nouns_of_titles
from movierec_engine.data.ratings import MOVIES_SCHEMA
from movierec_engine.errors import StoreError
from movierec_engine.store import Artifact, ArtifactStore, kinds

RATINGS_FILE = "ratings.parquet"


class GivenRating(NamedTuple):
    movie_id: PublicId
    rating: float
    timestamp: int
    """In seconds since 1970, or where the data have no times, 0 or a place in an order (`EARLY`)."""

    @property
    def told_at(self) -> int | None:
        """The second at which it was given, where that is known."""
        return self.timestamp if self.timestamp >= EARLY else None


@dataclass(frozen=True, eq=False)
class Lineage:
    """Facts about one index from the versions it was built from. A deleted parent counts as one that says nothing.

    movies: MOVIES_SCHEMA, the titles of the data set, those outside the catalogue among them.
    """

    data_set: str
    newest_erasure: int
    """Number of the newest erasure that the training data had taken in; 0 where that cannot be told, so that a model is
    rather not asked about somebody than asked wrongly."""
    newest_feedback: int
    """Place in the feedback log of the newest rating that the training data had taken in; 0 for none."""
    movies: pa.Table
    raw_movies: str
    """Reference of the version that the titles are of."""
    ratings_file: Path | None
    nouns: Nouns
    """The data set's words for one of its items, and several."""
    placed: Path | None
    """Where the movies that no model knows were placed among this catalogue, if anybody has done it."""
    used: tuple[Artifact, ...]
    """The versions whose files are read while the index answers."""

    @classmethod
    def of(cls, store: ArtifactStore, index: Artifact) -> "Lineage":
        ancestors = {artifact.slot.kind: artifact for artifact in _ancestors(store, index)}
        raw, titles = ancestors.get(kinds.RAW_RATINGS), ancestors.get(kinds.RAW_MOVIES)
        ratings, placed = _ratings_file(raw), _newest_placement(store, index)
        return cls(
            data_set=index.slot.data_set,
            newest_erasure=int(raw.facts.get("feedback", {}).get("newest_erasure", 0)) if raw else 0,
            newest_feedback=_newest_feedback(raw),
            movies=_titles(titles),
            raw_movies=titles.reference if titles else "",
            ratings_file=ratings,
            nouns=nouns_of_titles(titles.facts) if titles else MOVIES,
            placed=placed.folder if placed else None,
            used=tuple(one for one in (raw if ratings else None, placed) if one),
        )

    def ratings_of(self, user_id: PublicId) -> list[GivenRating]:
        """A user's ratings in the data that the index was trained from, newest first; empty where it is gone."""
        if self.ratings_file is None:
            return []
        try:
            table = pq.read_table(self.ratings_file, filters=[("user_id", "=", user_id)])
        except FileNotFoundError:  # removed since by the retention
            return []
        columns = (table[name].to_pylist() for name in GivenRating._fields)
        return sorted(
            map(GivenRating._make, zip(*columns, strict=True)), key=lambda one: (-one.timestamp, one.movie_id)
        )


def _newest_feedback(raw_ratings: Artifact | None) -> int:
    facts = raw_ratings.facts.get("feedback", {}) if raw_ratings else {}
    return int(facts.get("newest_seq", 0)) if facts.get("taken_in") else 0


def _titles(raw_movies: Artifact | None) -> pa.Table:
    """MOVIES_SCHEMA; empty where the titles are gone or damaged, as an index has those of its own movies."""
    try:
        return (
            pq.read_table(raw_movies.verify().folder / "movies.parquet") if raw_movies else MOVIES_SCHEMA.empty_table()
        )
    except (StoreError, OSError, pa.ArrowException):
        return MOVIES_SCHEMA.empty_table()


def _ratings_file(raw_ratings: Artifact | None) -> Path | None:
    """The file of ratings, unless it is gone, or is not on this host and cannot be fetched."""
    try:
        path = raw_ratings.folder / RATINGS_FILE if raw_ratings else None
    except StoreError:
        return None
    return path if path and path.is_file() else None


def _newest_placement(store: ArtifactStore, index: Artifact) -> Artifact | None:
    """The newest cold-item placement made from the same titles and data; it does not depend on the model."""
    found = [
        version
        for slot in store.slots(kinds.COLD_ITEMS, index.slot.data_set)
        for version in store.versions(slot)
        if version.fingerprint == index.fingerprint
        and version.parents.get(kinds.RAW_MOVIES) == index.parents.get(kinds.RAW_MOVIES)
    ]
    newest = max(found, key=lambda version: version.version, default=None)
    try:
        return newest.verify() if newest else None
    except StoreError:
        return None


def _ancestors(store: ArtifactStore, artifact: Artifact, met: set[str] | None = None) -> Iterator[Artifact]:
    """The parents that can be read, and theirs, each once."""
    met = set() if met is None else met
    for reference in artifact.parents.values():
        if reference in met:
            continue
        met.add(reference)
        try:
            parent = store.resolve(reference)
        except StoreError:
            continue
        yield parent
        yield from _ancestors(store, parent, met)
