"""What decides an artifact is in its key: a version that was made otherwise is never taken for it."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.pipeline.index import index_key
from movierec_engine.retrieval.config import RetrievalConfig
from movierec_engine.store import Artifact, ArtifactStore, Slot, content_key

OTHER: dict[str, Any] = {
    "rating_threshold": 4.0,
    "min_user_interactions": 6,
    "min_item_interactions": 6,
    "split": "leave_one_out",
    "split_seed": 7,
    "train_ratio": 0.7,
    "val_ratio": 0.05,
}
"""Another value of each setting that decides the interactions or the split."""


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


def test_each_setting_of_the_filter_and_of_the_split_makes_another_version(
    store: ArtifactStore, small_data: list[str]
) -> None:
    assert {*OTHER, "fold_in_ratio"} == {*pipeline.FILTER_SETTINGS, *pipeline.SPLIT_SETTINGS}
    config = load_settings([*small_data, "model=ease"]).data
    raw = pipeline.ingest_ratings(store, config)

    def prepared(**settings: Any) -> tuple[Artifact, Artifact]:
        changed = replace(config, **settings)
        interactions = pipeline.filter_interactions(store, raw, changed)
        return interactions, pipeline.split_interactions(store, interactions, changed)

    interactions, splits = prepared()
    assert prepared() == (interactions, splits), "nothing is made twice"
    assert prepared(train_size=0.5) == (interactions, splits), "which decides nothing of the data"
    for name, value in OTHER.items():
        filtered, split = prepared(**{name: value})
        assert (filtered != interactions) == (name in pipeline.FILTER_SETTINGS), name
        assert split.key != splits.key, name
    assert prepared(fold_in_ratio=0.5) == (interactions, splits), "which decides nothing of a random split"
    folded, fewer = (prepared(split="users", fold_in_ratio=ratio)[1] for ratio in (0.8, 0.5))
    assert folded.key != fewer.key and folded.fingerprint != fewer.fingerprint


@pytest.mark.parametrize(
    "override",
    [
        "model.embedding_dim=8",
        "trainer.max_epochs=3",
        "trainer.learning_rate=0.5",
        "evaluation.k_values=[10]",
        "data.train_size=0.5",
        "seed=7",
    ],
)
def test_each_setting_of_a_training_makes_another_model(small_data: list[str], override: str) -> None:
    splits = version("splits")
    usual, other = (load_settings([*small_data, "model=lightgcn", *more]) for more in ([], [override]))
    assert pipeline.trained_model_key(usual, splits) != pipeline.trained_model_key(other, splits)


def test_device_split_members_and_kind_make_another_model_and_how_it_is_kept_does_not(small_data: list[str]) -> None:
    settings, splits = load_settings([*small_data, "model=gmf"]), version("splits")
    key = pipeline.trained_model_key(settings, splits, {"ease": version("trained_model")})
    others = [
        pipeline.trained_model_key(settings, splits),
        pipeline.trained_model_key(settings, splits, {"ease": version("trained_model", name="2")}),
        pipeline.trained_model_key(replace(settings, device="cuda"), splits, {"ease": version("trained_model")}),
        pipeline.trained_model_key(settings, version("splits", key="2"), {"ease": version("trained_model")}),
        pipeline.trained_model_key(
            load_settings([*small_data, "model=mlp"]), splits, {"ease": version("trained_model")}
        ),
    ]
    assert len({key, *others}) == 1 + len(others)
    elsewhere = {"workers": 4, "worker_threads": 2, "ray_address": "auto"}
    kept = replace(settings, trainer=replace(settings.trainer, resume=True, checkpoint_seconds=9.0, **elsewhere))
    assert pipeline.trained_model_key(kept, splits, {"ease": version("trained_model")}) == key


def version(kind: str, key: str = "1", name: str = "1") -> Artifact:
    slot = Slot(kind, "camps") if kind in ("splits", "raw_movies") else Slot(kind, "camps", "ease", "cpu")
    return Artifact(slot, name, Path(), key, "f00d", "", "", {}, {}, {}, {}, {})


def test_every_setting_of_an_index_its_model_titles_and_fold_in_make_another_one(store: ArtifactStore) -> None:
    def published(kind: str, **more: Any) -> Artifact:
        slot = Slot(kind, "camps") if kind == "raw_movies" else Slot(kind, "camps", "ease", "cpu")
        return store.publish(slot, lambda folder: None, key=content_key(more), fingerprint="f00d", **more)

    model, movies, config = published("trained_model"), published("raw_movies"), RetrievalConfig()
    keys = [index_key(store, model, movies, config)]
    for one in fields(RetrievalConfig):
        value = "HNSW32" if one.name == "factory" else getattr(config, one.name) + 1
        keys.append(index_key(store, model, movies, replace(config, **{one.name: value})))
    keys.append(index_key(store, published("trained_model"), movies, config))
    keys.append(index_key(store, model, published("raw_movies", facts={"movies": 2}), config))
    for least in (3, 4, None):
        published("strong_generalization", facts={"fold_in_min_items": least, "decided_on": "validation"})
        keys.append(index_key(store, model, movies, config))
    assert len(set(keys)) == len(keys)
    published("strong_generalization", facts={"fold_in_min_items": 9, "decided_on": "test"})
    assert index_key(store, model, movies, config) == keys[0], "what test decided is as if it was not measured"
