"""Studies beside artifacts in an object store: whichever host opens one goes on with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from object_store import ObjectStoreServer, as_host, object_store_server

from movierec_engine.errors import MovierecError
from movierec_engine.store import ArtifactStore, lease
from movierec_engine.store.objects import LostRaceError
from movierec_engine.tuning import study as studies
from movierec_engine.tuning.study import import_optuna, open_study

pytest.importorskip("optuna")
NAME = "ease-0123"


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStoreServer]:
    with object_store_server() as started:
        yield started


def test_a_study_goes_on_at_another_host_where_a_killed_search_left_it(
    server: ObjectStoreServer, tmp_path: Path
) -> None:
    """It is left with a trial that runs, and draws other values than before."""
    optuna = import_optuna()
    states, url = optuna.trial.TrialState, f"{server.bucket('goes-on')}/team"
    space = {"model.l2": optuna.distributions.FloatDistribution(1, 1000, log=True)}
    with (
        as_host(server, tmp_path / "one"),
        pytest.raises(KeyboardInterrupt),
        open_study(ArtifactStore(url), NAME, "max", 1) as study,
    ):
        for value in (0.1, 0.2):
            trial = study.ask(space)
            trial.set_user_attr("trial", f"of {value}")
            study.tell(trial, value)
        study.ask(space)
        raise KeyboardInterrupt
    with as_host(server, tmp_path / "other"), open_study(ArtifactStore(url), NAME, "max", 1, n_jobs=2) as study:
        assert [one.state for one in study.trials] == [states.COMPLETE, states.COMPLETE, states.FAIL]
        assert [one.user_attrs for one in study.trials[:2]] == [{"trial": "of 0.1"}, {"trial": "of 0.2"}]
        assert study.best_value == 0.2
        study.tell(study.ask(space), 0.3)
        assert len({one.params["model.l2"] for one in study.trials}) == 4
    assert not list(tmp_path.glob("*/optuna")), "nothing of it is a host's own"


def test_one_process_at_a_time_is_at_a_study_and_one_that_lost_it_changes_nothing(
    server: ObjectStoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{server.bucket('one-at-a-time')}/team"
    with as_host(server, tmp_path / "one"):
        store = ArtifactStore(url)
        with open_study(store, NAME, "max", 1) as slept:
            monkeypatch.setattr(studies, "_LEASE_TIMEOUT", 0.1)
            with pytest.raises(MovierecError, match="another process has held it"), open_study(store, NAME, "max", 1):
                pass
            monkeypatch.setattr(lease, "LEASE_SECONDS", 0.05)  # for the other one, who sees no renewal
            monkeypatch.setattr(studies, "_LEASE_TIMEOUT", 5)
            with open_study(store, NAME, "max", 1) as study:
                study.tell(study.ask(), 0.5)
            with pytest.raises(LostRaceError, match="another process has changed it"):
                slept.ask()
        with open_study(store, NAME, "max", 1) as study:
            assert [one.value for one in study.trials] == [0.5]
