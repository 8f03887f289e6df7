"""gmf, mlp and ncf: the network against the formula, what ncf starts from, and new users."""

from pathlib import Path

import numpy as np
import pytest
import torch

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import build_graph
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import ConfigError
from movierec_engine.models import GMF, MLP, NCF
from movierec_engine.models.dropout import mask
from movierec_engine.models.neural.base import NeuralCF
from movierec_engine.store import ArtifactStore
from worlds import interactions_of

RNG = np.random.default_rng(0)
TRAIN = interactions_of(
    np.array([(u, i) for u in range(12) for i in RNG.choice(9, 4, replace=False)]),
    IdMap(np.arange(12)),
    IdMap(np.arange(9)),
)
SHAPE = {"mf_dim": 4, "mlp_layers": (6, 5, 3)}


def built(model: NeuralCF, seed: int = 0) -> NeuralCF:
    torch.manual_seed(seed)
    model.build(TRAIN, build_graph(TRAIN), torch.device("cpu"))
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.normal_(0, 0.5)
    model.export()
    return model


def members() -> dict[str, NeuralCF]:
    return {
        "gmf": built(GMF(GMF.Config(mf_dim=4)), seed=1),
        "mlp": built(MLP(MLP.Config(mlp_layers=(6, 5, 3))), seed=2),
    }


def by_the_formula(model: NeuralCF, user: int, item: int) -> float:
    """<h, [p * q; relu(W_2 relu(W_1 [p'; q'] + b_1) + b_2)]> + c with the concatenation written out."""
    network = model.network
    gmf = network.gmf_users[user] * network.gmf_items[item]
    hidden = torch.cat([network.mlp_users[user], network.mlp_items[item]])
    for layer in network.hidden:
        hidden = torch.relu(layer.weight @ hidden + layer.bias)
    return network.output(torch.cat([gmf, hidden])).item()


@pytest.mark.parametrize("loss_type", ["auto", "softmax", "sampled_softmax", "bce", "bpr"])
def test_every_loss_is_accepted(loss_type: str) -> None:
    assert NCF.Config(loss_type=loss_type).loss_type == loss_type


def test_an_unknown_loss_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match=r"model\.loss_type=hinge is not a loss of ncf; choose one of auto, softmax, sampled_softmax"
    ):
        NCF.Config(loss_type="hinge")


def test_scores_follow_the_formula_for_pairs_and_for_the_catalogue() -> None:
    model = built(NCF(NCF.Config(**SHAPE)))
    expected = np.array([[by_the_formula(model, user, item) for item in range(9)] for user in range(12)])
    users = torch.arange(12)
    pairs = model.network(users, torch.arange(9).repeat(12, 1))
    assert np.allclose(pairs.detach(), expected, atol=1e-5)
    assert np.allclose(model.network(users, None).detach(), expected, atol=1e-5)
    assert np.allclose(model.score_known(np.arange(12)), expected, atol=1e-5)


def test_the_penalty_does_not_fall_when_scale_moves_from_an_embedding_to_h() -> None:
    model = built(GMF(GMF.Config(mf_dim=4, l2=0.1)))
    network, users, items = model.network, torch.arange(3), torch.arange(6).reshape(3, 2)
    before = network.penalty(users, items).item()
    with torch.no_grad():
        network.gmf_users /= 10
        network.output.weight *= 10
    assert network.penalty(users, items).item() == pytest.approx(before, rel=1e-5)
    products = (network.output.weight[0] * network.gmf_users[users]).square().sum() + network.gmf_items[
        items
    ].square().sum()
    assert before == pytest.approx(0.1 / 2 * products.item() / 3, rel=1e-5)


