"""gunicorn's threaded worker, made patient: a request takes a thread only once it has arrived.

A client that sends slowly waits in the worker's event loop, where it costs nothing, and is sent away after
`ARRIVAL_SECONDS`. What gunicorn refuses before the application sees it is answered as JSON instead of HTML.
"""

import json
import re
import secrets
import selectors
import socket
import time
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

ARRIVAL_SECONDS = 10.0
"""How long a request may take to arrive, and to be answered and taken by the client once it is here."""
MOST_HEAD_BYTES = 1 << 16
MOST_BODY_BYTES = 1 << 20
"""A request whose head or body is larger is handed on as it is; it gets refused."""

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,10})[ \t]*\r\n", re.IGNORECASE)
_NOT_WAITED_FOR = re.compile(rb"\r\n(transfer-encoding|expect):", re.IGNORECASE)


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: dict[Any, tuple[bytearray, float]] = {}  # connection -> its bytes so far, and its deadline
        self._handled: dict[Any, float] = {}  # connection in a thread -> its deadline

    def enqueue_req(self, conn: Any) -> None:
        """Called in the event loop when a connection is new or has something to read."""
        buffer, deadline = self._arriving.pop(conn, (bytearray(), time.monotonic() + ARRIVAL_SECONDS))
        try:
            part = conn.sock.recv(MOST_HEAD_BYTES)
            buffer += part
            ended = not part
        except BlockingIOError:
            ended = False
        except OSError:
            ended = True
        if ended or has_arrived(buffer):
            conn.init()
            conn.parser.unreader.unread(bytes(buffer))
            super().enqueue_req(conn)
        else:
            self._arriving[conn] = (buffer, deadline)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_more, conn))

    def _on_more(self, conn: Any, client: socket.socket) -> None:
        self.poller.unregister(client)
        self.enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        self._handled[conn] = time.monotonic() + ARRIVAL_SECONDS
        try:
            return super().handle(conn)
        finally:
            self._handled.pop(conn, None)

    def murder_pending(self) -> None:
        """Called at least every second: send away who takes too long."""
        super().murder_pending()
        now = time.monotonic()
        for conn, (_, deadline) in list(self._arriving.items()):
            if deadline < now:
                del self._arriving[conn]
                self.poller.unregister(conn.sock)
                self.nr_conns -= 1
                conn.close()
        for conn, deadline in list(self._handled.items()):
            if deadline < now:
                self._hang_up(conn)

    def _hang_up(self, conn: Any) -> None:
        """Let the thread that reads from or writes to a connection find it closed."""
        try:
            conn.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            self.log.debug("the client left on its own")

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        status = HTTPStatus.BAD_REQUEST
        if isinstance(exc, LimitRequestLine):
            status = HTTPStatus.REQUEST_URI_TOO_LONG
        elif isinstance(exc, LimitRequestHeaders):
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        elif not isinstance(exc, ParseException):
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            self.log.exception("a request failed outside the application")
        request_id = secrets.token_hex(8)
        error = {
            "code": f"http_{status.value}",
            "message": f"{status.phrase.lower()}; GET / lists the endpoints",
            "parameter": None,
        }
        body = json.dumps({"error": error, "request_id": request_id})
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-Content-Type-Options: nosniff\r\nX-Request-ID: {request_id}\r\n\r\n"
        )
        try:
            write_nonblock(client, (head + body).encode("ascii"))
        except OSError:
            self.log.debug("the client left before its error was sent")


def has_arrived(buffer: bytes | bytearray) -> bool:
    """Whether these bytes hold a whole request, or one that must not be waited for."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return len(buffer) > MOST_HEAD_BYTES
    head = buffer[: end + 2]
    if _NOT_WAITED_FOR.search(head):
        return True
    length = _LENGTH.search(head)
    if length is None or int(length[1]) > MOST_BODY_BYTES:
        return True
    return len(buffer) >= end + 4 + int(length[1])
