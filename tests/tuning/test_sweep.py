"""Sweeps: what stands at the end of a multirun, a search with Optuna, and the sweep file of Weights & Biases."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
import yaml
from pytest import CaptureFixture

from movierec_engine import pipeline
from movierec_engine.cli import train as training
from movierec_engine.cli.study_tables import sweep_table
from movierec_engine.config import config_dir, load_settings
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.models.registry import model_names
from movierec_engine.pipeline.members import find_members
from movierec_engine.store import Artifact, ArtifactStore, Slot, kinds
from movierec_engine.tuning import space as space_module
from movierec_engine.tuning import sweep, trials
from movierec_engine.tuning.request import read_request
from movierec_engine.tuning.trials import SweepTrials, Trial
from movierec_engine.workers.local import LocalTeam

Multirun = Callable[..., Artifact]

SPACES = sorted(path for path in (config_dir() / "sweep").glob("*.yaml") if not path.stem.startswith("wandb_"))
WANDB_FILES = sorted((config_dir() / "sweep").glob("wandb_*.yaml"))


def trial(validation: float, *overrides: str, test: float = 0.5, **changes: Any) -> Trial:
    values = {"fingerprint": "f", "seed": 42, "seconds": 1.0, "report": "evaluation_report/m/cpu/1"} | changes
    return Trial(tuple(overrides), validation={"ndcg@10": validation}, test={"ndcg@10": test}, **values)


@pytest.fixture
def multirun(small_data: list[str], tmp_path: Path) -> Multirun:
    """Run a multirun on the small folder; the sweep that it published. Its exit code must be as given."""

    def run(*overrides: str, code: int = 0) -> Artifact:
        store = ArtifactStore(tmp_path / "store")
        try:
            training.main(["--multirun", *overrides, *small_data, f"paths.artifacts={store.root}"])
            stopped = 0
        except SystemExit as stop:
            stopped = int(stop.code or 0)
        assert stopped == code
        return store.require(Slot(kinds.SWEEP, "camps"))

    return run


# ------------------------------------------------------------------------------------------------------------- ranking


def test_trials_are_ranked_by_validation_whatever_the_test_says() -> None:
    ranked = trials.rank([trial(0.1, "a=1", test=0.9), trial(0.3, "a=2", test=0.1)], "ndcg@10", "max")
    assert [result.differing for result in ranked] == [("a=2",), ("a=1",)]
    ranked = trials.rank([trial(0.1, "a=1", "seed=1"), trial(0.3, "a=2", "seed=2")], "ndcg@10", "min")
    assert [result.differing for result in ranked] == [("a=1", "seed=1"), ("a=2", "seed=2")]


def test_trials_that_differ_in_the_seed_alone_are_one_result_with_mean_and_deviation() -> None:
    """0.1, 0.2 and 0.3: mean 0.2 and sample deviation sqrt((0.01 + 0 + 0.01) / 2) = 0.1."""
    swept = [trial(value, "a=1", f"seed={seed}", "b=2", seed=seed) for seed, value in enumerate((0.1, 0.2, 0.3))]
    (result,) = trials.rank(swept, "ndcg@10", "max")
    assert result.validation is not None
    assert (result.validation.mean, result.validation.sd) == (pytest.approx(0.2), pytest.approx(0.1))
    assert str(result.validation) == "0.2000 ± 0.1000"
    assert result.differing == ()
    assert result.command == "python -m movierec_engine.train --multirun a=1 b=2 seed=0,1,2"


def test_one_seed_has_no_deviation_and_its_command_repeats_it_alone() -> None:
    (result,) = trials.rank([trial(0.1, "data.dir='a folder'", "seed=7", seed=7)], "ndcg@10", "max")
    assert str(result.validation) == "0.1000"
    assert shlex.split(result.command)[3:] == ["data.dir='a folder'", "seed=7"]


def test_results_without_the_metric_stand_last_and_failed_trials_in_no_result() -> None:
    swept = [Trial(("a=1",), fingerprint="f"), trial(0.1, "a=2"), Trial(("a=3",), error="no")]
    assert [result.differing for result in trials.rank(swept, "ndcg@10", "max")] == [("a=2",), ("a=1",)]


def test_different_fingerprints_are_not_ranked_against_each_other() -> None:
    swept = [trial(0.1, "a=1"), trial(0.9, "a=2", fingerprint="g"), trial(0.2, "a=3")]
    ranked = [(result.fingerprint, *result.differing) for result in SweepTrials(tuple(swept), "ndcg@10", "max").results]
    assert ranked == [("f", "a=3"), ("f", "a=1"), ("g", "a=2")]


# ------------------------------------------------------------------------------------------------------------ multirun


def test_a_multirun_ends_with_a_table_and_the_command_of_the_best(
    multirun: Multirun, capsys: CaptureFixture[str], tmp_path: Path
) -> None:
    published = multirun("model=ease", "model.l2=10,100000")
    output = capsys.readouterr().out
    assert "best trials by validation NDCG@10" in output
    (command,) = [line for line in output.splitlines() if line.startswith("again: ")]
    words = shlex.split(command.removeprefix("again: "))
    assert words[:3] == ["python", "-m", "movierec_engine.train"]
    assert "model.l2=10" in words
    assert published.facts["best"] == command.removeprefix("again: ")
    training.main([*words[3:]])
    rows = pq.read_table(published.folder / trials.TRIALS_FILE).to_pylist()
    best = max(rows, key=lambda row: row["validation ndcg@10"])
    again = ArtifactStore(tmp_path / "store").require(Slot("evaluation_report", "camps", "ease", "cpu"))
    assert again.facts["validation_metrics"]["ndcg@10"] == best["validation ndcg@10"]


@pytest.mark.slow
def test_a_sweep_is_published_with_every_trial(multirun: Multirun, tmp_path: Path) -> None:
    published = multirun("model=ease,popularity", "seed=1,2").verify()
    rows = pq.read_table(published.folder / trials.TRIALS_FILE).to_pylist()
    assert [(row["model"], row["seed"]) for row in rows] == [
        ("ease", 1),
        ("ease", 2),
        ("popularity", 1),
        ("popularity", 2),
    ]
    store = ArtifactStore(tmp_path / "store")
    for row in rows:
        report = store.resolve(row["report"])
        assert report.facts["metrics"]["ndcg@10"] == row["test ndcg@10"]
        assert f"model={row['model']}" in row["overrides"]
    summary = json.loads((published.folder / trials.SUMMARY_FILE).read_text())
    assert (summary["metric"], summary["mode"]) == ("ndcg@10", "max")
    assert [result["seeds"] for result in summary["results"]] == [[1, 2], [1, 2]]
    assert summary["results"][0]["differing"] == ["model=ease"]
    assert summary["results"][0]["validation"]["sd"] == 0, "EASE has no randomness"
    assert published.facts["trials"] == 4


def test_a_failing_job_is_listed_with_its_sentence_and_the_others_are_ranked(
    multirun: Multirun, capsys: CaptureFixture[str]
) -> None:
    published = multirun("model=ease", "model.l2=-1,10", code=2)
    output = capsys.readouterr()
    assert "failed: model.l2=-1: model.l2=-1.0 must be" in output.out
    assert "Traceback" not in output.err
    assert (published.facts["trials"], published.facts["failed"]) == (2, 1)
    (row,) = [row for row in pq.read_table(published.folder / trials.TRIALS_FILE).to_pylist() if row["error"]]
    assert row["report"] == ""


def test_a_sweep_in_which_everything_fails_says_so(multirun: Multirun, capsys: CaptureFixture[str]) -> None:
    published = multirun("model=ease", "model.l2=-1,-2", code=2)
    output = capsys.readouterr().out
    assert output.count("failed: ") == 2
    assert "best trials" not in output
    assert published.facts["best"] == ""


@pytest.mark.slow
def test_a_job_that_breaks_the_program_stops_neither_the_others_nor_the_table(
    multirun: Multirun, monkeypatch: pytest.MonkeyPatch, capsys: CaptureFixture[str]
) -> None:
    def broken(settings: Any) -> Any:
        if settings.seed == 1:
            raise ZeroDivisionError("a bug")
        return run(settings)

    run = pipeline.run_tracked
    monkeypatch.setattr(pipeline, "run_tracked", broken)
    with pytest.raises(ZeroDivisionError):
        multirun("model=popularity", "seed=1,2")
    output = capsys.readouterr().out
    assert "failed: seed=1: ZeroDivisionError: a bug" in output
    assert "seed=2" in output


# -------------------------------------------------------------------------------------------------------------- optuna


@pytest.fixture
def search(small_data: list[str], tmp_path: Path) -> Callable[..., list[Trial]]:
    pytest.importorskip("optuna")

    def run(*arguments: str, store: str = "store") -> list[Trial]:
        return list(sweep.search([*arguments, *small_data, f"paths.artifacts={tmp_path / store}"]).trials)

    return run


def settings_of(found: list[Trial]) -> list[str]:
    return [one.overrides[-1] for one in found]


def test_a_search_runs_its_trials_and_ends_with_the_table(
    small_data: list[str], capsys: CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("optuna")
    training.tune_main(["ease", "n_trials=3", *small_data, f"paths.artifacts={tmp_path / 'store'}"])
    output = capsys.readouterr().out
    assert "best trials by validation NDCG@10" in output
    published = ArtifactStore(tmp_path / "store").require(Slot(kinds.SWEEP, "camps"))
    rows = pq.read_table(published.folder / trials.TRIALS_FILE).to_pylist()
    assert len(rows) == published.facts["trials"] == 3
    for row in rows:
        assert 2 <= float(row["overrides"][-1].removeprefix("model.relative_l2=")) <= 500
    best = max(rows, key=lambda row: row["validation ndcg@10"])
    assert best["overrides"][-1] in output.split("again: ")[1]


def test_trials_are_versions_of_their_slot_and_never_its_newest(
    search: Callable[..., list[Trial]], small_data: list[str], tmp_path: Path
) -> None:
    """Else `model=ease` would be answered by whatever was tried last, and members and baselines would be trials."""
    store = ArtifactStore(tmp_path / "store")
    settings = load_settings([*small_data, "model=ease", f"paths.artifacts={store.root}"])
    before = pipeline.run_tracked(settings)
    (tried,) = search("model=ease", "n_trials=1")
    assert store.resolve(tried.report).origin["optuna_study"].startswith("ease-")
    for kind in ("trained_model", "evaluation_report", "faiss_index"):
        slot = Slot(kind, "camps", "ease", "cpu")
        assert len(store.versions(slot)) == 2
        assert store.latest(slot) == before[kind]
    hybrid = load_settings(
        [*small_data, "model=hybrid_ensemble", "model.models=[ease,popularity]", f"paths.artifacts={store.root}"]
    )
    made = find_members(store, hybrid, before["splits"])
    assert made["ease"] == before["trained_model"]


@pytest.mark.slow
def test_the_same_seed_searches_the_same_values(search: Callable[..., list[Trial]]) -> None:
    first = settings_of(search("model=ease", "n_trials=2", store="one"))
    assert settings_of(search("model=ease", "n_trials=2", store="two")) == first
    assert settings_of(search("model=ease", "n_trials=2", "seed=1", store="three")) != first


@pytest.mark.slow
def test_a_killed_search_goes_on_where_it_stopped(
    search: Callable[..., list[Trial]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def killed_in_the_third(overrides: list[str], study: str) -> Trial:
        ran.append(overrides[-1])
        if len(ran) == 3:
            raise KeyboardInterrupt
        return run(overrides, study)

    run = sweep.run_trial
    monkeypatch.setattr(sweep, "run_trial", killed_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        search("model=ease", "n_trials=4")
    found = settings_of(search("model=ease", "n_trials=4"))
    assert len(ran) == 5, "two before the third was killed, and two after it"
    assert found == [*ran[:2], *ran[3:]]
    assert len(set(found)) == 4, "the first values are not drawn again"
    assert settings_of(search("model=ease", "n_trials=4")) == found, "nothing is left to do"


@pytest.mark.slow
def test_trials_run_side_by_side_and_a_lost_worker_takes_but_its_own_with_it(
    search: Callable[..., list[Trial]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker that is asked second is killed."""
    asked: list[int] = []
    ask = LocalTeam.ask

    def killing(team: LocalTeam, number: int, method: str, *arguments: Any) -> Any:
        asked.append(number)
        if len(asked) == 2:
            team._processes[number].kill()
        return ask(team, number, method, *arguments)

    monkeypatch.setattr(LocalTeam, "ask", killing)
    before = psutil.Process().children()  # such as what a tracker of another test has left
    found = search("model=ease", "n_trials=5", "n_jobs=2")
    assert len(set(settings_of(found))) == len(asked) == 5
    assert asked[1] not in asked[2:]
    (lost,) = [one for one in found if one.error]
    assert lost.error == f"worker {asked[1] + 1} of 2 was ended by signal 9"
    assert f"{lost.error}, and its trial with it; 1 go on" in caplog.text
    reports = ArtifactStore(tmp_path / "store").versions(Slot(kinds.EVALUATION_REPORT, "camps", "ease", "cpu"))
    assert {one.report for one in found} == {"", *(one.reference for one in reports)}
    assert not {*psutil.Process().children()} - {*before}


