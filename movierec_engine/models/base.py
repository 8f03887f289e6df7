"""The interface that every recommender keeps, with no exceptions.

From outside, people and items are public ids, as the data has them:

    model = EASE().fit(Dataset.from_frame(frame))
    model.recommend([17, 42], k=10)

Evaluation, retrieval and serving use the methods by index into the model's `users` and `items`, which stand after
those. A user without train interactions, and a person with an empty history, is scored by popularity: the same named
fallback that serving answers with.
"""

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import sparse

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import OF_ORDER, HistoryValues, Interactions
from movierec_engine.errors import ConfigError, DataError, NotFittedError, StoreError
from movierec_engine.models.cost import DataSize, ModelCost, require_fit_memory
from movierec_engine.models.explanation import Explanation
from movierec_engine.models.fitting import Epoch, Fitting, settings_of
from movierec_engine.models.fold_in.base import Basis, FoldInScorer, ones
from movierec_engine.models.likeness import EXACT_ITEMS, CentredCosines, Similarity, most_alike, nearly_most_alike
from movierec_engine.models.lists import Histories, best_items, check_length, histories_by_index, known_index
from movierec_engine.models.pair_scorer import Scorer
from movierec_engine.training.config import TrainerConfig

Floats = NDArray[np.float32]
Indices = NDArray[np.integer[Any]]

WEIGHTS_FILE = "model.safetensors"
MODEL_FILE = "model.json"
CHECKPOINT_SUFFIX = ".pt"
_NOT_ONES: tuple[HistoryValues, ...] = ("ratings", *OF_ORDER)


