"""One model of every family that scores new users in its own way, on a world small enough to make all of them."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.models import (
    ALS,
    EASE,
    GFCF,
    GMF,
    MLP,
    NCF,
    NGCF,
    SVD,
    ItemCF,
    LightGCN,
    Markov,
    Popularity,
    Recommender,
    RecVAE,
    SASRec,
)
from movierec_engine.models.ensemble.fusion_weights import candidates_of, learn_weights
from movierec_engine.models.ensemble.hybrid import HybridEnsemble, HybridEnsembleConfig
from movierec_engine.models.gradient import GradientRecommender
from worlds import interactions_of

N_USERS, N_ITEMS = 60, 40


def ratings() -> Interactions:
    """Noisy camps: who has an item of one's parity likes it more."""
    rng = np.random.default_rng(8)
    pairs = np.array(
        [(u, i) for u in range(N_USERS) for i in range(N_ITEMS) if rng.random() < (0.4 if (u + i) % 2 == 0 else 0.1)]
    )
    values = np.where(pairs.sum(axis=1) % 2 == 0, 4, 2) + rng.integers(-1, 2, len(pairs)) / 2
    return Interactions(
        user=pairs[:, 0].astype(np.int32),
        item=pairs[:, 1].astype(np.int32),
        rating=values.astype(np.float32),
        timestamp=10**9 + np.arange(len(pairs), dtype=np.int64),
        users=IdMap(np.arange(N_USERS)),
        items=IdMap(np.arange(N_ITEMS)),
    )


TRAIN = ratings()


def fitted(model: Recommender, std: float = 0.4) -> Recommender:
    """A closed-form model trained, a network with random weights that are large enough to tell items apart."""
    if not isinstance(model, GradientRecommender):
        return model.fit(Dataset(TRAIN))
    torch.manual_seed(0)
    network = model.build(TRAIN, build_graph(TRAIN), torch.device("cpu"))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, std)
    model.export()
    return model


@cache
def camps_with_validation() -> tuple[tuple[Recommender, ...], HeldOut]:
    """Two camps of 60 users with noise: ease, als and popularity trained, and a validation part."""
    rng = np.random.default_rng(3)
    users, items = IdMap(np.arange(120)), IdMap(np.arange(60))
    pairs = np.array([(u, i) for u in range(120) for i in range(60) if rng.random() < (0.5 if u % 2 == i % 2 else 0.1)])
    held = rng.random(len(pairs)) < 0.15
    train, validation = (interactions_of(pairs[part], users, items) for part in (~held, held))
    members = EASE(prior=0), ALS(embedding_dim=16), Popularity()
    for member in members:
        member.fit(Dataset(train))
    return members, HeldOut(validation, train.matrix(), "train", Catalogue.of(train))


def fused(members: Sequence[Recommender], **config: object) -> HybridEnsemble:
    """An ensemble of equal weights."""
    names = tuple(member.name for member in members)
    model = HybridEnsemble(HybridEnsembleConfig(models=names, **config))  # type: ignore[arg-type]
    model.combine(members)
    return model


def learned(model: HybridEnsemble, validation: HeldOut) -> NDArray[np.float64]:
    """The weights of an ensemble that raise what validation likes."""
    return learn_weights(candidates_of(model, validation), "ndcg", 10)


def ensemble(*members: str, **config: object) -> HybridEnsemble:
    made = [model_of(name) for name in members]
    model = HybridEnsemble(HybridEnsembleConfig(models=tuple(one.name for one in made), **config))  # type: ignore[arg-type]
    weights = np.linspace(0.2, 1, 4)[:, None] * np.arange(1, len(made) + 1)
    model.combine(made)
    model.combine(made, np.tile(weights, (1, model.n_features // len(made))))
    return model


MAKERS = {
    "popularity": lambda: fitted(Popularity()),
    "ease": lambda: fitted(EASE(EASE.Config(l2=20))),
    "item_cf": lambda: fitted(ItemCF(ItemCF.Config(k=10, shrinkage=5))),
    "item_cf implicit": lambda: fitted(ItemCF(ItemCF.Config(k=10, feedback="implicit"))),
    "user_cf": lambda: fitted(ItemCF(ItemCF.Config(user_based=True, similarity="pearson", k=10, shrinkage=5))),
    "user_cf baseline": lambda: fitted(ItemCF(ItemCF.Config(user_based=True, similarity="pearson_baseline"))),
    "user_cf implicit": lambda: fitted(ItemCF(ItemCF.Config(user_based=True, feedback="implicit"))),
    "als": lambda: fitted(ALS(ALS.Config(embedding_dim=8, epochs=4))),
    "gf_cf": lambda: fitted(GFCF(GFCF.Config(n_factors=8, neighbours=12))),
    "svd": lambda: fitted(SVD(SVD.Config(n_factors=6, n_epochs=5, reg_all=0.02))),
    "svd implicit": lambda: fitted(SVD(SVD.Config(n_factors=6, n_epochs=5, reg_all=0.02, feedback="implicit"))),
    "svd unbiased": lambda: fitted(SVD(SVD.Config(n_factors=6, n_epochs=5, reg_all=0.02, biased=False))),
    "markov": lambda: fitted(Markov(shrinkage=5.0, half_life_days=1e-3)),
    "lightgcn": lambda: fitted(LightGCN(LightGCN.Config(embedding_dim=8)), std=2),
    "lightgcn cosine": lambda: fitted(LightGCN(LightGCN.Config(embedding_dim=8, cosine=True))),
    "ngcf": lambda: fitted(NGCF(NGCF.Config(embedding_dim=6, hidden_dims=(5, 4)))),
    "gmf": lambda: fitted(GMF(GMF.Config(mf_dim=6))),
    "mlp": lambda: fitted(MLP(MLP.Config(mlp_layers=(8, 6, 4)))),
    "ncf": lambda: fitted(NCF(NCF.Config(mf_dim=4, mlp_layers=(8, 6, 4)))),
    "recvae": lambda: fitted(RecVAE(hidden_dim=12, latent_dim=10, num_layers=2)),
    "mult-vae": lambda: fitted(
        RecVAE(hidden_dim=7, latent_dim=5, num_layers=1, activation="tanh", decoder_dim=6, prior="normal")
    ),
    "sasrec": lambda: fitted(SASRec(embedding_dim=8, max_length=10)),
    "sasrec gated": lambda: fitted(
        SASRec(embedding_dim=6, num_heads=3, num_blocks=1, block="gated", relative_time="never")
    ),
    "hybrid": lambda: ensemble("ease", "als", "gmf", "lightgcn", "recvae"),
    "hybrid of sums": lambda: ensemble("user_cf", "lightgcn cosine", "ease", normalization="min_max"),
    "hybrid of ranks": lambda: ensemble("svd", "mlp", "gf_cf", "item_cf implicit", fusion_method="rrf"),
    "hybrid of order": lambda: ensemble("ease", "markov", "als"),
    "hybrid of times": lambda: ensemble("markov", "ease", "sasrec"),
    "hybrid stacked": lambda: ensemble("ncf", "als", fusion_method="stacking"),
}


@cache
def model_of(name: str) -> Recommender:
    return MAKERS[name]()


def some_histories(model: Recommender) -> sparse.csr_matrix:
    """Of ten people who each have some of a trained user's items: CSR [10, n_items]."""
    rng = np.random.default_rng(1)
    whole = model.history[:10].toarray()
    return sparse.csr_matrix(whole * (rng.random(whole.shape) < 0.6))
