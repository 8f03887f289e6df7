"""From the raw files to the graph, and the data set that is meant where none is named.

These steps follow from their inputs alone, so a version that was made from the same inputs is used again instead of
being made twice.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from movierec_engine.config import Settings, usual_data_set
from movierec_engine.data.config import USERS, DataConfig
from movierec_engine.data.graph import build_graph
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions, load_id_maps, positives
from movierec_engine.data.nouns import MOVIES
from movierec_engine.data.ratings import Movies, Ratings
from movierec_engine.data.readers import lacking_titles, read_movies, read_ratings
from movierec_engine.data.split import (
    SPLIT_VERSION,
    Split,
    future_share,
    split,
    tied_share,
    unknown_to_train,
    user_counts,
)
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.drift import save_counts
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.pipeline import code_versions
from movierec_engine.pipeline.feedback import with_feedback
from movierec_engine.reporting.progress import step
from movierec_engine.store import Artifact, ArtifactStore, Slot, content_key, kinds

log = logging.getLogger(__name__)

Origin = Mapping[str, str]
"""Ids of the Dagster and MLflow runs that make an artifact, for its manifest."""


FILTER_SETTINGS = ("rating_threshold", "min_user_interactions", "min_item_interactions")


SPLIT_SETTINGS = ("split", "split_seed", "train_ratio", "val_ratio", "fold_in_ratio")


def split_settings(strategy: str) -> tuple[str, ...]:
    """The names of SPLIT_SETTINGS that decide a split of a strategy."""
    return SPLIT_SETTINGS if strategy == USERS else SPLIT_SETTINGS[:-1]


def data_slot(kind: str, config: DataConfig) -> Slot:
    """The slot of a data step's versions: `<kind>/<data set>`."""
    return Slot(kind, config.name)


def choose_data_set(store: ArtifactStore, kind: str, named: str = "", option: str = "--data") -> str:
    """The named data set; else the only one that has artifacts of a kind, else the one of configs/, `data.name`.

    option: what names one. Raises StoreError with the choices where that leaves several, or where the named one is not
    among those that there are.
    """
    known = store.data_sets(kind)
    if named and (named in known or not known):
        return named
    if len(known) == 1 and not named:
        return known[0]
    usual = named or usual_data_set()
    if usual in known or not known:
        return usual
    if named:
        raise StoreError(f"{store.location} has no {kind} of the data set {named}; there are {', '.join(known)}")
    raise StoreError(f"{store.location} has the data sets {', '.join(known)}; choose one by {option} NAME")


def named_data_set(settings: Settings) -> str:
    """The data set that a run's own settings name, as `data.name=...`; "" where it is the one of configs/."""
    named = any(one.lstrip("+").startswith(("data=", "data.name=")) for one in settings.overrides)
    return settings.data.name if named else ""


@step("reading the ratings")
def ingest_ratings(
    store: ArtifactStore, config: DataConfig, origin: Origin | None = None, *, feedback: FeedbackLogs | None = None
) -> Artifact:
    """Read and validate the raw ratings, take in what people have rated since, and leave out who was erased.

    feedback: the logs; unless given those of the store, or the database that MOVIEREC_FEEDBACK_URL names.
    """
    ratings = read_ratings(config)
    types = (ratings.table.schema.field(name).type for name in ("user_id", "movie_id"))
    with closing((feedback or FeedbackLogs.of_environment(store.root)).of(config.name)) as log:
        intake = log.intake(*types)
    ratings, taken = with_feedback(ratings, intake, lambda: read_movies(config), config)
    tables = [ratings.table] if ratings.negatives is None else [ratings.table, ratings.negatives]
    facts = {
        "ratings": len(ratings.table),
        "users": len(IdMap.of(ratings.table["user_id"])),
        "movies": len(IdMap.of(ratings.table["movie_id"])),
        "validation": ratings.report.to_dict(),
        "feedback": asdict(taken),
    }
    key: list[object] = [*map(_digest, tables)]
    if taken.newest_seq or taken.newest_erasure:  # a version says through which event and erasure it goes
        key += [taken.newest_seq, taken.newest_erasure]

    def save(folder: Path) -> None:
        ratings.save(folder)
        save_counts(folder)

    return _data_step(store, kinds.RAW_RATINGS, config, content_key(*key), lambda: (save, facts, ""), {}, origin)


def ingest_movies(store: ArtifactStore, config: DataConfig, origin: Origin | None = None) -> Artifact:
    """Read the titles, years and genres."""
    movies = read_movies(config)
    other_words = () if config.nouns == MOVIES else config.nouns
    metadata = () if movies.metadata is None else (_digest(movies.metadata),)
    facts = {"movies": len(movies.table), "nouns": list(config.nouns), "validation": movies.report.to_dict()}
    return _data_step(
        store,
        kinds.RAW_MOVIES,
        config,
        content_key(_digest(movies.table), *other_words, *metadata),
        lambda: (movies.save, facts, ""),
        {},
        origin,
    )


def warn_of_lacking_titles(raw_movies: Artifact, interactions: Artifact, config: DataConfig) -> None:
    """Say so where there is a file of titles, but most items are not in it."""
    _, items = load_id_maps(interactions.folder)
    movies = Movies.load(raw_movies.folder)
    if len(movies.table) and (said := lacking_titles(movies, items.ids, config.item_noun)):
        log.warning("%s: %s", config.movies_file or config.dir, said)


