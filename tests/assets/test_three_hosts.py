"""Three hosts that share nothing but the network: one with the object store, PostgreSQL, Dagster and Ray's head, two
that work and serve. Hosts are lost in the middle of their work, and so is the database."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest
from api_hosts import LATE, ApiHost, People
from camps import camps_settings, write_camps
from cluster import Cluster, cluster_of
from hosts import Host
from waiting import soon
from webserver import Webserver

from movierec_engine.feedback import FeedbackLogs
from movierec_engine.models.checkpoint_file import read_checkpoint
from movierec_engine.store import Slot, kinds
from movierec_engine.store.objects import Objects

HELD = """
import os, time
from pathlib import Path

from movierec_engine import GMF, register_model

HOME = Path(os.environ["MOVIEREC_PLUGINS"]).parent


@register_model
class Held(GMF):
    name = "held"
    passes = 0

    def export(self):
        super().export()
        self.passes += 1
        while self.passes == 3 and (HOME / "hold").exists():
            (HOME / "held").touch()
            time.sleep(0.1)
"""
"""A model whose training stays in its third epoch while a file of its host says so."""
LINE = (kinds.TRAINED_MODEL, kinds.EVALUATION_REPORT, kinds.FAISS_INDEX)
EPOCHS = 6
NOTICED = 60.0
"""Seconds within which a lost host has failed its run, and a run that is terminated is canceled."""
ERASED, DISMISSING = 3, 4
"""Users that the models know; 1 is the readers'."""
AT_ONCE = 10.0
"""Seconds within which a change on one host is heeded by all: what a second becomes on a busy machine."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The raw files are on the first host alone."""
    with cluster_of(tmp_path_factory.mktemp("logs"), "left", "right", plugin=HELD) as made:
        write_camps(made.main.folder / "movies")
        yield made


@pytest.fixture(scope="module")
def settings(cluster: Cluster) -> list[str]:
    return [
        one for one in camps_settings(cluster.main.home / "movies", Path()) if not one.startswith("paths.checkpoints")
    ]


@pytest.mark.slow
def test_runs_spread_over_two_hosts_go_on_at_the_other_when_one_is_lost_and_end_when_they_are_terminated(
    cluster: Cluster, settings: list[str]
) -> None:
    short = ["trainer.checkpoint_seconds=0", f"trainer.max_epochs={EPOCHS}", "trainer.early_stopping.enabled=false"]
    of_runs = [one for one in settings if not one.startswith("device=")] + short
    ui = Webserver(cluster.ports["webserver"], of_runs, cluster.main.address)
    cluster.start_ray(cluster.main)
    cluster.start_dagster()
    cluster.movierec("train", "popularity", *settings)
    for host in cluster.workers:
        cluster.start_ray(host)
        (host.folder / "hold").touch()
    soon(lambda: len(cluster.nodes()) == 3)
    soon(lambda: ui.loaded)
    held = ui.launch("everything", ui.settings, "cpu|held", LINE[:1])
    lost = host_that_holds(cluster, ui, held)
    (other,) = (host for host in cluster.workers if host is not lost)
    models = {ui.launch("everything", ui.settings, f"cpu|{model}", LINE): model for model in ("ease", "als")}
    for run, model in models.items():
        assert ui.ended(run) == "SUCCESS", ui.sentences()
        assert cluster.worker_of(run) is other
        assert cluster.store.latest(Slot(kinds.FAISS_INDEX, "camps", model, "cpu"))
    assert cluster.worker_of(held) is lost
    go_on_at_the_other_host(cluster, ui, held, lost, other)
    cluster.start_ray(lost)
    soon(lambda: len(cluster.nodes()) == 3)
    terminate(cluster, ui)
    for host in cluster.workers:
        host.end()


def host_that_holds(cluster: Cluster, ui: Webserver, run: str) -> Host:
    """The host on which a run's training is held, once it is."""

    def look() -> Host | None:
        assert cluster.job_of(run).get("status") in (None, "PENDING", "RUNNING"), (cluster.job_of(run), ui.sentences())
        return next((host for host in cluster.workers if (host.folder / "held").exists()), None)

    return soon(look)


