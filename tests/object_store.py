"""An object store for tests: a server that speaks as S3 does, in a process of its own, and its environment."""

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

_SERVER = """
import logging
import sys
from moto.server import ThreadedMotoServer
logging.disable()
server = ThreadedMotoServer(ip_address=sys.argv[1], port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
server._thread.join()
"""


class ObjectStoreServer:
    """address and port: of the server, which is on this machine. Buckets are made by their names.

    prefix: of its command.
    """

    def __init__(self, address: str = "127.0.0.1", prefix: Sequence[str] = ()) -> None:
        command = [*prefix, sys.executable, "-c", _SERVER, address]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())  # type: ignore[union-attr]
        self.endpoint = f"http://{address}:{self.port}"

    def bucket(self, name: str) -> str:
        """A new bucket's URL."""
        self._call("PUT", f"/{name}")
        return f"s3://{name}"

    def heed_credentials(self, heed: bool) -> None:
        """Refuse every request from now on, as none of the tests' keys is known to it; or none."""
        self._call("POST", "/moto-api/reset-auth", b"0" if heed else b"inf")

    @contextmanager
    def away(self) -> Iterator[None]:
        """The server takes connections in the body and answers none."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def environment(self, local: Path) -> dict[str, str]:
        """What a host's environment says of the object store, and of its own folder."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEOFTESTS",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
            "AWS_REGION": "us-east-1",
            "MOVIEREC_LOCAL": str(local),
        }

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def _call(self, method: str, path: str, body: bytes = b"") -> None:
        headers = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(f"{self.endpoint}{path}", body or None, headers, method=method)
        urllib.request.urlopen(request, timeout=30).close()


@contextmanager
def as_host(server: ObjectStoreServer, local: Path) -> Iterator[None]:
    """This process as a host whose own folder is `local`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment(local).items():
            patch.setenv(name, value)
        yield


@contextmanager
def object_store_server(address: str = "127.0.0.1", prefix: Sequence[str] = ()) -> Iterator[ObjectStoreServer]:
    server = ObjectStoreServer(address, prefix)
    try:
        yield server
    finally:
        server.end()
