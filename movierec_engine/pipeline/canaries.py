"""Does anything leak into a trained model? The checks of `evaluation/canaries.py`, on what the store holds."""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from movierec_engine.config import Settings, typed_settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.split import Split
from movierec_engine.evaluation.canaries import (
    DEPTH,
    Finding,
    falls_to_the_floor,
    future_item_stays_unknown,
    graph_is_train,
    memory_is_train,
    ndcg_of_random_order,
    parts_are_disjoint,
    plant_future_item,
    shuffle_train,
)
from movierec_engine.evaluation.metrics.accuracy import ndcg
from movierec_engine.evaluation.order_canaries import (
    histories_end_before_the_next_item,
    order_counts_for_models_of_order_alone,
)
from movierec_engine.evaluation.protocols import Protocol
from movierec_engine.evaluation.rankings import rank_users
from movierec_engine.models.classic.popularity import Popularity
from movierec_engine.models.registry import load_model, model_class, model_names
from movierec_engine.pipeline.data import Origin, load_split
from movierec_engine.pipeline.members import family
from movierec_engine.pipeline.model_checks import ancestors_saw_the_same
from movierec_engine.pipeline.training import fit, graph_used, train_used
from movierec_engine.store import Artifact, ArtifactStore, content_key, kinds

if TYPE_CHECKING:
    from movierec_engine.models.base import Recommender

log = logging.getLogger(__name__)

FINDINGS_FILE = "findings.json"


def run_canaries(store: ArtifactStore, trained_model: Artifact, origin: Origin | None = None) -> Artifact:
    """Check a trained model, its split and its graph for leaks; trains it twice again, with the same settings.

    The artifact is published whatever is found, and is its slot's newest where the model is; its fact `passed` says
    whether every check passed.
    """
    started = time.perf_counter()
    splits = store.resolve(trained_model.parents[kinds.SPLITS]).verify()
    parts = load_split(splits)
    seed, settings = trained_model.config["seed"], settings_of(trained_model)
    used = replace(parts, train=train_used(parts, settings))
    graph = graph_used(settings, store.resolve(trained_model.parents[kinds.INTERACTION_GRAPH]), used.train)
    model, *older = (load_model(one.verify().folder) for one in family(store, trained_model))
    planted, shuffled = plant_future_item(parts, seed), shuffle_train(parts, seed)
    test = Protocol("full").of(parts.test_heldout())
    popularity = Popularity().fit(Dataset(parts.train))
    findings = [
        parts_are_disjoint(parts),
        graph_is_train(graph, used.train),
        _first_failure([memory_is_train(one, used) for one in (model, *older)]),
        ancestors_saw_the_same(store, trained_model),
        order_counts_for_models_of_order_alone(model, used.train, seed),
    ]
    if parts.asks_for_next:
        findings.append(histories_end_before_the_next_item(parts))
    log.info("canaries: %s is trained again, with an item that only test has", model.name)
    again = trained_again(store, trained_model, planted.split)
    findings.append(future_item_stays_unknown(rank_users(again, planted.heldout(), DEPTH, deep=True), planted))
    log.info("canaries: %s is trained again, on shuffled preferences", model.name)
    again = trained_again(store, trained_model, shuffled)
    # ranked rather than evaluated: shuffled train holds some pairs of test by chance, which an Evaluator refuses
    rankings = [rank_users(one, test, DEPTH, deep=True) for one in (again, popularity)]
    reached, floor = (ndcg(one.hits, one.relevant, DEPTH) for one in rankings)
    findings.append(falls_to_the_floor(reached, floor, ndcg_of_random_order(rankings[1])))
    return store.publish(
        trained_model.slot.beside(kinds.LEAK_CANARIES),
        partial(save_findings, findings),
        key=content_key(trained_model.reference),
        fingerprint=trained_model.fingerprint,
        config=trained_model.config,
        parents={kinds.TRAINED_MODEL: trained_model, kinds.SPLITS: splits},
        origin={**trained_model.origin, **(origin or {})},
        facts={
            "passed": all(finding.passed for finding in findings),
            "findings": [
                {"name": finding.name, "passed": finding.passed, "sentence": finding.sentence} for finding in findings
            ],
            "seconds": time.perf_counter() - started,
        },
        newest=lambda: store.latest(trained_model.slot) == trained_model,
    )


def trained_again(store: ArtifactStore, trained_model: Artifact, parts: Split) -> "Recommender":
    """A model trained as that one was, on other parts; the models that it started from are trained on them as well.

    Nothing is tracked, and there are no checkpoints.
    """
    settings = settings_of(trained_model)
    members = {
        name: trained_again(store, store.resolve(reference), parts)
        for name, reference in trained_model.parents.items()
        if name in model_names()
    }
    model = model_class(settings.model_name)(settings.model)
    train = train_used(parts, settings)
    fit(model, settings, Dataset(train, parts.validation_heldout()), members=members)
    return model


def _first_failure(findings: Sequence[Finding]) -> Finding:
    """The first that did not pass, or the first."""
    return next((finding for finding in findings if not finding.passed), findings[0])


def settings_of(trained_model: Artifact) -> Settings:
    """The settings that a model was trained with, checked again, whatever configs/ says by now.

    `paths` are those of that run, perhaps on another machine. Raises ConfigError for a setting that is no longer one,
    DeviceError where the device is not on this machine.
    """
    config = trained_model.config
    return typed_settings(OmegaConf.create(config), config["overrides"])


def save_findings(findings: Sequence[Finding], folder: Path) -> None:
    """Write the findings as JSON, numbers included."""
    rows = [asdict(finding) for finding in findings]
    (folder / FINDINGS_FILE).write_text(json.dumps(rows, indent=1), encoding="utf-8")