def go_on_at_the_other_host(cluster: Cluster, ui: Webserver, held: str, lost: Host, other: Host) -> None:
    (other.folder / "hold").unlink()
    before = seconds_by_epoch(cluster)
    lost.lose()
    began = time.monotonic()
    assert ui.ended(held) == "FAILURE"
    assert time.monotonic() - began < NOTICED
    again = soon(lambda: retry_of(held))
    assert ui.ended(again) == "SUCCESS", ui.sentences()
    lost.come_back()
    assert cluster.worker_of(again) is other
    made = cluster.store.require(Slot(kinds.TRAINED_MODEL, "camps", "held", "cpu"))
    assert made.origin["dagster_run_id"] == again
    seconds = pq.read_table(made.folder / "history.parquet")["seconds"].to_pylist()
    assert (len(before), len(seconds)) == (2, EPOCHS)
    assert seconds[:2] == before, "it went on after the epochs that the lost host had trained"


def seconds_by_epoch(cluster: Cluster) -> list[float]:
    """Of the epochs that the newest checkpoint of the held model knows."""
    objects, path = Objects(cluster.checkpoints), cluster.main.folder / "checkpoint"
    newest = objects.list("cpu/held/")[-1]
    objects.download([(newest.key, newest.size, path)])
    return [epoch["seconds"] for epoch in read_checkpoint(path).training["history"]]


def retry_of(run: str) -> str | None:
    with dg.DagsterInstance.get() as instance:
        retries = instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": run}))
    return retries[0].run_id if retries else None


def terminate(cluster: Cluster, ui: Webserver) -> None:
    """A run in its third epoch, which ends and leaves no version."""
    slot = Slot(kinds.TRAINED_MODEL, "camps", "held", "cpu")
    before = cluster.store.versions(slot)
    for host in cluster.workers:
        (host.folder / "hold").touch()
        (host.folder / "held").unlink(missing_ok=True)
    run = ui.launch("everything", ui.settings, "cpu|held", LINE[:1])
    host = host_that_holds(cluster, ui, run)
    began = time.monotonic()
    assert ui.terminate(run) == "TerminateRunSuccess"
    assert ui.ended(run) == "CANCELED"
    assert time.monotonic() - began < NOTICED
    soon(lambda: not any(run in word for process in host.processes() for word in process.cmdline()), seconds=60)
    assert cluster.store.versions(slot) == before


@pytest.mark.slow
def test_two_hosts_serve_and_take_feedback_while_a_host_and_the_database_are_lost(
    cluster: Cluster, settings: list[str]
) -> None:
    for model in ("ease", "als"):
        if cluster.store.latest(Slot(kinds.FAISS_INDEX, "camps", model, "cpu")) is None:
            cluster.movierec("train", model, *settings)
    cluster.movierec("models", "promote", "ease")
    left, right = both = [ApiHost(host) for host in cluster.workers]
    for api in both:
        api.start()
    for api in both:
        soon(lambda api=api: api.ready, f"{api.host.name} serves")
    first = left.recommend(1).version
    movie = left.recommend(1).movies[0]
    with People(both, movie) as people:
        people.go_on()
        promote_on_both(cluster, both, people)
        dismissed = dismiss_here_and_heed_there(left, right)
        erase(right, left)
        lose_a_host(left, people)
        lose_the_database(cluster, both, people, dismissed)
        cut_off_the_first_host(cluster, both, people, dismissed)
        roll_back(cluster, both, first)
        people.go_on()
    assert {(name, answer.status) for name, answer in people.unread} <= {("left", 0)}, "whom no killed host answered"
    assert not [one for one in people.late if one[0] != "left"], "whatever is asked is answered in time"
    assert set(map(len, people.lists.values())) == {1}, "one list of each version: no mixed answer"
    assert len(people.lists) == 2
    with closing(FeedbackLogs(Path(), cluster.database.url).of("camps")) as log:
        logged = Counter((one.event.user_id, one.event.key) for one in log.events())
        assert set(logged.values()) == {1}, "nothing is doubled"
        assert set(people.acknowledged) <= set(logged), "nothing that was acknowledged is lost"
        assert ERASED not in {user for user, _ in logged}


