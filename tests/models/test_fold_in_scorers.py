"""What scores new users without torch: against torch and sums written out, and after a round trip through arrays."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from families import MAKERS, N_ITEMS, N_USERS, TRAIN, model_of, some_histories
from scipy import sparse
from torch.nn import functional

from movierec_engine.data.dataset import Dataset
from movierec_engine.models import ALS, EASE, NGCF, Recommender
from movierec_engine.models.classic.least_squares import eigenbasis, gram, solve_rows
from movierec_engine.models.ensemble.fusion import normalised
from movierec_engine.models.ensemble.hybrid import HybridEnsemble
from movierec_engine.models.explanation import effects_of_deletion, with_deletions
from movierec_engine.models.fold_in import Basis, FoldInScorer, fold_in_from_arrays, linear, neighbours, neural
from movierec_engine.models.fold_in.linear import LinearFoldIn
from movierec_engine.models.fold_in.neighbours import NEIGHBOURS, neighbour_weights, neighbour_weights_without
from movierec_engine.models.fold_in.neural import LEARNING_RATE, STEPS, NeuralFoldIn, _candidates


@pytest.fixture(params=list(MAKERS))
def model(request: pytest.FixtureRequest) -> Recommender:
    return model_of(request.param)


def test_a_scorer_from_its_arrays_scores_and_explains_as_the_models_own(model: Recommender, tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", **model.fold_in_scorer().arrays())
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as arrays:
        basis = Basis(np.ascontiguousarray(model.item_vectors()), model.history)
        scorer = fold_in_from_arrays(dict(arrays), basis)
    histories = some_histories(model)
    scores = scorer.scores(histories)
    assert scores.dtype == np.float32
    assert np.allclose(scores, model.fold_in(histories), atol=1e-4)
    assert scorer.history_values == model.history_values
    assert scorer.exact == model.exact_contributions
    for person in range(4):
        history = histories[[person]]
        why = model.explain_history(history, 3)
        found = scorer.explanation(why.score, history, 3)
        assert dict(zip(found.items, found.contributions, strict=True)) == pytest.approx(
            dict(zip(why.items, why.contributions, strict=True)), abs=1e-3
        )


def test_what_is_known_of_trained_users_is_as_wide_as_the_scorer_says(model: Recommender) -> None:
    assert model.explanation_inputs(np.arange(5)).shape == (5, model.fold_in_scorer().n_explanation_inputs)


def test_an_empty_history_spoils_nobody_elses_scores(model: Recommender) -> None:
    histories = some_histories(model)
    empty = sparse.csr_matrix((1, N_ITEMS), dtype=np.float32)
    mixed = sparse.vstack([histories[:3], empty, histories[3:5]], format="csr")
    rest = [0, 1, 2, 4, 5]
    assert np.allclose(
        model.fold_in_scorer().scores(mixed)[rest], model.fold_in_scorer().scores(histories[:5]), atol=1e-5
    )


def in_double_precision(scorer: FoldInScorer) -> NeuralFoldIn:
    assert isinstance(scorer, NeuralFoldIn)
    names = ("gmf_users", "gmf_items", "mlp_users", "mlp_items", "output")
    layers = tuple((weight.astype(np.float64), bias.astype(np.float64)) for weight, bias in scorer.layers)
    return replace(scorer, layers=layers, **{name: getattr(scorer, name).astype(np.float64) for name in names})


@pytest.mark.parametrize("name", ["gmf", "mlp", "ncf"])
def test_fitted_vectors_are_those_of_autograd_and_torchs_adam(name: str) -> None:
    """What the network's own scores, their gradients and `torch.optim.Adam` make of it, both in double precision.

    In single precision a hidden unit that is 0 up to rounding can fall on either side of relu, in torch as here.
    """
    model, histories = model_of(name), some_histories(model_of(name))
    network = copy.deepcopy(model.network).double()  # type: ignore[attr-defined]
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    items, present, outside = (torch.from_numpy(part) for part in _candidates(histories))
    start = torch.from_numpy(neighbour_weights(model.fold_in_scorer().basis, histories).toarray()).double()
    gmf, mlp = ((start @ part).requires_grad_() for part in (network.gmf_users, network.mlp_users))
    optimizer = torch.optim.Adam([gmf, mlp], lr=LEARNING_RATE)
    width = present.shape[1]
    for _ in range(STEPS):
        scores = network.scores(gmf, mlp, items)
        negatives = scores[:, width:].masked_fill(~outside, -torch.inf).logsumexp(dim=1, keepdim=True)
        loss = (functional.softplus(negatives - scores[:, :width]) * present).sum(dim=1) / present.sum(dim=1)
        scaled = gmf * network.output.weight[0, : gmf.shape[1]]
        penalty = network.l2 / 2 * scaled.square().sum() + network.l2_mlp / 2 * mlp.square().sum()
        optimizer.zero_grad()
        (loss.sum() + penalty).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    expected = network.score_all(gmf.detach(), mlp.detach()).numpy()
    found = in_double_precision(model.fold_in_scorer()).scores(histories)
    assert np.allclose(found, expected, atol=1e-6 * np.abs(expected).max())
    single = np.abs(model.fold_in_scorer().scores(histories) - expected).max(axis=1)
    assert np.median(single) < 1e-5 * np.abs(expected).max()


def test_the_gradient_lowers_what_it_says_it_lowers() -> None:
    scorer = model_of("ncf").fold_in_scorer()
    assert isinstance(scorer, NeuralFoldIn)
    histories = some_histories(model_of("ncf"))
    weights = neighbour_weights(scorer.basis, histories)
    start = scorer._of_vectors(weights @ scorer.gmf_users, weights @ scorer.mlp_users)

    def loss(scores: np.ndarray) -> float:
        """The mean over histories of -log softmax of each own item against all others outside."""
        own = histories.toarray() > 0
        against = np.log((np.exp(scores) * ~own).sum(axis=1, keepdims=True))
        return float(np.mean([np.log1p(np.exp(against[n] - scores[n, own[n]])).mean() for n in range(len(own))]))

    assert loss(scorer.scores(histories)) < loss(start) - 0.1


def test_a_new_user_of_als_is_solved_as_a_trained_user_is() -> None:
    model, histories = model_of("als"), some_histories(model_of("als"))
    assert isinstance(model, ALS)
    diagonal, turn = eigenbasis(gram(model.item_factors))
    items, start = model.item_factors @ turn, np.zeros((histories.shape[0], model.config.embedding_dim), np.float32)
    strength, counts = model.strength(histories), model.popularity
    solved = solve_rows(histories, items, start, model.alpha0 * diagonal, strength, steps=50, counts=counts)
    assert np.allclose(model.fold_in(histories), solved @ items.T, atol=1e-4)


def test_a_new_user_of_ngcf_goes_through_the_networks_layers() -> None:
    """The new user's node written out with the network's own modules, one person at a time."""
    model, histories = model_of("ngcf"), some_histories(model_of("ngcf"))
    assert isinstance(model, NGCF)
    network = model.network
    weights = neighbour_weights(model.fold_in_scorer().basis, histories).toarray()
    trained = network.embeddings[:N_USERS].detach()
    with torch.no_grad():
        of_items = [layer[N_USERS:] for layer in network.propagate()]
        _, finals = network.final()
        for person in range(10):
            items = histories[[person]].indices
            mean = torch.from_numpy(weights[person]) @ trained
            here = mean / mean.norm() * (torch.from_numpy(weights[person]) @ trained.norm(dim=1))
            joined = [here]
            for number, (linear, bilinear) in enumerate(zip(network.linear, network.bilinear, strict=True)):
                scale = torch.from_numpy(1 / np.sqrt(model.popularity[items] * len(items)))
                received = (of_items[number][items] * scale[:, None]).sum(dim=0)
                here = functional.leaky_relu(linear(received + here) + bilinear(received * here), 0.2)
                joined.append(functional.normalize(here, dim=0))
            expected = finals @ torch.cat(joined) + network.item_bias
            assert np.allclose(model.fold_in(histories[[person]])[0], expected, atol=1e-4)


def test_a_new_user_of_an_ensemble_gets_its_members_scores_by_the_weights_of_their_activity() -> None:
    model = model_of("hybrid")
    assert isinstance(model, HybridEnsemble)
    for items in ([2], [0, 2, 4, 5, 8, 10, 12], list(range(25))):
        history = sparse.csr_matrix((np.ones(len(items), np.float32), items, [0, len(items)]), (1, N_ITEMS))
        each = normalised(np.stack([member.fold_in(history) for member in model.members]), "z_score")[:, 0]
        tier = [0, 5, 20, 100, 999].index(next(least for least in [5, 20, 100, 999] if len(items) < least)) - 1
        assert np.allclose(model.fold_in(history)[0], model.weights[tier] @ each, atol=1e-4)


@pytest.mark.parametrize("name", ["gmf", "mlp", "ncf"])
@pytest.mark.parametrize("negatives", [12, N_ITEMS])
def test_what_is_left_out_is_a_negative_only_where_all_unseen_items_are(
    name: str, negatives: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each item left out by hand: folded in again, where a sample does not hold all items against one without it."""
    model = model_of(name)
    history, some = some_histories(model)[[0]], np.array([7, 3])
    sample, scorer = np.random.default_rng(0).permutation(N_ITEMS)[:negatives], model.fold_in_scorer()

    def lead(items: np.ndarray, without: int) -> np.ndarray:
        kept = sample if negatives == N_ITEMS else sample[sample != without]
        monkeypatch.setattr(neural, "_sample", lambda n_items: kept)
        one = sparse.csr_matrix((np.ones(len(items), np.float32), items, [0, len(items)]), (1, N_ITEMS))
        scores = scorer.scores(one)[0].astype(np.float64)
        return scores[some] - scores.mean()

    own = history.indices
    expected = np.stack([lead(own, -1) - lead(own[own != item], item) for item in own], axis=1)
    monkeypatch.setattr(neural, "_sample", lambda n_items: sample)
    assert np.allclose(scorer.contributions(history, some), expected, atol=1e-5)


