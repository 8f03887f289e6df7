"""A store of models whose every user's validation metric is given, so that it is known which is better."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from movierec_engine import pipeline, release
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.ratings import Ratings
from movierec_engine.data.split import Split
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.evaluation.report import LISTS_FILE, VALIDATION_USERS_FILE, EvaluationReport
from movierec_engine.pipeline.data import raw_ratings_of
from movierec_engine.release import manual
from movierec_engine.release.decisions import Decision
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.masks import serving_mask
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot
from worlds import MOVIES, RATED, USERS, interactions_of, small_index

METRIC = "ndcg@10"
PARTS = ([(0, 3)], [(2, 0)], [(1, 4)])
"""User and item indices of train, validation and test."""
OLD, NEW = "0" * 12, "1" * 12
"""Fingerprints of the data before and after it changed."""

GOOD: NDArray[np.float64] = np.linspace(0.1, 0.5, 60)
"""A metric of 60 users, mean .3."""
NOISE: NDArray[np.float64] = np.tile(np.linspace(0.001, 0.02, 30), 2) * np.repeat([1, -1], 30)
"""Every gain of one user is the loss of another, up to .02: no test can tell it from nothing."""


def lists_of(index: RetrievalIndex) -> pa.Table:
    """What an index recommends to each of its users, as a report has it."""
    rows = [
        {"user_id": user_id, "rank": rank, "movie_id": int(index.items.ids[item])}
        for user, user_id in enumerate(USERS)
        for rank, item in enumerate(index.recommend(user, 3, serving_mask(index)(user))[0], start=1)
    ]
    return pa.Table.from_pylist(rows)


class World:
    """Publishes models, and asks the gate and people."""

    def __init__(self, store: ArtifactStore, data_set: str = "camps") -> None:
        self.store, self.data_set = store, data_set

    def train(
        self,
        model: str,
        values: NDArray[np.float64],
        fingerprint: str = OLD,
        *,
        recall: float = 1.0,
        key: str = "",
        config: Mapping[str, Any] | None = None,
        index: bool = True,
        parity: bool = True,
    ) -> Artifact:
        """A trained model with its split, report and index; the users of another fingerprint are others.

        parity: whether its index answers with the lists that were evaluated.
        """
        users = np.arange(len(values)) + int(fingerprint[0]) * 1000
        measured = {METRIC: float(values.mean())}
        splits = self.store.find(Slot("splits", self.data_set), fingerprint) or self.split(fingerprint)
        table = pa.table({"user_id": users, METRIC: values})
        trained = self.store.publish(
            Slot("trained_model", self.data_set, model, "cpu"),
            lambda folder: pq.write_table(table, folder / VALIDATION_USERS_FILE),
            key=key or f"{model}{fingerprint[:2]}",
            fingerprint=fingerprint,
            config={"model": dict(config or {}), "data": {"name": self.data_set, "train_size": 1.0}},
            parents={"splits": splits},
            facts={"validation_metrics": measured, "seconds": 1.0},
        )
        report = EvaluationReport(
            model=model,
            device="cpu",
            model_version=trained.version,
            data=self.data_set,
            protocol="full",
            mask="",
            fingerprint=fingerprint,
            seed=0,
            created_at="",
            metrics=measured,
            intervals={},
            validation_metrics=measured,
            counts={},
            seconds=1.0,
            evaluation_seconds=1.0,
            peak_memory_mb=1.0,
            split={},
            model_config={},
        )
        lists = lists_of(small_index(model, 1 if parity else -1))

        def write(folder: Path) -> None:
            report.save(folder)
            pq.write_table(lists, folder / LISTS_FILE)

        self.store.publish(
            Slot("evaluation_report", self.data_set, model, "cpu"),
            write,
            key="report",
            fingerprint=fingerprint,
            parents={"trained_model": trained, "splits": splits},
            facts={"protocol": "full", "metrics": measured, "validation_metrics": measured},
        )
        if index:
            self.index(trained, recall)
        return trained

    def split(self, fingerprint: str, ratings: pa.Table = RATED) -> Artifact:
        """The split of RATED, with what it was made from: raw ratings, which may be others."""
        users, items = IdMap(np.array(USERS)), IdMap(np.array(MOVIES))
        train, validation, test = (interactions_of(np.array(pairs), users, items) for pairs in PARTS)
        raw_ratings = self.store.publish(
            Slot("raw_ratings", self.data_set), Ratings(ratings).save, key=fingerprint, fingerprint=""
        )
        parents = {"raw_ratings": raw_ratings}
        interactions = self.store.publish(
            Slot("interactions", self.data_set), lambda folder: None, key=fingerprint, fingerprint="", parents=parents
        )
        return self.store.publish(
            Slot("splits", self.data_set),
            Split(train, validation, test, "random").save,
            key=fingerprint,
            fingerprint=fingerprint,
            parents={"interactions": interactions},
            facts={"strategy": "random", "boundaries": {}, "liked_from": 0.5},
        )

    def index(self, trained: Artifact, recall: float = 1.0) -> Artifact:
        small = small_index(trained.slot.model)
        raw_ratings = raw_ratings_of(self.store, self.store.resolve(trained.parents["splits"]))
        facts = replace(small.facts, recall=recall)
        return self.store.publish(
            trained.slot.beside("faiss_index"),
            replace(small, facts=facts, rated=RatedMovies.of(Ratings.load(raw_ratings.folder).table)).save,
            key="index",
            fingerprint=trained.fingerprint,
            parents={"trained_model": trained},
            facts=asdict(facts),
        )

    def challenge(self, challenger: Artifact | None = None, **settings: Any) -> Decision:
        """The gate's decision on the leaderboard's best, or on a named model."""
        board = pipeline.rank_models(self.store, self.data_set, METRIC)
        return release.decide_release(self.store, board, ReleaseConfig(**{"refit": False, **settings}), challenger)

    def promote(self, name: str, **options: Any) -> Decision:
        index = manual.find_index(self.store, self.data_set, name)
        return manual.promote(self.store, index, ReleaseConfig(refit=False), METRIC, **options)

    def roll_back(self, **options: Any) -> Decision:
        return manual.roll_back(self.store, self.data_set, ReleaseConfig(), **options)

    @property
    def served(self) -> str:
        """The name of the model that is served, "" while none is."""
        index = self.store.pointed(SERVING, self.data_set)
        return index.slot.model if index else ""

    @property
    def served_model(self) -> str:
        index = self.store.pointed(SERVING, self.data_set)
        return index.parents["trained_model"] if index else ""