class Recommender(ABC):
    """Scores every item for any user.

    config: the model's own dataclass of hyper-parameters.
    users, items: the vocabularies of the interactions it was trained on.
    history: CSR [n_users, n_items], its train interactions, with `history_values` for entries: float32, times float64.
    popularity: float32 [n_items], train interactions of each item.
    history_values: what it learned from beside which interactions there are: nothing (`ones`), the ratings' values
        (`ratings`), the order in time (`places`), or that and how long ago (`times`).
    epochs: what each pass over the data did, of models that are trained in passes.
    left_out: names of the models of `start_from` that it did not take.
    exact_vectors: whether scores are the inner products of `query_vectors` and `item_vectors`. Where not, those only
        find candidates, which `pair_scorer` then scores exactly.
    personal: whether different people get different scores.
    learning_rate: of models that are trained by gradient, where trainer.learning_rate is not given.
    larger_steps: True if that learning rate grows with the root of batches that follow the data's size.
    several_workers: True if `fit` can be shared out to several processes, by trainer.workers.
    on_torch: True if `fit` loads PyTorch, which takes memory of its own.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Any]]
    exact_vectors: ClassVar[bool] = True
    personal: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 0.01
    larger_steps: ClassVar[bool] = False
    several_workers: ClassVar[bool] = False
    on_torch: ClassVar[bool] = False

    users: IdMap
    items: IdMap
    history: sparse.csr_matrix
    popularity: Floats
    history_values: HistoryValues
    epochs: tuple[Epoch, ...] = ()
    left_out: tuple[str, ...] = ()

    def __init__(self, config: Any | None = None, **settings: Any) -> None:
        """config: the hyper-parameters, or some of them by name: `EASE(l2=500)`; the others have their defaults.

        Raises ConfigError for a config of another class, and for settings that there are not.
        """
        if config is None:
            known = [field.name for field in fields(self.Config)]
            if unknown := [name for name in settings if name not in known]:
                raise ConfigError(f"{self.name} has no setting {unknown[0]}; choose from {', '.join(known) or 'none'}")
            config = self.Config(**settings)
        elif settings or not isinstance(config, self.Config):
            raise ConfigError(
                f"{self.name} takes a {self.Config.__name__} or settings by name, and was given {config!r}"
                + (f" and {', '.join(settings)}" if settings else "")
            )
        self.config = config

    if not TYPE_CHECKING:  # a checker knows which attributes there are, and would take this for any other

        def __getattr__(self, name: str) -> Any:
            """Raises NotFittedError for an attribute that `fit` sets."""
            if any(name in inspect.get_annotations(kind) for kind in type(self).__mro__):
                raise NotFittedError(f"{type(self).name} is not fitted yet; call fit(data) first")
            return super().__getattribute__(name)  # for its own error, also that of a property

    @property
    def uses_ratings(self) -> bool:
        """Whether it learned from the values of ratings."""
        return self.history_values == "ratings"

    @abstractmethod
    def fit(self, data: Dataset, fitting: Fitting | None = None) -> Self:
        """Learn from a data set; returns the model itself.

            LightGCN().fit(data, Fitting(TrainerConfig(max_epochs=20), device="cuda"))

        fitting: device, seed and the training loop's settings; the defaults unless given.

        Raises TooLargeError, before it starts, where it needs more memory than there is.
        """

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost | None:
        """Cost of this model on data of a size, by which work that cannot succeed is refused before it starts.

        None where it is not known, and nothing is refused then.
        """
        return None

    def require_workers(self, workers: int) -> None:
        """Raises ConfigError for a model that is not fitted by several workers, where there are to be several."""
        if workers > 1 and not self.several_workers:
            raise ConfigError(f"{self.name} is fitted by one worker; leave trainer.workers={workers} out")

    def start_from(self, members: "Mapping[str, Recommender]") -> Self:
        """Name the fitted models, by name, that the next `fit` starts from or fuses; returns the model itself.

        Raises ConfigError for a model that takes no others, or not these.
        """
        if members:
            raise ConfigError(f"{self.name} starts from no other models, and was given {', '.join(members)}")
        return self

    def as_validated(self) -> "Recommender":
        """The model to measure on validation: itself, or a fair stand-in if it learned from validation."""
        return self

    def fit_like(self, measured: Path, data: Dataset, fitting: Fitting | None = None) -> Self:
        """`fit`, taking over what a saved model of the same settings learned on validation that `data` lacks."""
        return self.fit(data, fitting)

    def recommend(
        self, users: ArrayLike, k: int = 10, exclude_seen: bool = True, candidates: ArrayLike | None = None
    ) -> pa.Table:
        """The k best items of each user: an Arrow table, which `.to_pandas()` and `polars.from_arrow` take over.

            model.recommend([17, 42], k=10).to_pandas()

        users: one id or several. exclude_seen: leave out what the user has interacted with in train. candidates: the
        ids of the items that may be listed; all of them unless given.

        Columns user_id, movie_id, rank (int32, from 1) and score (float32), users in the order asked, best items first.
        Raises DataError for an id that the model was not fitted to; `recommend_for` takes the histories of such people.
        """
        index = known_index(users, self.users, "user", "recommend_for takes the histories of others")
        seen = self.history[index] if exclude_seen else None
        return best_items(
            self.users.ids[index],
            lambda block: self.score_users(index[block]),
            seen,
            self._item_index(candidates),
            self.items,
            k,
        )

    def recommend_for(
        self, histories: Histories, k: int = 10, exclude_seen: bool = True, candidates: ArrayLike | None = None
    ) -> pa.Table:
        """The k best items of people who were not in train, from what they have interacted with (fold-in).

            model.recommend_for({"ann": [7, 3], "bob": [9]}, k=10)

        histories: each person's item ids, or ratings by item, by the person's id or in any order. Ratings count where
        the model learned from them, and an item without one is a like; the order of a list, oldest first, where it
        learned from that. Items that the model was not fitted to are left out. A pandas Series of histories has the
        people's ids in its index; a Series as one history is its items, as a column of a table is.
        exclude_seen, candidates: as for `recommend`, whose columns these are; without ids user_id counts from 0.

        Raises DataError for what is no history, and for ratings that are no finite numbers.
        """
        like = float(self.history.data.max()) if self.uses_ratings else 1.0
        people, matrix = histories_by_index(histories, self.items, like, self.history_values)
        seen = matrix if exclude_seen else None
        return best_items(
            people, lambda block: self.fold_in(matrix[block]), seen, self._item_index(candidates), self.items, k
        )

    def similar_items(self, items: ArrayLike, k: int = 10) -> pa.Table:
        """The k items most like each of the given ones, itself left out, by what the model knows of them.

            model.similar_items([7], k=5)

        items: one id or several. Columns movie_id, similar_id, rank (int32, from 1) and similarity (float32, at most
        1). Raises DataError for an id that the model was not fitted to.
        """
        check_length(k)
        index = self._item_index(items)
        similar, similarity = self.most_similar(index, k)
        n, k = similar.shape
        return pa.table(
            {
                "movie_id": np.repeat(self.items.ids[index], k),
                "similar_id": self.items.ids[similar.ravel()],
                "rank": np.tile(np.arange(1, k + 1, dtype=np.int32), n),
                "similarity": similarity.ravel(),
            }
        )

    def explain(self, user: Any, item: Any) -> Explanation:
        """Explanation of a user's score of an item by the items of the user's history; the item may be one of them.

            why = model.explain(17, 7)
            dict(zip(why.items, why.contributions))

        The explanation's items are ids. Raises DataError for an id that the model was not fitted to.
        """
        row = known_index(user, self.users, "user", "explain_history takes a history")
        column = known_index(item, self.items, "item", "leave it out")
        if len(row) != 1 or len(column) != 1:
            raise DataError(
                f"one score is explained, and {len(row)} users and {len(column)} items were given; give one of each"
            )
        why = self.explain_user(int(row[0]), int(column[0]))
        return replace(why, items=self.items.ids[why.items])

    def score(self, users: ArrayLike, items: ArrayLike | None = None) -> Floats:
        """Scores of items for users: float32 [n_users, n_items], in the order asked; all of `items.ids` unless given.

            model.score([17, 42], [7, 3, 9])

        Higher is better, -inf is never recommended. Raises DataError for an id that the model was not fitted to.
        """
        index = known_index(users, self.users, "user", "recommend_for takes the histories of others")
        scores = self.score_users(index)
        return scores if items is None else scores[:, self._item_index(items)]

    def score_users(self, users: Indices) -> Floats:
        """Scores of all items for known users.

        users: [n] indices. Returns float32 [n, n_items]; higher is better, -inf is never recommended.
        """
        scores = self.score_known(users)
        cold = self.history.indptr[users] == self.history.indptr[np.asarray(users) + 1]
        scores[cold] = self.popularity
        return scores

    def fold_in(self, histories: sparse.csr_matrix) -> Floats:
        """Scores of all items for people who were not in training, from their interactions alone.

        histories: CSR [n, n_items] with an entry where the person has interacted, with the model's `history_values`, as
        in `history`; of places only their order counts. Returns float32 [n, n_items].
        """
        scores = self.fold_in_scorer().scores(histories)
        scores[np.diff(histories.indptr) == 0] = self.popularity
        return scores

    @abstractmethod
    def score_known(self, users: Indices) -> Floats:
        """`score_users` for users who have train interactions."""

    @abstractmethod
    def fold_in_scorer(self) -> FoldInScorer:
        """The model's fold-in scorer: scores and explanations from a history, in numpy, shared with serving."""

    def explanation_inputs(self, users: Indices) -> Floats:
        """Numbers of each trained user that explanations need beside the history: float32 [n, n_explanation_inputs]."""
        return np.zeros((len(users), 0), dtype=np.float32)

    @property
    def exact_contributions(self) -> bool:
        """True if a score is a sum over the history, whose terms an explanation gives."""
        return self.fold_in_scorer().exact

    def explain_user(self, user: int, item: int) -> Explanation:
        """Explanation of a known user's score of an item; the item may be in the user's history.

        Raises IndexError for an index outside the vocabularies.
        """
        _check_index("user", user, len(self.users))
        _check_index("item", item, len(self.items))
        users = np.array([user])
        score, inputs = self.score_users(users)[0, item], self.explanation_inputs(users)[0]
        return self.fold_in_scorer().explanation(score, self.history[users], item, inputs)

    def explain_history(self, history: sparse.csr_matrix, item: int) -> Explanation:
        """Explanation of an item's fold-in score for the history of a new user, CSR [1, n_items].

        Raises IndexError for an index outside the vocabulary.
        """
        _check_index("item", item, len(self.items))
        return self.fold_in_scorer().explanation(self.fold_in(history)[0, item], history, item)

    @abstractmethod
    def query_vectors(self, users: Indices) -> Floats:
        """float32 [n, d] whose inner product with `item_vectors` is `score_known`, up to rounding.

        Where not `exact_vectors`, the inner product is an approximation that orders the candidates well.
        """

    @abstractmethod
    def item_vectors(self) -> Floats:
        """float32 [n_items, d], see `query_vectors`."""

    def sparse_item_vectors(self) -> Any:
        """`item_vectors` as a sparse matrix, CSC, which indices of large catalogues hold; None where they are dense."""
        return None

    def basis(self) -> Basis:
        """The arrays of this model that every index holds, for its `fold_in_scorer`."""
        return Basis(self.item_vectors(), self.history)

    def pair_scorer(self) -> Scorer | None:
        """Scores single pairs exactly and without torch, for serving; None where the vectors already do."""
        return None

    def users_by_item(self) -> sparse.csr_matrix:
        """The users of each item in train: ones, float32 CSR [n_items, n_users]."""
        return ones(self.history).T.tocsr()

    def similarity_vectors(self) -> Any:
        """Vectors by which items are compared: float32 [n_items, d], dense or sparse; the item vectors here."""
        return self.item_vectors()

    def similarity(self) -> Similarity:
        """Similarities of items, from -1 to 1: s of `likeness.py`."""
        return CentredCosines(self.similarity_vectors(), self.popularity)

    def most_similar(self, items: Indices, k: int, genres: Floats | None = None) -> tuple[NDArray[np.int32], Floats]:
        """The k items most like each of the given ones: indices int32 [n, k] and likeness float32 [n, k], best first.

        genres: float32 [n_items, n_genres], 1 where an item is of a genre; with them likeness goes by genres too, else
        it is the similarity. Equal ones go by item index; k is cut to the number of other items.
        """
        return most_alike(self.similarity(), genres, np.asarray(items), min(k, len(self.items) - 1))

    def all_most_similar(self, k: int, genres: Floats | None = None) -> tuple[NDArray[np.int32], Floats, bool]:
        """`most_similar` of every item, and whether it is exact.

        Above EXACT_ITEMS items a search that finds nearly all of them takes its place, where the vectors are short.
        Items that it did not find are -1.
        """
        n, similarity = len(self.items), self.similarity()
        unit = similarity.unit() if n > EXACT_ITEMS else None
        if unit is None:
            return *most_alike(similarity, genres, np.arange(n), min(k, n - 1)), True
        return *nearly_most_alike(unit, genres, min(k, n - 1)), False

    @abstractmethod
    def tensors(self) -> dict[str, NDArray[Any]]:
        """The arrays that `restore` brings the fitted model back from."""

    @abstractmethod
    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        """Take back what `tensors` gave."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything that a saved model holds beside its description: vocabularies, history and `tensors`."""
        arrays = {
            "ids.users": self.users.packed(),
            "ids.items": self.items.packed(),
            "history.indptr": self.history.indptr,
            "history.indices": self.history.indices,
            **{f"model.{name}": array for name, array in self.tensors().items()},
        }
        if self.history_values != "ones":
            arrays[f"history.{self.history_values}"] = self.history.data
        return {name: np.ascontiguousarray(array) for name, array in arrays.items()}

    def description(self) -> dict[str, Any]:
        """The model's name and hyper-parameters, as JSON-able data."""
        return {"name": self.name, "config": asdict(self.config)}

    def save(self, folder: Path | str) -> None:
        """Write the whole model, vocabularies and history included, as safetensors and JSON into a folder.

        Raises StoreError for a path that can be no folder, such as that of a file, and where the weights cannot be
        written, as to a full disk.
        """
        folder, arrays = Path(folder), self.arrays()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder}: cannot be made a folder ({error.strerror}); save it elsewhere") from error
        weights = folder / WEIGHTS_FILE
        try:
            save_file(arrays, weights)
        except SafetensorError as error:
            raise StoreError(
                f"{weights}: cannot be written ({error}); make room there, or give the right to write"
            ) from error
        (folder / MODEL_FILE).write_text(json.dumps(self.description(), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """The model in a folder that `save` wrote, or in a checkpoint file of the training loop.

            EASE.load("saved")

        `load_model` loads whichever model is there. Raises StoreError when there is no readable model of this kind.
        """
        path = Path(path)
        if not hasattr(cls, "name"):
            raise StoreError(
                f"{path}: a {cls.__name__} can be of any class; load it by its own, or by movierec_engine.load_model"
            )
        try:
            if path.suffix == CHECKPOINT_SUFFIX:
                description, arrays = _model_of_checkpoint(path)
            else:
                description, arrays = read_description(path), load_file(path / WEIGHTS_FILE)
            if description["name"] != cls.name:
                raise StoreError(
                    f"{path}: holds a {description['name']} model, not {cls.name}; load it by its own class"
                )
            config = {name: tuple(v) if isinstance(v, list) else v for name, v in description["config"].items()}
            model = cls(cls.Config(**config))
            users, items = IdMap.unpacked(arrays["ids.users"]), IdMap.unpacked(arrays["ids.items"])
            indices, indptr = arrays["history.indices"], arrays["history.indptr"]
            values: HistoryValues = next((kind for kind in _NOT_ONES if f"history.{kind}" in arrays), "ones")
            entries = np.ones(len(indices), dtype=np.float32) if values == "ones" else arrays[f"history.{values}"]
            history = sparse.csr_matrix((entries, indices, indptr), (len(users), len(items)))
            model._keep_history(users, items, history, values)
            model.restore({name[6:]: array for name, array in arrays.items() if name.startswith("model.")})
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise StoreError(f"{path}: not a readable {cls.name} model ({error}); train it again") from error
        return model

    def set_history(self, train: Interactions, values: HistoryValues = "ones") -> None:
        """Keep the parts of the train interactions that scoring needs, with these values; every fit begins with it."""
        self._keep_history(train.users, train.items, train.history(values), values)

    def _keep_history(self, users: IdMap, items: IdMap, history: sparse.csr_matrix, values: HistoryValues) -> None:
        self.users, self.items, self.history, self.history_values = users, items, history, values
        self.popularity = np.bincount(history.indices, minlength=len(items)).astype(np.float32)

    def _item_index(self, items: ArrayLike | None) -> Any:
        if items is None:
            return None
        return known_index(items, self.items, "item", "leave it out")


class ClosedFormRecommender(Recommender):
    """A model whose parameters follow from the train interactions directly, with no training loop.

    trainer: of `learn`, which finds there how many workers it may take.
    """

    trainer = TrainerConfig()

    def fit(self, data: Dataset, fitting: Fitting | None = None) -> Self:
        self.trainer = settings_of(data, fitting).trainer
        self.require_workers(self.trainer.workers)
        size = DataSize.of(data.train)
        require_fit_memory(self.name, self.cost(size, self.trainer), size)
        self.set_history(data.train, self.learns_from(data.train))
        self.learn(data.train)
        return self

    @abstractmethod
    def learn(self, train: Interactions) -> None:
        """Find the parameters; `history`, `users` and `items` are those of `train` already."""

    def learns_from(self, train: Interactions) -> HistoryValues:
        """The kind of entries that `history` holds, by what the model learns from: see `history_values`."""
        return "ones"


def _check_index(what: str, index: int, n: int) -> None:
    if not 0 <= index < n:
        raise IndexError(f"there is no {what} {index}; the model knows {n}, from 0")


def _model_of_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """A model's description and arrays."""
    from movierec_engine.models.checkpoint_file import read_checkpoint  # brings torch

    return read_checkpoint(path).model


def read_description(saved: Path) -> dict[str, Any]:
    """The name and config of a saved model, in a folder or a checkpoint. Raises StoreError when it has none."""
    if saved.suffix == CHECKPOINT_SUFFIX:
        return _model_of_checkpoint(saved)[0]
    path = saved / MODEL_FILE
    try:
        description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {"name": description["name"], "config": description["config"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: not a saved model ({error}); train it again") from error
