"""The whole platform in one command: materialize through Dagster, show what is recommended, run the three servers."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from rich.console import Console

from movierec_engine import pipeline
from movierec_engine.cli.tables import ResultTable, TableColumn, cell, print_tables
from movierec_engine.config import Settings, load_settings
from movierec_engine.data.config import packaged
from movierec_engine.errors import EXTRAS, EmptyDataError, MissingExtraError, MovierecError
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.pipeline import elicitation
from movierec_engine.reporting import numbers
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.masks import serving_mask
from movierec_engine.store import SERVING, ArtifactStore, kinds
from movierec_engine.store.storage import Location

MODELS = ("popularity", "item_cf", "svd", "ease", "als", "gf_cf", "gmf", "lightgcn", "hybrid_ensemble")
"""The default: those that train in seconds on the bundled data. mlp, ncf and ngcf take longer, 15 to 40 s each."""

ELICITATION_MODEL = "ease"
"""The model that chooses what new users are asked."""

READY_SECONDS = 90
QUIET = "ignore:Function `dev_command` is superseded"
"""Filter of the warning that the log of `dagster dev` begins with: dg, which is to take its place, is not installed."""
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Signals that end the servers; started in the background, a process may ignore some unless it asks for them."""
STOP_SECONDS = 10

console = Console(highlight=False)


@dataclass(frozen=True)
class Ports:
    """The ports of the three servers, all on 127.0.0.1."""

    dagster: int
    dashboard: int
    api: int


@dataclass(frozen=True)
class DemoServer:
    """One of the demo's servers."""

    name: str
    url: str
    ready: str
    """Path that answers 200 once the server is up."""
    command: list[str]


