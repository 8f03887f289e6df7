"""Settings: each default has one home, the dataclass, and each setting an explanation beside it."""

import json
import runpy
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from movierec_assets.automation import AutomationConfig, load_automation
from movierec_engine import config
from movierec_engine.cli.hydra_job import url_in_environment
from movierec_engine.cli.settings_help import settings_help, settings_of
from movierec_engine.config import GROUPS, PathsConfig, completed, known_keys, load_settings
from movierec_engine.feedback.config import URL_VARIABLE
from movierec_engine.models.registry import OWN_MODELS, model_class
from movierec_engine.training.config import TrainerConfig

ROOT = Path(__file__).parents[1]

OWN_LEARNING_RATES = {"recvae": 0.003, "sasrec": 0.005}


def test_the_files_of_the_groups_are_what_their_dataclasses_say() -> None:
    written = runpy.run_path(str(ROOT / "configs" / "write.py"))["texts"]()
    differing = [path.name for path, text in written.items() if path.read_text(encoding="utf-8") != text]
    assert differing == [], "run python configs/write.py"
    by_hand = {"config.yaml", "data/custom.yaml", "data/presplit.yaml", "automation/demo.yaml"}
    folder = ROOT / "configs"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.yaml") if path.parent.name != "sweep"} == {
        *by_hand, *(str(path.relative_to(folder)) for path in written)
    }  # fmt: skip


@pytest.mark.parametrize("model", OWN_MODELS)
def test_what_hydra_composes_is_the_defaults_of_the_dataclasses(model: str) -> None:
    settings = load_settings([f"model={model}", "device=cpu"])
    assert settings.model == model_class(model).Config()
    assert settings.trainer == TrainerConfig(learning_rate=OWN_LEARNING_RATES.get(model, 0.01))
    for group, kind in {**GROUPS, "paths": PathsConfig}.items():
        if group != "trainer":
            assert getattr(settings, group) == kind(), group


def test_what_dagster_does_by_itself_is_the_defaults_of_its_dataclass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOVIEREC_AUTOMATION", raising=False)
    assert load_automation() == AutomationConfig()


def test_a_file_of_ones_own_changes_only_what_it_must() -> None:
    usual, own = (
        asdict(load_settings([*overrides, "device=cpu"]).data)
        for overrides in ([], ["data=custom", "data.ratings_file=mine.csv"])
    )
    assert {name for name in usual if usual[name] != own[name]} == {
        "name", "layout", "dir", "ratings_file", "rating_min", "rating_max", "rating_threshold"
    }  # fmt: skip


@pytest.mark.parametrize("model", OWN_MODELS)
def test_every_setting_is_explained_and_can_be_given(model: str) -> None:
    settings = list(settings_help(model))
    assert [setting.key for setting in settings if not setting.meaning.endswith((".", ")"))] == []
    keys = set(known_keys([f"model={model}", "data=custom"])) | set(known_keys(["data=presplit"]))
    assert {setting.key for setting in settings} <= keys


def test_every_setting_of_the_automation_is_explained() -> None:
    assert [setting.key for setting in settings_of(AutomationConfig, "automation") if not setting.meaning] == []


def test_an_empty_variable_is_as_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", "")
    monkeypatch.setenv("MOVIEREC_CHECKPOINTS", "")
    assert load_settings(["device=cpu"]).paths == PathsConfig()
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", "store")
    assert load_settings(["device=cpu"]).paths == PathsConfig(artifacts="store")


def test_threads_compose_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra keeps what it composes in one place of the process."""
    kept, compose = [], config.compose

    def composed(*of: Any, **named: Any) -> Any:
        kept.append(config._hydra_lock.locked())
        return compose(*of, **named)

    monkeypatch.setattr(config, "compose", composed)
    config._of_choices.cache_clear()
    load_settings(["model=popularity", "device=cpu"])
    config.load_serving([])
    assert kept == [True, True]
    assert not config._hydra_lock.locked()


@pytest.mark.filterwarnings("ignore:extend_list")
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["seed=7", "model=lightgcn", "model.embedding_dim=8", "model.embedding_dim=16"],
        ["evaluation.k_values=[5,10]", "trainer={max_epochs:3}", "run_name='a, b'", "data.dir=null"],
        ["model=ncf", "model.mlp_layers=[64,32]", "data=custom", "data.ratings_file=mine.csv", "paths.artifacts=s3://a/b"],
        ["+model.new=1", "~logger.use_wandb", "++trainer.max_epochs=2", "hydra.job.name=x"],
        ["evaluation.k_values=extend_list(50)"],
        ["release.metric=${evaluation.k_values}", "logger.wandb.project=${oc.env:HOME}"],
    ],
)  # fmt: skip
def test_what_is_composed_is_what_hydra_composes(words: list[str]) -> None:
    expected = config._composed_by_hydra(words, config.config_dir())
    for _ in range(2):  # by then it is kept
        found = config._composed(words)
        assert OmegaConf.to_yaml(found) == OmegaConf.to_yaml(expected)
        OmegaConf.set_struct(found, False)
        found.trainer.max_epochs = found.trainer.new = 99


@pytest.mark.parametrize(
    "name", ["Hörer", "Anzahl (Stück)", "it's", "C:\\Daten\\", "a\\'b", "Титул", "what?", "x=y z", "ü'"]
)
def test_a_text_needs_no_quotes_of_hydras(name: str) -> None:
    settings = load_settings(["data=custom", "data.ratings_file=r.csv", f"data.columns.user={name}"])
    assert settings.data.columns.user == name


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp")), max_size=12))
def test_any_text_that_begins_with_a_letter_of_its_own_is_itself(text: str) -> None:
    (read,) = OverridesParser.create().parse_overrides(completed([f"data.columns.user=ö{text}"]))
    assert read.value() == f"ö{text}"


def test_a_changed_file_of_settings_counts_from_then_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.setenv("MOVIEREC_CONFIGS", str(tmp_path / "configs"))
    words = ["model=popularity", "device=cpu"]
    assert load_settings(words).data.split_seed == 42
    file = tmp_path / "configs" / "data" / "movielens.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("split_seed: 42", "split_seed: 43"), encoding="utf-8")
    assert load_settings(words).data.split_seed == 43


def test_a_password_in_an_address_stays_out_of_what_is_recorded_and_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL_VARIABLE, "postgresql+psycopg://me:hunter1@db/feedback")
    assert load_settings(["model=popularity", "device=cpu"]).feedback.url.endswith("hunter1@db/feedback")
    url = "postgresql+psycopg://me:hunter2@db/feedback"
    settings = load_settings(["model=popularity", "device=cpu", f"feedback.url={url}"])
    assert settings.feedback.url == url == config.load_feedback([f"feedback.url={url}", "serving.workers=1"]).url
    assert settings.resolved()["feedback"] == {"url": "postgresql+psycopg://db/feedback"}
    assert "hunter" not in json.dumps(settings.resolved())
    words = url_in_environment(["model=als", f"feedback.url={url}"])
    assert words == ["model=als", "feedback.url=${oc.env:MOVIEREC_FEEDBACK_URL}"], "as Hydra prints and writes them"
    assert load_settings([*words, "device=cpu"]).feedback.url == url
