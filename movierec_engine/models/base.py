"""The contract that every recommender keeps, with no exceptions.

Users and items are indices into the model's own `users` and `items` vocabularies. A user without train interactions,
and a newcomer with an empty history, is scored by popularity: the same named fallback that serving answers with.
"""

import json
from abc import ABC, abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import sparse

from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import StoreError

Floats = NDArray[np.float32]
Indices = NDArray[np.integer[Any]]

WEIGHTS_FILE = "model.safetensors"
MODEL_FILE = "model.json"


class Recommender(ABC):
    """Scores every item for any user.

    config: the model's own dataclass of hyper-parameters.
    users, items: the vocabularies of the interactions it was trained on.
    history: float32 CSR [n_users, n_items], its train interactions.
    popularity: float32 [n_items], train interactions of each item.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Any]]

    users: IdMap
    items: IdMap
    history: sparse.csr_matrix
    popularity: Floats

    def __init__(self, config: Any | None = None) -> None:
        self.config = config if config is not None else self.Config()

    def remember(self, train: Interactions) -> None:
        """Keep what scoring needs of the train interactions; every fit begins with it."""
        self._set_history(train.users, train.items, train.matrix())

    def score(self, users: Indices) -> Floats:
        """Scores of all items for known users.

        users: [n] indices. Returns float32 [n, n_items]; higher is better, -inf is never recommended.
        """
        scores = self.score_known(users)
        cold = self.history.indptr[users] == self.history.indptr[np.asarray(users) + 1]
        scores[cold] = self.popularity
        return scores

    def fold_in(self, histories: sparse.csr_matrix) -> Floats:
        """Scores of all items for people who were not in training, from their interactions alone.

        histories: CSR [n, n_items], 1 where the person has interacted. Returns float32 [n, n_items].
        """
        scores = self.fold_in_known(histories)
        scores[np.diff(histories.indptr) == 0] = self.popularity
        return scores

    @abstractmethod
    def score_known(self, users: Indices) -> Floats:
        """`score` for users who have train interactions."""

    @abstractmethod
    def fold_in_known(self, histories: sparse.csr_matrix) -> Floats:
        """`fold_in` for histories that are not empty."""

    @abstractmethod
    def query_vectors(self, users: Indices) -> Floats:
        """float32 [n, d] whose inner product with `item_vectors` is `score_known`, up to rounding."""

    @abstractmethod
    def item_vectors(self) -> Floats:
        """float32 [n_items, d], see `query_vectors`."""

    def similarities(self, items: Indices) -> Floats:
        """How similar every item is to the given ones: float32 [n, n_items]; the cosine of the item vectors here."""
        vectors = self.item_vectors()
        norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
        unit = vectors / norms
        return np.asarray(unit[items] @ unit.T, dtype=np.float32)

    def similar_items(self, items: Indices, k: int) -> tuple[NDArray[np.int32], Floats]:
        """The k most similar other items, best first: indices int32 [n, k] and similarities float32 [n, k].

        Equal similarities go by item index; k is cut to the number of other items.
        """
        items = np.asarray(items)
        k = min(k, len(self.items) - 1)
        scores = self.similarities(items)
        scores[np.arange(len(items)), items] = -np.inf
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return best.astype(np.int32), np.take_along_axis(scores, best, axis=1)

    @abstractmethod
    def tensors(self) -> dict[str, NDArray[Any]]:
        """The arrays that `restore` brings the fitted model back from."""

    @abstractmethod
    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        """Take back what `tensors` gave."""

    def save(self, folder: Path | str) -> None:
        """Write the whole model, vocabularies and history included, as safetensors and JSON into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            "ids.users": self.users.ids,
            "ids.items": self.items.ids,
            "history.indptr": self.history.indptr,
            "history.indices": self.history.indices,
            **{f"model.{name}": array for name, array in self.tensors().items()},
        }
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / WEIGHTS_FILE)
        description = {"name": self.name, "config": asdict(self.config)}
        (folder / MODEL_FILE).write_text(json.dumps(description, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """The model that `save` wrote. Raises StoreError when the folder holds no readable model of this kind."""
        folder = Path(folder)
        description = read_description(folder)
        if description["name"] != cls.name:
            raise StoreError(f"{folder}: holds a {description['name']} model, not {cls.name}; load it by its own class")
        try:
            arrays = load_file(folder / WEIGHTS_FILE)
            model = cls(cls.Config(**description["config"]))
            users, items = IdMap(arrays["ids.users"]), IdMap(arrays["ids.items"])
            indices, indptr = arrays["history.indices"], arrays["history.indptr"]
            ones = np.ones(len(indices), dtype=np.float32)
            model._set_history(users, items, sparse.csr_matrix((ones, indices, indptr), (len(users), len(items))))
            model.restore({name[6:]: array for name, array in arrays.items() if name.startswith("model.")})
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise StoreError(f"{folder}: not a readable {cls.name} model ({error}); train it again") from error
        return model

    def _set_history(self, users: IdMap, items: IdMap, history: sparse.csr_matrix) -> None:
        self.users, self.items, self.history = users, items, history
        self.popularity = np.bincount(history.indices, minlength=len(items)).astype(np.float32)


class ClosedFormRecommender(Recommender):
    """A model whose parameters follow from the train interactions directly, with no training loop."""

    @abstractmethod
    def fit(self, train: Interactions) -> None:
        """Learn from train interactions."""


def read_description(folder: Path) -> dict[str, Any]:
    """The name and config that a saved model's folder states. Raises StoreError when it has none."""
    path = folder / MODEL_FILE
    try:
        description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {"name": description["name"], "config": description["config"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: not a saved model ({error}); train it again") from error
