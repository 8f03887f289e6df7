"""API servers on hosts of a cluster, and people who use them while hosts and the database are lost."""

import http.client
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from hosts import Host
from ports import free_port
from waiting import soon

KEY = "an-admins-key-of-the-tests"
REACTION = 20.0
"""Seconds that a client waits for an answer."""
WRITERS = 24
"""More than the hosts have threads, which they would fill if each waited for a database that is away."""
LATE = 12.0
"""Seconds within which everything is answered, be it by 503: two waits for the database, and a busy machine's."""


@dataclass
class Answer:
    """status: 0 where nobody answered."""

    status: int
    body: Any = None
    seconds: float = 0.0

    @property
    def version(self) -> str:
        return str(self.body["version"])

    @property
    def movies(self) -> tuple[int, ...]:
        return tuple(one["movie_id"] for one in self.body["recommendations"])


class ApiHost:
    """A server of one worker on a host, for the data set `camps`."""

    def __init__(self, host: Host) -> None:
        self.host, self.port = host, free_port()
        host.environment["MOVIEREC_API_KEYS"] = f"admin={KEY}"

    def start(self) -> None:
        own = ["--host", self.host.address, "--port", self.port, "--data-set", "camps", "--workers", 1]
        self.host.movierec("api", "serve", *own, "serving.follow_seconds=0.5")

    def ask(self, path: str, body: object = None, method: str = "") -> Answer:
        connection = http.client.HTTPConnection(self.host.address, self.port, timeout=REACTION)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
        asked = time.monotonic()
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method or ("POST" if sent else "GET"), path, sent, headers)
            answer = connection.getresponse()
            return Answer(answer.status, json.load(answer), time.monotonic() - asked)
        except (OSError, http.client.HTTPException, ValueError):
            return Answer(0, None, time.monotonic() - asked)
        finally:
            connection.close()

    def recommend(self, user: int) -> Answer:
        return self.ask(f"/api/recommend?user_id={user}&top_k=5")

    def say(self, user: int, movie: int, kind: str, key: str) -> Answer:
        return self.ask("/api/feedback", {"user_id": user, "movie_id": movie, "kind": kind, "key": key})

    @property
    def ready(self) -> bool:
        return self.ask("/api/ready").status == 200


@dataclass
class People:
    """Writers and readers at work while the block lasts, each in a thread.

    A writer sends clicks to the hosts in turn, each again under the same key until it is acknowledged. A reader asks
    one host for the lists of somebody who says nothing.
    """

    hosts: Sequence[ApiHost]
    movie: int
    acknowledged: list[tuple[int, str]] = field(default_factory=list)
    """User and key of each event."""
    lists: dict[str, set[tuple[int, ...]]] = field(default_factory=lambda: defaultdict(set))
    """Version -> the lists that were answered from it."""
    unread: list[tuple[str, Answer]] = field(default_factory=list)
    """Host and answer of each reading that was not answered by a list."""
    late: list[tuple[str, Answer]] = field(default_factory=list)
    """Host and answer of whatever took longer than LATE."""
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        work: list[Callable[[], None]] = [lambda own=own: self._write(own) for own in range(WRITERS)]  # type: ignore[misc]
        work += [lambda host=host: self._read(host) for host in self.hosts]  # type: ignore[misc]
        self._threads += [threading.Thread(target=one) for one in work]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, more: int = 100) -> None:
        """Wait until so many more events are acknowledged."""
        so_far = len(self.acknowledged)
        soon(lambda: len(self.acknowledged) >= so_far + more, f"{more} events after {so_far}")

    def _write(self, own: int) -> None:
        number = 0
        while not self._ended.is_set():
            user, key, attempt = 1000 + own % 3, f"{own}-{number}", 0
            while not self._ended.is_set():
                api = self.hosts[(own + number + attempt) % len(self.hosts)]
                answer = self._in_time(api, api.say(user, self.movie, "click", key))
                if answer.status == 200:
                    self.acknowledged.append((user, key))
                    break
                attempt += 1
                self._ended.wait(0.2)
            number += 1
            self._ended.wait(0.2)

    def _read(self, api: ApiHost) -> None:
        while not self._ended.wait(0.02):
            answer = self._in_time(api, api.recommend(1))
            if answer.status == 200:
                self.lists[answer.version].add(answer.movies)
            else:
                self.unread.append((api.host.name, answer))

    def _in_time(self, api: ApiHost, answer: Answer) -> Answer:
        if answer.seconds > LATE:
            self.late.append((api.host.name, answer))
        return answer
