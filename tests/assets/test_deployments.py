"""The files of deploy/, as far as they can be checked without the machines that they are for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted(path.name for path in (DEPLOY / "one-machine").glob("movierec*"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_takes_the_units_and_finds_their_programs(tmp_path: Path) -> None:
    for name in UNITS:
        text = (DEPLOY / "one-machine" / name).read_text(encoding="utf-8")
        text = text.replace("/srv/movierec/venv/bin", str(Path(sys.executable).parent))
        (tmp_path / name).write_text(text.replace("/srv/movierec", str(tmp_path)), encoding="utf-8")
    assert len(UNITS) == 8
    verified = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in UNITS)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_the_environment_of_the_services_names_what_their_commands_and_dagsters_files_ask_for() -> None:
    lines = (DEPLOY / "one-machine" / "environment.example").read_text(encoding="utf-8").splitlines()
    named = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}
    asked = set()
    for path in (DEPLOY / "dagster" / "team").glob("*.yaml"):
        asked |= _variables(yaml.safe_load(path.read_text(encoding="utf-8")))
    for name in UNITS:
        text = (DEPLOY / "one-machine" / name).read_text(encoding="utf-8")
        asked |= {part.partition("}")[0] for part in text.split("${")[1:]}
    assert asked == {*_postgres(), "MOVIEREC_CODE_HOST", "MOVIEREC_CODE_PORT", "DAGSTER_HOME"}
    assert asked <= named


@pytest.mark.parametrize("launcher", ["kubernetes", "ray"])
def test_a_run_elsewhere_is_given_all_that_its_instance_and_its_definitions_ask_for(launcher: str) -> None:
    """The definitions of a run make the same partitions as the code server's, which may have no such device.

    dagster-k8s takes the password from the secret that is named.
    """
    text = (DEPLOY / "dagster" / "cluster" / "dagster.yaml").read_text(encoding="utf-8")
    instance = yaml.safe_load(text)
    config = instance["run_launcher"]["config"]
    given = {"DAGSTER_PG_PASSWORD"} if config["postgres_password_secret"] else set()
    if launcher == "ray":
        start = text.index("# run_launcher:")
        lines = text[start : text.index("\n\n", start)].splitlines()
        config = yaml.safe_load("\n".join(line.removeprefix("# ") for line in lines))["run_launcher"]["config"]["ray"]
        given = set()
    assert _postgres() == _variables(instance["storage"]) <= {*given, *config["env_vars"]}
    assert {"MOVIEREC_ARTIFACTS", "MOVIEREC_CHECKPOINTS", "MOVIEREC_AUTOMATION"} <= set(config["env_vars"])


def _postgres() -> set[str]:
    return {f"DAGSTER_PG_{name}" for name in ("USERNAME", "PASSWORD", "HOST", "PORT", "DB")}


def _variables(part: object) -> set[str]:
    """The names of all `{env: NAME}`."""
    if isinstance(part, dict):
        own = {part["env"]} if isinstance(part.get("env"), str) else set()
        return own.union(*map(_variables, part.values()))
    return set().union(*map(_variables, part)) if isinstance(part, list) else set()
