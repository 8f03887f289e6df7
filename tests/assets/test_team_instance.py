"""A team's instance: PostgreSQL, the code server, the daemon and the webserver as processes, and what befalls them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.error import HTTPError

import dagster as dg
import psutil
import pytest
from ports import free_port
from postgres import SUPERUSER, postgres
from waiting import soon
from webserver import Webserver

from movierec_assets.automation import AutomationConfig
from movierec_assets.lost_runs import make_lost_runs
from movierec_engine.cli.demo import stop
from movierec_engine.feedback import FeedbackEvent, FeedbackLogs
from movierec_engine.store import SERVING, ArtifactStore, Slot, kinds

ROOT = Path(__file__).parents[2]
TEAM = ROOT / "deploy" / "dagster" / "team"
HELD = '''
import os, time
from pathlib import Path

from movierec_engine import EASE, Popularity, register_model

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


@register_model
class Better(EASE):
    name = "better"

    def learn(self, train):
        hold("better")
        super().learn(train)
'''
"""A model that can be held in each station, and one that is better than it, which can be held in training."""
STATIONS = (kinds.TRAINED_MODEL, kinds.EVALUATION_REPORT, kinds.FAISS_INDEX)


class Team:
    """The processes, each with its log, and the models that can be held."""

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

    def start(self, *names: str) -> None:
        for name in names:
            with (self.home / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    self._commands[name], cwd=self.home, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                )

    def kill(self, *names: str) -> None:
        """`kill -9` of those processes alone, not of what they have started."""
        for name in names:
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

    def launch(self, *assets: str, model: str = "held") -> str:
        return self.webserver.launch("everything", self.webserver.settings, f"cpu|{model}", assets)


def versions(store: ArtifactStore) -> list[str]:
    """The versions of the model that can be held in each station."""
    slots = [Slot(kind, "camps", "held", "cpu") for kind in STATIONS]
    return [one.reference for slot in slots for one in store.versions(slot)]


def served(store: ArtifactStore) -> str:
    """The model that is served."""
    index = store.pointed(SERVING, "camps")
    return index.slot.model if index else ""


def movierec(*words: object) -> str:
    """What a command prints, once it has ended well."""
    command = [sys.executable, "-m", "movierec_engine.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


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
            team.start("code", "daemon", "webserver")
            soon(lambda: team.webserver.loaded)
            yield team
        finally:
            for process in team.processes.values():
                stop(process)


@pytest.mark.slow
def test_a_team_on_postgresql_terminates_loses_processes_retries_releases_rolls_back_and_restores(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, store = team.webserver, team.store
    assert ask.ended(team.launch()) == "SUCCESS", ask.sentences()
    assert served(store) == "held"
    before = versions(store)
    canceled = terminate_in_each_station(team)
    assert versions(store) == before
    canceled.append(lose_every_process_while_a_run_trains(team))
    assert versions(store) == before
    killed = lose_a_run_and_release_what_was_tried_again(team)
    assert served(store) == "better"
    movierec("models", "rollback", "reason=a test")
    assert served(store) == "held"
    with closing(FeedbackLogs(store.root).of("camps")) as log:
        log.record([FeedbackEvent("a key", 1, 100, "rating", 4.0)])
    ended = dict.fromkeys(canceled, "CANCELED") | {killed: "FAILURE"}
    restore_into_an_empty_instance(team, ended, monkeypatch)


def terminate_in_each_station(team: Team) -> list[str]:
    """The runs; one of them swallows the interrupt, and its termination is forced."""
    ask, runs = team.webserver, dict[str, psutil.Process]()
    for station in STATIONS:  # a device has one run at a time
        team.hold(station, "deaf" if station == kinds.FAISS_INDEX else "")
        run = team.launch(station)
        runs[run] = team.held(station)
        policy = "MARK_AS_CANCELED_IMMEDIATELY" if station == kinds.FAISS_INDEX else "SAFE_TERMINATE"
        assert ask.terminate(run, policy) == "TerminateRunSuccess"
        assert ask.ended(run) == "CANCELED"
    for station, worker in zip(STATIONS, runs.values(), strict=True):
        worker.wait(60)
        team.release(station)
    assert [ask.status(run) for run in runs] == ["CANCELED"] * 3
    assert not list((team.store.root / "progress").iterdir())
    return list(runs)


def lose_every_process_while_a_run_trains(team: Team) -> str:
    """The run, which goes on; the UI, back before the code server, terminates it, though no interrupt can reach it."""
    ask = team.webserver
    team.hold(kinds.TRAINED_MODEL)
    orphan = team.launch(kinds.TRAINED_MODEL)
    worker = team.held(kinds.TRAINED_MODEL)
    team.kill("webserver", "daemon", "code")
    team.start("webserver", "daemon")
    soon(lambda: ask.answers)
    with suppress(HTTPError):  # it says that nobody answers, and has noted what was asked
        ask.terminate(orphan)
    worker.wait(60)
    team.release(kinds.TRAINED_MODEL)
    assert ask.ended(orphan) == "CANCELED"
    team.start("code")
    soon(lambda: ask.loaded)
    return orphan


def lose_a_run_and_release_what_was_tried_again(team: Team) -> str:
    """The run whose process was killed in training."""
    ask = team.webserver
    team.hold("better")
    killed = team.launch(model="better")
    team.held("better").kill()
    team.release("better")
    assert ask.ended(killed) == "FAILURE"
    with dg.DagsterInstance.get() as instance:
        (again,) = soon(lambda: instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": killed})))
    assert again.tags["movierec/device"] == "cpu"
    assert ask.ended(again.run_id) == "SUCCESS", ask.sentences()
    return killed


def restore_into_an_empty_instance(team: Team, ended: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup, made while a run trains, into a database and a store of their own."""
    team.hold(kinds.TRAINED_MODEL)
    on = team.launch(kinds.TRAINED_MODEL)
    team.held(kinds.TRAINED_MODEL)
    assert "Dagster's records (PostgreSQL)" in movierec("backup", "--to", team.home / "backup")
    server = ["-h", "127.0.0.1", "-p", os.environ["DAGSTER_PG_PORT"], "-U", SUPERUSER]
    subprocess.run(["createdb", *server, "restored"], check=True)
    monkeypatch.setenv("DAGSTER_PG_DB", "restored")
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(team.home / "restored"))
    movierec("restore", "--from", team.home / "backup")
    store = ArtifactStore(team.home / "restored")
    assert (served(store), versions(store)) == ("held", versions(team.store))
    with closing(FeedbackLogs(store.root).of("camps")) as log:
        assert log.state(1).ratings == {100: 4.0}
    with dg.DagsterInstance.get() as instance:
        found = {run.run_id: run.status.value for run in instance.get_runs()}
        assert found.items() >= {**ended, on: "STARTED"}.items()
        monkeypatch.setattr("movierec_assets.lost_runs.place", lambda: "another machine")
        make_lost_runs(AutomationConfig())(dg.build_sensor_context(instance))
        (lost,) = instance.get_runs(dg.RunsFilter([on]))
        assert lost.status is dg.DagsterRunStatus.FAILURE, "nobody there waits for what was on here"
    with pytest.raises(AssertionError, match="is not empty"):
        movierec("restore", "--from", team.home / "backup")
