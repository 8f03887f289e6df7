"""The command line that trains, end to end on a small folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from object_store import as_host, object_store_server
from pytest import CaptureFixture

from movierec_engine import pipeline, release
from movierec_engine.cli import train as training
from movierec_engine.config import load_settings
from movierec_engine.data.ratings import Movies
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import LightGCN, load_model
from movierec_engine.store import SERVING, ArtifactStore, Slot, measured_index


def printed_report(capsys: CaptureFixture[str]) -> Path:
    return Path(capsys.readouterr().out.strip().splitlines()[-1].removeprefix("report: "))


def test_train_prints_a_table_and_the_path_of_a_complete_report(
    small_data: list[str], tmp_path: Path, capsys: CaptureFixture[str]
) -> None:
    store = tmp_path / "an artifact store"
    training.main(["model=lightgcn", "trainer.max_epochs=2", f"paths.artifacts='{store}'", *small_data])
    path = printed_report(capsys)
    report = json.loads(path.read_text())
    assert store in path.parents
    assert 0 <= report["metrics"]["ndcg@10"] <= 1
    assert report["intervals"]["ndcg@10"][0] <= report["metrics"]["ndcg@10"] <= report["intervals"]["ndcg@10"][1]
    assert (report["model"], report["device"], report["protocol"], report["seed"]) == ("lightgcn", "cpu", "full", 42)
    assert len(report["fingerprint"]) == 12
    assert report["seconds"] > 0
    assert report["peak_memory_mb"] > 50
    users = pq.read_table(path.with_name("users.parquet"))
    assert len(users) == report["counts"]["users_evaluated"]
    assert sum(users["ndcg@10"].to_pylist()) / len(users) == pytest.approx(report["metrics"]["ndcg@10"])


def test_with_an_object_store_hydras_files_are_in_the_hosts_own_folder(
    small_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no folder named `s3:` is made."""
    monkeypatch.chdir(tmp_path)
    with object_store_server() as server, as_host(server, tmp_path / "host"):
        location = f"{server.bucket('movies')}/team"
        training.main(["model=popularity", f"paths.artifacts={location}", *small_data])
        assert ArtifactStore(location).latest(Slot("trained_model", "camps", "popularity", "cpu"))
    assert list((tmp_path / "host" / "hydra" / "runs").glob("*/*/.hydra/config.yaml"))
    assert not (tmp_path / "s3:").exists()


@pytest.mark.parametrize("location", ["s4://movies", "s3:movies"])
def test_a_location_that_is_no_store_is_one_sentence_and_leaves_nothing(
    location: str,
    small_data: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SystemExit):
        training.main(["model=popularity", f"paths.artifacts={location}", *small_data])
    said = capsys.readouterr().err
    assert said.startswith(f"error: {location} is no artifact store; give a folder, or a URL such as")
    assert said.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_overrides_reach_the_model_and_everything_is_written_below_the_artifacts(
    small_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(tmp_path / "store"))
    training.main(["model=lightgcn", "model.embedding_dim=16", "trainer.max_epochs=1", *small_data])
    trained = ArtifactStore(tmp_path / "store").require(Slot("trained_model", "camps", "lightgcn", "cpu"))
    model = LightGCN.load(trained.folder)
    assert model.item_embeddings.shape[1] == 16
    assert trained.config["trainer"]["max_epochs"] == 1
    assert not list(folder.iterdir())


def test_the_reference_descriptions_snippet_measures_a_checkpoint_on_the_bundled_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: CaptureFixture[str]
) -> None:
    (tmp_path / "data").symlink_to(Path(__file__).parents[2] / "data")
    monkeypatch.chdir(tmp_path)
    for name in ("MOVIEREC_ARTIFACTS", "MOVIEREC_CHECKPOINTS"):
        monkeypatch.delenv(name, raising=False)
    quick = ["trainer.max_epochs=1", "logger.use_mlflow=false", "logger.use_wandb=false", "device=cpu"]
    training.main(["model=lightgcn", *quick])
    report = json.loads(printed_report(capsys).read_text())

    from movierec_engine.data import MovieLensDataModule

    model = LightGCN.load("checkpoints/lightgcn_best.pt")
    data = MovieLensDataModule("data/movielens-small")
    data.setup()
    evaluator = Evaluator(k_values=[5, 10, 20])
    results = evaluator.evaluate(model, data.test_data)
    evaluator.print_results(results)
    assert results.metrics == report["metrics"]
    assert "ndcg" in capsys.readouterr().out


