"""Run the API: under gunicorn, under waitress where there is no gunicorn, or under Flask's own server for debugging."""

import importlib.util
import ipaddress
import math
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits
from werkzeug.serving import is_running_from_reloader

from movierec_engine.api.config import KEYS_VARIABLE, METRICS_VARIABLE, ServingConfig, keys_of_environment
from movierec_engine.api.workers import FOLDER_VARIABLE, forget
from movierec_engine.data.ratings import Movies
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.feedback.config import url_of_environment
from movierec_engine.store import kinds
from movierec_engine.store.storage import Location, is_url


def serve(
    location: Location,
    serving: ServingConfig,
    *,
    feedback_url: str | None = None,
    data_dir: Path | None = None,
    device: str = "auto",
    debug: bool = False,
) -> None:
    """Answer until Ctrl-C or SIGTERM.

    feedback_url: as `feedback.url`; None for MOVIEREC_FEEDBACK_URL's.
    data_dir: a MovieLens folder whose titles replace those that the indices carry.

    Raises ConfigError for debug or for no API keys on an address that others can reach, MovierecError when the port is
    in use.
    """
    if debug and not _is_loopback(serving.host):
        raise ConfigError(f"--debug lets anybody who reaches {serving.host} run code; use --host 127.0.0.1 with it")
    if not (keys_of_environment() or serving.public_without_keys or _is_loopback(serving.host)):
        raise ConfigError(
            f"everybody who reaches {serving.host} could read people's histories and erase them; set {KEYS_VARIABLE}, "
            "listen on --host 127.0.0.1, or say serving.public_without_keys=true"
        )
    if not is_running_from_reloader():  # whose parent holds the port
        _require_free(serving.host, serving.port)
    titles = _titles(data_dir) if data_dir else None
    url = url_of_environment() if feedback_url is None else feedback_url
    if url:
        print(f"feedback is logged in PostgreSQL at {FeedbackLogs(Path(), url).where}", flush=True)
    print(
        f"serving {location if is_url(location) else Path(location).absolute()} at http://{_address(serving)}",
        flush=True,
    )
    if debug:
        _make_app(location, serving, url, device, titles).run(serving.host, serving.port, debug=True)
    elif importlib.util.find_spec("fcntl"):  # which gunicorn needs
        with shared_folder() as folder:
            for variable in (METRICS_VARIABLE, FOLDER_VARIABLE):
                os.environ[variable] = str(folder / variable.lower())
                Path(os.environ[variable]).mkdir()
            _run_gunicorn(location, serving, url, device, titles)
    else:
        _run_waitress(location, serving, url, device, titles)


def store_to_serve(model_dir: Path, default: Path) -> tuple[Path, str | None]:
    """The artifact store that a `--model-dir` means, and a sentence where it is not the folder itself.

    A folder of training checkpoints stands for the default store, if that has indices; the default store itself may
    still be to come.

    Raises MovierecError for a folder that is not there, and for one of checkpoints when there is no store either.
    """
    if not model_dir.is_dir():
        if model_dir == default:
            return model_dir, None
        raise MovierecError(f"{model_dir} is not there; give the folder of an artifact store, such as {default}")
    if (model_dir / kinds.FAISS_INDEX).is_dir() or not any(model_dir.glob("*.pt")):
        return model_dir, None
    what = f"{model_dir} holds training checkpoints, not indices"
    if (default / kinds.FAISS_INDEX).is_dir():
        return default, f"{what}; serving from the artifact store {default} instead"
    raise MovierecError(f"{what}; run `movierec demo` or `movierec train`, then `movierec serve --model-dir artifacts`")


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A temporary folder for all processes of the server, removed by the one that made it.

    A worker that ends leaves the same block, being forked within it: the others still need the folder.
    """
    folder, made_by = Path(tempfile.mkdtemp(prefix="movierec-server-")), os.getpid()
    try:
        yield folder
    finally:
        if os.getpid() == made_by:
            shutil.rmtree(folder, ignore_errors=True)


def gunicorn_options(serving: ServingConfig) -> dict[str, Any]:
    """gunicorn's settings, by their names."""
    from movierec_engine.api.gunicorn_worker import patient_worker

    options: dict[str, Any] = {
        "bind": _address(serving),
        "workers": serving.worker_count,
        "threads": serving.threads,
        "worker_class": patient_worker(serving.drain_seconds, serving.answer_seconds),
        "preload_app": False,
        "keepalive": 15,
        "graceful_timeout": math.ceil(serving.drain_seconds + serving.answer_seconds) + 1,
        "loglevel": "warning",
        "proc_name": "movierec",
    }
    if Path("/dev/shm").is_dir():  # a heartbeat that no slow disk holds up
        options["worker_tmp_dir"] = "/dev/shm"
    return options


def _run_gunicorn(location: Location, serving: ServingConfig, url: str, device: str, titles: Movies | None) -> None:
    from gunicorn.app.base import BaseApplication
    from prometheus_client.multiprocess import mark_process_dead

    def ended(server: Any, worker: Any) -> None:
        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
        forget(Path(os.environ[FOLDER_VARIABLE]), worker.pid)

    class Server(BaseApplication):  # type: ignore[misc]
        """Each worker makes its own application, since faiss does not survive a fork."""

        def load_config(self) -> None:
            options = gunicorn_options(serving)
            options["child_exit"] = ended
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return _make_app(location, serving, url, device, titles)

    Server().run()


def _run_waitress(location: Location, serving: ServingConfig, url: str, device: str, titles: Movies | None) -> None:
    if not importlib.util.find_spec("waitress"):
        raise MovierecError("gunicorn does not run on this system; `pip install waitress`, which does, and try again")
    waitress = importlib.import_module("waitress")
    app = _make_app(location, serving, url, device, titles)
    waitress.serve(app, host=serving.host, port=serving.port, threads=max(4, serving.threads * serving.worker_count))


class _WithoutPandas(MetaPathFinder):
    """Takes pandas for not installed: PyArrow imports it with its first array, though no answer has a use for it.

    That is .35 s of a worker's start and 33 MB of its memory.
    """

    def find_spec(self, name: str, *where: Any) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("the server answers without pandas", name=name)


def _make_app(location: Location, serving: ServingConfig, url: str, device: str, titles: Movies | None) -> Any:
    """The application, whose requests take a thread each: more for one's small products would wait for one another.

    Of libraries that are loaded the number is set, and those that are still to come read it from the environment.
    """
    sys.meta_path.insert(0, _WithoutPandas())
    if os.environ.setdefault("OMP_NUM_THREADS", "1") == "1":
        threadpool_limits(1)
    from movierec_engine.api.app import create_app  # brings faiss, which must not be in the parent process
    from movierec_engine.api.logs import set_up_logs

    set_up_logs(serving.log_format)
    return create_app(location, serving, feedback_url=url, device=device, titles=titles, watch=True)


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
