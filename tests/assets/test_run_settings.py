"""A run's settings: the fields and overrides of the launchpad, and what is said of wrong ones."""

from pathlib import Path

import dagster as dg
import pytest
from dagster_runs import EASE, POPULARITY, evaluations, execute, latest, prepare, sentence
from hypothesis import example, given, settings
from hypothesis import strategies as st

from movierec_assets.jobs import DATA, MODEL
from movierec_assets.materialize import materialize
from movierec_assets.resources import SettingsResource
from movierec_engine.config import load_settings
from movierec_engine.errors import ConfigError, DeviceError
from movierec_engine.store import ArtifactStore


def test_settings_that_people_change_most_are_fields_and_asking_twice_is_refused(overrides: list[str]) -> None:
    settings = SettingsResource(
        seed=7, max_epochs=3, split="leave_one_out", data_dir="it's here", overrides=overrides[:1],
        learning_rate=0.25, data_name="mine",
    )  # fmt: skip
    made = settings.of("cpu", "gmf")
    assert (made.seed, made.trainer.max_epochs, made.data.split, made.data.dir) == (7, 3, "leave_one_out", "it's here")
    assert (made.trainer.learning_rate, made.data.name, made.model_name, made.device) == (0.25, "mine", "gmf", "cpu")
    asked = Path(load_settings(overrides[:1]).paths.checkpoints)
    assert Path(made.paths.checkpoints) == asked / "cpu", "two devices may train the same model at once"
    with pytest.raises(ConfigError, match=r"seed=7 and override 'seed=8' are the same setting"):
        SettingsResource(seed=7, overrides=["seed=8"]).shared()
    with pytest.raises(ConfigError, match=r"data.split=globl_time is not known"):
        SettingsResource(split="globl_time").shared()


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))))
@example("a\\")
@example("it\\'s ${oc.env:HOME} \\${x}")
@settings(max_examples=12, deadline=None)
def test_a_field_reaches_the_settings_as_it_was_typed(text: str) -> None:
    assert SettingsResource(data_dir=text).shared().data.dir == text


def test_a_device_that_is_not_there_fails_at_once_with_its_sentence(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    with pytest.raises(DeviceError, match="device=mps is not on this machine"):
        SettingsResource(overrides=overrides).of("mps", "ease")
    with pytest.raises(DeviceError, match="mps"):
        materialize(["ease"], "mps", overrides, instance)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("trainer.batch_size=-1", "trainer.batch_size=-1 must be at least 1"),
        ("data.splitt=random", "data.splitt is not a setting; did you mean data.split?"),
        ("model=ease", "the model is the partition's"),
    ],
)
def test_a_wrong_override_fails_before_any_work_with_the_command_lines_sentence(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], override: str, expected: str
) -> None:
    result = execute(instance, [*overrides, override], DATA)
    assert expected in " ".join(
        event.step_failure_data.user_failure_data.description or ""
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.user_failure_data
    )
    assert not store.root.exists() or not any(store.root.rglob("manifest.json"))
    with pytest.raises(ConfigError):
        materialize(["popularity"], "cpu", [*overrides, override], instance)


def test_a_model_step_without_its_data_says_what_to_materialize(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    assert "materialize it first" in sentence(execute(instance, overrides, MODEL, POPULARITY))


def test_other_data_settings_than_the_splits_were_made_with_are_refused(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    prepare(store, overrides)
    result = execute(instance, [*overrides, "data.split=leave_one_out"], MODEL, EASE)
    assert "was made with data.split=random" in sentence(result)


def test_whole_users_are_held_out_where_a_run_asks_for_it(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    prepare(store, overrides)  # of another split, which is the newest no more
    users = [*overrides, "data.split=users", "data.train_ratio=0.5", "data.val_ratio=0.25"]
    prepare(store, users)
    result = execute(instance, users, MODEL, EASE)
    assert result.success
    assert [name for name, found in evaluations(result).items() if not found.passed] == []
    assert latest(store, "evaluation_report", "ease", "cpu").facts["metrics"]["ndcg@100"] > 0


def test_artifacts_that_cannot_be_written_are_named_by_the_first_step(
    instance: dg.DagsterInstance, overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "store"):
        monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(root))
        said = sentence(execute(instance, overrides, ("raw_ratings",)))
        assert said.startswith(f"paths.artifacts={root}: nothing can be written there (")
