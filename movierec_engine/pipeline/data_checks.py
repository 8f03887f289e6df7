"""Are the data steps' versions what they should be, and how have they moved since the version before?

Each check takes a store and a version in it. It reads what the files hold, whatever made them, so that nothing rests on
the word of the step that wrote them.
"""

import time

import numpy as np
import pyarrow as pa

from movierec_engine.data.graph import InteractionGraph
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.ratings import MOVIES_SCHEMA, PRESPLIT_SCHEMA, RATINGS_SCHEMA, Movies, Ratings, with_ids_of
from movierec_engine.evaluation import canaries
from movierec_engine.evaluation.canaries import Finding
from movierec_engine.evaluation.drift import DriftConfig
from movierec_engine.pipeline.data import load_split
from movierec_engine.pipeline.data_drift import data_before, data_drift
from movierec_engine.reporting.numbers import percent
from movierec_engine.store import Artifact, ArtifactStore, kinds

CLOCK_SECONDS = 24 * 3600
"""How far ahead of this machine's clock a rating's time may be."""
DUPLICATES = 0.05
"""Largest share of rows that repeat another before somebody should look at the file."""
UNTITLED = 0.01
"""Largest share of movies without a title of their own."""
DROPPED = 0.5
"""Largest share of ratings that the threshold and the k-core may drop."""
GROWTH = (0.9, 2.0)
"""Smallest and largest number of ratings, relative to the version before."""


def ratings_are_valid(store: ArtifactStore, raw_ratings: Artifact) -> Finding:
    """The columns are RATINGS_SCHEMA, each pair is there once, and no value is missing or out of range."""
    table, config = Ratings.load(raw_ratings.folder).table, raw_ratings.config
    wrong = _schema_fault(table, PRESPLIT_SCHEMA if "part" in table.column_names else RATINGS_SCHEMA)
    numbers: dict[str, float] = {"ratings": len(table)}
    if not wrong:
        user, movie = (IdMap.of(table[name]).index(table[name]) for name in ("user_id", "movie_id"))
        rating, timestamp = table["rating"].to_numpy(), table["timestamp"].to_numpy()
        order = np.lexsort((movie, user))
        low, high = config["rating_min"], config["rating_max"]
        if not low and not high:  # the scale was told from the data
            low, high = -np.inf, np.inf
        same = (np.diff(user[order]) == 0) & (np.diff(movie[order]) == 0)
        numbers |= {
            "out_of_range": int((~((rating >= low) & (rating <= high))).sum()),
            "duplicate_pairs": int(same.sum()),
            "negative_ids": _negative(table, "user_id", "movie_id"),
            "impossible_times": int(((timestamp < 0) | (timestamp > time.time() + CLOCK_SECONDS)).sum()),
        }
        wrong = _counted(numbers, "out_of_range", "duplicate_pairs", "negative_ids", "impossible_times")
    return Finding("ratings_are_valid", not wrong, f"{len(table):,} ratings: {wrong or 'all valid'}", numbers)


def few_duplicates(store: ArtifactStore, raw_ratings: Artifact) -> Finding:
    """Reading dropped few rows as repeats of others."""
    report = raw_ratings.facts["validation"]
    dropped = report["duplicate_rows"] + report["duplicate_pairs"]
    share = dropped / max(report["rows_read"], 1)
    repeated = f"{dropped:,} of {report['rows_read']:,} rows repeat another"
    sentence = f"{repeated}, {percent(share)}; up to {percent(DUPLICATES, 0)} is usual"
    return Finding("few_duplicates", share <= DUPLICATES, sentence, {"dropped": dropped, "dropped_share": share})


def data_have_not_drifted(store: ArtifactStore, raw_ratings: Artifact, limits: DriftConfig) -> Finding:
    """Users, items, ratings and genres are distributed as in the data that the served model was trained on.

    While nothing is served, or these data are, as in the version before with other content. By their Jensen-Shannon
    distances. A first version has nothing to be compared with, and passes.
    """
    name = "data_have_not_drifted"
    before = data_before(store, raw_ratings)
    if before is None:
        return Finding(name, True, "the first version; there is none to compare with", {})
    found = data_drift(store, before, raw_ratings)
    told = [one for one in found if one.told(limits)]
    listed = "; ".join(one.sentence for one in (told or found))
    sentence = f"{'drifted from' if told else 'as in'} {before.reference}, by Jensen-Shannon distance: {listed}"
    return Finding(name, not told, sentence, {one.of: one.distance for one in found})


def volume_has_not_jumped(store: ArtifactStore, raw_ratings: Artifact) -> Finding:
    """There are neither many fewer ratings nor many more than in the data that the served model was trained on.

    While nothing is served, or these data are, than in the version before with other content.
    """
    before = data_before(store, raw_ratings)
    if before is None:
        return Finding("volume_has_not_jumped", True, "the first version; there is none to compare with", {})
    now, then = raw_ratings.facts["ratings"], before.facts["ratings"]
    low, high = GROWTH
    return Finding(
        "volume_has_not_jumped",
        low * then <= now <= high * then,
        f"{now:,} ratings after {then:,} in {before.version}; {low:g} to {high:g} times as many are usual",
        {"ratings": now, "ratings_before": then},
    )


