"""The metrics of the first k ranks against ranx, an independent library; it gets lists and relevant items, not hits.

The tests take up to forty seconds where numba has to compile ranx first, and one after that.
"""

from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest

from movierec_engine.evaluation.metrics import accuracy, metrics

N_ITEMS = 60
CUTOFFS = (1, 5, 10, 20)
SAME = ("precision", "recall", "ndcg", "hit_rate", "mrr")
"""Metrics that ranx defines as we do, under the same names."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unsafe cast from uint64 to int64"),  # of ranx, while it is compiled
]


@pytest.fixture(scope="module")
def ranx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        # ranx imports ir_datasets, which makes a folder for each of its data sets, by default in the home folder
        patch.setenv("IR_DATASETS_HOME", str(tmp_path_factory.mktemp("ir_datasets")))
        import ranx

        yield ranx


class World:
    """Users with recommended and relevant items, drawn at random, and ranx's values of them."""

    def __init__(self, ranx: ModuleType, depth: int, n_users: int = 40) -> None:
        rng = np.random.default_rng(depth)
        self.lengths = np.where(np.arange(n_users) < 20, depth, rng.integers(1, depth, n_users))
        self.lengths[-3:] = 0, 0, 3
        lists = [rng.permutation(N_ITEMS)[:length] for length in self.lengths]
        liked = [rng.permutation(N_ITEMS)[: rng.integers(1, 50)] for _ in range(n_users)]
        for user in range(0, n_users, 8):  # nothing recommended that is relevant
            liked[user] = rng.permutation(np.setdiff1d(np.arange(N_ITEMS), lists[user]))[: rng.integers(1, 6)]

        self.relevant = np.array([len(items) for items in liked], dtype=np.int64)
        self.hits = np.zeros((n_users, depth), dtype=np.bool_)
        for user in range(n_users):
            self.hits[user, : self.lengths[user]] = np.isin(lists[user], liked[user])
        self.by_ranx = self._values(ranx, lists, liked)

    @staticmethod
    def _values(ranx: ModuleType, lists: list[np.ndarray], liked: list[np.ndarray]) -> dict[str, np.ndarray]:
        """Name@k to each user's value; an item is a row of its id and its relevance or score."""
        from numba.typed import List

        run = List([np.stack([items, -np.arange(len(items))], axis=1).astype(np.float64) for items in lists])
        truth = List([np.stack([items, np.ones(len(items))], axis=1) for items in liked])
        names = [f"{metric}@{k}" for metric in (*SAME, "map") for k in CUTOFFS]
        return ranx.evaluate(truth, run, names, return_mean=False, threads=1)


@pytest.fixture(scope="module", params=[7, 25], ids=["7 ranks", "25 ranks"])
def world(request: pytest.FixtureRequest, ranx: ModuleType) -> World:
    return World(ranx, depth=request.param)


def test_the_world_has_the_cases_in_which_definitions_differ(world: World) -> None:
    assert (world.lengths == 0).any(), "users without recommendations"
    assert ((world.lengths > 0) & (world.lengths < 5)).any(), "lists shorter than k"
    assert (world.relevant > 20).any(), "more relevant items than k"
    assert (world.relevant[world.hits.any(axis=1)] < 10).any(), "and fewer"
    assert (~world.hits.any(axis=1) & (world.lengths > 0)).any(), "users without hits"


@pytest.mark.parametrize("k", CUTOFFS)
@pytest.mark.parametrize("metric", SAME)
def test_a_metric_of_the_same_definition_agrees_with_ranx(world: World, metric: str, k: int) -> None:
    ours, theirs = metrics()[metric](hits=world.hits, relevant=world.relevant, k=k), world.by_ranx[f"{metric}@{k}"]
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert ours.any()


@pytest.mark.parametrize("k", CUTOFFS)
def test_map_agrees_with_ranx_but_for_the_denominator(world: World, k: int) -> None:
    ours, theirs = accuracy.average_precision(world.hits, world.relevant, k), world.by_ranx[f"map@{k}"]
    few = world.relevant <= k
    assert ours[few] == pytest.approx(theirs[few], abs=1e-6), "both divide by |relevant|"
    assert ours * np.minimum(k, world.relevant) / world.relevant == pytest.approx(theirs, abs=1e-6)
    assert ours.any()
