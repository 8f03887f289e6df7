"""The command lines that a report prints say what was run, and nothing of the machine that ran it."""

import shlex

import pytest
from click.testing import CliRunner

from movierec_engine.cli.main import cli
from movierec_engine.evaluation.protocols import Protocol
from movierec_engine.evaluation.reproduce import compare_command, evaluate_command, train_command


def test_own_settings_stand_first_and_replace_overrides_of_their_names() -> None:
    config = {"overrides": ["model=lightgcn", "seed=7", "trainer.max_epochs=5"]}

    command = train_command(config, model="lightgcn", device="cpu", seed=42)

    assert command == "movierec train model=lightgcn device=cpu seed=42 trainer.max_epochs=5"


def test_where_to_write_is_left_to_whoever_runs_it() -> None:
    config = {"overrides": ["paths.artifacts=/elsewhere", "++paths.checkpoints=/there", "model.l2=500"]}

    assert train_command(config) == "movierec train model.l2=500"


def test_an_override_stays_one_word_of_the_shell() -> None:
    word = "data.dir='/my films/$HOME;rm'"

    assert shlex.split(train_command({"overrides": [word]})) == ["movierec", "train", word]


@pytest.mark.parametrize("config", [{}, {"overrides": None}, {"overrides": "model=ease"}])
def test_a_configuration_without_a_list_of_overrides_has_its_own_settings_alone(config: dict[str, object]) -> None:
    assert train_command(config, model="ease") == "movierec train model=ease"


@pytest.mark.parametrize("protocol", ["full", "given", "uniform:100", "popularity:50:7"])
def test_the_protocol_of_a_command_is_the_one_that_the_report_names(protocol: str) -> None:
    name = Protocol.parse(protocol).name

    for command in (
        evaluate_command("ml", "ease", "cpu", "2026", name),
        compare_command("ml", ["ease"], "ndcg@10", name),
    ):
        words = shlex.split(command)
        assert Protocol.parse(words[words.index("--protocol") + 1]).name == name


@pytest.mark.parametrize(
    "command",
    [
        evaluate_command("ml", "ease", "cpu", "20260102T030405000Z", "full"),
        compare_command("ml", ["ease/cpu/2026", "gmf/cpu/2026"], "ndcg@10", "sampled_uniform_100_seed_0"),
    ],
)
def test_the_command_line_takes_the_commands(command: str, tmp_path: object) -> None:
    result = CliRunner().invoke(cli, [*shlex.split(command)[1:], "--artifacts", str(tmp_path)])

    assert result.exit_code == 1  # an empty store, and not a usage error