def run(artifacts: Location, models: Sequence[str], device: str, overrides: Sequence[str], ports: Ports | None) -> None:
    """Materialize what is missing, print one user's recommendations, and serve until Ctrl-C unless `ports` is None.

    Raises MovierecError when a port is in use or a part of the package is missing (before any work), a step fails or
    a server does not come up.
    """
    require_installed()
    if ports:
        require_free(ports)
    wanted = [load_settings([*overrides, f"device={device}", f"model={model}"]) for model in models]
    store = ArtifactStore(artifacts)
    environment = {
        **os.environ,
        "MOVIEREC_ARTIFACTS": store.location,
        "MOVIEREC_CHECKPOINTS": str(store.root / "checkpoints"),
        "DAGSTER_HOME": str(dagster_home(store.root)),
        "MOVIEREC_AUTOMATION": os.environ.get("MOVIEREC_AUTOMATION") or "demo",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    missing = missing_models(store, wanted)
    if missing:
        console.print(
            f"materializing {', '.join(missing)} through Dagster, into {store.location}", soft_wrap=True, markup=False
        )
        materialize(missing, wanted[0].device, overrides, environment)
    else:
        console.print(
            f"{store.location} holds every model already; nothing to materialize", soft_wrap=True, markup=False
        )
    choose_questions(store, wanted[0])
    show_recommendations(store, wanted[0].data.name)
    if ports:
        serve(ports, store, wanted[0].data.name, environment)


def missing_models(store: ArtifactStore, wanted: Sequence[Settings]) -> list[str]:
    """The names of the models that the store does not hold in just these settings on the data as it is now.

    With nothing released yet, every model counts as missing.
    """
    logs = FeedbackLogs(store.root, wanted[0].feedback.url)
    splits = pipeline.prepare(store, wanted[0].data, feedback=logs)[kinds.SPLITS]
    if store.pointed(SERVING, wanted[0].data.name) is None:
        return [settings.model_name for settings in wanted]
    return [settings.model_name for settings in wanted if not pipeline.is_current(store, settings, splits)]


def materialize(models: Sequence[str], device: str, overrides: Sequence[str], environment: dict[str, str]) -> None:
    """Run the Dagster side in a process of its own; the engine itself knows nothing of Dagster."""
    command = [sys.executable, "-m", "movierec_assets.materialize", "--device", device]
    for model in models:
        command += ["--model", model]
    code = subprocess.run([*command, *overrides], env=environment, check=False).returncode
    if code:
        raise MovierecError(f"materializing ended with exit code {code}; the lines above say why")


def choose_questions(store: ArtifactStore, settings: Settings) -> None:
    """Choose the movies to ask new users about by ease, the quickest, unless that was done for its newest version.

    Without it, or where the data has too few people for it, the API asks about popular movies.
    """
    slot = pipeline.model_slot(kinds.TRAINED_MODEL, settings, ELICITATION_MODEL)
    model, held = store.latest(slot), store.latest(slot.beside(kinds.ELICITATION))
    if model is None or (held and held.parents[kinds.TRAINED_MODEL] == model.reference):
        return
    try:
        made = elicitation.measure_elicitation(store, model)
    except EmptyDataError as error:
        console.print(f"no interview for new users: {error}", soft_wrap=True, markup=False)
        return
    console.print(f"what new users are asked about: {made.folder}", soft_wrap=True, markup=False)


def show_recommendations(store: ArtifactStore, data_set: str) -> None:
    """Print the served index's recommendations for its first user with a history, as proof that the line works."""
    served = store.pointed(SERVING, data_set)
    if served is None:
        raise MovierecError(f"nothing of {data_set} was released into {store.location}; run `movierec demo` again")
    index = RetrievalIndex.load(served.verify().folder)
    user = int(index.personal.argmax())
    items, scores, source = index.recommend(user, 5, serving_mask(index)(user))
    movies = index.movies.take(items).to_pylist()
    table = ResultTable(
        f"for user {index.users.ids[user]}: {served.reference} ({source})",
        [
            TableColumn("movie", lambda row: row["title"], left=True, wraps=True),
            TableColumn("year", lambda row: str(row["year"] or "")),
            TableColumn("genres", lambda row: ", ".join(row["genres"]), left=True, wraps=True, sheds=1),
            TableColumn("score", cell("score", form=numbers.score)),
        ],
        [{**movie, "score": float(score)} for movie, score in zip(movies, scores, strict=True)],
    )
    print_tables([table])


def serve(ports: Ports, store: ArtifactStore, data_set: str, environment: dict[str, str]) -> None:
    """Run the three servers until a signal such as Ctrl-C's, a closed terminal, or the death of one; then end all."""
    logs = store.root / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    running: list[tuple[DemoServer, subprocess.Popen[bytes], Path]] = []
    before = {number: signal.signal(number, _interrupt) for number in ENDING_SIGNALS}
    try:
        for server in servers(ports, store.location, data_set):
            log_file = logs / f"{server.name}.log"
            running.append((server, _started(server, log_file, environment), log_file))
        for one in running:
            wait_until_ready(*one)
        for server, _, _ in running:
            console.print(f"{server.name:10} {server.url}")
        console.print(f"logs       {logs}\nCtrl-C ends all three", soft_wrap=True, markup=False)
        while True:
            for server, process, log_file in running:
                if process.poll() is not None:
                    raise MovierecError(f"{server.name} ended with exit code {process.returncode}; see {log_file}")
            time.sleep(0.5)
    finally:
        for number in ENDING_SIGNALS:  # a second Ctrl-C would skip the end of a server
            signal.signal(number, signal.SIG_IGN)
        for _, process, _ in running:
            stop(process)
        for number, handler in before.items():
            signal.signal(number, handler)


def _started(server: DemoServer, log_file: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A server's process, in a session of its own, so that a terminal's signals do not reach it."""
    with log_file.open("wb") as log:
        return subprocess.Popen(
            server.command,
            env={**environment, "PYTHONWARNINGS": QUIET},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def servers(ports: Ports, artifacts: str, data_set: str) -> list[DemoServer]:
    """The three servers, with the commands that a person would type."""
    host = "127.0.0.1"
    dagster = [sys.executable, "-m", "dagster", "dev", "-w", str(packaged("workspace.yaml"))]
    dagster += ["-h", host, "-p", str(ports.dagster)]
    dashboard = [sys.executable, "-m", "dashboard", "--server.address", host, "--server.port", str(ports.dashboard)]
    dashboard += ["--server.headless", "true", "--client.toolbarMode", "minimal"]
    api = [sys.executable, "-m", "movierec_engine.cli", "serve", "--host", host, "--port", str(ports.api)]
    api += ["--model-dir", artifacts, "--data-set", data_set]
    return [
        DemoServer("dagster", f"http://{host}:{ports.dagster}", "/server_info", dagster),
        DemoServer("dashboard", f"http://{host}:{ports.dashboard}", "/_stcore/health", dashboard),
        DemoServer("api", f"http://{host}:{ports.api}", "/api/health", api),
    ]


def wait_until_ready(server: DemoServer, process: subprocess.Popen[bytes], log_file: Path) -> None:
    """Return once the server answers. Raises MovierecError when it ends or does not answer in time."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise MovierecError(f"{server.name} ended with exit code {process.returncode} at its start; see {log_file}")
        try:
            with urllib.request.urlopen(server.url + server.ready, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise MovierecError(f"{server.name} did not answer at {server.url} within {READY_SECONDS} s; see {log_file}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and whatever it started: politely first, for good after STOP_SECONDS."""
    for sign in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def require_installed() -> None:
    """Raises MissingExtraError for the first library of the demo's that is not there."""
    needed = (extra for extra in EXTRAS if extra not in ("sweeps", "team", "objectstore"))
    for module in (name for extra in needed for name in EXTRAS[extra]):
        if find_spec(module) is None:
            raise MissingExtraError(ModuleNotFoundError(name=module), "all")


def require_free(ports: Ports) -> None:
    """Raises MovierecError naming every port that is in use, with the option that changes it."""
    taken = []
    for name, port in vars(ports).items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                taken.append(f"{port} (for {name}; change it with --{name}-port or {name.upper()}_PORT=N with make)")
    if taken:
        raise MovierecError(f"already in use: port {', port '.join(taken)}")


def dagster_home(root: Path) -> Path:
    """Dagster's instance folder on this host, with the settings for one machine unless it has some already."""
    home = root / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copy(packaged("deploy/dagster/one-machine/dagster.yaml"), home)
    return home


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
