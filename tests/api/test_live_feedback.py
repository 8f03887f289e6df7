"""Live feedback that many requests ask for at the same time: one log and one queue a data set, and no error."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from movierec_engine.feedback import Exposure, FeedbackEvent, FeedbackLog, FeedbackLogs, SqliteLog, log_file
from movierec_engine.feedback.exposure_queue import ExposureQueue
from movierec_engine.serving import live_feedback
from movierec_engine.serving.live_feedback import LiveFeedback

REQUESTS = 8


def at_once(request: Callable[[int], Any]) -> list[Any]:
    """The answers to so many requests that begin together."""
    begin = threading.Barrier(REQUESTS)

    def one(number: int) -> Any:
        begin.wait(60)
        return request(number)

    with ThreadPoolExecutor(REQUESTS) as pool:
        return list(pool.map(one, range(REQUESTS)))


def test_a_log_that_can_be_read_again_while_another_request_looks_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = LiveFeedback(FeedbackLogs(tmp_path))
    live.record("camps", [FeedbackEvent("a", 1, 10, "rating", 4.0)])
    live.close()
    path = log_file(tmp_path, "camps")
    content = path.read_bytes()
    path.write_bytes(b"damaged" * 1000)
    assert not live.state("camps", 1).known
    path.write_bytes(content)
    others = [threading.Thread(target=live.state, args=("camps", 1))]

    def later() -> float:
        """After the pause; the first who asks for the time is overtaken by another request."""
        if others:
            other = others.pop()
            other.start()
            other.join(60)
        return time.monotonic() + live_feedback.PAUSE_SECONDS

    monkeypatch.setattr(live_feedback, "time", SimpleNamespace(monotonic=later))
    assert live.state("camps", 1).ratings == {10: 4.0}
    live.close()


def test_first_requests_at_the_same_time_make_one_log(tmp_path: Path) -> None:
    class Slow(FeedbackLogs):
        def of(self, data_set: str, live: bool = False) -> FeedbackLog:
            log = super().of(data_set, live)
            time.sleep(0.02)  # so that the others come meanwhile
            return log

    live = LiveFeedback(Slow(tmp_path))
    assert len({id(log) for log in at_once(lambda number: live.log("camps"))}) == 1


def test_first_lists_at_the_same_time_come_into_one_queue_and_all_of_them_into_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ExposureQueue] = []

    class Slow(ExposureQueue):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)
            time.sleep(0.02)  # so that the others come meanwhile

    monkeypatch.setattr(live_feedback, "ExposureQueue", Slow)
    live = LiveFeedback(FeedbackLogs(tmp_path))
    at_once(lambda number: live.expose("camps", Exposure(str(number), 1, (10,))))
    live.close()
    assert len(made) == 1
    assert len(list(SqliteLog(log_file(tmp_path, "camps")).exposures())) == REQUESTS
