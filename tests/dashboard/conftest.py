"""Stores with known content, and the pages over them."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser_visit import address, browser, browser_store, opened  # noqa: F401
from known_store import fill
from streamlit.testing.v1 import AppTest

from movierec_engine.store import Artifact, ArtifactStore, Slot

APP = str(Path(__file__).parents[2] / "dashboard" / "app.py")

Publish = Callable[..., Artifact]
Open = Callable[..., AppTest]


@pytest.fixture(scope="session", autouse=True)
def no_search_for_components() -> Iterator[None]:
    """An AppTest looks for custom components in every installed package with each run, for as long as a page takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamlit.components.v2.manifest_scanner.scan_component_manifests", list)
        yield


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArtifactStore:
    root = tmp_path / "the store"
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(root))
    return ArtifactStore(root)


@pytest.fixture
def publish(store: ArtifactStore) -> Publish:
    """Publish one report: publish(model, ndcg, ...); the interval is ndcg ± half, and ten users are 0.001 apart.

    config: the resolved settings that its manifest holds.
    """

    def publish_report(
        model: str,
        ndcg: float,
        *,
        half: float = 0.01,
        slot: str = "",
        config: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Artifact:
        home = Slot("trained_model", changes.get("data", "small"), slot or model, changes.get("device", "cpu"))
        trained = store.publish(home, lambda folder: None, key="t", fingerprint="f")
        report = {
            "model": model,
            "device": "cpu",
            "data": "small",
            "protocol": "full",
            "fingerprint": "f" * 12,
            "seed": 42,
            "created_at": "2026-01-02T03:04:05+00:00",
            "metrics": {"ndcg@10": ndcg, "ndcg@5": ndcg / 2, "recall@10": 1 - ndcg, "coverage@10": 0.5},
            "intervals": {"ndcg@10": [ndcg - half, ndcg + half]},
            "validation_metrics": {"ndcg@10": ndcg + 0.1},
            "counts": {"users_evaluated": 10},
            "seconds": 61.0,
            "peak_memory_mb": 2048.0,
            "schema": 2,
            **changes,
        }

        def write(folder: Path) -> None:
            (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
            users = {"user_id": list(range(10)), "ndcg@10": [ndcg + 0.001 * user for user in range(10)]}
            pq.write_table(pa.table(users), folder / "users.parquet")

        return store.publish(
            home.beside("evaluation_report"),
            write,
            key="k",
            fingerprint=str(report["fingerprint"]),
            config={
                "overrides": [f"model={model}", "paths.artifacts=/elsewhere", "seed=7"],
                "seed": report["seed"],
                **(config or {}),
            },
            parents={"trained_model": trained},
        )

    return publish_report


@pytest.fixture
def serve(store: ArtifactStore) -> Callable[[Artifact], None]:
    """Promote an index of the model that a report is of."""

    def promote(report: Artifact) -> None:
        trained = store.resolve(report.parents["trained_model"])
        slot = report.slot.beside("faiss_index")
        index = store.publish(slot, lambda folder: None, key="i", fingerprint="f", parents={"trained_model": trained})
        store.point("serving", index, {})

    return promote


@pytest.fixture
def open_page(store: ArtifactStore) -> Callable[..., AppTest]:
    """The dashboard as a visitor opens it, with query parameters."""

    def open_with(**parameters: str) -> AppTest:
        app = AppTest.from_file(APP, default_timeout=120)
        for name, value in parameters.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception
        return app

    return open_with


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    """The known store; nobody changes it."""
    return fill(tmp_path_factory.mktemp("known") / "store")


@pytest.fixture
def damaged(known: ArtifactStore, tmp_path: Path) -> ArtifactStore:
    """A copy to do harm to."""
    shutil.copytree(known.root, tmp_path / "store")
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open a page of the dashboard over a store, with query parameters; neither the API nor Dagster answers."""

    def visit_page(store: ArtifactStore, page: str, **parameters: str) -> AppTest:
        monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(store.root))
        for name in ("MOVIEREC_API_URL", "MOVIEREC_DAGSTER_INTERNAL_URL"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        app = AppTest.from_file(APP, default_timeout=120)
        if page != "leaderboard":
            app.switch_page(f"views/{page}.py")
        for name, value in parameters.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception
        return app

    return visit_page
