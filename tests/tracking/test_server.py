"""Addresses never show the password that they carry."""

from functools import partial
from pathlib import Path

import pytest

from dashboard.queries import api_health
from movierec_engine.tracking import make_tracker
from movierec_engine.tracking.config import LoggerConfig
from movierec_engine.tracking.mlflow_tracker import run_page
from movierec_engine.tracking.server import within, without_credentials

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"https://me:{SECRET}@host:5001/a?b=c@d", "https://host:5001/a?b=c@d"),
        (f"postgresql+psycopg://me:{SECRET}@host/db", "postgresql+psycopg://host/db"),
        (f"postgresql://host/db?password={SECRET}&sslmode=require", "postgresql://host/db?password=&sslmode=require"),
        (
            f"no answer from http://me:p@{SECRET}@host, nor http://{SECRET}@b/",
            "no answer from http://host, nor http://b/",
        ),
        ("sqlite:////a/b@c.db", "sqlite:////a/b@c.db"),
        ("mail me@host, or https://host/me@home", "mail me@host, or https://host/me@home"),
    ],
)
def test_user_and_password_are_left_out(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


def test_what_a_call_raises_is_raised_whatever_it_is() -> None:
    def ends(error: BaseException) -> None:
        raise error

    with pytest.raises(SystemExit):
        within(30, partial(ends, SystemExit()))
    with pytest.raises(TimeoutError, match="their own"):
        within(30, partial(ends, TimeoutError("their own")))
    assert within(30, lambda: 3) == 3


def test_links_to_runs_and_the_addresses_on_pages_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"https://me:{SECRET}@tracking/")
    monkeypatch.setenv("MOVIEREC_API_URL", f"https://me:{SECRET}@api/")
    assert run_page("abc") == "https://tracking/#/runs/abc"
    assert api_health.address() == "https://api"


def test_what_a_tracker_fails_with_is_logged_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{SECRET}@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = make_tracker(LoggerConfig(use_wandb=False), tmp_path, "test")
    tracker.start("run", {})
    assert any("no longer recording" in message for message in warnings.messages)
    assert SECRET not in warnings.text
