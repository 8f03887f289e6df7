"""A model from outside is one file: docs/tutorials/your_own_model.md is run, and every surface has the model."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from dashboard.queries import reports
from movierec_engine import pipeline
from movierec_engine.cli import train
from movierec_engine.cli.main import cli
from movierec_engine.config import load_settings
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.evaluation.report import EvaluationReport
from movierec_engine.models import load_model, model_class, plugins, registry, single_models
from movierec_engine.reporting.html import write_report
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.store import ArtifactStore

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorials" / "your_own_model.md"
FAVOURITES = """
from movierec_engine import Popularity, register_model


{decorator}
class Favourites(Popularity):
    name = "favourites"
"""


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setattr(plugins, "_loaded", set())
    registry._entry_points.cache_clear()
    yield
    registry._entry_points.cache_clear()


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, value: str) -> None:
    """A distribution `outside` on sys.path, with an entry point `favourites`."""
    (folder / "outside-1.0.dist-info").mkdir(parents=True)
    (folder / "outside_models.py").write_text(source, encoding="utf-8")
    (folder / "outside-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (folder / "outside-1.0.dist-info" / "entry_points.txt").write_text(f"[movierec.models]\nfavourites = {value}\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "outside_models", raising=False)
    registry._entry_points.cache_clear()


def test_the_tutorials_model_is_tried_in_python_and_trained_by_the_command_line(
    tmp_path: Path, small_data: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written, tried = re.findall(
        r"```python(?: title=[^\n]*)?\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "my_model.py").write_text(written, encoding="utf-8")
    monkeypatch.setenv("MOVIEREC_PLUGINS", str(tmp_path / "my_model.py"))
    monkeypatch.syspath_prepend(tmp_path)
    exec(tried, {})

    store = ArtifactStore(tmp_path / "store")
    train.main(["model=random_walk", "model.alpha=1.2", f"paths.artifacts='{store.root}'", *small_data])
    (slot,) = store.slots("trained_model", "camps", "random_walk", "cpu")
    assert store.require(slot).config["model"] == {"name": "random_walk", "alpha": 1.2}
    with pytest.raises(ConfigError, match=r"model.alfa is not a setting; did you mean model.alpha\?"):
        load_settings([*small_data, "model=random_walk", "model.alfa=2"])


@pytest.mark.parametrize("way", ["file", "entry point"])
def test_a_copy_of_popularity_under_another_name_works_on_every_surface(
    way: str, tmp_path: Path, small_data: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "file":
        (tmp_path / "mine.py").write_text(FAVOURITES.format(decorator="@register_model"), encoding="utf-8")
        monkeypatch.setenv("MOVIEREC_PLUGINS", str(tmp_path / "mine.py"))
    else:
        install(tmp_path / "site", monkeypatch, FAVOURITES.format(decorator=""), "outside_models:Favourites")
    store = ArtifactStore(tmp_path / "store")
    made = {
        model: pipeline.run(store, load_settings([*small_data, f"model={model}"]))
        for model in ("favourites", "popularity")
    }

    measured = {model: EvaluationReport.load(one["evaluation_report"].folder).metrics for model, one in made.items()}
    assert measured["favourites"] == measured["popularity"]
    assert load_model(made["favourites"]["trained_model"].folder).name == "favourites"
    assert RetrievalIndex.load(made["favourites"]["faiss_index"].folder).facts.model == "favourites"
    assert "favourites" in write_report(store, "camps", tmp_path / "report.html").read_text(encoding="utf-8")
    assert "favourites" in reports.load(store.root).reports.column("model").to_pylist()
    assert "favourites" in single_models()
    assert ReleaseConfig(above=("favourites",)).above == ("favourites",)
    board = CliRunner().invoke(cli, ["compare", "--artifacts", str(store.root)], env={"COLUMNS": "200"})
    assert board.exit_code == 0 and "favourites" in board.output


@pytest.mark.slow
def test_dagster_has_a_partition_of_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FAVOURITES.format(decorator="@register_model"), encoding="utf-8")
    program = "from movierec_assets.partitions import MODEL_BY_DEVICE; print(MODEL_BY_DEVICE.get_partition_keys())"
    environment = {**os.environ, "MOVIEREC_PLUGINS": str(tmp_path / "mine.py")}
    keys = subprocess.check_output([sys.executable, "-c", program], text=True, cwd=ROOT, env=environment)
    assert "cpu|favourites" in keys


@pytest.mark.parametrize(
    ("source", "value", "sentence"),
    [
        ("import no_such_module", "outside_models:Favourites", "cannot be loaded: No module named"),
        ("Favourites = 5", "outside_models:Favourites", "must be a model whose name is 'favourites'"),
        (FAVOURITES.format(decorator="").replace('"favourites"', '"x"'), "outside_models:Favourites", "whose name is"),
    ],
)
def test_an_entry_point_that_is_no_model_is_refused_in_one_sentence(
    source: str, value: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, source, value)
    registry._loaded.cache_clear()
    with pytest.raises(ConfigError, match=sentence):
        model_class("favourites")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (FAVOURITES.format(decorator="@register_model").replace('"favourites"', f'"{"a" * 51}"'), "up to 50"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        (None, "which is no Python file"),
        (FAVOURITES.format(decorator="@register_model").replace('"favourites"', '"ease"'), "a model 'ease' already"),
        (FAVOURITES.format(decorator="@register_model").replace('"favourites"', '"My Model"'), "lower-case letters"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(
    source: str | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source is not None:
        (tmp_path / "mine.py").write_text(source, encoding="utf-8")
    monkeypatch.setenv("MOVIEREC_PLUGINS", str(tmp_path / "mine.py"))
    with pytest.raises(ConfigError, match=sentence):
        model_class("favourites")


def test_an_entry_point_by_a_name_of_this_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, FAVOURITES.format(decorator=""), "outside_models:Favourites")
    points = tmp_path / "outside-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text().replace("favourites =", "ease ="))
    with pytest.raises(ConfigError, match="the entry point ease = outside_models:Favourites must have another name"):
        single_models()


def test_every_model_but_the_ensemble_stands_alone() -> None:
    assert single_models() == (
        *("popularity", "item_cf", "svd", "ease", "als", "gf_cf", "markov"),
        *("gmf", "mlp", "ncf", "recvae", "ngcf", "lightgcn", "sasrec"),
    )
    longest = type("Longest", (model_class("popularity"),), {"name": "a" * 50})
    assert registry.register_model(longest) is longest
    taken = type("Other", (model_class("popularity"),), {"name": "a" * 50})
    with pytest.raises(ConfigError, match="give Other another name"):
        registry.register_model(taken)


def test_a_model_that_nobody_registered_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="there is no model 'favourites'; choose one of popularity, item_cf"):
        model_class("favourites")


def test_a_thread_waits_until_another_has_loaded_the_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would ask for a model that is not registered yet."""
    moments = SimpleNamespace(started=threading.Event(), go_on=threading.Event(), runs=[])
    monkeypatch.setitem(sys.modules, "moments", moments)  # type: ignore[arg-type]
    (tmp_path / "slow.py").write_text(
        "import moments\nmoments.runs.append(1)\nmoments.started.set()\nassert moments.go_on.wait(60)\n"
    )
    monkeypatch.setenv("MOVIEREC_PLUGINS", str(tmp_path / "slow.py"))
    first, second = (threading.Thread(target=plugins.load_plugins, daemon=True) for _ in range(2))
    first.start()
    assert moments.started.wait(60)
    second.start()
    second.join(0.1)
    waits = second.is_alive()
    moments.go_on.set()
    for thread in (first, second):
        thread.join(60)
        assert not thread.is_alive()
    assert (waits, moments.runs) == (True, [1])
