"""The platform as a new user meets it: a real `dagster dev`, asked through GraphQL as its pages do."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from ports import free_port
from waiting import soon
from webserver import Webserver

from movierec_engine.cli.demo import dagster_home, stop
from movierec_engine.serving.index_reloader import IndexReloader
from movierec_engine.store import SERVING, ArtifactStore, Slot

ROOT = Path(__file__).parents[2]
BACKFILL = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArtifactStore:
    store = ArtifactStore(tmp_path / "store")
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(store.root))
    monkeypatch.setenv("MOVIEREC_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home(store.root)))
    monkeypatch.delenv("MOVIEREC_AUTOMATION", raising=False)
    return store


@pytest.fixture
def dagster(store: ArtifactStore, small_data: list[str]) -> Iterator[Webserver]:
    """`dagster dev` with the settings for one machine, which is ended with all that it started, whatever happens."""
    port = free_port()
    command = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)]
    log = store.root / "dev.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            up = Webserver(port, [one for one in small_data if not one.startswith("device=")])
            soon(lambda: up.loaded)
            yield up
        finally:
            stop(process)


def replaced(path: Path, text: str) -> None:
    """As files arrive: written beside, then renamed."""
    arriving = path.with_name(f"{path.name}.incoming")
    arriving.write_text(text, encoding="utf-8")
    arriving.replace(path)


@pytest.mark.slow
def test_a_new_user_materializes_breaks_mends_promotes_rolls_back_and_backfills(
    dagster: Webserver, store: ArtifactStore, movielens_folder: Path
) -> None:
    everything, popularity = dagster.settings, "cpu|popularity"
    assert dagster.run("everything", everything, popularity) == "SUCCESS", dagster.sentences()
    first = store.pointed(SERVING, "camps")
    assert first is not None and first.slot == Slot("faiss_index", "camps", "popularity", "cpu")

    ratings = movielens_folder / "ratings.csv"
    sound = ratings.read_text(encoding="utf-8")
    replaced(ratings, sound + "1,100,7.5,1000000000\n")
    assert dagster.run("everything", everything, "cpu|ease") == "FAILURE"
    assert "rating 7.5 is outside" in dagster.sentences()
    assert store.pointed(SERVING, "camps") == first
    assert store.latest(Slot("trained_model", "camps", "ease", "cpu")) is None
    answering = IndexReloader(store).current()
    assert answering is not None and answering.artifact == first, "the API goes on"

    replaced(ratings, sound)
    assert dagster.run("everything", everything, "cpu|ease") == "SUCCESS", dagster.sentences()
    best = store.pointed(SERVING, "camps")
    assert best is not None and best.slot == Slot("faiss_index", "camps", "ease", "cpu")

    asked = {"ops": {"promote_version": {"config": {"model": "popularity", "reason": "a test"}}}}
    assert dagster.run("promote_release", asked) == "SUCCESS", dagster.sentences()
    assert store.pointed(SERVING, "camps") == first
    assert dagster.run("rollback_release", {"ops": {"go_back": {"config": {}}}}) == "SUCCESS"
    assert store.pointed(SERVING, "camps") == best

    started = dagster.ask(
        BACKFILL,
        params={
            "assetSelection": [{"path": [name]} for name in ("trained_model", "evaluation_report", "faiss_index")],
            "partitionNames": [popularity, "cpu|item_cf"],
            "runConfigData": dagster.settings,
            "tags": [],
        },
    )
    assert started["__typename"] == "LaunchBackfillSuccess", started
    query = "query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
    status = soon(
        lambda: next(
            (
                one
                for one in ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")
                if one == dagster.ask(query, id=started["backfillId"])["status"]
            ),
            None,
        )
    )
    assert status == "COMPLETED_SUCCESS"
    assert store.require(Slot("faiss_index", "camps", "item_cf", "cpu"))
    assert store.require(Slot("faiss_index", "camps", "popularity", "cpu")) != first
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": started["backfillId"]}))
        assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS], "a range of partitions is one run"
