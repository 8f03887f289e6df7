import shlex
import subprocess
import sys
from pathlib import Path
from unittest.mock import ANY

import dagster as dg
import pytest
from dagster._core.instance.config import dagster_instance_config

from movierec_assets.automation import AutomationConfig, OwnersConfig
from movierec_assets.definitions import GROUP, defs, described
from movierec_assets.jobs import DATA, MODEL, RELEASE
from movierec_assets.partitions import devices_of
from movierec_assets.schedules import make_schedules
from movierec_assets.sensors import make_sensors
from movierec_engine.config import load_settings
from movierec_engine.device import kinds_here
from movierec_engine.errors import ConfigError
from movierec_engine.models import single_models

ROOT = Path(__file__).parents[2]
LINE = {
    "input_files": set(),
    "raw_ratings": {"input_files"},
    "raw_movies": {"input_files"},
    "interactions": {"raw_ratings"},
    "splits": {"interactions"},
    "interaction_graph": {"splits"},
    "trained_model": {"splits", "interaction_graph"},
    "evaluation_report": {"trained_model", "raw_movies"},
    "faiss_index": {"trained_model", "raw_movies"},
    "leak_canaries": {"trained_model"},
    "hybrid_ensemble": {"splits", "interaction_graph", "raw_movies", "trained_model"},
    "backtest": {"raw_ratings", "raw_movies"},
    "sweep": {"splits", "interaction_graph"},
    "leaderboard": {"evaluation_report", "hybrid_ensemble"},
    "refitted_release": {"leaderboard", "faiss_index", "hybrid_ensemble"},
    "serving_release": {"refitted_release"},
    "exported_lists": {"serving_release"},
    "api": {"serving_release"},
    "dashboard": {"serving_release", "leaderboard", "evaluation_report"},
    "mlflow_registry": {"serving_release"},
}
"""Each asset and what it is made of."""


def test_the_assets_form_the_line_from_ratings_to_release() -> None:
    graph = defs.resolve_asset_graph()
    found = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert found == LINE


@pytest.mark.parametrize("name", LINE)
def test_every_asset_has_a_domain_kinds_and_a_description(name: str) -> None:
    node = defs.resolve_asset_graph().get(dg.AssetKey(name))
    assert node.tags["domain"] in ("data", "models", "studies", "release", "surfaces")
    assert node.kinds
    assert len(node.description or "") > 40


def test_the_lineage_page_opens_with_its_assets_as_one_group_is_drawn_without_a_box() -> None:
    graph = defs.resolve_asset_graph()
    assert {graph.get(key).group_name for key in graph.get_all_asset_keys()} == {GROUP}


def test_owners_are_those_of_the_settings_by_domain_and_nobody_where_there_are_none() -> None:
    assert not any(node.owners for node in map(defs.resolve_asset_graph().get, map(dg.AssetKey, LINE)))
    owners = OwnersConfig(data=("team:data",), release=("ann@example.org", "team:models"))
    spec = dg.AssetSpec("leaderboard", tags={"domain": "release"})
    assert list(described(spec, AutomationConfig(owners=owners)).owners) == list(owners.release)
    with pytest.raises(ConfigError, match=r"automation.owners.data: 'Ann' is no mail address and no team:NAME"):
        OwnersConfig(data=("Ann",))


@pytest.mark.parametrize("enabled", [True, False])
def test_schedules_and_sensors_say_how_to_turn_them_on_as_long_as_they_are_off(enabled: bool) -> None:
    config = AutomationConfig(enabled=enabled)
    for one in (*make_schedules(config), *make_sensors(config)):
        assert one.description
        assert ("MOVIEREC_AUTOMATION=demo" in one.description) is not enabled, one.name


def test_assets_whose_content_their_code_decides_have_a_version_of_it() -> None:
    graph = defs.resolve_asset_graph()
    have = {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).code_version}
    assert have == {*DATA, *MODEL, "hybrid_ensemble", "leaderboard", "refitted_release"}


def test_partitions_are_every_model_on_each_device_that_there_is() -> None:
    partitions = defs.resolve_asset_graph().get(dg.AssetKey("trained_model")).partitions_def
    assert partitions is not None
    assert set(partitions.get_partition_keys()) == {
        f"{device}|{model}" for device in kinds_here() for model in single_models()
    }
    assert devices_of(AutomationConfig(devices=("cpu", "cuda"))) == ("cpu", "cuda"), "as on a server that has none"


def test_everything_that_trains_shares_a_pool_so_that_two_trainings_queue() -> None:
    pools = {key.to_user_string(): defs.resolve_asset_graph().get(key).pools or set() for key in map(dg.AssetKey, LINE)}
    training = ("trained_model", "hybrid_ensemble", "leak_canaries", "backtest", "sweep", "refitted_release")
    assert pools == {name: {"training"} if name in training else set() for name in LINE}


def test_no_asset_has_a_retry_policy_as_dagster_would_try_again_what_a_person_terminates() -> None:
    """Its issue 15026; `SettingsResource.step` tries again."""
    assert not [asset.key for asset in defs.assets if hasattr(asset, "op") and asset.op.retry_policy]


@pytest.mark.parametrize("name", ["one-machine", "team", "cluster"])
def test_every_example_of_an_instance_has_settings_that_dagster_knows(name: str) -> None:
    settings, _ = dagster_instance_config(str(ROOT / "deploy" / "dagster" / name))
    assert settings["run_retries"] == {"enabled": True, "max_retries": ANY, "retry_on_asset_or_op_failure": False}
    assert settings["concurrency"]["pools"]["granularity"] == "run"


def test_selection_strings_and_hydra_work_in_one_process() -> None:
    """Guards against hydra-core before 1.4, which pins an antlr runtime that Dagster cannot use."""
    selected = dg.AssetSelection.from_string('key:"splits"+').resolve(defs.resolve_asset_graph())
    assert dg.AssetKey("interaction_graph") in selected
    assert load_settings(["model=ease", "device=cpu"]).model_name == "ease"


@pytest.mark.parametrize("document", ["docs/guides/operate.md", "deploy/dagster/README.md"])
def test_the_commands_that_are_shown_select_assets_of_one_kind_of_partitions(document: str) -> None:
    """Dagster refuses a partition for assets that do not share it, such as `*`."""
    text = (ROOT / document).read_text(encoding="utf-8").replace("\\\n", " ")
    commands = [shlex.split(line) for line in text.splitlines() if line.startswith("dagster asset materialize")]
    assert commands
    graph = defs.resolve_asset_graph()
    for command in commands:
        selection, partition = (command[command.index(option) + 1] for option in ("--select", "--partition"))
        selected = dg.AssetSelection.from_string(selection).resolve(graph)
        assert selected == {dg.AssetKey(name) for name in (*DATA, *MODEL, *RELEASE)}
        (partitions,) = {node.partitions_def for node in map(graph.get, selected) if node.partitions_def}
        assert partitions.has_partition_key(partition)


@pytest.mark.slow
def test_the_workspace_file_validates() -> None:
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