def test_each_penalty_is_of_its_own_parts_weights_and_embeddings() -> None:
    """l2 of the GMF part's embeddings; l2_mlp of the MLP's embeddings, a batch's mean, and of its weights."""
    users, items = torch.arange(3), torch.arange(6).reshape(3, 2)
    for settings, of_gmf, of_mlp in (({"l2": 0.1, "l2_mlp": 0.0}, 0.1, 0.0), ({"l2": 0.0, "l2_mlp": 0.2}, 0.0, 0.2)):
        network = built(NCF(NCF.Config(**SHAPE, **settings))).network
        h_gmf, h_mlp = network.output.weight[0, :4], network.output.weight[0, 4:]
        gmf = (h_gmf * network.gmf_users[users]).square().sum() + network.gmf_items[items].square().sum()
        mlp = network.mlp_users[users].square().sum() + network.mlp_items[items].square().sum()
        weights = sum(layer.weight.square().sum() for layer in network.hidden) + h_mlp.square().sum()
        expected = of_gmf / 2 * gmf / 3 + of_mlp / 2 * (mlp / 3 + weights)
        assert network.penalty(users, items).item() == pytest.approx(expected.item(), rel=1e-5)
    alone = built(MLP(MLP.Config(mlp_layers=(6, 5, 3), l2=0.2))).network
    assert (alone.l2, alone.l2_mlp) == (0.0, 0.2)


@pytest.mark.parametrize("kind", [NCF, MLP])
def test_dropout_thins_out_every_hidden_layer_in_training_alone(
    kind: type[NeuralCF], monkeypatch: pytest.MonkeyPatch
) -> None:
    thinned = []

    def spied(shape: torch.Size, share: float) -> torch.Tensor:
        thinned.append((shape[-1], share))
        return mask(shape, share)

    monkeypatch.setattr("movierec_engine.models.neural.hidden_layers.mask", spied)
    shape = SHAPE if kind is NCF else {"mlp_layers": SHAPE["mlp_layers"]}
    model = built(kind(kind.Config(**shape, dropout=0.5)))
    users = torch.arange(12)
    whole = model.network(users, None)
    model.network.train()
    assert not torch.equal(model.network(users, None), whole)
    assert thinned == [(5, 0.5), (3, 0.5)]
    model.export()
    assert torch.equal(model.network(users, None), whole), "nothing is left out of what scores"


def test_the_directions_of_candidates_are_orthonormal_and_found_anew_after_training() -> None:
    model = built(MLP(MLP.Config(mlp_layers=(6, 5, 3))))
    before = model.item_vectors()
    assert np.allclose(before.T @ before, np.eye(before.shape[1]), atol=1e-3)
    with torch.no_grad():
        model.network.mlp_items.normal_(0, 0.5)
    model.export()
    products = model.query_vectors(np.arange(12)) @ model.item_vectors().T
    assert np.allclose(products, model.score_known(np.arange(12)), atol=1e-3)
    gmf = built(GMF(GMF.Config(mf_dim=4)))
    products = gmf.query_vectors(np.arange(12)) @ gmf.item_vectors().T
    assert np.allclose(products, gmf.score_known(np.arange(12)), atol=1e-5), "with the constant"


def test_without_a_gmf_part_items_are_alike_that_the_same_people_have() -> None:
    alone, joined = built(MLP(MLP.Config(mlp_layers=(6, 5, 3)))), built(NCF(NCF.Config(**SHAPE)))
    assert np.array_equal(alone.similarity_vectors().toarray(), TRAIN.matrix().T.toarray())
    assert joined.similarity_vectors().shape == (9, 4 + 3)


def test_ncf_starts_where_the_weighted_sum_of_gmf_and_mlp_stands() -> None:
    parts = members()
    model = NCF(NCF.Config(**SHAPE, alpha=0.3))
    model.start_from(parts)
    model.build(TRAIN, build_graph(TRAIN), torch.device("cpu"))
    model.export()
    users = np.arange(12)
    expected = 0.3 * parts["gmf"].score_known(users) + 0.7 * parts["mlp"].score_known(users)
    assert np.allclose(model.score_known(users), expected, atol=1e-5)


