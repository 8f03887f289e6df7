"""The index of a trained model, and the leaderboard of the models' reports."""

from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from movierec_engine.data.id_map import PublicId
from movierec_engine.data.nouns import nouns_of_titles
from movierec_engine.data.rating_scale import RatingScale
from movierec_engine.data.ratings import Movies, Ratings
from movierec_engine.data.readers import complete_movies
from movierec_engine.errors import StoreError
from movierec_engine.models.registry import load_model
from movierec_engine.pipeline.code_versions import in_key
from movierec_engine.pipeline.data import Origin, raw_ratings_of
from movierec_engine.pipeline.preflight import INDEX, DataCounts, require_memory_for
from movierec_engine.pipeline.strong_generalization import decided_on_validation
from movierec_engine.reporting.progress import step
from movierec_engine.retrieval.config import INDEX_LAYOUT, RetrievalConfig
from movierec_engine.store import Artifact, ArtifactStore, Slot, content_key, kinds

if TYPE_CHECKING:
    from movierec_engine.retrieval.index import RetrievalIndex
    from movierec_engine.retrieval.index_facts import FoldInMinItems


@step("building the index")
def build_faiss_index(
    store: ArtifactStore,
    trained_model: Artifact,
    raw_movies: Artifact,
    config: RetrievalConfig,
    origin: Origin | None = None,
) -> Artifact:
    """Build the index that serves a trained model, with all that people have rated in the raw data of it.

    From how many movies on it folds new users in is what the newest `strong_generalization` of the model on the same
    data says, else `retrieval.fold_in_min_items`. Only an index of the newest trained model becomes the slot's newest.
    """
    from movierec_engine.retrieval.index_facts import FoldInMinItems

    splits = store.resolve(trained_model.parents[kinds.SPLITS]).verify()
    measured = _strong_generalization(store, trained_model)
    fold_in_min_items = None if measured is None else FoldInMinItems(measured.facts["fold_in_min_items"], measured=True)
    index = _index_of(store, trained_model, splits, raw_movies, config, fold_in_min_items)
    return store.publish(
        trained_model.slot.beside(kinds.FAISS_INDEX),
        index.save,
        key=index_key(store, trained_model, raw_movies, config),
        fingerprint=trained_model.fingerprint,
        config={"retrieval": asdict(config)},
        parents={
            **({} if measured is None else {kinds.STRONG_GENERALIZATION: measured}),
            kinds.TRAINED_MODEL: trained_model,
            kinds.SPLITS: splits,
            kinds.RAW_MOVIES: raw_movies,
        },
        origin={**trained_model.origin, **(origin or {})},
        facts=asdict(index.facts),
        newest=lambda: store.latest(trained_model.slot) == trained_model,
    )


def build_refitted_index(
    store: ArtifactStore,
    measured_index: Artifact,
    refitted_model: Artifact,
    origin: Origin | None = None,
    *,
    left_out: Collection[PublicId] = (),
) -> Artifact:
    """Build the index of a refitted model as the measured one was, to stand for it; never the slot's newest.

    Titles, settings, and from how many movies on new users are folded in are the measured index's. left_out: users of
    whose ratings nothing is in it.
    """
    from movierec_engine.retrieval.index_facts import FoldInMinItems

    named = (kinds.TRAINED_MODEL, kinds.SPLITS, kinds.RAW_MOVIES)
    parents = {name: store.resolve(measured_index.parents[name]) for name in named}
    facts, config = measured_index.facts, RetrievalConfig(**measured_index.config["retrieval"])
    fold_in_min_items = FoldInMinItems(facts["fold_in_min_items"], facts["fold_in_min_items_measured"])
    index = _index_of(
        store, refitted_model, parents[kinds.SPLITS], parents[kinds.RAW_MOVIES], config, fold_in_min_items, left_out
    )
    return store.publish(
        measured_index.slot,
        index.save,
        key=content_key(INDEX_LAYOUT, measured_index.reference, refitted_model.reference, *in_key(kinds.FAISS_INDEX)),
        fingerprint=measured_index.fingerprint,
        config=measured_index.config,
        parents={**parents, kinds.REFITTED_MODEL: refitted_model, kinds.FAISS_INDEX: measured_index},
        origin={**measured_index.origin, **(origin or {})},
        facts=asdict(index.facts),
        newest=False,
    )