def test_deletions_are_done_by_the_scorer_itself() -> None:
    model = model_of("ngcf")
    history, seven = some_histories(model)[[0]], np.array([7])
    vectors = model.item_vectors()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def leads(history: sparse.csr_matrix, deleted: np.ndarray, items: np.ndarray) -> np.ndarray:
        scores = model.fold_in(with_deletions(history, deleted)).astype(np.float64)
        return scores[:, items] - scores.mean(axis=1, keepdims=True)

    expected = effects_of_deletion(leads, history, seven, (unit[history.indices] @ unit[7])[None])
    assert np.allclose(model.fold_in_scorer().contributions(history, seven), expected, atol=1e-6)


def test_the_closeness_of_neural_models_is_that_of_all_their_embeddings() -> None:
    model = model_of("mlp")
    history = some_histories(model)[[0]]
    embeddings = model.network.mlp_items.detach().numpy()  # type: ignore[attr-defined]
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = model.fold_in_scorer().closeness(history, np.array([7]))
    assert np.allclose(found, unit[history.indices] @ unit[7], atol=1e-6)


@pytest.mark.parametrize("block", [1, 150, 2**21])
def test_neighbours_are_the_trained_users_of_the_largest_cosine(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK_FLOATS", block)
    basis, histories = Basis(None, TRAIN.matrix()), TRAIN.matrix()[:6]
    found = neighbour_weights(basis, histories).toarray()
    dense = TRAIN.matrix().toarray()
    for person in range(6):
        cosine = dense @ dense[person] / np.sqrt(dense.sum(axis=1))
        kept = np.where(cosine >= np.sort(cosine)[-NEIGHBOURS], cosine, 0)
        assert np.allclose(found[person], kept / kept.sum(), atol=1e-6)


def test_neighbours_without_an_item_are_those_of_the_history_without_it() -> None:
    basis, history = Basis(None, TRAIN.matrix()), TRAIN.matrix()[[2]]
    deleted = np.arange(history.nnz)[::-1]
    found = neighbour_weights_without(basis, history, deleted).toarray()
    assert np.array_equal(found, neighbour_weights(basis, with_deletions(history, deleted)).toarray())


@pytest.mark.parametrize("copied", [0, 1e6])
def test_a_linear_models_scores_are_the_same_from_an_index_and_from_the_model(
    copied: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index has the item vectors by rows: a small one has a copy by columns, a large one reads only the columns of
    what is in the histories.
    """
    monkeypatch.setattr(linear, "_COPIED_BYTES", copied)
    rng = np.random.default_rng(6)
    histories = sparse.csr_matrix((5, 400), dtype=np.float32).tolil()
    histories[[0, 1, 1, 3], [7, 7, 399, 0]] = [1, 0.5, 4, 3]
    histories, vectors = histories.tocsr(), rng.normal(size=(400, 400)).astype(np.float32)
    of_model, of_index, of_sparse = (
        LinearFoldIn(Basis(layout(vectors), histories)).scores(histories)
        for layout in (np.asfortranarray, np.ascontiguousarray, sparse.csc_matrix)
    )
    expected = histories.toarray() @ vectors.T
    for found in (of_model, of_index, of_sparse):
        assert found == pytest.approx(expected, abs=1e-5)
    everything = sparse.csr_matrix(np.ones((1, 400), np.float32))
    assert LinearFoldIn(Basis(vectors, everything)).scores(everything)[0] == pytest.approx(
        vectors.sum(axis=1), abs=1e-4
    )


def test_an_index_of_ease_reads_the_rows_of_a_history_and_gives_the_models_scores() -> None:
    model = EASE().fit(Dataset(TRAIN))
    assert np.allclose(model.weights * model.symmetry, (model.weights * model.symmetry).T, rtol=1e-5)
    histories = TRAIN.matrix()[:5]
    one = sparse.csr_matrix((np.ones(4, np.float32), [1, 7, 20, 33], [0, 4]), (1, N_ITEMS))
    rows = np.full(model.weights.shape, np.nan, dtype=np.float32)
    rows[one.indices] = model.weights.T[one.indices]
    few = LinearFoldIn(Basis(rows, histories), symmetry=model.symmetry).scores(one)
    assert few == pytest.approx(one @ model.weights, abs=1e-5), "what is not of the history's rows is nan"
    whole = LinearFoldIn(Basis(np.ascontiguousarray(model.weights.T), histories), symmetry=model.symmetry)
    assert whole.scores(histories) == pytest.approx(histories @ model.weights, abs=1e-5)
    again = fold_in_from_arrays(whole.arrays(), whole.basis)
    assert np.array_equal(again.scores(histories), whole.scores(histories))
