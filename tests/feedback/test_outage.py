"""Outages as a log tells them: begin, end and a changed reason, however often what fails works in between."""

import time

import pytest

from movierec_engine.feedback import outage
from movierec_engine.feedback.outage import Outage


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time now, to be changed."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_an_outage_is_told_once_and_its_end_with_the_number_of_failures(clock: list[float]) -> None:
    spell = Outage()
    assert spell.ends() == 0, "there was none"
    assert [spell.begins("full") for _ in range(3)] == [True, False, False]
    clock[0] += 10 * outage.QUIET_SECONDS
    assert not spell.begins("full"), "it is the same spell still"
    assert (spell.ends(), spell.ends()) == (4, 0)


def test_what_fails_and_works_in_turn_is_told_once_a_minute(clock: list[float]) -> None:
    spell, told = Outage(), []
    for _ in range(1000):
        clock[0] += 0.18
        told.append((spell.begins("too many clients"), spell.ends()))
    assert [one for one in told if any(one)] == [(True, 1), (True, 334), (True, 334)]


def test_another_reason_is_told_too_a_minute_later(clock: list[float]) -> None:
    spell = Outage()
    assert spell.begins("busy")
    assert not spell.begins("damaged")
    clock[0] += outage.QUIET_SECONDS
    assert spell.begins("damaged")
