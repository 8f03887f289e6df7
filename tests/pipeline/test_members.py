"""No setting lets a model start from, or be made of, one that has seen other parts."""

from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.config import Settings, load_settings
from movierec_engine.errors import ConfigError, MovierecError, StoreError
from movierec_engine.models.registry import model_class, model_names
from movierec_engine.pipeline.members import TRIAL_OF, find_members, strangers
from movierec_engine.pipeline.model_checks import ancestors_saw_the_same
from movierec_engine.store import Artifact, ArtifactStore, Slot

SHARES = (1.0, 0.5)
NAMES_A_MODEL = {("ncf", "pretrained_gmf"), ("ncf", "pretrained_mlp"), ("hybrid_ensemble", "models")}
CHOICES = {
    *("loss_type", "fusion_method", "normalization", "metric", "missing"),
    *("similarity", "feedback", "activation", "prior", "block", "relative_time"),
}
"""Text settings of models that choose among words, and name no model."""


class World(NamedTuple):
    """A store with models of every sort of upbringing. Models named here are the newest of their slots."""

    store: ArtifactStore
    splits: tuple[Artifact, Artifact]
    made: list[Artifact]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    store = ArtifactStore(tmp_path_factory.mktemp("members"))
    one, other = (publish(store, Slot("splits", "movielens-small"), {}, 1.0) for _ in range(2))
    made = []
    for name, split, share, trial in product(("gmf", "mlp", "ease"), (one, other), SHARES, (False, True)):
        made.append(publish(store, slot(name), {"splits": split}, share, trial))
    foreign = next(made_of for made_of in made if made_of.parents["splits"] == other.reference)
    for name in ("gmf", "mlp", "ease"):
        made.append(publish(store, slot(name), {"splits": one, "gmf": foreign}, 1.0))
        made.append(publish(store, slot(name, "refitted_model"), {"splits": one, "trained_model": made[0]}, 1.0))
        made.append(publish(store, slot(name), {"splits": one, "refitted_model": made[-1]}, 1.0))
    return World(store, (one, other), made)


def slot(name: str, kind: str = "trained_model") -> Slot:
    return Slot(kind, "movielens-small", name, "cpu")


def publish(
    store: ArtifactStore, where: Slot, parents: dict[str, Artifact], share: float, trial: bool = False
) -> Artifact:
    return store.publish(
        where,
        lambda folder: None,
        key="0" * 12,
        fingerprint="",
        config={"data": {"train_size": share}, "model": {"mf_dim": 64, "mlp_layers": [64, 32, 16]}},
        parents=parents,
        origin={TRIAL_OF: "a sweep"} if trial else {},
        newest=not trial,
    )


@pytest.fixture(scope="module")
def by_model() -> dict[str, Settings]:
    return {name: load_settings([f"model={name}"]) for name in ("ncf", "hybrid_ensemble")}


def upbringing(store: ArtifactStore, model: Artifact) -> set[tuple[str, str, float]]:
    """Kind, split and share of train of a model and everything trained that it comes from."""
    own = (model.slot.kind, model.parents["splits"], model.config["data"]["train_size"])
    parents = [store.resolve(reference) for kind, reference in model.parents.items() if kind != "splits"]
    return {own}.union(*(upbringing(store, parent) for parent in parents))


@given(st.data())
def test_whatever_a_setting_names_has_seen_the_same_or_is_refused(
    world: World, by_model: dict[str, Settings], data: st.DataObject
) -> None:
    store, splits, made = world
    split, share = data.draw(st.sampled_from(splits)), data.draw(st.sampled_from(SHARES))
    references = st.sampled_from([one.reference for one in made])
    if data.draw(st.booleans()):
        settings = by_model["ncf"]
        gmf, mlp = (data.draw(st.just("latest") | references) for _ in range(2))
        model: object = replace(settings.model, pretrained_gmf=gmf, pretrained_mlp=mlp)  # type: ignore[type-var]
        named = {"gmf": gmf, "mlp": mlp}
    else:
        settings = by_model["hybrid_ensemble"]
        versions = st.sampled_from(["/".join((one.slot.model, "cpu", one.version)) for one in made])
        names = st.sampled_from(["gmf", "mlp", "ease"])
        models = tuple(data.draw(st.lists(names | versions, min_size=2, max_size=3, unique_by=lambda one: one[:3])))
        model = replace(settings.model, models=models, missing="train")  # type: ignore[type-var]
        named = {one.split("/")[0]: one if "/" in one else "latest" for one in models}
    settings = replace(settings, model=model, data=replace(settings.data, train_size=share))
    try:
        found = find_members(store, settings, split)
    except MovierecError as error:
        assert isinstance(error, ConfigError | StoreError)
        assert any(one != "latest" for one in named.values()), "only a named version can be refused"
        return
    assert list(found) == list(named)
    for name, member in found.items():
        assert member is not None, "each has a version of this split and share"
        assert member.slot == slot(name)
        assert upbringing(store, member) == {("trained_model", split.reference, share)}
        assert named[name] != "latest" or TRIAL_OF not in member.origin


def test_the_settings_that_name_a_model_are_those_that_the_property_is_of() -> None:
    """A new text setting of a model must be put on one side or the other."""
    texts = set()
    for name in model_names():
        config = model_class(name).Config
        hints = get_type_hints(config)
        texts |= {(name, one.name) for one in fields(config) if hints[one.name] in (str, tuple[str, ...])}
    assert {one for one in texts if one[1] not in CHOICES} == NAMES_A_MODEL


def test_the_canary_names_every_ancestor_that_saw_something_else(world: World) -> None:
    store, (one, other), made = world
    honest = [model for model in made if upbringing(store, model) == {("trained_model", one.reference, 1.0)}]
    assert honest
    assert all(ancestors_saw_the_same(store, model).passed for model in honest)
    of_foreign = next(model for model in made if "gmf" in model.parents)
    finding = ancestors_saw_the_same(store, of_foreign)
    assert not finding.passed
    assert finding.numbers == {"ancestors": 1, "strangers": 1}
    assert of_foreign.parents["gmf"] in finding.sentence
    assert other.reference in finding.sentence
    of_refitted = next(model for model in made if "refitted_model" in model.parents)
    assert "being a refitted_model" in ancestors_saw_the_same(store, of_refitted).sentence


def test_a_model_whose_ancestor_is_gone_is_not_started_from(tmp_path: Path, by_model: dict[str, Settings]) -> None:
    store = ArtifactStore(tmp_path)
    splits = publish(store, Slot("splits", "movielens-small"), {}, 1.0)
    older = publish(store, slot("gmf"), {"splits": splits}, 1.0)
    newer = publish(store, slot("mlp"), {"splits": splits, "gmf": older}, 1.0)
    settings = by_model["ncf"]
    model = replace(settings.model, pretrained_gmf="latest", pretrained_mlp="latest")  # type: ignore[type-var]
    settings = replace(settings, model=model)
    assert find_members(store, settings, splits) == {"gmf": older, "mlp": newer}
    store.remove(older)
    assert find_members(store, settings, splits) == {"gmf": None, "mlp": None}
    assert list(strangers(store, newer, splits.reference, 1.0)) == [newer.reference]
    assert not ancestors_saw_the_same(store, newer).passed
