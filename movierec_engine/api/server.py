"""Run the API: under gunicorn, or under Flask's own server for debugging."""

import ipaddress
import json
import logging
import os
import secrets
import socket
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker
from werkzeug.serving import is_running_from_reloader

from movierec_engine.api.config import ServingConfig
from movierec_engine.data.ratings import Movies
from movierec_engine.errors import ConfigError, MovierecError

MOST_WORKERS = 4


def serve(
    store_root: Path, serving: ServingConfig, *, data_dir: Path | None = None, device: str = "auto", debug: bool = False
) -> None:
    """Answer until Ctrl-C or SIGTERM.

    data_dir: a MovieLens folder whose titles replace those that the indices carry.

    Raises ConfigError for debug on an address that others can reach, MovierecError when the port is in use.
    """
    if debug and not _is_loopback(serving.host):
        raise ConfigError(f"--debug lets anybody who reaches {serving.host} run code; use --host 127.0.0.1 with it")
    if not is_running_from_reloader():  # whose parent holds the port
        _require_free(serving.host, serving.port)
    titles = _titles(data_dir) if data_dir else None
    cores = os.cpu_count() or 1
    workers = serving.workers or min(cores, MOST_WORKERS)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // workers)))
    print(f"serving {store_root.absolute()} at http://{_address(serving)}", flush=True)
    if debug:
        _make_app(store_root, serving, device, titles).run(serving.host, serving.port, debug=True)
    else:
        _Gunicorn(store_root, serving, device, titles, workers).run()


class _Gunicorn(BaseApplication):  # type: ignore[misc]
    """gunicorn with options of ours; each worker makes its own application, since faiss does not survive a fork."""

    def __init__(
        self, store_root: Path, serving: ServingConfig, device: str, titles: Movies | None, workers: int
    ) -> None:
        self._arguments = (store_root, serving, device, titles)
        self._options = {
            "bind": _address(serving),
            "workers": workers,
            "threads": serving.threads,
            "worker_class": _Worker,
            "preload_app": False,
            "loglevel": "warning",
            "graceful_timeout": 5,
            "proc_name": "movierec",
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return _make_app(*self._arguments)


class _Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker; what it refuses before the application sees it is answered as JSON instead of HTML."""

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
            f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\n\r\n"
        )
        try:
            write_nonblock(client, (head + body).encode("ascii"))
        except OSError:
            self.log.debug("the client left before its error was sent")


def _make_app(store_root: Path, serving: ServingConfig, device: str, titles: Movies | None) -> Any:
    from movierec_engine.api.app import create_app  # brings faiss, which must not be in the parent process

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    return create_app(store_root, serving, device=device, titles=titles)


def _titles(data_dir: Path) -> Movies:
    from movierec_engine.data.config import DataConfig
    from movierec_engine.data.readers import read_movies

    return read_movies(DataConfig(dir=str(data_dir)))


def _address(serving: ServingConfig) -> str:
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    return f"{host}:{serving.port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise MovierecError(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another --host or --port"
            ) from error
