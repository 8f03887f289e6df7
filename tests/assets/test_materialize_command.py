"""What `python -m movierec_assets.materialize` says of a DAGSTER_HOME that Dagster cannot work with."""

import subprocess
import sys
from pathlib import Path

import pytest

from movierec_assets.materialize import open_instance
from movierec_engine.errors import ConfigError


@pytest.mark.parametrize("named", [None, "", "relative", "/no/such/folder"])
def test_a_dagster_home_that_is_no_folder_is_named(named: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    if named is not None:
        monkeypatch.setenv("DAGSTER_HOME", named)
    with pytest.raises(ConfigError, match=f"^DAGSTER_HOME={named or ''} is not the full path of a folder"):
        open_instance()


@pytest.mark.parametrize(
    "content", ["run_launcher: [", "no_such_setting: 1", "run_launcher: {module: nowhere, class: No}"]
)
def test_a_dagster_yaml_that_dagster_refuses_is_one_sentence(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text(content)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"dagster\.yaml is not what Dagster takes: ") as caught, open_instance():
        pass
    assert "\n" not in str(caught.value)


def test_the_command_ends_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    command = [sys.executable, "-m", "movierec_assets.materialize", "--model", "ease"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: DAGSTER_HOME= is not")
    assert ended.stderr.count("\n") == 1
