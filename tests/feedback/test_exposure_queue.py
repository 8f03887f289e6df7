"""The queue of lists that were shown: their order, its bound, a log that refuses for a while, and its end."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from movierec_engine.feedback import Exposure, LogBusy
from movierec_engine.feedback import exposure_queue as queues
from movierec_engine.feedback.exposure_queue import ExposureQueue


class Log:
    """A feedback log that takes what it is given once it is let."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.refusals, self.tried = 0, 0
        self.refusal: Exception = LogBusy("held by another process")
        self.closed = threading.Event()
        self.let, self.asked = threading.Event(), threading.Event()
        self.let.set()

    def expose(self, exposures: Sequence[Exposure]) -> None:
        self.tried += 1
        self.asked.set()
        assert self.let.wait(60)
        if self.refusals:
            self.refusals -= 1
            raise self.refusal
        self.batches.append([one.exposure_id for one in exposures])

    def close(self) -> None:
        self.closed.set()

    @property
    def names(self) -> list[str]:
        return [name for batch in self.batches for name in batch]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def told() -> dict[str, list[object]]:
    return {"written": [], "dropped": []}


@pytest.fixture
def queue(log: Log, told: dict[str, list[object]], monkeypatch: pytest.MonkeyPatch) -> Iterator[ExposureQueue]:
    monkeypatch.setattr(queues, "_RETRY_SECONDS", 0.01)
    made = ExposureQueue(
        log,  # type: ignore[arg-type]
        lambda written: told["written"].append([one.exposure_id for one in written]),
        told["dropped"].append,
    )
    yield made
    log.let.set()
    made.close(60)


def shown(name: object) -> Exposure:
    return Exposure(str(name), 1, (10,))


def test_lists_are_written_in_their_order_in_batches_of_so_many(
    queue: ExposureQueue, log: Log, told: dict[str, list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "_BATCH", 3)
    log.let.clear()
    queue.put(shown("first"))
    assert log.asked.wait(60)
    for number in range(7):
        queue.put(shown(number))
    assert not queue.flush(0), "none of them is in the log yet"
    log.let.set()
    assert queue.flush(60)
    assert log.batches == [["first"], ["0", "1", "2"], ["3", "4", "5"], ["6"]]
    queue.close(60)
    assert told == {"written": log.batches, "dropped": []}


def test_a_log_that_refuses_for_a_while_gets_each_list_once_in_the_end_and_says_so_once(
    queue: ExposureQueue, log: Log, told: dict[str, list[object]], caplog: pytest.LogCaptureFixture
) -> None:
    log.refusals = 3
    for number in range(5):
        queue.put(shown(number))
    assert queue.flush(60)
    assert log.names == [str(number) for number in range(5)]
    assert log.tried == 3 + len(log.batches)
    assert told["dropped"] == []
    assert caplog.text.count("lists that were shown wait to be noted") == 1
    log.refusals = 1
    queue.put(shown("later"))
    assert queue.flush(60)
    assert caplog.text.count("lists that were shown wait to be noted") == 1, "so soon, more trouble is not said again"


def test_an_error_that_nobody_foresaw_ends_no_writing(
    queue: ExposureQueue, log: Log, told: dict[str, list[object]], caplog: pytest.LogCaptureFixture
) -> None:
    log.refusals, log.refusal = 1, ZeroDivisionError("unforeseen")
    queue.put(shown("first"))
    assert queue.flush(60)
    queue.put(shown("second"))
    assert queue.flush(60)
    assert (log.names, told["dropped"]) == (["first", "second"], [])
    assert "Traceback" in caplog.text


def test_what_is_too_much_is_dropped_counted_and_said_once(
    queue: ExposureQueue,
    log: Log,
    told: dict[str, list[object]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(queues, "MOST_WAITING", 4)
    log.let.clear()
    for number in range(6):
        queue.put(shown(number))
    assert told["dropped"] == [1, 1]
    assert caplog.text.count("are not noted, and more may follow") == 1
    log.let.set()
    assert queue.flush(60)
    assert log.names == ["0", "1", "2", "3"]
    queue.put(shown("room again"))
    assert queue.flush(60)
    assert log.names[-1] == "room again"


def test_the_end_writes_what_waits_and_takes_no_more(
    queue: ExposureQueue, log: Log, told: dict[str, list[object]]
) -> None:
    log.let.clear()
    for number in range(3):
        queue.put(shown(number))
    threading.Timer(0.05, log.let.set).start()
    queue.close(60)
    assert log.names == ["0", "1", "2"]
    assert log.closed.wait(60), "the log is closed by the thread that opened it"
    queue.put(shown("late"))
    assert (log.names, told["dropped"]) == (["0", "1", "2"], [1])


def test_at_an_end_that_cannot_wait_what_is_left_is_counted(
    queue: ExposureQueue, log: Log, told: dict[str, list[object]]
) -> None:
    log.let.clear()
    for number in range(3):
        queue.put(shown(number))
    assert log.asked.wait(60)
    queue.close(0)
    assert told["dropped"] == [3]
    log.let.set()
    assert log.closed.wait(60)


def test_a_queue_that_never_got_a_list_ends_at_once(log: Log) -> None:
    ExposureQueue(log).close()  # type: ignore[arg-type]
    assert log.tried == 0
