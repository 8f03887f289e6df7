"""What the tracking tests share."""

import logging

import pytest


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """The trackers' log, also after a test that ran a command, which sends the engine's log to the console alone."""
    monkeypatch.setattr(logging.getLogger("movierec_engine"), "propagate", True)
    caplog.set_level(logging.WARNING)
    return caplog
