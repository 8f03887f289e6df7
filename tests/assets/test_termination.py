"""Runs that are terminated in the middle of a step: they end as canceled, at once, and change nothing from then on."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg
import pytest
from camps import camps_settings, write_camps
from dagster_runs import POPULARITY, execute, prepare

from movierec_assets import resources, termination
from movierec_assets.definitions import defs
from movierec_engine.models.classic.popularity import Popularity
from movierec_engine.store import ArtifactStore, kinds

STATIONS = {
    kinds.TRAINED_MODEL: "learn",
    kinds.EVALUATION_REPORT: "score_known",
    kinds.FAISS_INDEX: "item_vectors",
    kinds.BACKTEST: "learn",
}
"""Asset -> the model's method that it is in when the run is terminated."""
PATIENCE = 60


def terminate(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """As the code server does when somebody clicks *Terminate*: the run is told of, then its process interrupted."""
    instance.report_run_canceling(run)
    os.kill(os.getpid(), signal.SIGINT)


def force(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """As the UI does with *Force termination* where no interrupt reaches the process."""
    instance.report_run_canceled(run)


@pytest.fixture(scope="module")
def overrides(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("termination")
    write_camps(root / "ml")
    return [one for one in camps_settings(root / "ml", root) if not one.startswith("device=")]


@pytest.fixture(scope="module")
def store(overrides: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArtifactStore]:
    """A store with a trained model to evaluate and to index."""
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("MOVIEREC_ARTIFACTS", str(root := tmp_path_factory.mktemp("store")))
        prepare(ArtifactStore(root), overrides)
        assert execute(instance, overrides, (kinds.TRAINED_MODEL,), POPULARITY).success
        yield ArtifactStore(root)


@contextmanager
def terminated(
    instance: dg.DagsterInstance, method: str, how: Callable[[dg.DagsterInstance, dg.DagsterRun], None]
) -> Iterator[None]:
    """Runs of the body are terminated in a method of popularity's, which goes on until something ends it."""
    inside = threading.Event()

    def dawdle(*_: object) -> None:
        inside.set()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(0.01)

    def act() -> None:
        assert inside.wait(PATIENCE)
        (run,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        how(instance, run)

    thread = threading.Thread(target=act)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Popularity, method, dawdle)
        thread.start()
        yield
    thread.join(PATIENCE)


def run(instance: dg.DagsterInstance, overrides: list[str], asset: str) -> dg.DagsterRunStatus:
    """The status in which a run of one asset for popularity ends."""
    job = defs.resolve_job_def("backtests" if asset == kinds.BACKTEST else "everything")
    result = job.execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(asset)],
        partition_key=POPULARITY,
        run_config={"resources": {"settings": {"config": {"overrides": overrides}}}},
        raise_on_error=False,
    )
    (ended,) = instance.get_runs(dg.RunsFilter([result.run_id]))
    return ended.status


def contents(store: ArtifactStore) -> list[str]:
    """All files of the store that say what there is, or what is being made."""
    folders = [*(store.root / kind for kind in STATIONS), store.root / "progress", store.root / ".incoming"]
    return sorted(str(path) for folder in folders for path in folder.rglob("*"))


@pytest.mark.parametrize("asset", STATIONS)
def test_a_run_that_is_terminated_ends_as_canceled_and_leaves_nothing(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], asset: str
) -> None:
    before = contents(store)
    with terminated(instance, STATIONS[asset], terminate):
        assert run(instance, overrides, asset) is dg.DagsterRunStatus.CANCELED
    assert contents(store) == before


def test_a_run_that_no_interrupt_reaches_finds_out_itself_that_it_was_canceled(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ASK_SECONDS", "INTERRUPT_SECONDS"):
        monkeypatch.setattr(termination, name, 0.05)
    before = contents(store)
    with terminated(instance, "learn", force):
        assert run(instance, overrides, kinds.TRAINED_MODEL) is dg.DagsterRunStatus.CANCELED
    assert contents(store) == before


def test_nothing_is_published_for_a_run_that_was_canceled_or_deleted_or_has_failed(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where neither the interrupt nor the run's own look comes in time."""
    monkeypatch.setattr(termination, "ASK_SECONDS", 600)
    before, learn, ended = contents(store), Popularity.learn, list[dg.DagsterRun]()
    for end, after in (
        (instance.report_run_canceled, dg.DagsterRunStatus.CANCELED),
        (instance.report_run_failed, dg.DagsterRunStatus.FAILURE),
        (lambda run: instance.delete_run(run.run_id), None),
    ):

        def learn_on(*given: object, end: Callable[[dg.DagsterRun], object] = end) -> None:
            (going,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
            end(going)
            ended.append(going)
            learn(*given)

        monkeypatch.setattr(Popularity, "learn", learn_on)
        execute(instance, overrides, (kinds.TRAINED_MODEL,), POPULARITY)
        found = instance.get_run_by_id(ended[-1].run_id)
        assert (found and found.status) is after
        assert contents(store) == before


def test_what_is_nobodys_mistake_is_tried_again_twice(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "RETRY_SECONDS", 0.0)
    left, learn = 2, Popularity.learn

    def fill_the_disk(*given: object) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise OSError(28, "No space left on device")
        learn(*given)

    monkeypatch.setattr(Popularity, "learn", fill_the_disk)
    assert execute(instance, overrides, (kinds.TRAINED_MODEL,), POPULARITY).success
    left = 3
    result = execute(instance, overrides, (kinds.TRAINED_MODEL,), POPULARITY)
    assert not result.success
    assert left == 0
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "No space left on device" in str(failure.step_failure_data.error_display_string)
