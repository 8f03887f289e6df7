from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import ConfigError, DataError, LeakError, MovierecError
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import EASE, SVD, Popularity, Recommender
from worlds import interactions_of

USERS, ITEMS = IdMap(np.arange(4)), IdMap(np.arange(6))
TRAIN = interactions_of(np.array([(0, 0), (0, 1), (1, 0), (2, 0), (2, 1), (2, 2)]), USERS, ITEMS)


class Fixed(Popularity):
    """Returns the scores that it is given, float32 [n_users, n_items]."""

    def __init__(self, scores: np.ndarray) -> None:
        super().__init__()
        self.fit(Dataset(TRAIN))
        self.fixed = scores.astype(np.float32)

    def score_users(self, users: np.ndarray) -> np.ndarray:
        return self.fixed[users].copy()


def heldout(pairs: list[tuple[int, int]], candidates: sparse.csr_matrix | None = None) -> HeldOut:
    return HeldOut(
        interactions_of(np.array(pairs), USERS, ITEMS), TRAIN.matrix(), "train", Catalogue.of(TRAIN), candidates
    )


def model_of(row: list[float]) -> Recommender:
    return Fixed(np.tile(row, (4, 1)))


def test_seen_items_are_left_out_and_relevant_ones_found() -> None:
    evaluation = Evaluator([2]).evaluate(model_of([9, 8, 7, 6, 5, 4]), heldout([(0, 2), (1, 5)]))
    assert evaluation.per_user["recall@2"].tolist() == [1.0, 0.0], "user 0 is shown 2 and 3, user 1 is shown 1 and 2"
    assert evaluation.metrics["mrr@2"] == 0.5
    assert evaluation.users_without_test_items == 2


def test_users_who_get_no_recommendation_count_zero() -> None:
    scores = np.tile([1.0, 1, 1, 1, 1, 1], (4, 1))
    scores[0] = -np.inf
    evaluation = Evaluator([5]).evaluate(Fixed(scores), heldout([(0, 3), (1, 3)]))
    assert evaluation.per_user["recall@5"][0] == 0
    assert len(evaluation.users) == 2


def test_metrics_do_not_depend_on_the_order_of_users_or_rows() -> None:
    pairs = [(0, 3), (0, 4), (1, 3), (2, 5), (3, 0)]
    scores = np.random.default_rng(0).random((4, 6))
    forwards = Evaluator([3]).evaluate(Fixed(scores), heldout(pairs)).metrics
    assert Evaluator([3]).evaluate(Fixed(scores), heldout(pairs[::-1])).metrics == forwards


def test_duplicated_test_rows_count_once() -> None:
    once = Evaluator([3]).evaluate(model_of([1, 2, 3, 4, 5, 6]), heldout([(0, 3)]))
    twice = Evaluator([3]).evaluate(model_of([1, 2, 3, 4, 5, 6]), heldout([(0, 3), (0, 3)]))
    assert twice.metrics == once.metrics


def test_given_candidates_are_all_that_is_ranked() -> None:
    candidates = interactions_of(np.array([(0, 4)]), USERS, ITEMS)
    model = model_of([0, 0, 1, 9, 2, 9])
    assert Evaluator([2]).evaluate(model, heldout([(0, 2)])).metrics["hit_rate@2"] == 0
    assert Evaluator([2]).evaluate(model, heldout([(0, 2)], candidates.matrix())).metrics["mrr@2"] == 0.5


def test_k_beyond_the_catalogue_keeps_its_denominator() -> None:
    evaluation = Evaluator([50]).evaluate(model_of([1, 2, 3, 4, 5, 6]), heldout([(0, 3)]))
    assert evaluation.metrics["precision@50"] == 1 / 50
    assert evaluation.metrics["recall@50"] == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_cannot_be_ranked_are_an_error(bad: float) -> None:
    with pytest.raises(MovierecError, match="NaN or infinite"):
        Evaluator().evaluate(model_of([0, 0, 0, 0, 0, bad]), heldout([(0, 3)]))


