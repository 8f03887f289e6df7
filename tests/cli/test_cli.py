import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from movierec_engine import pipeline, release
from movierec_engine.cli.console import one_sentence_errors
from movierec_engine.cli.main import cli
from movierec_engine.config import load_settings
from movierec_engine.store import ArtifactStore


@pytest.mark.parametrize("command", [[], *([name] for name in cli.commands), ["data", "fetch"], ["models", "list"]])
def test_every_command_explains_itself(command: list[str]) -> None:
    result = CliRunner().invoke(cli, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_models_list_marks_the_served_version(small_data: list[str], tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    for model in ("popularity", "ease"):
        pipeline.run(store, load_settings([*small_data, f"model={model}"]))
    release.decide_release(store, pipeline.rank_models(store, "camps", "ndcg@10"))
    result = CliRunner().invoke(cli, ["models", "list", "--artifacts", str(store.root)], env={"COLUMNS": "200"})
    (served,) = [line for line in result.output.splitlines() if "★ served" in line]
    assert served.startswith("ease ")


def test_a_full_disk_is_one_sentence_that_names_where_the_file_was_to_go(
    tmp_path: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").write_bytes(b"x" * (2 << 20))
    with pytest.raises(SystemExit) as ended, one_sentence_errors():
        shutil.copyfile(tmp_path / "model", small_disk / "model")
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith(f"error: {small_disk / 'model'}: No space left on device; ")


def test_an_unknown_data_set_is_one_sentence() -> None:
    result = CliRunner().invoke(cli, ["data", "fetch", "ml-2m"])
    assert result.exit_code in (1, 2)
    assert result.output.startswith("error: ")
    assert len(result.output.strip().splitlines()) == 1


def test_an_empty_store_lists_nothing(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["models", "list", "--artifacts", str(tmp_path)])
    assert result.exit_code == 0


@pytest.mark.slow
def test_settings_come_from_an_env_file_in_the_working_folder_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MOVIEREC_ARTIFACTS=from-the-file\n")
    command = [sys.executable, "-m", "movierec_engine.cli", "models", "list"]
    environment = {name: value for name, value in os.environ.items() if name != "MOVIEREC_ARTIFACTS"}
    for variables, expected in (({}, "from-the-file"), ({"MOVIEREC_ARTIFACTS": "given"}, "given")):
        shown = subprocess.run(
            command,
            cwd=tmp_path,
            env={**environment, **variables, "COLUMNS": "400"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert expected in "".join(shown.stdout.split()), "a title that is too long is wrapped"
