"""Checks that run with the assets: nothing that follows from a part that leaks is worth having."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from movierec_assets.assets.data import interaction_graph, splits
from movierec_assets.resources import SettingsResource
from movierec_assets.step import EngineFailure
from movierec_engine import pipeline
from movierec_engine.data.graph import InteractionGraph
from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.canaries import Finding, graph_is_train, parts_are_disjoint
from movierec_engine.store import Artifact, ArtifactStore


@dg.asset_check(asset=splits, blocking=True, name="parts_are_disjoint")
def check_parts(settings: SettingsResource) -> dg.AssetCheckResult:
    """No pair of user and item is in two parts, and where time divides them, nothing is later than its part may be."""
    with _newest("splits", settings) as (_, made):
        return _result(parts_are_disjoint(pipeline.load_split(made)))


@dg.asset_check(asset=interaction_graph, blocking=True, name="graph_is_train")
def check_graph(settings: SettingsResource) -> dg.AssetCheckResult:
    """The edges are the train interactions and no others, weighted by their degrees in train."""
    with _newest("interaction_graph", settings) as (store, made):
        parts = pipeline.load_split(store.resolve(made.parents["splits"]))
        return _result(graph_is_train(InteractionGraph.load(made.folder), parts.train))


@contextmanager
def _newest(kind: str, settings: SettingsResource) -> Iterator[tuple[ArtifactStore, Artifact]]:
    """The store and a data step's newest version; an error of the engine's becomes a failure with its sentence."""
    try:
        shared = settings.shared()
        store = ArtifactStore(shared.paths.artifacts)
        yield store, store.require(pipeline.data_slot(kind, shared.data)).verify()
    except MovierecError as error:
        raise EngineFailure(error, "") from None


def _result(finding: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=finding.passed, description=finding.sentence, metadata={**finding.numbers})
