"""SASRec: numpy against torch, what the order and the length of a history change, and settings out of range."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from families import N_ITEMS, TRAIN, some_histories
from scipy import sparse

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import build_graph
from movierec_engine.data.sequences import Sequences
from movierec_engine.errors import ConfigError
from movierec_engine.models import SASRec, load_model
from movierec_engine.models.cost import DataSize
from movierec_engine.models.explanation import with_deletions
from movierec_engine.models.sequence.network import SASRecNetwork
from movierec_engine.training.config import TrainerConfig

PLAIN = {"embedding_dim": 12, "num_heads": 3, "max_length": 6, "relative_time": "never"}
GATED = {"embedding_dim": 10, "num_heads": 2, "num_blocks": 3, "max_length": 9, "block": "gated"}
TIMED = {**PLAIN, "relative_time": "always"}


def built(**settings: object) -> tuple[SASRec, SASRecNetwork]:
    """A model whose weights are all far from 0, and whose network is not in training."""
    torch.manual_seed(5)
    model = SASRec(**settings)
    network = model.build(TRAIN, build_graph(TRAIN), torch.device("cpu"))
    assert isinstance(network, SASRecNetwork)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.3)
    model.export()
    network.eval()
    return model, network


def told(*items: int) -> sparse.csr_matrix:
    """A history in this order, CSR [1, n_items]."""
    places = np.arange(1, len(items) + 1, dtype=np.float32)
    return sparse.csr_matrix((places, items, [0, len(items)]), (1, N_ITEMS))


@pytest.mark.parametrize("settings", [PLAIN, TIMED, GATED], ids=["plain", "timed", "gated"])
@torch.no_grad()
def test_numpys_scores_are_those_of_the_network_in_torch(settings: dict[str, object]) -> None:
    """Of histories shorter and longer than the model looks back."""
    model, network = built(**settings)
    histories = sparse.vstack([some_histories(model), model.history], format="csr")
    timed = model.history_values == "times"
    assert timed == network.timed == (settings is not PLAIN)
    sequences = Sequences.of(histories, timed).newest(model.config.max_length)
    lengths = torch.from_numpy(sequences.lengths)
    assert lengths.min() < model.config.max_length < np.diff(histories.indptr).max()
    told = torch.from_numpy(sequences.items), lengths, torch.from_numpy(sequences.seconds)
    hidden = network.hidden(*told)[lengths.cumsum(0) - 1]
    expected = (hidden @ network.items.T).numpy()
    assert np.allclose(model.fold_in(histories), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("settings", [PLAIN, TIMED], ids=["plain", "timed"])
@torch.no_grad()
def test_a_network_makes_of_packed_sequences_what_it_makes_of_each_alone(settings: dict[str, object]) -> None:
    _, network = built(**settings)
    lengths, items, seconds = [3, 6, 1, 5], torch.arange(15), torch.arange(15) ** 5
    packed = network.hidden(items, torch.tensor(lengths), seconds)
    parts = zip(torch.split(items, lengths), torch.split(seconds, lengths), strict=True)
    alone = [network.hidden(part, torch.tensor([len(part)]), when) for part, when in parts]
    assert torch.allclose(packed, torch.cat(alone), atol=1e-5)


@torch.no_grad()
def test_an_item_looks_at_nothing_that_comes_after_it() -> None:
    _, network = built(**TIMED)
    one, other = (
        network.hidden(torch.tensor([4, 2, 9, last]), torch.tensor([4]), torch.tensor([5, 50, 500, when]))
        for last, when in ((7, 600), (30, 10**6))
    )
    assert torch.allclose(one[:3], other[:3], atol=1e-6)
    assert not torch.allclose(one[3], other[3], atol=1e-2)


def test_with_relative_times_it_counts_how_long_ago_an_item_was_and_not_when() -> None:
    model, _ = built(**TIMED)
    assert built(**PLAIN)[0].history_values == "places"

    def at(*seconds: float) -> np.ndarray:
        history = told(1, 2, 3)
        return model.fold_in(sparse.csr_matrix((np.array(seconds), history.indices, history.indptr), history.shape))

    usual = at(1e9, 1e9 + 10, 1e9 + 100)
    assert np.array_equal(usual, at(5e8, 5e8 + 10, 5e8 + 100))
    assert np.array_equal(usual, at(1e9 + 0.3, 1e9 + 10.2, 1e9 + 100.9)), "the fractions only order"
    assert not np.allclose(usual, at(1e9, 1e9 + 10, 1e9 + 9000), atol=1e-3)


def test_relative_times_are_used_where_there_are_any_unless_told_otherwise() -> None:
    placed = replace(TRAIN, timestamp=np.arange(len(TRAIN)))
    for settings, data, values in (({}, TRAIN, "times"), ({}, placed, "places"), (PLAIN, TRAIN, "places")):
        model = SASRec(**settings)
        model.build(data, build_graph(data), torch.device("cpu"))
        assert model.history_values == values
    with pytest.raises(ConfigError, match=r"model\.relative_time=always needs times, and the data has none"):
        SASRec(relative_time="always").fit(Dataset(placed))


def test_a_list_that_is_told_without_times_counts_as_told_at_one_moment() -> None:
    model, _ = built(**TIMED)
    listed = {row["movie_id"]: row["score"] for row in model.recommend_for([[1, 2, 3]], k=20).to_pylist()}
    history = sparse.csr_matrix((1e9 + np.array([0.1, 0.2, 0.3]), [1, 2, 3], [0, 3]), (1, N_ITEMS))
    expected = model.fold_in(history)[0]
    assert listed == {item: pytest.approx(expected[item], abs=1e-5) for item in listed}


def test_a_trained_user_is_scored_as_a_new_user_of_the_same_history() -> None:
    model, _ = built(**PLAIN)
    assert np.array_equal(model.score_users(np.arange(10)), model.fold_in(model.history[:10]))


def test_the_order_counts_and_what_lies_further_back_than_the_model_looks_does_not() -> None:
    model, _ = built(**PLAIN)
    usual, turned = model.fold_in(told(1, 2, 3)), model.fold_in(told(1, 3, 2))
    assert not np.allclose(usual, turned, atol=1e-3)
    recent = (4, 9, 2, 7, 5, 3)
    assert np.allclose(model.fold_in(told(11, *recent)), model.fold_in(told(20, 21, *recent)), atol=1e-6)
    gaps = told(1, 2, 3)
    gaps.data[:] = [2.5, 10, 11]
    assert np.array_equal(model.fold_in(gaps), usual)


def test_an_effect_of_deletion_is_the_difference_of_two_fold_ins() -> None:
    model, _ = built(**PLAIN)
    scorer, history, items = model.fold_in_scorer(), told(6, 1, 8, 30), np.array([3, 11])
    deleted = np.arange(4)
    scores = model.fold_in(with_deletions(history, deleted)).astype(np.float64)
    expected = scores[:, items] - scores.mean(axis=1, keepdims=True)
    assert np.allclose(scorer.leads(history, deleted, items), expected, atol=1e-5)


def test_a_saved_model_needs_nothing_of_the_network(tmp_path: Path) -> None:
    model, _ = built(**GATED)
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.history_values == "times" and loaded.history.dtype == np.float64
    assert np.array_equal(loaded.score_users(np.arange(60)), model.score_users(np.arange(60)))


def test_the_cost_follows_the_widths_and_the_loss() -> None:
    size, trainer = DataSize(6_000, 3_400, 980_000), TrainerConfig()
    usual, wide, gated = (
        SASRec(**settings).cost(size, trainer) for settings in ({}, {"embedding_dim": 256}, {"block": "gated"})
    )
    assert usual.fit_bytes < wide.fit_bytes and usual.seconds < gated.seconds < wide.seconds
    large = DataSize(6_000, 30_000, 980_000)
    full, sampled = (SASRec(loss_type=loss).cost(large, trainer).seconds for loss in ("softmax", "auto"))
    assert sampled < full / 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss_type": "bpr"}, "model.loss_type=bpr is not a loss of sasrec; choose one of auto, softmax"),
        ({"block": "hstu"}, "model.block=hstu is not known; choose plain or gated"),
        ({"relative_time": "true"}, "model.relative_time=true is not known; choose auto or always or never"),
        ({"dropout": 1.0}, "model.dropout=1.0 must be at least 0 and below 1"),
        ({"max_length": 0}, "model.max_length=0 must be at least 1"),
        ({"num_heads": 3}, "model.num_heads=3 must divide model.embedding_dim=64"),
        ({"calibration": 1.5}, "model.calibration=1.5 must be from 0 to 1"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SASRec(**settings)
