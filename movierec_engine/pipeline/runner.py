"""Several steps in a row."""

from movierec_engine.config import Settings
from movierec_engine.data.config import DataConfig
from movierec_engine.errors import StoreError
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.pipeline.data import (
    Origin,
    build_interaction_graph,
    data_slot,
    filter_interactions,
    ingest_movies,
    ingest_ratings,
    split_interactions,
    warn_of_lacking_titles,
)
from movierec_engine.pipeline.data_fall import warn_of_fallen_data
from movierec_engine.pipeline.evaluation import evaluate_model
from movierec_engine.pipeline.index import build_faiss_index, index_key
from movierec_engine.pipeline.members import find_members, model_slot
from movierec_engine.pipeline.training import train_model, trained_model_key
from movierec_engine.store import Artifact, ArtifactStore, kinds
from movierec_engine.tracking import make_tracker
from movierec_engine.tracking.tracker import NO_TRACKER, Tracker, ended, flatten


def prepare(
    store: ArtifactStore, config: DataConfig, origin: Origin | None = None, *, feedback: FeedbackLogs | None = None
) -> dict[str, Artifact]:
    """All data steps, from the raw files to the graph; the artifacts by kind. feedback: as `ingest_ratings` has it."""
    raw_ratings = ingest_ratings(store, config, origin, feedback=feedback)
    raw_movies = ingest_movies(store, config, origin)
    interactions = filter_interactions(store, raw_ratings, config, origin)
    warn_of_lacking_titles(raw_movies, interactions, config)
    splits = split_interactions(store, interactions, config, origin)
    graph = build_interaction_graph(store, splits, config, origin)
    artifacts = (raw_ratings, raw_movies, interactions, splits, graph)
    return {artifact.slot.kind: artifact for artifact in artifacts}


def data_step_of(
    store: ArtifactStore, raw_ratings: Artifact, config: DataConfig, kind: str, origin: Origin | None = None
) -> Artifact:
    """The version of a data step, up to the graph, that follows from raw ratings; used again where the store has it."""
    made = raw_ratings
    for step in (filter_interactions, split_interactions, build_interaction_graph):
        if made.slot.kind == kind:
            break
        made = step(store, made, config, origin)
    return made


def run(
    store: ArtifactStore, settings: Settings, tracker: Tracker = NO_TRACKER, origin: Origin | None = None
) -> dict[str, Artifact]:
    """Prepare the data, train, evaluate and index one model; the artifacts by kind."""
    made = prepare(store, settings.data, origin, feedback=FeedbackLogs(store.root, settings.feedback.url))
    warn_of_fallen_data(store, made[kinds.RAW_RATINGS], settings.release)
    made[kinds.TRAINED_MODEL] = train_model(
        store, settings, made[kinds.SPLITS], made[kinds.INTERACTION_GRAPH], tracker, origin
    )
    made[kinds.EVALUATION_REPORT] = evaluate_model(
        store,
        made[kinds.TRAINED_MODEL],
        made[kinds.RAW_MOVIES],
        tracker=tracker,
        origin=origin,
        trainer=settings.trainer,
    )
    made[kinds.FAISS_INDEX] = build_faiss_index(
        store, made[kinds.TRAINED_MODEL], made[kinds.RAW_MOVIES], settings.retrieval, origin
    )
    return made


def run_tracked(settings: Settings, origin: Origin | None = None) -> dict[str, Artifact]:
    """Run the pipeline for one model, tracked; the artifacts by kind."""
    store = ArtifactStore(settings.paths.artifacts)
    tracker = make_tracker(settings.logger, store.root, settings.experiment_name)
    tracker.start(settings.run_name, flatten(settings.resolved()))
    with ended(tracker):
        made = run(store, settings, tracker, origin)
        tracker.outcome(made[kinds.TRAINED_MODEL], made[kinds.EVALUATION_REPORT])
    return made


def is_current(store: ArtifactStore, settings: Settings, splits: Artifact) -> bool:
    """True if the store holds a trained model of just these settings on this split, with its report and its index."""
    try:
        model, report, index = (
            store.require(model_slot(kind, settings))
            for kind in (kinds.TRAINED_MODEL, kinds.EVALUATION_REPORT, kinds.FAISS_INDEX)
        )
    except StoreError:
        return False
    parents = {artifact.parents.get(kinds.TRAINED_MODEL) for artifact in (report, index)}
    movies = store.require(data_slot(kinds.RAW_MOVIES, settings.data))
    if index.key != index_key(store, model, movies, settings.retrieval):
        return False
    members = {name: member for name, member in find_members(store, settings, splits).items() if member}
    return model.key == trained_model_key(settings, splits, members) and parents == {model.reference}