def test_an_empty_part_is_an_error() -> None:
    empty = TRAIN.select(np.zeros(len(TRAIN), dtype=bool))
    with pytest.raises(MovierecError, match="empty"):
        Evaluator().evaluate(model_of([0] * 6), HeldOut(empty, TRAIN.matrix(), "train", Catalogue.of(TRAIN)))


def test_a_model_of_other_data_is_refused() -> None:
    other = interactions_of(np.array([(0, 0)]), IdMap(np.arange(4) + 1), ITEMS)
    with pytest.raises(MovierecError, match="other users or items"):
        Evaluator().evaluate(model_of([0] * 6), HeldOut(other, sparse.csr_matrix((4, 6)), "train", Catalogue.of(other)))


def test_a_model_that_was_trained_on_what_it_is_to_find_is_refused() -> None:
    """Ratings of 0 are interactions as well; what is known of the user anyway is never found, and no leak."""
    rng = np.random.default_rng(5)
    pairs = np.argwhere(rng.random((30, 20)) < 0.4)
    data = Dataset.from_frame(
        {"user_id": pairs[:, 0], "movie_id": pairs[:, 1], "rating": rng.integers(0, 2, len(pairs))}
    )
    for strategy in ("random", "leave_one_out", "next_item"):
        with_times = replace(data, train=replace(data.train, timestamp=10**9 + np.arange(len(pairs))))
        train, test = with_times.split(strategy=strategy)
        for leaky in (EASE(), SVD(n_factors=2, feedback="explicit")):
            with pytest.raises(LeakError, match=rf"{leaky.name} was trained on {len(test)} of the {len(test)} interac"):
                Evaluator([5], ["ndcg"]).evaluate(leaky.fit(data), test)
        with pytest.raises(LeakError, match=r"fit it on the train part alone"):
            Evaluator([5], ["ndcg"]).evaluate(EASE().fit(data), train.validation)
        fair = EASE().fit(train)
        assert Evaluator([5], ["ndcg"]).evaluate(fair, test).metrics["ndcg@5"] < 1
        seen_too = replace(test, seen=test.seen + test.interactions.matrix())
        assert Evaluator([5], ["ndcg"]).evaluate(EASE().fit(data), seen_too).metrics["ndcg@5"] == 0


@pytest.mark.parametrize(("k_values", "metrics"), [([0], ("ndcg",)), ([], ("ndcg",)), ([5], ("ndgc",))])
def test_unusable_settings_are_refused(k_values: list[int], metrics: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="evaluation"):
        Evaluator(k_values, metrics)


def test_one_depth_or_metric_is_no_list() -> None:
    with pytest.raises(ConfigError, match=r"k_values=10 must be a list, such as \[10\]"):
        Evaluator(k_values=10)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"metrics='ndcg' must be a list, such as \[\"ndcg\"\]"):
        Evaluator(metrics="ndcg")  # type: ignore[arg-type]


def test_what_is_no_model_or_no_held_out_part_is_named() -> None:
    data = Dataset(TRAIN)
    model, part = EASE().fit(data), heldout([(0, 2)])
    for wrong, kinds in (((part, model), "HeldOut and a EASE"), ((model, data), "EASE and a Dataset")):
        with pytest.raises(DataError, match=rf"these are a {kinds}; data.split\(\) gives train and test"):
            Evaluator().evaluate(*wrong)


def test_small_blocks_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [(0, 3), (1, 3), (2, 5), (3, 0)]
    scores = np.random.default_rng(1).random((4, 6))
    whole = Evaluator([3]).evaluate(Fixed(scores), heldout(pairs))
    monkeypatch.setattr("movierec_engine.evaluation.rankings._BLOCK_BYTES", 1)
    single = Evaluator([3]).evaluate(Fixed(scores), heldout(pairs))
    assert single.metrics == whole.metrics
