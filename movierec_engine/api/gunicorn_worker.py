"""gunicorn's threaded worker, made patient: a request takes a thread only once it has arrived.

A client that sends slowly waits in the worker's event loop, where it costs nothing, and is sent away after
`ARRIVAL_SECONDS`. So does one that keeps its connection open after the last answer, for `LINGER_SECONDS`; where there
are too many connections, who has waited longest makes room. What gunicorn refuses before the application sees it is
answered as JSON instead of HTML. An answer that takes too long is a 503. A worker that is told to end says so in
/api/ready, goes on answering for a while, and then finishes what is in progress.

gunicorn's own threaded worker does none of that: as many slow clients as there are threads, one that does not close its
connections, or as many idle ones as a worker takes stop it from answering, and the tests of those fail with it. The
methods that are overridden are no public interface, so pyproject.toml caps gunicorn's version; read this file beside
`gunicorn/workers/gthread.py` before raising the cap.
"""

import errno
import json
import secrets
import selectors
import socket
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from itertools import islice
from operator import itemgetter
from typing import Any

from gunicorn.http import get_parser
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from movierec_engine.api.arrival import MOST_HEAD_BYTES, Arrival
from movierec_engine.api.error_codes import TOOK_TOO_LONG, error_body
from movierec_engine.api.headers import DATA_POLICY, NO_STORE, NOSNIFF

ARRIVAL_SECONDS = 10.0
"""How long a request may take to arrive, and its answer to be taken by the client."""
LINGER_SECONDS = 2.0
"""How long a connection stays open for reading after its last answer: closed at once, bytes that its client still sends
would be answered by a reset, which takes away what the client has not read of the answer."""

TOO_LONG = "this took too long to answer; ask for less at once, or ask again later"


