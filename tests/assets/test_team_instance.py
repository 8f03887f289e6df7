"""A team's instance: PostgreSQL, the code server, the daemon and the webserver as processes, and what befalls them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError

import dagster as dg
import psutil
import pytest
from ports import free_port
from postgres import SUPERUSER, postgres
from webserver import Webserver, soon

from movierec_engine.cli.demo import stop
from movierec_engine.store import SERVING, ArtifactStore, Slot, kinds

ROOT = Path(__file__).parents[2]
TEAM = ROOT / "deploy" / "dagster" / "team"
HELD = '''
import os, time
from pathlib import Path

from movierec_engine import Popularity, register_model

HOLD = Path(os.environ["HOLD"])


def hold(station):
    """Stay here while a file says so; one that says `deaf` swallows every interrupt."""
    file = HOLD / station
    if file.exists():
        (HOLD / f"{station}.{os.getpid()}").touch()
    while file.exists():
        try:
            time.sleep(0.05)
        except BaseException:
            if file.read_text() != "deaf":
                raise


@register_model
class Held(Popularity):
    name = "held"

    def learn(self, train):
        hold("trained_model")

    def score_known(self, users):
        hold("evaluation_report")
        return super().score_known(users)

    def item_vectors(self):
        hold("faiss_index")
        return super().item_vectors()
'''
"""A model that can be held in each station."""
STATIONS = (kinds.TRAINED_MODEL, kinds.EVALUATION_REPORT, kinds.FAISS_INDEX)


class Team:
    """The processes, each with its log, and the model that can be held."""

    def __init__(self, home: Path, overrides: list[str]) -> None:
        self.home = home
        self.store = ArtifactStore(home / "store")
        self.webserver = Webserver(free_port(), overrides)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        dagster, workspace = [sys.executable, "-m", "dagster"], ["-w", str(TEAM / "workspace.yaml")]
        code = ["api", "grpc", "-h", "127.0.0.1", "-p", os.environ["MOVIEREC_CODE_PORT"]]
        self._commands = {
            "code": [*dagster, *code, "-m", "movierec_assets.definitions"],
            "daemon": [sys.executable, "-m", "dagster._daemon", "run", *workspace],
            "webserver": [sys.executable, "-m", "dagster_webserver", "-p", str(self.webserver.port), *workspace],
        }

    def start(self, name: str) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self._commands[name], cwd=self.home, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """`kill -9` of that process alone, not of what it has started."""
        self.processes[name].kill()
        self.processes[name].wait(60)

    def hold(self, station: str, how: str = "") -> None:
        (self.home / "hold" / station).write_text(how)

    def release(self, station: str) -> None:
        (self.home / "hold" / station).unlink()

    def held(self, station: str) -> psutil.Process:
        """The process of a run that is held there now."""
        folder = self.home / "hold"
        pid = soon(lambda: next((int(mark.suffix[1:]) for mark in folder.glob(f"{station}.*")), None))
        (self.home / "hold" / f"{station}.{pid}").unlink()
        return psutil.Process(pid)

    def launch(self, *assets: str) -> str:
        return self.webserver.launch("everything", self.webserver.settings, "cpu|held", assets)

    def versions(self) -> list[str]:
        """The model's versions in the store."""
        slots = [Slot(kind, "camps", "held", "cpu") for kind in STATIONS]
        return [one.reference for slot in slots for one in self.store.versions(slot)]


@pytest.fixture
def team(tmp_path: Path, small_data: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    """All processes, running, with the files that are shipped."""
    (tmp_path / "hold").mkdir()
    (tmp_path / "held.py").write_text(HELD, encoding="utf-8")
    shutil.copy(TEAM / "dagster.yaml", tmp_path)
    with postgres() as port:
        for name, value in {
            "DAGSTER_HOME": tmp_path,
            "DAGSTER_PG_USERNAME": SUPERUSER,
            "DAGSTER_PG_PASSWORD": "none is asked for",
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_PORT": port,
            "DAGSTER_PG_DB": "postgres",
            "MOVIEREC_CODE_HOST": "127.0.0.1",
            "MOVIEREC_CODE_PORT": free_port(),
            "MOVIEREC_ARTIFACTS": tmp_path / "store",
            "MOVIEREC_PLUGINS": tmp_path / "held.py",
            "HOLD": tmp_path / "hold",
        }.items():
            monkeypatch.setenv(name, str(value))
        with dg.DagsterInstance.get() as instance:
            assert not instance.get_runs()
        team = Team(tmp_path, [one for one in small_data if not one.startswith("device=")])
        try:
            for name in ("code", "daemon", "webserver"):
                team.start(name)
            soon(lambda: team.webserver.loaded)
            yield team
        finally:
            for process in team.processes.values():
                stop(process)


@pytest.mark.slow
def test_a_team_materializes_terminates_and_loses_its_code_server_on_postgresql(team: Team) -> None:
    ask = team.webserver
    assert ask.ended(team.launch()) == "SUCCESS", ask.sentences()
    served, versions = team.store.pointed(SERVING, "camps"), team.versions()
    assert served is not None and served.slot == Slot(kinds.FAISS_INDEX, "camps", "held", "cpu")

    # Terminated in each station; in one of them the interrupt is swallowed, and the termination is forced.
    runs = {}
    for station in STATIONS:
        team.hold(station, "deaf" if station == kinds.FAISS_INDEX else "")
        runs[station] = team.launch(station)
    workers = {station: team.held(station) for station in STATIONS}
    for station, run in runs.items():
        policy = "MARK_AS_CANCELED_IMMEDIATELY" if station == kinds.FAISS_INDEX else "SAFE_TERMINATE"
        assert ask.terminate(run, policy) == "TerminateRunSuccess"
    assert [ask.ended(run) for run in runs.values()] == ["CANCELED"] * 3
    for station, worker in workers.items():
        worker.wait(60)
        team.release(station)
    assert [ask.status(run) for run in runs.values()] == ["CANCELED"] * 3
    assert team.versions() == versions
    assert not list((team.store.root / "progress").iterdir())

    # The code server is killed, and with it the way by which an interrupt would reach the run that it has started.
    team.hold(kinds.TRAINED_MODEL)
    orphan = team.launch(kinds.TRAINED_MODEL)
    worker = team.held(kinds.TRAINED_MODEL)
    for name in ("code", "daemon"):
        team.kill(name)
        team.start(name)
    with suppress(HTTPError):  # the UI says that nobody answers, and the run ends all the same
        ask.terminate(orphan)
    worker.wait(60)
    assert ask.ended(orphan) == "CANCELED"
    assert team.versions() == versions
    assert team.store.pointed(SERVING, "camps") == served