def test_members_of_other_widths_or_other_data_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"pretrained_gmf has mf_dim=4 and this ncf 8"):
        NCF(NCF.Config(mf_dim=8, mlp_layers=(6, 5, 3))).start_from(members())
    model = NCF(NCF.Config(**SHAPE)).start_from(members())
    known = TRAIN.matrix().toarray()
    fewer = interactions_of(np.argwhere(known)[1:], TRAIN.users, TRAIN.items)
    other_items = interactions_of(np.argwhere(known), TRAIN.users, IdMap(np.arange(9) + 1))
    swapped = interactions_of(np.argwhere(np.roll(known, 1, axis=1)), TRAIN.users, TRAIN.items)
    for elsewhere in (fewer, swapped, other_items):
        with pytest.raises(ConfigError, match=r"gmf was trained on other interactions \(\d+\) than these"):
            model.fit(Dataset(elsewhere))
    with pytest.raises(ConfigError, match="the mlp that is given as 'gmf' is no model of this name"):
        model.start_from({**members(), "gmf": members()["mlp"]})
    with pytest.raises(ConfigError, match="ncf is to start from a trained mlp"):
        model.start_from({"gmf": members()["gmf"]}).fit(Dataset(TRAIN))


def test_one_member_without_the_other_is_refused() -> None:
    with pytest.raises(ConfigError, match="go together"):
        NCF.Config(pretrained_gmf="latest")
    for alpha in (0.0, 1.0):
        with pytest.raises(ConfigError, match=r"model\.alpha"):
            NCF.Config(alpha=alpha)


@pytest.mark.parametrize("layers", [(), (64,), (7, 4), (8, 0)])
def test_layers_that_make_no_network_are_refused(layers: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"model\.mlp_layers="):
        MLP.Config(mlp_layers=layers)


def test_folding_in_leaves_the_trained_model_as_it_was() -> None:
    model = built(NCF(NCF.Config(**SHAPE)))
    before = {name: array.copy() for name, array in model.tensors().items()}
    first, second = model.fold_in(model.history), model.fold_in(model.history)
    assert np.array_equal(first, second)
    for name, array in model.tensors().items():
        assert np.array_equal(array, before[name])
    assert all(parameter.requires_grad for parameter in model.network.parameters())


def test_a_new_users_answer_does_not_depend_on_who_else_is_asked_about() -> None:
    model = built(NCF(NCF.Config(**SHAPE)))
    assert np.allclose(model.fold_in(model.history)[3], model.fold_in(model.history[3])[0], atol=1e-4)


@pytest.mark.slow
def test_the_pipeline_records_what_ncf_started_from(small_data: list[str], tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    tiny = ["trainer.max_epochs=1", *small_data]
    layers = "model.mlp_layers=[8,4]"
    start = ["model=ncf", layers, "model.mf_dim=4", "model.pretrained_gmf=latest", "model.pretrained_mlp=latest", *tiny]
    gmf = pipeline.run(store, load_settings(["model=gmf", "model.mf_dim=4", *tiny]))["trained_model"]
    mlp = pipeline.run(store, load_settings(["model=mlp", layers, *tiny]))["trained_model"]
    ncf = pipeline.run(store, load_settings(start))["trained_model"]
    assert (ncf.parents["gmf"], ncf.parents["mlp"]) == (gmf.reference, mlp.reference)
    splits = store.resolve(ncf.parents["splits"])
    assert pipeline.is_current(store, load_settings(start), splits)
    pipeline.run(store, load_settings(["model=gmf", "model.mf_dim=4", "seed=7", *tiny]))
    assert not pipeline.is_current(store, load_settings(start), splits), "latest is another gmf now"
    other = ["data.split_seed=7", *(word for word in start if "split_seed" not in word)]
    leak = [word.replace("pretrained_gmf=latest", f"pretrained_gmf={gmf.reference}") for word in other]
    with pytest.raises(ConfigError, match=f"but {gmf.reference} saw 1 of the train part of {splits.reference}"):
        pipeline.run(store, load_settings(leak))
    honest = pipeline.run(store, load_settings(other))["trained_model"]
    members = {name: store.resolve(honest.parents[name]) for name in ("gmf", "mlp")}
    assert {member.parents["splits"] for member in members.values()} == {honest.parents["splits"]} != {splits.reference}
    assert members["gmf"].config["model"]["mf_dim"] == 4, "trained as wide as ncf is"
    wrong = [word.replace("pretrained_gmf=latest", f"pretrained_gmf={mlp.reference}") for word in start]
    with pytest.raises(ConfigError, match="which is no trained gmf"):
        pipeline.run(store, load_settings(wrong))
