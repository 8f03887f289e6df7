"""Hybrid ensemble: the scores of several trained models, made comparable for each user and added with weights.

    score(u, i) = sum_f w[tier(u), f] * x_f(u, i)

tier(u): how many train interactions the user has (cold, limited, moderate, rich). x_f: a member's scores, normalised
for the user as in `fusion.py`; stacking has two features a member. The weights are learned on validation by
`fusion_weights.py`, or equal; the members are named, or chosen by `member_selection.py`. Reciprocal rank fusion is
Cormack et al. 2009; adding normalised scores is CombSUM (Fox and Shaw 1994).
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.catalogue import ACTIVITY_FROM, activity_tier
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import OF_ORDER, HistoryValues
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.metrics import hits_at
from movierec_engine.models.base import Floats, Indices, Recommender
from movierec_engine.models.cost import DataSize, ModelCost
from movierec_engine.models.ensemble.fused_scorer import FusedScorer, InnerProducts
from movierec_engine.models.ensemble.fusion import AFFINE, NORMALIZATIONS, STACKED, fuse, normalised, shift_and_scale
from movierec_engine.models.ensemble.fusion_weights import (
    Candidates,
    candidates_of,
    cross_fitted,
    folds_of,
    learn_weights,
)
from movierec_engine.models.ensemble.member_selection import compatible, cross_fitted_values, select_members
from movierec_engine.models.fitting import Fitting, settings_of
from movierec_engine.models.fold_in.base import Basis, ones
from movierec_engine.models.fold_in.fused import FusedFoldIn
from movierec_engine.models.fold_in.linear import LinearFoldIn
from movierec_engine.models.likeness import Similarity
from movierec_engine.models.members import require_named, require_trained_on
from movierec_engine.models.pair_scorer import HistoryScorer, Scorer
from movierec_engine.models.registry import model_class
from movierec_engine.training.config import TrainerConfig

log = logging.getLogger(__name__)

_BLOCK = 1024
_IN_WORDS = {"ratings": "the values of ratings", "places": "the order in time", "times": "the order in time"}
_RICHER: tuple[HistoryValues, ...] = ("ones", "ratings", "places", "times")
"""Values of the histories that members learned from, the richest last: times tell the order too."""
STARTERS = ("ease", "als", "gmf", "lightgcn", "popularity")
"""Members that differ in kind, and popularity, to which validation gives what the others do no better. Where members
are chosen these are candidates that are trained if they are not yet."""
FUSION_METHODS = ("weighted_average", "rrf", "stacking")
MISSING = ("train", "error")


@dataclass(frozen=True)
class HybridEnsembleConfig:
    """Settings of the ensemble: its members, and how their scores are fused."""

    models: tuple[str, ...] = STARTERS
    """Members: a name takes the newest version of the split and device, `ease/cpu/VERSION` just that one. `[]`: the
    fewest that serve, chosen on validation among the default ones and everything else that is trained on the split."""
    fusion_method: str = "weighted_average"
    """`weighted_average` of normalised scores, `rrf` (of reciprocal ranks), or `stacking` of both."""
    normalization: str = "z_score"
    """`z_score`, `min_max` or `rank`, over the catalogue for each user; rrf and stacking have their own."""
    learn_weights: bool = True
    """Learn the weights on validation; else all members weigh the same, and popularity nothing. Stacking always
    learns."""
    metric: str = "ndcg@10"
    """By this no member alone may be better than the learned weights on validation; else it gets all the weight."""
    missing: str = "train"
    """Handling of a member that the store lacks: `train` it with its default settings, or `error`."""

    def __post_init__(self) -> None:
        if len(self.models) == 1 or len(set(self.models)) < len(self.models):
            raise ConfigError(f"model.models={list(self.models)} must name two or more different models")
        for name, choices in (
            ("fusion_method", FUSION_METHODS),
            ("normalization", NORMALIZATIONS),
            ("missing", MISSING),
        ):
            if getattr(self, name) not in choices:
                raise ConfigError(f"model.{name}={getattr(self, name)} is not known; choose {', '.join(choices)}")
        if self.fusion_method == "stacking" and not self.learn_weights:
            raise ConfigError("model.fusion_method=stacking learns its weights; leave model.learn_weights=true")


class MeanSimilarity:
    """The mean over the members of their similarities."""

    def __init__(self, members: Sequence[Similarity]) -> None:
        self.members = members

    def __call__(self, items: Indices) -> Floats:
        total = self.members[0](items)
        for member in self.members[1:]:
            total += member(items)
        return total / np.float32(len(self.members))

    def unit(self) -> Floats | None:
        parts = [unit for member in self.members if (unit := member.unit()) is not None]
        if len(parts) < len(self.members):
            return None
        return np.concatenate(parts, axis=1) / np.float32(np.sqrt(len(parts)))


class HybridEnsemble(Recommender):
    """members: the trained models. weights: float32 [tiers, n_features], of each kind of user by activity."""

    name = "hybrid_ensemble"
    Config = HybridEnsembleConfig
    several_workers = True  # those of its members that can
    on_torch = True  # most of its members

    members: Sequence[Recommender]
    weights: Floats
    fold_weights: Floats | None = None
    """float32 [folds, tiers, n_features], for each fold's users, learned on the others."""
    _start: tuple[Recommender, ...] = ()

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost | None:
        """Cost of the members with their default settings: fits one after another, scoring together."""
        members = []
        for entry in self._named:
            name = entry.partition("/")[0]
            cost = None if name == self.name else model_class(name)().cost(size, trainer)
            if cost is None:
                return None
            dense = 4.0 * size.n_items**2
            may_be_sparse = model_class(name).sparse_item_vectors is not Recommender.sparse_item_vectors
            if may_be_sparse and cost.index_bytes < dense:  # sparse in an index of its own, but not beside others
                cost = replace(cost, index_bytes=cost.index_bytes + dense)
            members.append(cost)
        return ModelCost(
            fit_bytes=max(cost.fit_bytes for cost in members) + sum(cost.model_bytes for cost in members),
            seconds=sum(cost.seconds for cost in members),
            model_bytes=sum(cost.model_bytes for cost in members),
            index_bytes=3 * sum(cost.index_bytes for cost in members),  # the joined vectors beside the members' own
            score_operations=sum(cost.score_operations for cost in members) + 10.0 * len(members) * size.n_items,
            instead="name other models in model.models, without "
            + max(zip(members, self._named, strict=True), key=lambda one: max(one[0].fit_bytes, one[0].index_bytes))[1],
        )

    def start_from(self, members: Mapping[str, Recommender]) -> Self:
        """The fitted members that the next `fit` fuses, by name: those of `config.models`, in its order.

        In the place of the default members there may be others, which `config.models` names from then on.

        Raises ConfigError for other members than `config.models` names, and for one by another name than its own.
        """
        require_named(members)
        names = tuple(entry.partition("/")[0] for entry in self.config.models) or tuple(members)
        if members and set(names) != set(members):
            if self.config.models != STARTERS:
                raise ConfigError(
                    f"model.models={list(self.config.models)} are to be fused, and {', '.join(members)} were given; "
                    "give a fitted model of each, or name others in models"
                )
            self.config, names = replace(self.config, models=tuple(members)), tuple(members)
        self._start = tuple(members[name] for name in names if members)
        return self

    def fit(self, data: Dataset, fitting: Fitting | None = None) -> Self:
        """Fuse the members, fitted first unless `start_from` named them; the weights are learned on `data.validation`.

        Raises ConfigError where there are weights to learn and no validation part, for a metric of no lists, and for
        members that were trained on other interactions.
        """
        members = self._members(self._named, data, settings_of(data, fitting))
        if self.config.learn_weights:
            self._learn(members, data.validation)
        else:
            self.combine(members)
        return self

    def _learn(self, members: Sequence[Recommender], validation: HeldOut) -> None:
        """Choose among the members where none are named, and learn the weights of those that are left."""
        metric, depth = hits_at(self.config.metric, "model.metric")
        learn = partial(learn_weights, metric=metric, k=depth)
        if self.config.models:
            self.combine(members)
            candidates = candidates_of(self, validation)
        else:
            candidates = self._choose(members, validation, metric, depth)
        self.combine(self.members, learn(candidates))
        self.fold_weights = cross_fitted(candidates, learn).astype(np.float32)
        for tier, row in zip(ACTIVITY_FROM, self.weights, strict=True):
            shares = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(self.feature_names, row, strict=True))
            log.info("hybrid weights, %s users: %s", tier, shares)

    def _choose(self, members: Sequence[Recommender], validation: HeldOut, metric: str, k: int) -> Candidates:
        """Choose the members to combine; returns the data that their weights are learned from.

        Where some go by ratings and others by order, which no history holds both of, the choice among the former and
        all others, or the latter and all others, is taken that is better on validation.
        """
        chosen, of_chosen, best = list(members), None, 0.0
        for together in compatible(members):
            self.combine(together)
            candidates, n = candidates_of(self, validation), len(together)
            places = select_members(candidates, [member.name for member in together], metric, k)
            value = float(cross_fitted_values(candidates, places, n, metric, k).sum())  # of the same users each time
            if of_chosen is None or value > best:
                columns = [place + start for start in range(0, self.n_features, n) for place in places]
                chosen, of_chosen, best = [together[place] for place in places], candidates.of_features(columns), value
        assert of_chosen is not None
        self.left_out = tuple(member.name for member in members if member not in chosen)
        self.combine(chosen)
        return of_chosen

    def fit_like(self, measured: Path, data: Dataset, fitting: Fitting | None = None) -> Self:
        """Fuse the members with the weights of a saved ensemble of the same kinds of members."""
        saved = type(self).load(measured)
        names = [member.name for member in saved.members]
        self.combine(self._members(names, data, settings_of(data, fitting)), saved.weights)
        return self

    def as_validated(self) -> "Recommender":
        """The same with cross-fitted weights, if weights were learned."""
        return self if self.fold_weights is None else CrossFitted(self, self.fold_weights)

    @property
    def _named(self) -> tuple[str, ...]:
        return self.config.models or STARTERS

    def _members(self, entries: Sequence[str], data: Dataset, fitting: Fitting) -> Sequence[Recommender]:
        """The members that `start_from` named, for this fit alone, or else those of the entries, fitted."""
        if self._start:
            require_trained_on(data.train, self._start)
            members, self._start = self._start, ()
            return members
        quiet = replace(fitting, on_epoch=None, checkpoints=None)
        kinds = [model_class(entry.partition("/")[0]) for entry in entries]
        trainers = [quiet.trainer.for_model(kind.several_workers) for kind in kinds]
        return [
            kind().fit(data, replace(quiet, trainer=trainer)) for kind, trainer in zip(kinds, trainers, strict=True)
        ]

    def combine(self, members: Sequence[Recommender], weights: NDArray[np.floating[Any]] | None = None) -> None:
        """Fuse trained members, all over the same users and items; equal weights [tiers, n_features] unless given.

        Equal are those of personal members: what is the same for everybody has no weight that validation did not give.

        Raises ConfigError for members of different vocabularies, and for one of ratings beside one of order.
        """
        first = members[0]
        for other in members[1:]:
            if other.users != first.users or other.items != first.items:
                raise ConfigError(
                    f"{first.name} and {other.name} were trained on other users or items; train both anew"
                )
        richest = max(members, key=lambda member: _RICHER.index(member.history_values))
        kept = ("ones", *(OF_ORDER if richest.history_values in OF_ORDER else (richest.history_values,)))
        for other in members:
            if other.history_values not in kept:
                raise ConfigError(
                    f"{other.name} learned from {_IN_WORDS[other.history_values]} and {richest.name} from "
                    f"{_IN_WORDS[richest.history_values]}, and an ensemble keeps one of them; leave one of the two out"
                )
        self._keep_history(richest.users, richest.items, richest.history, richest.history_values)
        self.members = tuple(members)
        counted = np.resize([float(one.personal) for one in members], self.n_features)
        if not counted.any():
            counted[:] = 1
        equal = np.tile(counted / counted.sum(), (len(ACTIVITY_FROM), 1))
        self.weights = np.asarray(equal if weights is None else weights, dtype=np.float32)
        self.exact_vectors = self._affine and all(member.exact_vectors for member in members)  # type: ignore[misc]

    @property
    def normalization(self) -> str:
        """The name that `fusion.py` knows."""
        return {"rrf": "rrf", "stacking": STACKED}.get(self.config.fusion_method, str(self.config.normalization))

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns of `weights`."""
        names = [member.name for member in self.members]
        return [*names, *(f"{name} rank" for name in names)] if self.normalization == STACKED else names

    @property
    def n_features(self) -> int:
        return len(self.feature_names)

    def member_scores(self, users: Indices) -> Floats:
        """float32 [m, n, n_items], as the members give them."""
        return np.stack([member.score_known(users) for member in self.members])

    def normalised_scores(self, users: Indices) -> Floats:
        """float32 [n_features, n, n_items]: the members' scores, made comparable, which the weights multiply."""
        return normalised(self.member_scores(users), self.normalization)

    def normalised_fold_in(self, histories: sparse.csr_matrix) -> Floats:
        """The same of people who were not in training, by their histories, CSR [n, n_items]."""
        return normalised(self.fold_in_scorer().member_scores(histories), self.normalization)

    def score_known(self, users: Indices) -> Floats:
        return fuse(self.member_scores(users), self.weights_of(self.history[users]), self.normalization)

    def fold_in_scorer(self) -> FusedFoldIn:
        each = tuple(member.fold_in_scorer() for member in self.members)
        basis = Basis(np.zeros((len(self.items), 0), dtype=np.float32), self.history)  # the members have their own
        return FusedFoldIn(basis, each, self.widths(), self.weights, self.normalization, self.history_values)

    def explanation_inputs(self, users: Indices) -> Floats:
        """Per-user scale times weight of each member's scores, [n, m], then the members' own inputs."""
        if not self._affine:
            return super().explanation_inputs(users)
        factor, _ = self._factors(users)
        return np.concatenate([factor.T, *(member.explanation_inputs(users) for member in self.members)], axis=1)

    def query_vectors(self, users: Indices) -> Floats:
        """The members' query vectors one after the other, each scaled and weighted, and the constant of each user.

        Where ranks are added, that is an approximation: by z-scores.
        """
        factor, shift = self._factors(users)
        constant = -(factor * shift).sum(axis=0)
        parts = [member.query_vectors(users) * factor[m][:, None] for m, member in enumerate(self.members)]
        return np.concatenate([*parts, constant[:, None]], axis=1).astype(np.float32)

    def item_vectors(self) -> Floats:
        ones = np.ones((len(self.items), 1), dtype=np.float32)
        return np.concatenate([*(member.item_vectors() for member in self.members), ones], axis=1)

    def pair_scorer(self) -> Scorer | None:
        if self.exact_vectors:
            return None
        members = [member.pair_scorer() or self._scorer_of(member) for member in self.members]
        weights, widths = self.weights_of(self.history), self.widths()
        return FusedScorer(weights, self.normalization, tuple(members), widths, len(self.items))

    def _scorer_of(self, member: Recommender) -> Scorer:
        """The scorer of a member whose scores are inner products; of long vectors, of the history's own ones alone."""
        fold_in, users = member.fold_in_scorer(), np.arange(len(self.users))
        if isinstance(fold_in, LinearFoldIn):
            return HistoryScorer(fold_in)
        blocks = (users[start : start + _BLOCK] for start in range(0, len(users), _BLOCK))
        queries = sparse.vstack([sparse.csr_matrix(member.query_vectors(block)) for block in blocks], format="csr")
        return InnerProducts(queries, member.item_vectors())

    def similarity(self) -> "MeanSimilarity":
        return MeanSimilarity([member.similarity() for member in self.members])

    def tensors(self) -> dict[str, NDArray[Any]]:
        described = [{**member.description(), "history_values": member.history_values} for member in self.members]
        tensors: dict[str, NDArray[Any]] = {
            "weights": self.weights,
            "members": np.frombuffer(json.dumps(described).encode(), dtype=np.uint8),
        }
        if self.fold_weights is not None:
            tensors["fold_weights"] = self.fold_weights
        for number, member in enumerate(self.members):
            tensors |= {f"{number}.{name}": array for name, array in member.tensors().items()}
        return tensors

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        from movierec_engine.models.registry import model_class

        members = []
        for number, described in enumerate(json.loads(tensors["members"].tobytes())):
            config = {name: tuple(v) if isinstance(v, list) else v for name, v in described["config"].items()}
            kind = model_class(described["name"])
            member = kind(kind.Config(**config))
            values = described["history_values"]
            history = ones(self.history) if values == "ones" else self.history
            member._keep_history(self.users, self.items, history, values)
            prefix = f"{number}."
            member.restore({name.removeprefix(prefix): a for name, a in tensors.items() if name.startswith(prefix)})
            members.append(member)
        self.combine(members, tensors["weights"])
        self.fold_weights = tensors.get("fold_weights")

    @property
    def _affine(self) -> bool:
        return self.normalization in AFFINE

    def weights_of(self, histories: sparse.csr_matrix) -> Floats:
        """float32 [n, n_features], by the length of each history."""
        return self.weights[activity_tier(np.diff(histories.indptr))]

    def widths(self) -> tuple[int, ...]:
        """The lengths of the members' item vectors; asked of their scorers where possible, which make no copy."""
        return tuple(
            (member.fold_in_scorer().basis.vectors if member.exact_vectors else member.item_vectors()).shape[1]
            for member in self.members
        )

    def _factors(self, users: Indices) -> tuple[Floats, Floats]:
        """Shift and factor of the members' scores, subtracted and then multiplied: float32 [m, n] each."""
        affine = self.normalization if self._affine else "z_score"
        shift, scale = shift_and_scale(self.member_scores(users), affine)
        weights = self.weights_of(self.history[users])
        return weights.reshape(len(users), -1, len(self.members)).sum(axis=1).T * scale, shift


class CrossFitted(HybridEnsemble):
    """An ensemble as validation may measure it: each user is scored by weights that were learned on other users."""

    def __init__(self, learned: HybridEnsemble, fold_weights: Floats) -> None:
        super().__init__(learned.config)
        self._of_folds = fold_weights
        self.combine(learned.members, learned.weights)

    def fold_in(self, histories: sparse.csr_matrix) -> Floats:
        scores = fuse(self.fold_in_scorer().member_scores(histories), self.weights_of(histories), self.normalization)
        scores[np.diff(histories.indptr) == 0] = self.popularity
        return scores

    def weights_of(self, histories: sparse.csr_matrix) -> Floats:
        return self._of_folds[folds_of(histories), activity_tier(np.diff(histories.indptr))]
