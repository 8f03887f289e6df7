import shlex
import subprocess
import sys
from pathlib import Path
from unittest.mock import ANY

import dagster as dg
import pytest
from dagster._core.instance.config import dagster_instance_config

from movierec_assets.automation import AutomationConfig
from movierec_assets.definitions import defs
from movierec_assets.jobs import DATA, MODEL, RELEASE
from movierec_assets.partitions import devices_of
from movierec_engine.config import load_settings
from movierec_engine.device import kinds_here
from movierec_engine.models import single_models

ROOT = Path(__file__).parents[2]
LINE = {
    "raw_ratings": set(),
    "raw_movies": set(),
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
def test_every_asset_has_a_group_an_owner_kinds_and_a_description(name: str) -> None:
    node = defs.resolve_asset_graph().get(dg.AssetKey(name))
    assert node.group_name in ("data", "models", "studies", "release")
    assert node.owners
    assert node.kinds
    assert len(node.description or "") > 40


def test_partitions_are_every_model_on_each_device_that_there_is() -> None:
    partitions = defs.resolve_asset_graph().get(dg.AssetKey("trained_model")).partitions_def
    assert partitions is not None
    assert set(partitions.get_partition_keys()) == {
        f"{device}|{model}" for device in kinds_here() for model in single_models()
    }
    assert devices_of(AutomationConfig(devices=("cpu", "cuda"))) == ("cpu", "cuda"), "as on a server that has none"


def test_everything_that_trains_shares_a_pool_so_that_two_trainings_queue() -> None:
    pools = {key.to_user_string(): defs.resolve_asset_graph().get(key).pools for key in map(dg.AssetKey, LINE)}
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


def test_the_workspace_file_validates() -> None:
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