def _index_of(
    store: ArtifactStore,
    model_version: Artifact,
    splits: Artifact,
    raw_movies: Artifact,
    config: RetrievalConfig,
    fold_in_min_items: "FoldInMinItems | None",
    left_out: Collection[PublicId] = (),
) -> "RetrievalIndex":
    """The index of a measured or refitted model's files."""
    from movierec_engine.recommending.rows.ratings_by_item import RatingsByItem
    from movierec_engine.retrieval.build import build_index
    from movierec_engine.retrieval.rated import RatedMovies

    require_memory_for(INDEX, model_version, DataCounts.of(splits))
    model = load_model(model_version.verify().folder)
    noun, _ = nouns_of_titles(raw_movies.facts)
    movies = complete_movies(Movies.load(raw_movies.verify().folder), model.items.ids, noun).of(model.items)
    ratings = Ratings.load(raw_ratings_of(store, splits).verify().folder).table
    if left_out:
        of_left_out = pc.is_in(ratings["user_id"], pa.array(left_out, ratings["user_id"].type))
        ratings = ratings.filter(pc.invert(of_left_out))
    rated, liked_from = RatedMovies.of(ratings), splits.facts["liked_from"]
    by_item = RatingsByItem.of(
        model.items.index(ratings["movie_id"]),
        ratings["rating"].to_numpy(),
        ratings["timestamp"].to_numpy(),
        len(model.items),
        liked_from,
    )
    ends = splits.config.get("rating_min", 0.0), splits.config.get("rating_max", 0.0)
    scale = RatingScale.of(ratings["rating"].to_numpy(), liked_from, ends)
    return build_index(
        model, rated, movies, config, model_version.slot.device, fold_in_min_items, liked_from, by_item, scale
    )


def renew_index(store: ArtifactStore, trained_model: Artifact) -> Artifact | None:
    """Build a model's newest index again, so that it knows of the newest measurement; None where it has no index."""
    index = store.latest(trained_model.slot.beside(kinds.FAISS_INDEX))
    if index is None or index.parents[kinds.TRAINED_MODEL] != trained_model.reference:
        return None
    config = RetrievalConfig(**index.config["retrieval"])
    return build_faiss_index(store, trained_model, store.resolve(index.parents[kinds.RAW_MOVIES]), config)


def index_key(store: ArtifactStore, trained_model: Artifact, raw_movies: Artifact, config: RetrievalConfig) -> str:
    """The key of the index that `build_faiss_index` would make."""
    measured = _strong_generalization(store, trained_model)
    fold_in_min_items = "not measured" if measured is None else measured.facts["fold_in_min_items"]
    made_by = in_key(kinds.FAISS_INDEX)
    return content_key(
        INDEX_LAYOUT, trained_model.reference, raw_movies.key, asdict(config), fold_in_min_items, *made_by
    )


def rank_models(store: ArtifactStore, data_set: str, metric: str, origin: Origin | None = None) -> Artifact:
    """Rank the newest report of every model and device of a data set by a validation metric, among equal fingerprints.

    The group of the newest report is ranked; the others are counted. Test metrics stand beside it: choosing by them
    would make them a second validation.

    Raises StoreError when there is no report, or none that measured the metric on validation.
    """
    from movierec_engine.evaluation.metrics import less_is_better

    every = [store.require(slot) for slot in store.slots(kinds.EVALUATION_REPORT, data_set)]
    reports = [report for report in every if kinds.TRAINED_MODEL in report.parents]  # and none of given lists
    if not reports:
        raise StoreError(f"no evaluation report of {data_set} in {store.location} yet; train a model first")
    newest = max(reports, key=lambda report: report.version)
    comparable = [report for report in reports if report.fingerprint == newest.fingerprint]
    measured = [report for report in comparable if metric in report.facts["validation_metrics"]]
    if not measured:
        raise StoreError(
            f"no report with fingerprint {newest.fingerprint} has {metric} on validation, by which models are ranked; "
            "choose a metric of evaluation.metrics and evaluation.k_values, and data with a validation part"
        )
    measured.sort(key=lambda one: one.facts["validation_metrics"][metric], reverse=not less_is_better(metric))
    rows = [
        {
            "rank": rank,
            "model": report.slot.model,
            "device": report.slot.device,
            "report": report.reference,
            kinds.TRAINED_MODEL: report.parents[kinds.TRAINED_MODEL],
            f"validation {metric}": report.facts["validation_metrics"][metric],
            f"test {metric}": report.facts["metrics"][metric],
        }
        for rank, report in enumerate(measured, start=1)
    ]
    return store.publish(
        Slot(kinds.LEADERBOARD, data_set),
        lambda folder: pq.write_table(pa.Table.from_pylist(rows), folder / "leaderboard.parquet"),
        key=content_key([report.reference for report in measured], metric),
        fingerprint=newest.fingerprint,
        origin=origin,
        facts={"metric": metric, "rows": rows, "other_fingerprints": len(reports) - len(comparable)},
        newest=lambda: all(store.latest(report.slot) == report for report in measured),
    )


def _strong_generalization(store: ArtifactStore, trained_model: Artifact) -> Artifact | None:
    """The newest measurement of the model's fold-in on the same data, or None; one that test decided is none."""
    measured = store.latest(trained_model.slot.beside(kinds.STRONG_GENERALIZATION))
    if measured is None or measured.fingerprint != trained_model.fingerprint:
        return None
    return measured if decided_on_validation(measured) else None
