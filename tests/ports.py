"""A port of a server's own."""

import contextlib
import random
import socket


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on.

    It lies below those that the system gives to outgoing connections, one of which could have it before the server.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
