"""Run the API: under gunicorn, or under Flask's own server for debugging."""

import ipaddress
import logging
import os
import socket
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication

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
    _require_free(serving.host, serving.port)
    titles = _titles(data_dir) if data_dir else None
    cores = os.cpu_count() or 1
    workers = serving.workers or min(cores, MOST_WORKERS)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // workers)))
    print(f"serving {store_root.absolute()} at http://{serving.host}:{serving.port}", flush=True)
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
            "bind": f"{serving.host}:{serving.port}",
            "workers": workers,
            "threads": serving.threads,
            "worker_class": "gthread",
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


def _make_app(store_root: Path, serving: ServingConfig, device: str, titles: Movies | None) -> Any:
    from movierec_engine.api.app import create_app  # brings faiss, which must not be in the parent process

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    return create_app(store_root, serving, device=device, titles=titles)


def _titles(data_dir: Path) -> Movies:
    from movierec_engine.data.config import DataConfig
    from movierec_engine.data.readers import read_movies

    return read_movies(DataConfig(dir=str(data_dir)))


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
