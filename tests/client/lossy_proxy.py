"""A TCP proxy that loses answers: a connection at a time, as a list of deeds says."""

import re
import socket
import threading
from typing import Literal, Self

Deed = Literal["pass", "refuse", "lose", "cut", "hang"]
"""refuse: close before the server hears of it. lose: close once the server has answered. cut: hand on half of the
answer. hang: hand on nothing, and keep the connection open."""


class LossyProxy:
    """Does the deeds in turn, one for each connection, and then passes everything."""

    def __init__(self, server: tuple[str, int], *deeds: Deed) -> None:
        self._server, self._deeds, self._open = server, list(deeds), list[socket.socket]()
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for one in self._open:
            one.close()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._do(self._deeds.pop(0) if self._deeds else "pass", client)

    def _do(self, deed: Deed, client: socket.socket) -> None:
        if deed == "hang":
            self._open.append(client)
            return
        with client:
            head, body = self._request(client)
            if deed == "refuse" or not head:
                return
            answer = self._asked(head, body)
            if deed != "lose":
                client.sendall(answer if deed == "pass" else answer[: len(answer) // 2])

    def _request(self, client: socket.socket) -> tuple[bytes, bytes]:
        """Head and body of one request, which may come in pieces; nothing where it does not come."""
        client.settimeout(30)
        received = b""
        while b"\r\n\r\n" not in received:
            received += (part := client.recv(1 << 16))
            if not part:
                return b"", b""
        head, _, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        while length and len(body) < int(length[1]):
            body += client.recv(1 << 16)
        return head, body

    def _asked(self, head: bytes, body: bytes) -> bytes:
        """The server's whole answer, after which the connection ends."""
        with socket.create_connection(self._server, timeout=30) as server:
            server.sendall(head.replace(b"keep-alive", b"close") + b"\r\n\r\n" + body)
            return b"".join(iter(lambda: server.recv(1 << 16), b""))
