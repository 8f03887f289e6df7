"""A store with real reports, by two protocols, and the page over it."""

import shutil
from pathlib import Path

import pytest

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.evaluation.protocols import Protocol
from movierec_engine.reporting.html import write_report
from movierec_engine.store import ArtifactStore
from worlds import write_noisy_camps

UNIFORM = Protocol.parse("uniform:5")
HOSTILE = "experiment_name='<script>alert(1)</script>'"


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    """popularity, ease and lightgcn on a random split, ease and lightgcn by a sampled protocol too; not to be changed.

    An override of ease is hostile markup.
    """
    folder = tmp_path_factory.mktemp("measured")
    data = folder / "data"
    write_noisy_camps(data)
    store = ArtifactStore(folder / "store")
    settings = [
        "logger.use_mlflow=false",
        "logger.use_wandb=false",
        "device=cpu",
        "data.name=camps",
        f"data.dir='{data}'",
        f"paths.checkpoints='{folder / 'checkpoints'}'",
        "trainer.max_epochs=2",
    ]
    for model, own in (("popularity", []), ("ease", [HOSTILE]), ("lightgcn", ["model.embedding_dim=8"])):
        made = pipeline.run(store, load_settings([*settings, f"model={model}", *own]))
        if model != "popularity":
            pipeline.evaluate_model(store, made["trained_model"], made["raw_movies"], UNIFORM)
    return store


@pytest.fixture(scope="session")
def page(measured: ArtifactStore, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the whole store."""
    return write_report(measured, "camps", tmp_path_factory.mktemp("page") / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def store(measured: ArtifactStore, tmp_path: Path) -> ArtifactStore:
    """A copy of the store, to be broken."""
    shutil.copytree(measured.root, tmp_path / "store")
    return ArtifactStore(tmp_path / "store")
