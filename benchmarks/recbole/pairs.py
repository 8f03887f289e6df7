"""The same model, loss and step in the settings of both sides."""

from dataclasses import dataclass
from typing import Any

BATCH = 4096


@dataclass(frozen=True)
class Pair:
    """One model on both sides.

    recbole: RecBole's name of the model; theirs: its settings.
    ours: overrides of this project's settings for the same model, loss and step.
    faster: the least ratio of samples a second that is asked for; 0 where none is.
    evaluation: the largest share of RecBole's evaluation time that is asked for; 0 where none is.
    """

    recbole: str
    theirs: dict[str, Any]
    ours: tuple[str, ...]
    faster: float = 0.0
    evaluation: float = 0.0


# A RecBole batch of a pointwise model counts rows, a positive and its negative being two; ours counts positives.
PAIRS = {
    "lightgcn": Pair(
        "LightGCN",
        {"embedding_size": 64, "n_layers": 3, "reg_weight": 1e-4, "require_pow": True},
        (
            "model.embedding_dim=64",
            "model.num_layers=3",
            "model.dropout=0",
            "model.loss_type=bpr",
            "model.l2=1e-4",
            "model.init_std=0.02",  # about what Xavier's rule gives RecBole at the size of ML-1M
            f"trainer.batch_size={BATCH}",
        ),
        faster=2.5,
    ),
    "ngcf": Pair(
        "NGCF",
        {
            "embedding_size": 64,
            "hidden_size_list": [64, 64, 64],
            "node_dropout": 0.0,
            "message_dropout": 0.1,
            "reg_weight": 1e-5,
        },
        (
            "model.embedding_dim=64",
            "model.hidden_dims=[64,64,64]",
            "model.dropout=0",
            "model.message_dropout=0.1",
            "model.loss_type=bpr",
            "model.l2=1e-5",
            "model.init_std=0.02",
            f"trainer.batch_size={BATCH}",
        ),
        faster=2.5,
    ),
    "ncf": Pair(
        "NeuMF",
        {"mf_embedding_size": 64, "mlp_embedding_size": 64, "mlp_hidden_size": [128, 64], "dropout_prob": 0.1},
        (
            "model.mf_dim=64",
            "model.mlp_layers=[128,128,64]",  # the first is the width of the input: twice the embedding
            "model.dropout=0.1",
            "model.loss_type=bce",
            "model.l2=0",
            "model.l2_mlp=0",  # RecBole's has no penalty
            "model.init_std=0.01",
            f"trainer.batch_size={BATCH // 2}",
        ),
        faster=4.0,
        evaluation=0.1,
    ),
    "mlp": Pair(
        "NeuMF",
        {"mlp_embedding_size": 64, "mlp_hidden_size": [128, 64], "dropout_prob": 0.1, "mf_train": False},
        (
            "model.mlp_layers=[128,128,64]",
            "model.dropout=0.1",
            "model.loss_type=bce",
            "model.l2=0",
            "model.init_std=0.01",
            f"trainer.batch_size={BATCH // 2}",
        ),
        evaluation=0.1,
    ),
}
SAME_STEP = ("trainer.learning_rate=0.001", "trainer.weight_decay=0", "trainer.grad_clip=0", "model.num_negatives=1")
THEIR_STEP = {"learning_rate": 0.001, "weight_decay": 0.0, "train_batch_size": BATCH}
