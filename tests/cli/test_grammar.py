"""One grammar for all commands: the model as a word, settings as key=value, and errors of one sentence."""

import csv
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from camps import camps_settings, write_camps
from click.testing import CliRunner, Result

from movierec_engine import pipeline
from movierec_engine.cli.main import cli
from movierec_engine.cli.options import CommandGroup, Verb, run_settings
from movierec_engine.config import load_settings
from movierec_engine.store import ArtifactStore, Slot, kinds

Ask = Callable[..., Result]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Run a command on a store in which ease and popularity are trained and measured."""
    root = tmp_path_factory.mktemp("grammar")
    write_camps(root / "movies in camps")
    store, settings = ArtifactStore(root / "store"), camps_settings(root / "movies in camps", root / "checkpoints")
    for model in ("popularity", "ease"):
        pipeline.run(store, load_settings([*settings, f"model={model}"]))

    def run(*words: str) -> Result:
        return CliRunner().invoke(cli, [*words, "--artifacts", str(store.root)])

    return run


@pytest.mark.parametrize(
    "words",
    [
        ["ease"],
        ["model=ease"],
        ["--model", "ease"],
        ["--model=ease", "device=cpu"],
        ["ease/cpu"],
        ["ease", "--device", "cpu", "protocol=full"],
    ],
)
def test_every_way_to_name_a_model_is_understood(ask: Ask, words: list[str]) -> None:
    result = ask("evaluate", *words, "format=json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert {(row["model"], row["device"], row["protocol"]) for row in rows} == {("ease", "cpu", "full")}
    assert result.stderr.startswith("report: ")


@pytest.mark.parametrize(
    "words", [["ease", "popularity"], ["model=ease,popularity"], ["ease", "--model", "popularity"]]
)
def test_two_models_are_compared_however_they_are_named(ask: Ask, words: list[str]) -> None:
    result = ask("compare", *words, "--format", "csv")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["model"] for row in rows[:2]] == ["ease", "popularity"]
    assert "by metric, test" in {row["table"] for row in rows}


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["evalute", "ease"], 2, "Did you mean 'evaluate'?"),
        (["models", "promot", "ease"], 2, "Did you mean 'promote'?"),
        (["evaluate", "ease", "--protcol", "full"], 2, "Did you mean '--protocol'?"),
        (["evaluate", "ease", "protcol=full"], 2, "evaluate takes no protcol=...; did you mean protocol?"),
        (["evaluate", "ease", "popularity"], 2, "one model at a time, not ease and popularity"),
        (["evaluate"], 2, "name a model to measure; trained on camps are ease, popularity"),
        (["evaluate", "eas"], 1, "did you mean ease?"),
        (["compare", "ease", "part=tset"], 2, "'tset' is not one of 'test', 'validation'"),
        (["models", "prune", "keep=0"], 2, "0 is not in the range x>=1"),
        (["backtest", "eas"], 2, "there is no model 'eas'; did you mean ease?"),
        (["backtest", "ease", "trainer.max_epoch=1"], 2, "did you mean trainer.max_epochs?"),
    ],
)
def test_a_wrong_word_is_one_sentence_with_the_nearest(ask: Ask, words: list[str], code: int, sentence: str) -> None:
    result = ask(*words)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert sentence in result.stderr


def test_a_run_takes_its_model_by_a_word_or_a_setting() -> None:
    assert run_settings(["ease", "seed=1"]) == ["model=ease", "seed=1"]
    assert run_settings(["seed=1", "~data"], model="ease", device="cpu") == [
        "model=ease",
        "device=cpu",
        "seed=1",
        "~data",
    ]


def test_every_command_has_examples_and_every_example_is_parsed() -> None:
    commands = dict(cli.commands)
    for group in [name for name, one in commands.items() if isinstance(one, CommandGroup)]:
        commands |= {f"{group} {name}": one for name, one in commands.pop(group).commands.items()}  # type: ignore[attr-defined]
    for name, command in commands.items():
        assert isinstance(command, Verb) and command.examples, name
        for example in command.examples:
            assert example.startswith(name)


def test_the_help_shows_whole_sentences_in_80_columns() -> None:
    shown = CliRunner().invoke(cli, ["--help"], env={"COLUMNS": "80"}, terminal_width=80).output
    assert "..." not in shown.split("Options:")[1]
    assert max(map(len, shown.splitlines())) <= 80
    assert set(shown.splitlines()) >= {"Start:", "Train:", "Judge:", "Release:", "Serve:", "Keep:"}


GROUPS = [name for name, one in cli.commands.items() if isinstance(one, CommandGroup)]


@pytest.mark.parametrize("words", [[], *([name] for name in GROUPS)])
def test_a_group_without_a_command_prints_its_help(words: list[str]) -> None:
    alone, asked = (CliRunner().invoke(cli, [*words, *more]) for more in ([], ["--help"]))
    assert (alone.exit_code, alone.stdout, alone.stderr) == (2, "", asked.stdout)


def test_the_help_of_train_lists_the_named_models_settings() -> None:
    shown = " ".join(CliRunner().invoke(cli, ["train", "ease", "--help"]).output.split())
    assert "model.l2=" in shown and "trainer.max_epochs=" in shown
    assert "model.num_layers" not in shown


@pytest.mark.slow
def test_a_reader_that_leaves_early_ends_the_command_quietly(ask: Ask, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "movierec_engine.cli", "train", "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait(60)


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*arguments: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("movierec_engine.pipeline.data.choose_data_set", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
    try:
        result = CliRunner().invoke(cli, ["models", "list", "--artifacts", str(tmp_path)])
    finally:
        signal.signal(signal.SIGINT, before)
    assert (result.exit_code, result.stderr.strip()) == (130, "stopped")


def test_pruning_keeps_five_of_each_unless_told_otherwise(ask: Ask) -> None:
    unsaid, five, one = (ask("models", "prune", "--dry-run", *words) for words in ([], ["keep=5"], ["--keep", "1"]))
    assert unsaid.exit_code == 0 and unsaid.output == five.output
    assert len(one.output.splitlines()) >= len(five.output.splitlines())


def test_rows_of_the_list_of_models_are_full_precision(ask: Ask) -> None:
    rows = json.loads(ask("models", "list", "--format", "json").stdout)
    root = Path(ask("models", "list").output.splitlines()[0].split(" in ")[1])
    newest = ArtifactStore(root).require(Slot(kinds.TRAINED_MODEL, "camps", "ease", "cpu"))
    (ease,) = [row for row in rows if row["version"] == newest.version]
    assert ease["value"] == newest.facts["validation_metrics"]["ndcg@10"]