@pytest.mark.slow
def test_a_search_whose_workers_are_all_lost_says_so_and_goes_on_later(
    search: Callable[..., list[Trial]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(MovierecError, match="signal 9, the last that was left; the sa"):
        ask = LocalTeam.ask
        patch.setattr(LocalTeam, "ask", lambda team, n, *own: team._processes[n].kill() or ask(team, n, *own))
        search("model=ease", "n_trials=4", "n_jobs=2")
    assert len(search("model=ease", "n_trials=4")) == 4


def test_a_search_that_failed_leaves_its_lock_free(
    search: Callable[..., list[Trial]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its end, not by the collection of garbage: the error that is held here holds every frame of the search."""

    def interrupted(overrides: list[str], study: str) -> Trial:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as held:
        patch.setattr(sweep, "run_trial", interrupted)
        search("model=ease", "n_trials=1")
    assert len(search("model=ease", "n_trials=1")) == 1
    assert held.value is not None


@pytest.mark.slow
def test_another_setting_is_another_search(search: Callable[..., list[Trial]]) -> None:
    search("model=ease", "n_trials=1")
    assert len(search("model=ease", "n_trials=1", "data.split=leave_one_out")) == 1
    assert len(search("model=ease", "n_trials=1", "model.relative_l2=interval(1,2)")) == 1


def test_a_trial_that_fails_is_listed_and_the_search_goes_on(search: Callable[..., list[Trial]]) -> None:
    found = search("model=ease", "n_trials=4", "model.relative_l2=choice(10,-1)")
    assert {bool(one.error) for one in found} == {True, False}
    (failed,) = {line for line in sweep_table(SweepTrials(tuple(found), "ndcg@10", "max")).lines if "failed" in line}
    assert failed.startswith("failed: model.relative_l2=-1: model.relative_l2=-1.0 must be")


def test_a_second_process_at_the_same_search_is_told_to_wait(
    search: Callable[..., list[Trial]], tmp_path: Path
) -> None:
    from filelock import FileLock

    search("model=ease", "n_trials=1")
    (lock,) = (tmp_path / "store" / "optuna").glob("ease-*.lock")
    with FileLock(lock), pytest.raises(MovierecError, match="another process is at this sweep"):
        search("model=ease", "n_trials=2")


def test_a_plain_value_fixes_a_setting_and_a_sweep_adds_one() -> None:
    request = read_request(["model=lightgcn", "model.num_layers=2", "model.dropout=interval(0,0.3)", "n_trials=7"])
    assert request.n_trials == 7
    assert request.fixed == ("model=lightgcn", "model.num_layers=2")
    assert "model.dropout" in request.space
    numbers = [read_request(["model=ease"], timed=timed).n_trials for timed in (False, True)]
    assert numbers == [20, 1000], "as many as it can within a time"
    assert "model.num_layers" not in request.space


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("interval(0,0.5)", "FloatDistribution(high=0.5, log=False, low=0.0, step=None)"),
        ("tag(log,interval(0.001,0.1))", "FloatDistribution(high=0.1, log=True, low=0.001, step=None)"),
        ("range(1,5)", "IntDistribution(high=4, log=False, low=1, step=1)"),
        ("range(4,25,4)", "IntDistribution(high=24, log=False, low=4, step=4)"),
        ("choice(32,64)", "CategoricalDistribution(choices=('32', '64'))"),
        ("'[64,32]','[32]'", "CategoricalDistribution(choices=('[64,32]', '[32]'))"),
    ],
)
def test_hydras_sweeps_have_their_counterparts(value: str, expected: str) -> None:
    pytest.importorskip("optuna")
    (word,) = shlex.split(f"a={value}")
    space = read_request(["model=ease", word]).space
    assert str(space_module.distributions(space)["a"]) == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["model=lightgnc"], "there is no search space 'lightgnc' in .*; did you mean lightgcn"),
        (["model=ease", "n_trials=0"], "n_trials=0 must be a whole number of at least 1"),
        (["model=ease", "n_trials=many"], "n_trials=many must be a whole number"),
        (["model=ease", "n_jobs=0"], "n_jobs=0 must be a whole number of at least 1"),
        (["model=ease", "model.relative_l2=1"], "nothing is left to search"),
        (["model=ease", "model.l3=interval(0,1)"], "model.l3 is not a setting"),
        (["model=ease", "trainer.max_epochs=none"], "trainer.max_epochs='none' must be a whole number"),
    ],
)
def test_a_wrong_search_is_one_sentence_before_the_first_trial(arguments: list[str], sentence: str) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(ConfigError, match=sentence):
        sweep.search(arguments)


def test_without_optuna_a_sentence_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(SystemExit) as stop:
        training.tune_main(["model=ease"])
    assert stop.value.code == 1
    assert 'pip install "movierec[sweeps]"' in capsys.readouterr().err


@pytest.mark.parametrize("file", SPACES, ids=[file.stem for file in SPACES])
def test_every_search_space_is_of_settings_that_exist_and_holds_the_defaults(file: Path) -> None:
    pytest.importorskip("optuna")
    assert file.stem in model_names()
    space = space_module.read_space(file)
    load_settings([f"model={file.stem}", *space_module.first_values(space)])
    searched = space_module.distributions(space)
    assert searched.keys() == space.keys()
    default = space_module.as_parameters(load_settings([f"model={file.stem}", "device=cpu"]), searched)
    assert default is not None, "the default settings are in the space, so that a search learns from them"


# --------------------------------------------------------------------------------------------------------------- W & B


@pytest.mark.slow
@pytest.mark.parametrize("file", WANDB_FILES, ids=[file.stem for file in WANDB_FILES])
def test_wandbs_sweep_file_starts_a_command_of_real_settings(file: Path) -> None:
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    command = create_sweep_command(content["command"])
    assert command[-3:] == ["-m", "movierec_engine.train", "${args_no_hyphens}"]
    for choose in (first, last):
        arguments = {name: {"value": choose(values)} for name, values in content["parameters"].items()}
        words = create_sweep_command_args({"args": arguments})["args_no_hyphens"]
        settings = load_settings([*words, "device=cpu"])
        assert settings.logger.use_wandb
        assert settings.logger.wandb.mode == "online", "an agent's runs must reach the server"
        assert f"wandb_{settings.model_name}" == file.stem


def first(values: dict[str, Any]) -> Any:
    return values.get("value", [*values.get("values", []), values.get("min")][0])


def last(values: dict[str, Any]) -> Any:
    return values.get("value", [values.get("max"), *values.get("values", [])][-1])


@pytest.mark.parametrize("file", WANDB_FILES, ids=[file.stem for file in WANDB_FILES])
def test_wandbs_sweep_is_judged_by_a_number_that_the_tracker_records(
    file: Path, small_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = yaml.safe_load(file.read_text(encoding="utf-8"))["metric"]
    recorded: dict[str, Any] = {}
    monkeypatch.setattr("movierec_engine.tracking.WandbTracker.start", lambda self, name, params: None)
    monkeypatch.setattr(
        "movierec_engine.tracking.WandbTracker.log", lambda self, metrics, step: recorded.update(metrics)
    )
    monkeypatch.setattr("movierec_engine.tracking.WandbTracker.outcome", lambda self, model, report: None)
    monkeypatch.setattr("movierec_engine.tracking.WandbTracker.finish", lambda self, ok: None)
    overrides = [*small_data, "logger.use_wandb=true", "model=popularity", f"paths.artifacts={tmp_path / 'store'}"]
    pipeline.run_tracked(load_settings(overrides))
    assert metric["name"] in recorded
    assert not metric["name"].startswith("test/")
    assert metric["goal"] == "maximize"


def test_a_text_needs_no_quotes_of_hydras_in_a_search() -> None:
    request = read_request(["model=als", "data.ratings_file=r.csv", "data.columns.user=Hörer (Nr.)"])
    assert load_settings([*request.fixed]).data.columns.user == "Hörer (Nr.)"
