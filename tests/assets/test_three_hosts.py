"""Three hosts that share nothing but the network: one with the object store, PostgreSQL, Dagster and Ray's head, two
that work and serve. Hosts are lost in the middle of their work, and so is the database."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from api_hosts import LATE, ApiHost, People, soon
from camps import camps_settings, write_camps
from cluster import Cluster, cluster_of

from movierec_engine.feedback import FeedbackLogs
from movierec_engine.store import Slot, kinds

ERASED, DISMISSING = 3, 4
"""Users that the models know; 1 is the readers'."""
AT_ONCE = 3.0
"""Seconds within which a change on one host is heeded by all: a second, and what a busy machine adds."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The raw files are on the first host alone."""
    with cluster_of(tmp_path_factory.mktemp("logs"), "left", "right") as made:
        write_camps(made.main.folder / "movies")
        yield made


@pytest.fixture(scope="module")
def settings(cluster: Cluster) -> list[str]:
    return [
        one for one in camps_settings(cluster.main.home / "movies", Path()) if not one.startswith("paths.checkpoints")
    ]


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
        seconds = soon(lambda api=api: api.recommend(1).version != before, "the promoted version answers")
        assert seconds < 5
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
    cluster.main.cut_off()
    lists_go_on_without_the_database(both, dismissed)
    cluster.main.come_back()
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
        soon(lambda api=api: api.recommend(1).version == first, "the first version answers again", 5.0)
