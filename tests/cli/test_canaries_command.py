"""The canaries of a trained model in the store, and the command that runs them."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from movierec_engine import pipeline
from movierec_engine.cli.main import cli
from movierec_engine.config import Settings, load_settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.interactions import Interactions
from movierec_engine.models import EASE
from movierec_engine.pipeline.canaries import settings_of
from movierec_engine.store import Artifact, ArtifactStore, Slot

CHECKS = [
    "parts_are_disjoint",
    "graph_is_train",
    "memory_is_train",
    "ancestors_saw_the_same",
    "order_counts_for_models_of_order_alone",
    "future_item_stays_unknown",
    "falls_to_the_floor",
]


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


def trained(store: ArtifactStore, settings: Settings) -> Artifact:
    made = pipeline.prepare(store, settings.data)
    return pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])


def joined(one: Interactions, other: Interactions) -> Interactions:
    return Interactions.from_table(pa.concat_tables([one.to_table(), other.to_table()]), one.users, one.items)


def invoke(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, *options: str) -> Result:
    return CliRunner().invoke(cli, ["canaries", "--artifacts", str(store.root), *options], env={"COLUMNS": "160"})


def test_the_findings_of_an_honest_model_are_published(small_data: list[str], store: ArtifactStore) -> None:
    model = trained(store, load_settings([*small_data, "model=ease"]))
    canaries = pipeline.run_canaries(store, model, {"dagster_run_id": "a run"})
    assert store.latest(Slot("leak_canaries", "camps", "ease", "cpu")) == canaries.verify()
    assert canaries.fingerprint == model.fingerprint
    assert canaries.parents == {"trained_model": model.reference, "splits": model.parents["splits"]}
    assert canaries.origin["dagster_run_id"] == "a run"
    assert canaries.facts["passed"] is True
    findings = json.loads((canaries.folder / "findings.json").read_text(encoding="utf-8"))
    assert [finding["name"] for finding in findings] == CHECKS
    assert all(finding["passed"] and finding["sentence"] and finding["numbers"] for finding in findings)
    for finding in findings:
        del finding["numbers"]
    assert canaries.facts["findings"] == findings


@pytest.mark.slow
def test_a_model_is_trained_again_with_its_own_settings_and_beside_its_checkpoints(
    small_data: list[str], store: ArtifactStore, tmp_path: Path
) -> None:
    """A share of train, members that it starts from, and a run that was resumed."""
    quick = [*small_data, "trainer.max_epochs=2", "data.train_size=0.8"]
    narrow = ["model.mf_dim=8"], ["model.mlp_layers=[8,4]"]
    for name, width in zip(("gmf", "mlp"), narrow, strict=True):
        trained(store, load_settings([*quick, f"model={name}", *width]))
    members = ["model.pretrained_gmf=latest", "model.pretrained_mlp=latest", "trainer.resume=true"]
    settings = load_settings([*quick, "model=ncf", *narrow[0], *narrow[1], *members])
    model = trained(store, settings)
    assert settings_of(model) == settings
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "checkpoints").iterdir()}
    canaries = pipeline.run_canaries(store, model)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "checkpoints").iterdir()} == before
    assert [finding["name"] for finding in canaries.facts["findings"]] == CHECKS
    assert all(finding["passed"] for finding in canaries.facts["findings"][:4])
    findings = {one["name"]: one for one in json.loads((canaries.folder / "findings.json").read_text(encoding="utf-8"))}
    parts = pipeline.load_split(store.resolve(model.parents["splits"]))
    assert findings["graph_is_train"]["numbers"]["edges"] == 2 * round(0.8 * len(parts.train)), "the graph of the share"
    assert findings["ancestors_saw_the_same"]["numbers"]["ancestors"] == 2
    assert store.latest(model.slot) == model


def test_the_command_tells_honest_models_from_leaks_by_its_exit_code(
    small_data: list[str], store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = trained(store, load_settings([*small_data, "model=ease"]))
    parts = pipeline.load_split(store.resolve(honest.parents["splits"]))
    leaky = EASE()
    leaky.fit(Dataset(joined(parts.train, parts.test)))
    parents = {kind: store.resolve(reference) for kind, reference in honest.parents.items()}
    store.publish(honest.slot, leaky.save, key="0" * 12, fingerprint="", config=honest.config, parents=parents)

    newest = invoke(store, monkeypatch, "--model", "ease", "--device", "cpu")
    assert (newest.exit_code, newest.output.count("FAIL")) == (1, 1), newest.output
    (failure,) = [line for line in newest.output.splitlines() if "FAIL" in line]
    assert "memory is train" in failure

    older = invoke(store, monkeypatch, "--model", "ease", "--version", honest.version)
    assert (older.exit_code, older.output.count("pass")) == (0, len(CHECKS)), older.output
    assert str(store.root / "leak_canaries" / "camps" / "ease" / "cpu") in older.output


def test_a_model_that_is_not_there_is_one_sentence(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(store, monkeypatch, "--model", "lightgcn")
    assert result.exit_code == 1
    assert result.output.startswith("error: no lightgcn is trained")
