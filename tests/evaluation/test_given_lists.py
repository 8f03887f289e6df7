"""Lists that another system made are measured as a model's own lists are."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from evaluation.test_rankings import N_ITEMS, N_USERS, Fixed, heldout, worlds
from hypothesis import given

from movierec_engine.data.heldout import HeldOut
from movierec_engine.errors import DataError
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.config import EvaluationConfig

NAMES = [name for name in EvaluationConfig().metrics if name not in ("auc", "embedding_diversity")]
KS = [1, 2, 4]


def whole_lists(scores: np.ndarray) -> pa.Table:
    """Every score as a row, the masked items among them."""
    user, item = np.nonzero(scores > -np.inf)
    return pa.table({"user_id": user, "movie_id": item, "score": scores[user, item]})


def in_order(part: HeldOut, model: Fixed) -> pa.Table:
    """The model's own lists, by rank."""
    rankings = Evaluator(KS, NAMES).evaluate(model, part).rankings
    row, place = np.nonzero(rankings.lists >= 0)
    return pa.table({"user": rankings.users[row], "item": rankings.lists[row, place], "rank": place + 1})


@pytest.mark.slow
@given(worlds())
def test_scores_of_all_items_have_the_metrics_of_the_model_that_gave_them(
    world: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None],
) -> None:
    scores, train, test, candidates = world
    part = heldout(train, test, candidates)
    if not (scores > -np.inf).any():
        return
    expected = Evaluator(KS, NAMES).evaluate(Fixed(scores, train), part)
    found = Evaluator(KS, NAMES).evaluate_lists(whole_lists(scores), part)
    assert found.metrics == expected.metrics
    assert (found.rankings.lists == expected.rankings.lists).all()
    assert found.users_without_history == expected.users_without_history


def test_lists_by_rank_are_the_models_in_whatever_order_the_rows_are_and_ids_may_be_unknown(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    part = rng.integers(0, 3, size=(N_USERS, N_ITEMS))
    model, test = Fixed(rng.random(part.shape), part == 0), heldout(part == 0, part == 1)
    table = in_order(test, model)
    strange = pa.table({"user": [99, 0], "item": [1, 777], "rank": [1, 1]}).cast(table.schema)
    shuffled = pa.concat_tables([table, strange]).take(rng.permutation(len(table) + 2))
    expected = Evaluator(KS, NAMES).evaluate(model, test).metrics
    assert Evaluator(KS, NAMES).evaluate_lists(shuffled, test).metrics == expected
    pq.write_table(shuffled, tmp_path / "theirs.parquet")
    (tmp_path / "theirs.csv").write_text(shuffled.to_pandas().to_csv(index=False), encoding="utf-8")
    for name in ("theirs.parquet", "theirs.csv"):
        assert Evaluator(KS, NAMES).evaluate_lists(tmp_path / name, test).metrics == expected


def test_users_without_a_list_count_0_and_metrics_of_the_whole_ranking_are_left_out() -> None:
    train, test = np.zeros((N_USERS, N_ITEMS), bool), np.zeros((N_USERS, N_ITEMS), bool)
    train[:, 0], test[:, 1] = True, True
    found = Evaluator([2]).evaluate_lists({"user": [0, 0], "item": [0, 1], "rank": [1, 2]}, heldout(train, test))
    assert found.metrics["hit_rate@2"] == 1 / N_USERS
    assert found.metrics["mrr@2"] == 1 / N_USERS, "what is masked takes no place"
    assert "auc" not in found.metrics and "auc" in Evaluator([2]).metric_names


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        ({"user": [0], "rank": [1]}, "no column movie_id or item"),
        ({"user": [0], "item": [1]}, "no column score"),
        ({"user": [0, 0], "item": [1, 1], "rank": [1, 2]}, "lists item 1 twice for user 0"),
        ({"user": [0], "item": [1], "score": ["high"]}, "'score' must hold finite numbers"),
        ({"user": [0], "item": [1], "score": [float("nan")]}, "'score' must hold finite numbers"),
        ({"user": [0, None], "item": [1, 2], "rank": [1, 2]}, "'user' has rows without a value"),
        ({"user": [70], "item": [1], "rank": [1]}, "no row of lists is of a user and an item"),
    ],
)
def test_lists_that_cannot_be_used_are_refused(frame: dict[str, list[object]], sentence: str) -> None:
    part = np.ones((N_USERS, N_ITEMS), bool)
    with pytest.raises(DataError, match=sentence):
        Evaluator([2]).evaluate_lists(frame, heldout(~part, part))


def test_a_file_that_is_no_table_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "lists.parquet").write_bytes(b"no parquet")
    part = np.ones((N_USERS, N_ITEMS), bool)
    for name in ("lists.parquet", "missing.csv"):
        with pytest.raises(DataError, match=rf"{name}: cannot be read as a table"):
            Evaluator([2]).evaluate_lists(tmp_path / name, heldout(~part, part))
