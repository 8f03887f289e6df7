"""The package as software: a wheel, installed by role into environments that know nothing of this checkout."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import time
import tomllib
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

from movierec_engine.errors import EXTRAS
from movierec_engine.store import ArtifactStore

ROOT = Path(__file__).parents[1]
NOT_SERVING = ("torch", "mlflow", "wandb", "dagster", "streamlit")
"""What a server has no use for."""
MOST_MEGABYTES = 450
"""Of what a server installs, before Python adds its bytecode: 157 of Arrow, 114 of SciPy, 57 of NumPy, 66 of FAISS."""


def test_each_extra_brings_what_a_missing_import_blames_it_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(project["optional-dependencies"]) == {*EXTRAS, "client", "all", "dev"}
    distributions = packages_distributions()
    for extra, modules in EXTRAS.items():
        brought = {_name(requirement) for requirement in project["optional-dependencies"][extra]}
        for module in modules:
            assert {_name(one) for one in distributions[module]} & brought, f"{extra} does not bring {module}"


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout as a wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("movierec-*.whl")
    return built


@pytest.fixture(scope="module")
def trained(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder in which the installed command has materialized ease through Dagster.

    The libraries are those of this environment, since installing torch anew takes minutes; the package is the wheel's.
    """
    environment = tmp_path_factory.mktemp("all") / "venv"
    python = _environment(environment)
    (libraries,) = environment.glob("lib/python*/site-packages")
    (libraries / "shared.pth").write_text(sysconfig.get_path("purelib"))
    _run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", str(wheel))
    folder = tmp_path_factory.mktemp("a folder of their own")
    command = ["demo", "--no-serve", "--model", "ease", "--device", "cpu", "release.refit=false"]
    shown = _run(environment / "bin" / "movierec", *command, "logger.use_mlflow=false", cwd=folder)
    assert "for user 1" in shown
    where = _run(python, "-c", "import movierec_engine, movierec_assets, dashboard; print(dashboard.__file__)")
    assert where.startswith(str(environment))
    return folder


@pytest.mark.slow
def test_the_main_job_runs_in_an_empty_folder_on_the_bundled_data(trained: Path) -> None:
    assert [path.name for path in trained.iterdir()] == ["artifacts"]
    assert ArtifactStore(trained / "artifacts").pointed("serving", "movielens-small") is not None


@pytest.mark.slow
def test_a_server_alone_is_small_and_answers_without_what_trains(wheel: Path, trained: Path, tmp_path: Path) -> None:
    install = ROOT / "deploy" / "compose" / "install.sh"  # what the images are made by
    _run("env", f"PYTHON={sys.executable}", install, "serve", str(wheel.parent), str(tmp_path), cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    assert _megabytes(tmp_path / "venv") <= MOST_MEGABYTES
    there = f"from importlib.util import find_spec; print([name for name in {NOT_SERVING} if find_spec(name)])"
    assert _run(python, "-c", there).strip() == "[]"
    movierec = tmp_path / "venv" / "bin" / "movierec"
    with _server(movierec, trained) as url:
        answer = _json(f"{url}/api/recommend?user_id=1&top_k=5")
        assert answer["source"] == "personal" and len(answer["recommendations"]) == 5
        assert _json(f"{url}/api/recommend?history=318:4.5,296,593,50,527&top_k=5")["source"] == "fold-in"
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": "text/html"})) as page:
            assert b"<html" in page.read()
    refused = subprocess.run(
        [movierec, "train", "model=ease"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, len(refused.stderr.strip().splitlines())) == (1, 1)
    assert 'pip install "movierec[train]"' in refused.stderr


def _environment(folder: Path) -> Path:
    """The interpreter of a new environment that has nothing but pip."""
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def _megabytes(environment: Path) -> float:
    """The size of the packages of an environment, without bytecode and what installs packages."""
    (libraries,) = environment.glob("lib/python*/site-packages")
    files = [path for path in libraries.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    own = ("pip", "setuptools", "pkg_resources")
    return sum(path.stat().st_size for path in files if not path.relative_to(libraries).parts[0].startswith(own)) / 1e6


def _run(*command: Path | str, cwd: Path | None = None) -> str:
    """What a command prints, run outside of this checkout."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "MOVIEREC_"))}
    made = subprocess.run(command, cwd=cwd or Path.home(), env=outside, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return made.stdout


@contextmanager
def _server(movierec: Path, folder: Path) -> Iterator[str]:
    """The address of `movierec serve` in a folder, once it is ready."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "MOVIEREC_"))}
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([movierec, "serve", "--port", str(port), "--workers", "1"], cwd=folder, env=outside)
    try:
        for _ in range(200):
            assert process.poll() is None
            try:
                with urllib.request.urlopen(f"{url}/api/ready"):
                    break
            except urllib.error.URLError:
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _json(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)