def promote_on_both(cluster: Cluster, both: list[ApiHost], people: People) -> None:
    before = both[0].recommend(1).version
    cluster.movierec("models", "promote", "als")
    for api in both:
        soon(lambda api=api: api.recommend(1).version != before, "the promoted version answers", AT_ONCE)
    people.go_on()


def dismiss_here_and_heed_there(here: ApiHost, there: ApiHost) -> int:
    dismissed = there.recommend(DISMISSING).movies[0]
    assert here.say(DISMISSING, dismissed, "not_interested", "dismissal").status == 200
    assert dismissed not in here.recommend(DISMISSING).movies
    soon(lambda: dismissed not in there.recommend(DISMISSING).movies, "the other host heeds it", AT_ONCE)
    return dismissed


def erase(here: ApiHost, there: ApiHost) -> None:
    movie = here.recommend(ERASED).movies[0]
    assert here.say(ERASED, movie, "click", "before-the-erasure").status == 200
    assert here.recommend(ERASED).body["source"] == "personal"
    assert here.ask(f"/api/users/{ERASED}", method="DELETE").status == 200
    soon(lambda: there.recommend(ERASED).body["source"] == "popularity", "the other host heeds it", AT_ONCE)
    assert there.say(ERASED, movie, "click", "before-the-erasure").status == 409, "a late repetition stays out"


def lose_a_host(api: ApiHost, people: People) -> None:
    api.host.lose()
    people.go_on()
    api.host.come_back()
    api.start()
    soon(lambda: api.ready, "the host serves again")
    people.go_on()


def lose_the_database(cluster: Cluster, both: list[ApiHost], people: People, dismissed: int) -> None:
    know(both, dismissed)
    cluster.database.kill()
    lists_go_on_without_the_database(both, dismissed)
    cluster.database.start()
    heal(both, people)


def cut_off_the_first_host(cluster: Cluster, both: list[ApiHost], people: People, dismissed: int) -> None:
    """Object store and database with it; no connection to them ends."""
    know(both, dismissed)
    with cluster.first_host_cut_off():
        lists_go_on_without_the_database(both, dismissed)
    heal(both, people)


def know(both: list[ApiHost], dismissed: int) -> None:
    """Let each host look up who has dismissed a movie: it knows of nobody else once the database is away."""
    for api in both:
        assert dismissed not in api.recommend(DISMISSING).movies


def lists_go_on_without_the_database(both: list[ApiHost], dismissed: int) -> None:
    for api in both:
        soon(lambda api=api: api.say(1001, dismissed, "click", "refused").status == 503, "503 on writing", 10)
        refused = api.say(1001, dismissed, "click", "refused")
        assert (refused.status, refused.seconds < LATE) == (503, True), refused
        assert "send it again under the same key" in refused.body["error"]["message"]
        assert api.recommend(1).status == 200
        assert dismissed not in api.recommend(DISMISSING).movies, "lists go on by what is known"
        assert api.recommend(ERASED).body["source"] == "popularity"


def heal(both: list[ApiHost], people: People) -> None:
    for api in both:
        soon(lambda api=api: api.say(1001, people.movie, "click", "healed").status == 200, "the host takes feedback")
        soon(lambda api=api: api.recommend(1).body["source"] == "personal", "lists are personal again")
    people.go_on()


def roll_back(cluster: Cluster, both: list[ApiHost], first: str) -> None:
    cluster.movierec("models", "rollback", "reason=a test")
    for api in both:
        soon(lambda api=api: api.recommend(1).version == first, "the first version answers again", AT_ONCE)
