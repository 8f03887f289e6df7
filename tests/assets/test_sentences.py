"""Mistakes at Dagster's own command line end in one sentence."""

import sys

import pytest
from dagster_shared.check import CheckError

from movierec_assets.automation import load_automation
from movierec_assets.definitions import defs
from movierec_assets.sentences import sentence_of, tell_in_one_sentence
from movierec_engine.errors import ConfigError


def test_an_error_that_ends_dagsters_command_is_one_sentence_and_a_bug_has_its_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of `MOVIEREC_AUTOMATION=nosuch dagster asset materialize`, which nothing catches."""
    monkeypatch.setenv("MOVIEREC_AUTOMATION", "nosuch")
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    tell_in_one_sentence()

    def end(error: BaseException) -> str:
        sys.excepthook(type(error), error, error.__traceback__)
        return capsys.readouterr().err

    with pytest.raises(ConfigError) as raised:
        load_automation()
    said = end(raised.value)
    assert said.startswith("error: MOVIEREC_AUTOMATION=nosuch: there is no nosuch.yaml in ")
    assert said.count("\n") == 1
    assert "ValueError: a bug" in end(ValueError("a bug"))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert "Traceback" in end(raised.value)


def test_assets_of_different_partitions_are_one_sentence_that_names_a_selection() -> None:
    """As in `dagster asset materialize --select '*' --partition 'cpu|ease'`."""
    everything = defs.resolve_implicit_global_asset_job_def()
    with pytest.raises(CheckError) as raised:
        everything.get_partition_keys(defs.resolve_asset_graph().get_all_asset_keys())
    assert "--partition cannot be of all of them; select those of one kind" in sentence_of(raised.value)
    assert sentence_of(ValueError("a bug")) == ""