@step("filtering the interactions")
def filter_interactions(
    store: ArtifactStore, raw_ratings: Artifact, config: DataConfig, origin: Origin | None = None
) -> Artifact:
    """Turn ratings into positive interactions: threshold and k-core."""

    def make() -> "_Made":
        ratings = Ratings.load(raw_ratings.verify().folder)
        interactions = positives(ratings, config)
        facts = {
            "interactions": len(interactions),
            "users": interactions.n_users,
            "items": interactions.n_items,
            "density": len(interactions) / (interactions.n_users * interactions.n_items),
            "dropped_share": 1 - len(interactions) / len(ratings.table),
        }
        return interactions.save, facts, ""

    decided_by = {name: getattr(config, name) for name in FILTER_SETTINGS}
    key = content_key(raw_ratings.key, decided_by, *code_versions.in_key(kinds.INTERACTIONS))
    return _data_step(store, kinds.INTERACTIONS, config, key, make, {kinds.RAW_RATINGS: raw_ratings}, origin)


@step("splitting the interactions")
def split_interactions(
    store: ArtifactStore, interactions: Artifact, config: DataConfig, origin: Origin | None = None
) -> Artifact:
    """Divide the interactions into train, validation and test; from here on artifacts carry the fingerprint."""

    def make() -> Split:
        ratings = Ratings.load(store.resolve(interactions.parents[kinds.RAW_RATINGS]).folder)
        return split(Interactions.load(interactions.verify().folder), config, ratings)

    key = content_key(
        interactions.key, {name: getattr(config, name) for name in split_settings(config.split)}, "liked_from"
    )
    return publish_split(store, config, key, make, interactions, origin)


def publish_split(
    store: ArtifactStore,
    config: DataConfig,
    key: str,
    make: Callable[[], Split],
    interactions: Artifact,
    origin: Origin | None = None,
) -> Artifact:
    """The split that `make` gives, made unless the store has it; key: of everything that decides it but the program."""
    from movierec_engine.evaluation.fingerprint import fingerprint
    from movierec_engine.evaluation.metrics import METRICS_VERSION

    def made() -> "_Made":
        parts = make()
        facts = {
            "strategy": parts.strategy,
            "boundaries": parts.boundaries,
            "future_share": future_share(parts),
            "tied_share": tied_share(parts),
            "liked_from": parts.liked_from,
            **{name: len(part) for name, part in parts.named().items()},
            "users": parts.train.n_users,
            "items": parts.train.n_items,
            **(people := user_counts(parts)),
        }
        if left_out := people.get("left_out_users"):
            log.warning(
                "%s: %s of the held-out users were left out, as fewer than two of their items are in train",
                *(config.name, f"{left_out:,}"),
            )
        if config.layout == "presplit":
            _say_what_train_lacks(parts, config)
        return parts.save, facts, fingerprint(parts)

    key = content_key(key, SPLIT_VERSION, METRICS_VERSION, "dislikes")
    return _data_step(store, kinds.SPLITS, config, key, made, {kinds.INTERACTIONS: interactions}, origin)


def _say_what_train_lacks(parts: Split, config: DataConfig) -> None:
    for name, part in (("validation", parts.validation), ("test", parts.test)):
        of_users, of_items = unknown_to_train(parts, part)
        if of_users or of_items:
            log.warning(
                "%s: of %s rows in %s %s are of users and %s of items that train does not have; such users get popular "
                "%s, and such items are hardly found",
                *(config.name, f"{len(part):,}", name, f"{of_users:,}", f"{of_items:,}", config.nouns[1]),
            )


@step("building the graph")
def build_interaction_graph(
    store: ArtifactStore, splits: Artifact, config: DataConfig, origin: Origin | None = None
) -> Artifact:
    """Build the normalised graph of the train interactions."""

    def make() -> "_Made":
        graph = build_graph(load_split(splits.verify()).train)
        return graph.save, {"nodes": graph.n_users + graph.n_items, "edges": graph.n_edges}, splits.fingerprint

    key = content_key(splits.key, "graph", *code_versions.in_key(kinds.INTERACTION_GRAPH))
    return _data_step(store, kinds.INTERACTION_GRAPH, config, key, make, {kinds.SPLITS: splits}, origin)


def load_split(splits: Artifact) -> Split:
    """The split that an artifact of kind `splits` holds."""
    facts = splits.facts
    return Split.load(splits.folder, facts["strategy"], facts["boundaries"], facts["liked_from"])


def raw_ratings_of(store: ArtifactStore, splits: Artifact) -> Artifact:
    """The raw ratings that a split was made from."""
    return store.resolve(store.resolve(splits.parents[kinds.INTERACTIONS]).parents[kinds.RAW_RATINGS])


_Made = tuple[Callable[[Path], None], dict[str, Any], str]
"""A function that writes an artifact's files, its facts, and its fingerprint ("" before the split)."""


def _data_step(
    store: ArtifactStore,
    kind: str,
    config: DataConfig,
    key: str,
    make: Callable[[], _Made],
    parents: Mapping[str, Artifact],
    origin: Origin | None,
) -> Artifact:
    """The version with this key if the store has an undamaged one, else a new one; the slot's newest from now on."""
    slot = data_slot(kind, config)
    with suppress(StoreError):  # a damaged version is made again
        if existing := store.find(slot, key):
            return store.set_latest(existing.verify())
    write, facts, fingerprint = make()
    return store.publish(
        slot,
        write,
        key=key,
        fingerprint=fingerprint,
        config=asdict(config),
        parents=parents,
        origin=origin,
        facts=facts,
    )


def _digest(table: pa.Table) -> str:
    """SHA-256 of a table's content, independent of how it is chunked."""
    digest = hashlib.sha256(str(table.schema).encode())
    for batch in table.combine_chunks().to_batches(max_chunksize=2**20):
        digest.update(batch.serialize())
    return digest.hexdigest()