def patient_worker(drain: float, answer: float) -> type["PatientWorker"]:
    """The worker class of a server that drains for so many seconds, and whose answers may take so many."""
    return type("PatientWorker", (PatientWorker,), {"drain_seconds": drain, "answer_seconds": answer})


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    drain_seconds = 0.0
    answer_seconds = 30.0
    wsgi: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: dict[Any, Arrival] = {}  # by connection, the oldest first
        self._handled: dict[Any, float] = {}  # socket that a thread reads from or writes to -> its deadline
        self._computed: dict[Any, float] = {}  # socket whose answer a thread computes -> its deadline
        self._lingering: dict[Any, float] = {}  # connection after its last answer -> its deadline
        self._drained_at = float("inf")

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self._application = self.wsgi
        self.wsgi = self._answer_in_time

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: end, after saying so for `drain_seconds`."""
        workers = getattr(getattr(self, "_application", None), "extensions", {}).get("movierec", {}).get("workers")
        if workers is None or not self.drain_seconds:
            super().handle_exit(sig, frame)
        elif not workers.draining.is_set():
            workers.draining.set()
            self.max_keepalived = 0  # from now on every answer is its connection's last
            self._drained_at = time.monotonic() + self.drain_seconds

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Waits for events at most until the next look at deadlines; gunicorn's own wait would sleep past them."""
        super().wait_for_and_dispatch_events(min(timeout, 1.0 if self.alive else 0.1))

    def _answer_in_time(self, environ: dict[str, Any], start_response: Any) -> Any:
        """The application's answer, unless the event loop has sent a 503 by now: whoever pops first may send."""
        client = environ["gunicorn.socket"]
        self._handled.pop(client, None)
        self._computed[client] = time.monotonic() + self.answer_seconds
        answer = self._application(environ, start_response)
        if self._computed.pop(client, None) is None:
            raise BrokenPipeError(errno.EPIPE, "its client has been answered 503")
        self._handled[client] = time.monotonic() + ARRIVAL_SECONDS
        return answer

    def enqueue_req(self, conn: Any) -> None:
        """Called in the event loop when a connection is new or has something to read."""
        self._await_request(conn)

    def _await_request(self, conn: Any, begun: bytes = b"") -> None:
        arrival = Arrival(begun, time.monotonic() + ARRIVAL_SECONDS)
        if self._receive(conn, arrival):
            self._hand_on(conn, arrival)
        else:
            self._arriving[conn] = arrival
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_more, conn))

    def _on_more(self, conn: Any, client: socket.socket) -> None:
        arrival = self._arriving[conn]
        if self._receive(conn, arrival):
            del self._arriving[conn]
            self.poller.unregister(client)
            self._hand_on(conn, arrival)

    def _receive(self, conn: Any, arrival: Arrival) -> bool:
        """Take in what is there of a request; whether nothing more is waited for."""
        try:
            part = conn.sock.recv(MOST_HEAD_BYTES)
        except BlockingIOError:
            part = None
        except OSError:
            part = b""
        arrival.add(part or b"")
        if part == b"" or not arrival.is_waited_for:
            return True
        if arrival.asks_whether_to_go_on():
            with suppress(OSError):  # the client has left, which reading will tell
                conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return False

    def _hand_on(self, conn: Any, arrival: Arrival) -> None:
        """Let a thread answer, which reads what has arrived and never waits for the client."""
        conn.init()
        conn.parser = get_parser(self.cfg, [bytes(arrival.bytes)], conn.client)
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        self._handled[conn.sock] = time.monotonic() + ARRIVAL_SECONDS
        try:
            return super().handle(conn)
        finally:
            self._handled.pop(conn.sock, None)
            self._computed.pop(conn.sock, None)

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Called in the event loop when a thread is done with a connection.

        gunicorn's own waits here, in the loop, until the client of a last answer has closed its side.
        """
        whole = conn.parser.unreader.iter is not None  # else the rest, still to come, would be taken for a request
        if self.alive and whole and not fs.cancelled() and fs.exception() is None and fs.result():
            next_one = conn.parser.unreader.take_buffered()
            if next_one:
                conn.sock.setblocking(False)
                self._await_request(conn, next_one)
            else:
                super().finish_request(conn, fs)
            return
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # the client has left
            self._close(conn)
            return
        self._lingering[conn] = time.monotonic() + LINGER_SECONDS
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_more_than_asked_for, conn))

    def _on_more_than_asked_for(self, conn: Any, client: socket.socket) -> None:
        """Throw away what a client sends after its last answer, until it closes its side."""
        try:
            ended = not client.recv(MOST_HEAD_BYTES)
        except BlockingIOError:
            ended = False
        except OSError:
            ended = True
        if ended:
            del self._lingering[conn]
            self._close_waiting(conn)

    def murder_pending(self) -> None:
        """Called at least every second: send away who takes too long."""
        super().murder_pending()
        now = time.monotonic()
        for conn, arrival in list(self._arriving.items()):
            if arrival.deadline < now:
                del self._arriving[conn]
                self._close_waiting(conn)
        for conn, deadline in list(self._lingering.items()):
            if deadline < now:
                del self._lingering[conn]
                self._close_waiting(conn)
        for client, deadline in list(self._handled.items()):
            if deadline < now:
                self._hang_up(client)
        for client, deadline in list(self._computed.items()):
            if deadline < now and self._computed.pop(client, None) is not None:
                self.log.warning("an answer took more than its %g s; its client was answered 503", self.answer_seconds)
                self._send_error(client, HTTPStatus.SERVICE_UNAVAILABLE, TOO_LONG, TOOK_TOO_LONG)
                self._hang_up(client)
        if self.nr_conns >= self.worker_connections:
            self._close_the_next_to_be_sent_away()
        if now >= self._drained_at:
            self._drained_at = float("inf")
            self.alive = False
        if not self.alive:
            self._close_idle()

    def _close_idle(self) -> None:
        """Close the connections that wait for another request, which would hold up the end."""
        while self.keepalived_conns:
            self._close_waiting(self.keepalived_conns.popleft())

    def _close_the_next_to_be_sent_away(self) -> None:
        """Make room for who comes: as many idle connections as a worker takes would keep everybody else out."""
        waiting = [(arrival.deadline, conn) for conn, arrival in islice(self._arriving.items(), 1)]
        waiting += [(deadline, conn) for conn, deadline in islice(self._lingering.items(), 1)]
        waiting += [(conn.timeout, conn) for conn in islice(self.keepalived_conns, 1)]
        if not waiting:
            return
        _, conn = min(waiting, key=itemgetter(0))
        if self._arriving.pop(conn, None) is None and self._lingering.pop(conn, None) is None:
            self.keepalived_conns.popleft()
        self._close_waiting(conn)

    def _close_waiting(self, conn: Any) -> None:
        """Close a connection that waits in the event loop."""
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    def _hang_up(self, client: socket.socket) -> None:
        """Let the thread that reads from or writes to a connection find it closed."""
        try:
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            self.log.debug("the client left on its own")

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        status, message = HTTPStatus.BAD_REQUEST, "bad request; GET / lists the endpoints"
        if isinstance(exc, LimitRequestLine):
            status = HTTPStatus.REQUEST_URI_TOO_LONG
            message = (
                f"the request line is longer than {self.cfg.limit_request_line:,} bytes; shorten the address, or give "
                "a history in the body of POST /api/recommend"
            )
        elif isinstance(exc, LimitRequestHeaders):
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            message = (
                f"a header is longer than {self.cfg.limit_request_field_size:,} bytes, or there are more than "
                f"{self.cfg.limit_request_fields} of them; send fewer and shorter ones"
            )
        elif not isinstance(exc, ParseException):
            status, message = HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed on this request"
            self.log.exception("a request failed outside the application")
        self._send_error(client, status, message)

    def _send_error(self, client: socket.socket, status: HTTPStatus, message: str, code: str | None = None) -> None:
        request_id = secrets.token_hex(8)
        error = error_body(status.value, message, code=code)
        body = json.dumps({"error": error, "request_id": request_id}, separators=(",", ":"))
        headers = (
            ("Connection", "close"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("X-Request-ID", request_id),
            *(NOSNIFF, NO_STORE, DATA_POLICY),
        )
        lines = (f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers))
        head = "\r\n".join((*lines, "", ""))
        try:
            write_nonblock(client, (head + body).encode("ascii"))
        except OSError:
            self.log.debug("the client left before its error was sent")