def test_resuming_the_command_line_says_where_it_goes_on(
    small_data: list[str], tmp_path: Path, capsys: CaptureFixture[str]
) -> None:
    run = ["model=gmf", f"paths.artifacts={tmp_path / 'store'}", *small_data]
    training.main([*run, "trainer.max_epochs=2"])
    training.main([*run, "trainer.max_epochs=4", "trainer.resume=true"])
    assert "gmf: going on after epoch 2" in capsys.readouterr().err
    trained = ArtifactStore(tmp_path / "store").require(Slot("trained_model", "camps", "gmf", "cpu"))
    assert trained.facts["epochs"] == 4
    with pytest.raises(SystemExit):
        training.main([*run, "trainer.max_epochs=4", "trainer.resume=true", "model.l2=0.5"])
    assert "gmf_last.pt was made with other settings or data" in capsys.readouterr().err


@pytest.mark.slow
def test_the_trackers_record_the_run(small_data: list[str], mlflow_store: Path) -> None:
    from mlflow import MlflowClient

    from movierec_engine.tracking.mlflow_database import tracking_uri

    overrides = [item for item in small_data if not item.startswith("logger.")]
    training.main(["model=lightgcn", "trainer.max_epochs=3", f"paths.artifacts={mlflow_store}", *overrides])
    trained = ArtifactStore(mlflow_store).require(Slot("trained_model", "camps", "lightgcn", "cpu"))
    client = MlflowClient(tracking_uri(mlflow_store))
    run = client.get_run(trained.origin["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "lightgcn-cpu-42"
    assert run.data.params["trainer.max_epochs"] == "3"
    assert run.data.metrics["best/validation/ndcg_at_10"] == pytest.approx(
        trained.facts["validation_metrics"]["ndcg@10"]
    )
    losses = client.get_metric_history(run.info.run_id, "train/loss")
    assert [metric.step for metric in losses] == [1, 2, 3]
    assert list((mlflow_store / "wandb").glob(f"offline-run-*{trained.origin['wandb_run_id']}"))


def test_a_tracker_that_fails_does_not_stop_the_training(
    small_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/no/such/place.db")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    overrides = [item for item in small_data if not item.startswith("logger.")]
    training.main(["model=popularity", "logger.wandb.mode=online", f"paths.artifacts={tmp_path / 'store'}", *overrides])
    assert printed_report(capsys).exists()


def test_a_second_run_uses_the_data_steps_again(small_data: list[str], tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    settings = load_settings([*small_data, "model=popularity", f"paths.artifacts={store.root}"])
    first, second = (pipeline.run(store, settings) for _ in range(2))
    data = ("raw_ratings", "raw_movies", "interactions", "splits", "interaction_graph")
    assert [first[kind].reference for kind in data] == [second[kind].reference for kind in data]
    assert first["trained_model"].reference != second["trained_model"].reference
    assert first["trained_model"].key == second["trained_model"].key


def test_a_damaged_data_step_is_made_again(small_data: list[str], tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    settings = load_settings([*small_data, "model=popularity"])
    first = pipeline.prepare(store, settings.data)["splits"]
    (first.folder / "split.parquet").write_bytes(b"half")
    second = pipeline.prepare(store, settings.data)["splits"]
    assert second.verify().reference != first.reference
    assert second.fingerprint == first.fingerprint


def test_another_split_has_another_fingerprint_and_is_not_ranked_beside_the_first(
    small_data: list[str], tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path / "store")
    for overrides in (["model=ease"], ["model=popularity", "data.split=leave_one_out"]):
        pipeline.run(store, load_settings([*small_data, *overrides]))
    board = pipeline.rank_models(store, "camps", "ndcg@10")
    assert [row["model"] for row in board.facts["rows"]] == ["popularity"]
    assert board.facts["other_fingerprints"] == 1


def test_the_release_is_the_best_on_validation(small_data: list[str], tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    for model in ("ease", "popularity"):
        pipeline.run(store, load_settings([*small_data, f"model={model}"]))
    release.decide_release(store, pipeline.rank_models(store, "camps", "ndcg@10"))
    index = store.pointed(SERVING, "camps")
    assert index is not None
    assert index.slot.model == "ease", "users of one camp like what their camp likes, which popularity cannot know"
    assert measured_index(index) == store.require(Slot("faiss_index", "camps", "ease", "cpu")).reference


def test_the_report_is_what_the_evaluator_says_of_the_saved_model(small_data: list[str], tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    made = pipeline.run(store, load_settings([*small_data, "model=ease"]))
    heldout = pipeline.load_split(made["splits"]).test_heldout(Movies.load(made["raw_movies"].folder))
    again = Evaluator().evaluate(load_model(made["trained_model"].folder), heldout)
    assert again.metrics == made["evaluation_report"].facts["metrics"]


def test_presplit_files_are_ranked_against_their_own_negatives(tmp_path: Path, capsys: CaptureFixture[str]) -> None:
    """Four users and one withheld item each, against two given negatives: numbers that can be worked out by hand."""
    files = {
        "train.csv": "user,item\n" + "".join(f"{u},{i}\n" for u in range(4) for i in (10, 11)) + "0,12\n1,12\n2,13\n",
        "test.csv": "user,item\n" + "".join(f"{u},{12 if u == 3 else 14}\n" for u in range(4)),
        "negatives.csv": "user,item\n" + "".join(f"{u},{i}\n" for u in range(4) for i in (13, 15)),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    training.main(
        [
            "data=presplit",
            *(f"data.{kind}_file={tmp_path / f'{kind}.csv'}" for kind in ("train", "test", "negatives")),
            "model=popularity",
            "evaluation.k_values=[1,2]",
            "trainer.early_stopping.metric=ndcg@2",
            "logger.use_mlflow=false",
            "logger.use_wandb=false",
            f"paths.artifacts={tmp_path / 'store'}",
            "device=cpu",
        ]
    )
    report = json.loads(printed_report(capsys).read_text())
    assert report["protocol"] == "sampled_given"
    # item 12 (2 interactions) beats 13 (1) and 15 (0) for user 3. Item 14 has none and ties with 15, pessimistically
    # last: behind 13 and 15 for users 0 and 1; user 2 has seen 13, so 14 stands second behind 15.
    assert report["metrics"]["hit_rate@1"] == 0.25
    assert report["metrics"]["mrr@2"] == pytest.approx((0 + 0 + 0.5 + 1) / 4)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["model=lightgnc"], "there is no model 'lightgnc'; did you mean lightgcn?"),
        (["--multirun", "model=ease,lightgnc"], "there is no model 'lightgnc'; did you mean lightgcn?"),
        (["--multirun", "trainer.lerning_rate=1,2"], "trainer.lerning_rate is not a setting; did you mean trainer.lea"),
        (["--multirun", "model.embedding_dim=interval(1,5)"], "BasicSweeper does not support sweep type"),
        (["sweep=lightgcn"], "sweep=... is no setting of a training; run movierec tune MODEL"),
        (["trainer.learning_rate=1e38"], "trainer.learning_rate=1e+38 must be"),
        (["trainer.learning_rate=nan"], "trainer.learning_rate=nan must be"),
        (["trainer.learning_rate=inf"], "trainer.learning_rate=inf must be"),
        (
            ["logger.mlflow.regster=true"],
            "logger.mlflow.regster is not a setting; did you mean logger.mlflow.register?",
        ),
        (["trainer.batch_size=-1"], "trainer.batch_size=-1 must be at least 1"),
        (["model.num_layers=two"], "model.num_layers='two' must be a whole number"),
        (["model.embeding_dim=5"], "model.embeding_dim is not a setting; did you mean model.embedding_dim?"),
        (["evaluation.ks=[5]"], "evaluation.ks is not a setting; did you mean evaluation.k_values?"),
        (
            ["data.format.encoding=utf-99"],
            "data.format.encoding=utf-99 is not known; choose one of utf-8, utf-16, latin-1, cp1252 or leave it empty",
        ),
        (["data=custom"], "data.ratings_file is not set; add data.ratings_file=..."),
        (["data.dir=["], "override 'data.dir=[' is not in Hydra's syntax"),
        (["evaluation.k_values=5"], "evaluation.k_values=5 must be a list such as [5,10,20]"),
        (["trainer=3"], "there is no trainer '3'; choose from default"),
        (["~model"], "model was taken away; every run needs it, so add model=..."),
        (["~seed"], "seed was taken away"),
        (["seed=-1"], "seed=-1 must be a whole number from 0 to 4294967295"),
        (["seed=4294967296"], "seed=4294967296 must be a whole number from 0 to"),
        (["data.split_seed=-1"], "data.split_seed=-1 must be a whole number from 0 to"),
        (["model=als", "model.seed=-1"], "model.seed=-1 must be a whole number from 0 to"),
        (["foo=1"], "foo is not a setting; `movierec train --cfg job` shows every setting"),
        (["device=cuda:99"], "device=cuda:99 is not on this machine"),
        (["device=gpu"], "device=gpu is not known; choose auto, cpu, cuda, cuda:N or mps"),
        (["trainer.early_stopping.metric=ndgc@10"], "trainer.early_stopping.metric=ndgc@10 is not measured"),
        (["data.min_item_interactions=9999"], "no user has 5 interactions with items that have 9999"),
    ],
)
def test_a_wrong_setting_is_one_sentence_on_standard_error(
    overrides: list[str], sentence: str, small_data: list[str], tmp_path: Path, capsys: CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        training.main(["model=lightgcn", *small_data, f"paths.artifacts={tmp_path / 'store'}", *overrides])
    assert stop.value.code in (1, 2)
    output = capsys.readouterr()
    assert f"error: {sentence}" in output.err
    assert "Traceback" not in output.err
    assert not list((tmp_path / "store").glob("trained_model/**/manifest.json"))


def test_what_the_file_system_refuses_is_one_sentence(
    small_data: list[str], tmp_path: Path, capsys: CaptureFixture[str]
) -> None:
    (tmp_path / "store").write_text("a file in the store's place")
    with pytest.raises(SystemExit) as stop:
        training.main(["model=ease", *small_data, f"paths.artifacts={tmp_path / 'store'}"])
    assert stop.value.code == 1
    assert re.fullmatch(rf"error: {tmp_path}/store\S*: Not a directory; mend that, .*\n", capsys.readouterr().err)
    assert (tmp_path / "store").read_text() == "a file in the store's place"


@pytest.mark.parametrize("overrides", [["trainer.batch_size=-1"], ["--multirun", "trainer.batch_size=-1,-2"]])
def test_a_full_error_is_asked_for_by_the_environment(
    overrides: list[str], small_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ConfigError, match=r"trainer\.batch_size=-1 must be at least 1"):
        training.main(["model=lightgcn", *small_data, f"paths.artifacts={tmp_path / 'store'}", *overrides])


@pytest.mark.slow
def test_a_full_error_shows_the_trace_of_a_wrong_name(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "movierec_engine.train", "model=ease", "trainer.lerning_rate=1"]
    command.append(f"paths.artifacts={tmp_path}")
    for full in ("0", "1"):
        environment = {**os.environ, "HYDRA_FULL_ERROR": full}
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert result.returncode != 0
        assert ("Traceback" in result.stderr) == (full == "1")
        assert "lerning_rate" in result.stderr
