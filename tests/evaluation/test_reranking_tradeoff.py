"""The trade-off of the dials: at 0 the evaluator's own numbers, elsewhere the measures of the re-ranked lists."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from movierec_engine import pipeline
from movierec_engine.cli.main import cli
from movierec_engine.config import load_settings
from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import MovierecError
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.reranking_tradeoff import ACCURACY, BUYS, SETTINGS, DialTradeoff, reranking_tradeoff
from movierec_engine.models import Popularity, Recommender
from movierec_engine.pipeline.reranking_tradeoff import TRADEOFF_FILE, measure_dials
from movierec_engine.store import Artifact, ArtifactStore, Slot
from worlds import interactions_of

N_USERS, N_ITEMS = 30, 150
USERS, ITEMS = IdMap(np.arange(N_USERS)), IdMap(np.arange(N_ITEMS))


class Fixed(Popularity):
    """Returns the scores that it is given, float32 [n_users, n_items]."""

    def __init__(self, heldout: HeldOut, scores: np.ndarray) -> None:
        super().__init__()
        self.users, self.items, self.history = USERS, ITEMS, heldout.catalogue.train
        self.fixed = scores.astype(np.float32)

    def score_users(self, users: np.ndarray) -> np.ndarray:
        return self.fixed[users].copy()


@pytest.fixture(scope="module")
def heldout() -> HeldOut:
    """Each item is of one of five genres and of one of three decades, but the last ten, of which nothing is known."""
    rng = np.random.default_rng(1)
    pairs = np.argwhere(rng.random((N_USERS, N_ITEMS)) < 0.3)
    held = rng.random(len(pairs)) < 0.2
    train = interactions_of(pairs[~held], USERS, ITEMS)
    genres = np.eye(5, dtype=np.float32)[rng.integers(0, 5, N_ITEMS)]
    year = rng.choice([1985, 1994, 2003], N_ITEMS).astype(np.int32)
    genres[-10:], year[-10:] = 0, 0
    catalogue = Catalogue(train.matrix(), genres, tuple("abcde"), year)
    return HeldOut(interactions_of(pairs[held], USERS, ITEMS), train.matrix(), "train", catalogue)


def of_levels(heldout: HeldOut, levels: int) -> Recommender:
    """A model whose scores are of so many levels: the fewer, the more ties."""
    scores = np.random.default_rng(2).integers(0, levels, (N_USERS, N_ITEMS))
    return Fixed(heldout, scores)


def found(rows: list[DialTradeoff], dial: str, setting: float, measure: str) -> DialTradeoff:
    return next(row for row in rows if (row.dial, row.setting, row.measure) == (dial, setting, measure))


@pytest.mark.parametrize("levels", [2, 5, 10_000])
def test_a_dial_at_0_has_the_evaluators_own_numbers(heldout: HeldOut, levels: int) -> None:
    model = of_levels(heldout, levels)
    rows = reranking_tradeoff(model, heldout)
    metrics = Evaluator([10]).evaluate(model, heldout).metrics
    for dial in BUYS:
        assert found(rows, dial, 0, ACCURACY).value == metrics[ACCURACY]
        if levels > 5:  # the evaluator's list shows another of equal items than the one that it counts
            for measure in ("novelty@10", "genre_diversity@10", "embedding_diversity@10"):
                assert found(rows, dial, 0, measure).value == pytest.approx(metrics[measure], abs=1e-6)
        at_zero = [row for row in rows if row.dial == dial and row.setting == 0]
        assert {row.difference_low for row in at_zero} == {row.difference_high for row in at_zero} == {0.0}


def test_every_dial_has_every_measure_at_every_setting_within_its_interval(heldout: HeldOut) -> None:
    rows = reranking_tradeoff(of_levels(heldout, 10_000), heldout)
    assert len(rows) == len(BUYS) * len(SETTINGS) * (1 + len(BUYS))
    assert all(row.low <= row.value <= row.high for row in rows)
    for row in rows:
        difference = row.value - found(rows, row.dial, 0, row.measure).value
        assert row.difference_low - 1e-9 <= difference <= row.difference_high + 1e-9


def test_every_dial_gives_more_of_what_it_is_for(heldout: HeldOut) -> None:
    rows = reranking_tradeoff(of_levels(heldout, 10_000), heldout)
    for dial, measure in BUYS.items():
        sign = -1 if "divergence" in measure else 1
        values = [sign * found(rows, dial, setting, measure).value for setting in SETTINGS]
        # an item without genres is neutral to a dial, but unlike all others to the measure
        assert all(more > less - 0.002 for less, more in pairwise(values)), (dial, values)
        assert values[-1] > values[0] + 0.01, dial


def test_what_needs_titles_is_left_out_without_them(heldout: HeldOut) -> None:
    bare = Catalogue(heldout.catalogue.train, np.zeros((N_ITEMS, 0), np.float32), (), np.zeros(N_ITEMS, dtype=np.int32))
    rows = reranking_tradeoff(
        of_levels(heldout, 10_000), HeldOut(heldout.interactions, heldout.seen, heldout.mask, catalogue=bare)
    )
    assert {row.dial for row in rows} == {"diversity_over_embeddings", "novelty"}
    assert {row.measure for row in rows} == {ACCURACY, "novelty@10", "embedding_diversity@10"}


@pytest.fixture
def trained(small_data: list[str], tmp_path: Path) -> Callable[..., Artifact]:
    def train(*overrides: str) -> Artifact:
        store = ArtifactStore(tmp_path / "store")
        settings = load_settings([*small_data, "model=ease", *overrides])
        made = pipeline.prepare(store, settings.data)
        return pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])

    return train


def test_tradeoffs_are_of_validation_and_only_those_of_the_newest_model_are_the_newest(
    trained: Callable[..., Artifact], tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path / "store")
    older = trained()
    newer = trained("model.l2=50")
    made = measure_dials(store, newer)
    rows = pq.read_table(made.folder / TRADEOFF_FILE).to_pylist()
    assert rows[0]["dial"] == "diversity"
    accuracy = {row["value"] for row in rows if row["measure"] == ACCURACY and row["setting"] == 0}
    assert accuracy == {newer.facts["validation_metrics"][ACCURACY]}
    assert made.parents["trained_model"] == newer.reference
    measure_dials(store, older)
    assert store.require(Slot("reranking_tradeoff", "camps", "ease", "cpu")) == made


def test_the_command_prints_every_dial(trained: Callable[..., Artifact], tmp_path: Path) -> None:
    model = trained()
    arguments = ["dials", "--artifacts", str(tmp_path / "store"), "--model", "ease"]
    result = CliRunner().invoke(cli, [*arguments, "--version", model.version], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    assert "trade-off of taste dials, camps, validation" in result.output
    for word in ("diversity", "embeddings", "novelty", "decade", "genre", "balance", "0.75"):
        assert word in result.output
    assert "…" not in result.output


@pytest.mark.parametrize(
    "options", [["--model", "nope"], ["--model", "ease", "--device", "cuda"], ["--model", "ease", "--version", "1999"]]
)
def test_a_model_that_is_not_there_is_one_sentence(
    trained: Callable[..., Artifact], tmp_path: Path, options: list[str]
) -> None:
    trained()
    result = CliRunner().invoke(cli, ["dials", "--artifacts", str(tmp_path / "store"), *options])
    assert result.exit_code == 1
    assert result.output.startswith("error: no ")
    assert result.output.count("\n") == 1


def test_without_validation_there_is_nothing_to_measure(heldout: HeldOut) -> None:
    nothing = interactions_of(np.empty((0, 2), dtype=np.int64), USERS, ITEMS)
    empty = HeldOut(nothing, heldout.seen, heldout.mask, heldout.catalogue)
    with pytest.raises(MovierecError, match="held-out part is empty"):
        reranking_tradeoff(of_levels(heldout, 10), empty)