def movies_are_valid(store: ArtifactStore, raw_movies: Artifact) -> Finding:
    """The columns are MOVIES_SCHEMA, and every movie is there once."""
    table = Movies.load(raw_movies.folder).table
    wrong = _schema_fault(table, MOVIES_SCHEMA, nullable=("year",))
    numbers: dict[str, float] = {"movies": len(table)}
    if not wrong:
        duplicates = len(table) - len(IdMap.of(table["movie_id"]))
        numbers |= {"duplicate_movies": duplicates, "negative_ids": _negative(table, "movie_id")}
        wrong = _counted(numbers, "duplicate_movies", "negative_ids")
    return Finding("movies_are_valid", not wrong, f"{len(table):,} movies: {wrong or 'all valid'}", numbers)


def movies_have_titles(store: ArtifactStore, raw_movies: Artifact) -> Finding:
    """Few movies are named after their ids for want of a title."""
    count, without = raw_movies.facts["movies"], raw_movies.facts["validation"]["movies_without_title"]
    share = without / max(count, 1)
    sentence = f"{without:,} of {count:,} movies have no title, {percent(share)}; up to {percent(UNTITLED, 0)} is usual"
    return Finding("movies_have_titles", share <= UNTITLED, sentence, {"without_title": without, "share": share})


def interactions_are_valid(store: ArtifactStore, interactions: Artifact) -> Finding:
    """Indices fit the id maps, each pair is there once, and users and items have as many as the k-core asks for."""
    made = Interactions.load(interactions.folder)
    in_range = all(
        (indices >= 0).all() and (indices < count).all()
        for indices, count in ((made.user, made.n_users), (made.item, made.n_items))
    )
    numbers: dict[str, float] = {"interactions": len(made)}
    wrong = "" if in_range else "indices outside the id maps"
    if in_range:
        pairs = made.user.astype(np.int64) * made.n_items + made.item
        of_user = np.bincount(made.user, minlength=made.n_users)
        of_item = np.bincount(made.item, minlength=made.n_items)
        presplit = interactions.config["layout"] == "presplit"  # such data are taken as they come
        needed = (1, 0) if presplit else tuple(interactions.config[f"min_{kind}_interactions"] for kind in _KINDS)
        numbers |= {
            "duplicate_pairs": len(pairs) - len(np.unique(pairs)),
            "users_with_too_few": 0 if presplit else int((of_user < needed[0]).sum()),
            "items_with_too_few": 0 if presplit else int((of_item < needed[1]).sum()),
        }
        wrong = _counted(numbers, "duplicate_pairs", "users_with_too_few", "items_with_too_few")
    return Finding("interactions_are_valid", not wrong, f"{len(made):,} interactions: {wrong or 'all valid'}", numbers)


def few_are_dropped(store: ArtifactStore, interactions: Artifact) -> Finding:
    """The rating threshold and the k-core leave most ratings."""
    share = interactions.facts["dropped_share"]
    sentence = (
        f"the threshold and the k-core drop {percent(share)} of the ratings; up to {percent(DROPPED, 0)} is usual"
    )
    return Finding("few_are_dropped", share <= DROPPED, sentence, {"dropped_share": share})


def parts_are_disjoint(store: ArtifactStore, splits: Artifact) -> Finding:
    """No pair of user and item is in two parts, and where time divides them, nothing is later than its part may be."""
    return canaries.parts_are_disjoint(load_split(splits))


def graph_is_train(store: ArtifactStore, interaction_graph: Artifact) -> Finding:
    """The edges are the train interactions and no others, weighted by their degrees in train."""
    splits = store.resolve(interaction_graph.parents[kinds.SPLITS])
    return canaries.graph_is_train(InteractionGraph.load(interaction_graph.folder), load_split(splits).train)


_KINDS = ("user", "item")


def _schema_fault(table: pa.Table, schema: pa.Schema, nullable: tuple[str, ...] = ()) -> str:
    """The fault in a table's columns, or `` where there is none; ids are numbers, or texts."""
    types = [table.schema.field(name).type for name in ("user_id", "movie_id") if name in table.column_names]
    if not all(kind in (pa.int64(), pa.string()) for kind in types) or not table.schema.equals(
        with_ids_of(table.schema, schema)
    ):
        return f"the columns are {', '.join(f'{one.name} {one.type}' for one in table.schema)}"
    return ", ".join(
        f"{table[name].null_count:,} without {name}"
        for name in schema.names
        if name not in nullable and table[name].null_count
    )


def _negative(table: pa.Table, *names: str) -> int:
    """Number of rows with an id below 0, where ids are numbers."""
    numbers = [table[name].to_numpy() for name in names if table.schema.field(name).type == pa.int64()]
    return int((np.min(numbers, axis=0) < 0).sum()) if numbers else 0


def _counted(numbers: dict[str, float], *names: str) -> str:
    return ", ".join(f"{numbers[name]:,} {name.replace('_', ' ')}" for name in names if numbers[name])
