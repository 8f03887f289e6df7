"""A store with indices whose answers can be read off."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient

from movierec_engine.api.app import create_app
from movierec_engine.data.ratings import MOVIES_SCHEMA, RATINGS_SCHEMA
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.store import Artifact, ArtifactStore, Slot
from worlds import Publish, small_index

PublishLine = Callable[..., dict[str, Artifact]]
Write = Callable[[Path], None]
OF_MODELS = ("trained_model", "evaluation_report", "faiss_index")


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    faiss.omp_set_num_threads(1)
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def publish(store: ArtifactStore) -> Publish:
    """Publish an index: `publish("ease", sign=-1, device="cpu", facts={"n_items": 5})`."""

    def publish(
        model: str = "ease", sign: int = 1, device: str = "cpu", facts: dict[str, object] | None = None
    ) -> Artifact:
        index = small_index(model, sign)
        slot = Slot("faiss_index", "camps", model, device)
        return store.publish(slot, index.save, key="k", fingerprint="f00d", facts=facts)

    return publish


@pytest.fixture
def publish_line(store: ArtifactStore) -> PublishLine:
    """Publish an index with its whole line of parents: `publish_line("ease", newest_erasure=1)`.

    The data set `camps` has 60 (`Love and Peace`, 1999) and 70 (no genres) beside the catalogue's movies; user 1 rated
    40 with 4.5, and 60 with 2 before that.
    """

    def publish(
        model: str = "ease", *, newest_erasure: int = 0, liked_from: float = 0.0, sign: int = 1
    ) -> dict[str, Artifact]:
        def made(kind: str, parents: Sequence[str] = (), write: Write = lambda folder: None, **more: Any) -> None:
            line[kind] = store.publish(
                Slot(kind, "camps") if kind not in OF_MODELS else Slot(kind, "camps", model, "cpu"),
                write,
                key="k",
                fingerprint="f00d",
                parents={name: line[name] for name in parents},
                **more,
            )

        def write_titles(folder: Path) -> None:
            others = [
                {"movie_id": 60, "title": "Love and Peace", "year": 1999, "genres": ["Drama", "War"]},
                {"movie_id": 70, "title": "Nobody's", "year": None, "genres": []},
            ]
            titles = [*index.movies.to_pylist(), *others]
            titles.sort(key=lambda movie: movie["movie_id"])
            pq.write_table(pa.Table.from_pylist(titles, schema=MOVIES_SCHEMA), folder / "movies.parquet")

        def write_ratings(folder: Path) -> None:
            pq.write_table(rated, folder / "ratings.parquet")

        line: dict[str, Artifact] = {}
        rows = {
            "user_id": [1, 1, 7],
            "movie_id": [40, 60, 10],
            "rating": [4.5, 2.0, 5.0],
            "timestamp": [10**9 + 2, 10**9 + 1, 10**9],
        }
        rated = pa.table(rows, schema=RATINGS_SCHEMA)
        index = replace(small_index(model, sign, liked_from), rated=RatedMovies.of(rated))
        made("raw_ratings", write=write_ratings, facts={"feedback": {"newest_erasure": newest_erasure}})
        made("raw_movies", write=write_titles)
        made("interactions", ["raw_ratings"])
        made("splits", ["interactions"])
        origin = {"mlflow_run_id": "m1", "dagster_run_id": "d1"}
        made("trained_model", ["splits"], origin=origin)
        measured = {"validation_metrics": {"ndcg@10": 0.5}, "metrics": {"ndcg@10": 0.25}}
        made("evaluation_report", ["trained_model"], facts=measured)
        made("faiss_index", ["trained_model", "splits", "raw_movies"], index.save, origin=origin)
        return line

    return publish


@pytest.fixture
def client(store: ArtifactStore) -> FlaskClient:
    """A client of an API over the store; failures inside the API are answers, not exceptions."""
    app = create_app(store.root)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app.test_client()
