"""Are a model's artifacts fit to be served: its history, its report, and whether the API answers what was measured?

Each check takes a store and a version in it.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy import sparse

from movierec_engine.data.id_map import PublicId
from movierec_engine.data.interactions import Interactions, load_id_maps
from movierec_engine.data.ratings import Ratings
from movierec_engine.errors import StoreError
from movierec_engine.evaluation import canaries
from movierec_engine.evaluation.blas_threads import one_blas_thread
from movierec_engine.evaluation.canaries import Finding
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.evaluation.metrics import metric_of
from movierec_engine.evaluation.report import LISTS_FILE, USERS_FILE, EvaluationReport
from movierec_engine.feedback import UserState
from movierec_engine.pipeline.data import load_split, raw_ratings_of
from movierec_engine.pipeline.members import DATA_STEPS, family, strangers
from movierec_engine.pipeline.popularity_floor import FACT, below_popularity
from movierec_engine.pipeline.training import HISTORY_FILE
from movierec_engine.reporting import numbers
from movierec_engine.retrieval.config import RetrievalConfig
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.store import SERVING, Artifact, ArtifactStore, kinds

if TYPE_CHECKING:
    from movierec_engine.serving.loaded_index import LoadedIndex, RankedItems

PARITY_USERS = 1000
"""Users whose lists are asked of the API's code, to be compared with the evaluated ones."""
MASKED_USERS = 10_000
"""People whose lists are searched for what they have rated; drawn at random where there are more."""


def loss_is_finite(store: ArtifactStore, trained_model: Artifact) -> Finding:
    """Every epoch's loss and metrics, and the model's own on validation, are numbers."""
    values = [
        *(value for row in _history(trained_model) for value in row.values()),
        *trained_model.facts["validation_metrics"].values(),
    ]
    wrong = sum(value is None or not math.isfinite(value) for value in values)
    sentence = f"{wrong or 'none'} of {len(values)} losses and metrics is no finite number"
    return Finding("loss_is_finite", not wrong, sentence, {"values": len(values), "not_finite": wrong})


def loss_falls(store: ArtifactStore, trained_model: Artifact) -> Finding:
    """The lowest loss is below the first epoch's; a model without at least two epochs passes."""
    losses = [row["loss"] for row in _history(trained_model)]
    if len(losses) < 2:
        return Finding("loss_falls", True, "not trained by epochs, or by one alone", {"epochs": len(losses)})
    lowest = min(losses)
    return Finding(
        "loss_falls",
        lowest < losses[0],
        f"loss {numbers.score(losses[0])} in the first of {len(losses)} epochs, {numbers.score(lowest)} at its lowest, "
        f"{numbers.score(losses[-1])} last",
        {"epochs": len(losses), "first": losses[0], "lowest": lowest, "last": losses[-1]},
    )


def reaches_popularity(store: ArtifactStore, trained_model: Artifact) -> Finding:
    """On validation the model is no worse than popularity, by the metric that it is chosen by."""
    told = below_popularity(trained_model)
    floor = trained_model.facts.get(FACT, {})
    return Finding(
        "reaches_popularity",
        not told,
        told or ("popularity is no better on validation" if floor else "not measured on validation"),
        {f"popularity {metric}": value for metric, value in floor.items()},
    )


def ancestors_saw_the_same(store: ArtifactStore, trained_model: Artifact) -> Finding:
    """Every model that a model started from or is made of saw the train part that it saw itself, and nothing else."""
    others = strangers(
        store, trained_model, trained_model.parents[kinds.SPLITS], trained_model.config["data"]["train_size"]
    )
    try:
        ancestors = len(family(store, trained_model)) - 1
    except StoreError:
        ancestors = len(trained_model.parents) - len(DATA_STEPS)
    return canaries.ancestors_saw_the_same(trained_model.reference, ancestors, others)


def report_adds_up(store: ArtifactStore, evaluation_report: Artifact) -> Finding:
    """The means in report.json are those of users.parquet, and every metric is within its bounds."""
    report = EvaluationReport.load(evaluation_report.folder)
    users = pq.read_table(evaluation_report.folder / USERS_FILE)
    outside = [name for name, value in report.metrics.items() if not _within_bounds(name, value)]
    other = [
        name
        for name, value in report.metrics.items()
        if name in users.column_names and not math.isclose(pc.mean(users[name]).as_py(), value, abs_tol=1e-6)
    ]
    wrong = [f"{', '.join(names)} {what}" for names, what in ((outside, _OUTSIDE), (other, _OTHER)) if names]
    twice = len(users) - len(pc.unique(users["user_id"]))
    if twice or len(users) != report.counts["users_evaluated"]:
        wrong.append(f"{len(users):,} rows of users for {report.counts['users_evaluated']:,} evaluated")
    found = f"{len(report.metrics)} metrics of {len(users):,} users: {'; '.join(wrong) or 'the means of the users'}"
    return Finding("report_adds_up", not wrong, found, {"outside": len(outside), "other": len(other), "twice": twice})


def nothing_seen_is_recommended(store: ArtifactStore, evaluation_report: Artifact) -> Finding:
    """No list of the report holds a movie that its user is known to have before test, or holds one twice."""
    lists = pq.read_table(evaluation_report.folder / LISTS_FILE)
    splits = store.resolve(evaluation_report.parents[kinds.SPLITS])
    users, items = load_id_maps(splits.folder)
    user, item = users.index(lists["user_id"]), items.index(lists["movie_id"])
    known = load_split(splits).known_before_test()
    seen = int(np.count_nonzero(np.asarray(known[user, item])))
    pairs = user.astype(np.int64) * len(items) + item
    twice = len(pairs) - len(np.unique(pairs))
    return Finding(
        "nothing_seen_is_recommended",
        not (seen or twice),
        f"{len(lists):,} recommended: {seen or 'none'} known before test, {twice or 'none'} twice in a list",
        {"recommended": len(lists), "seen": seen, "twice": twice},
    )


def index_finds_the_best(
    store: ArtifactStore, faiss_index: Artifact, min_recall: float = ReleaseConfig.min_recall
) -> Finding:
    """The index recommends at least `release.min_recall` of the items that exact search does."""
    facts = faiss_index.facts
    return Finding(
        "index_finds_the_best",
        facts["recall"] >= min_recall,
        f"{facts['factory']}: recall@{facts['recall_k']} is {numbers.score(facts['recall'])} of exact search, over "
        f"{facts['users_sampled']:,} users; release.min_recall={min_recall}",
        {"recall": facts["recall"], "users": facts["users_sampled"]},
    )


def serving_parity(store: ArtifactStore, faiss_index: Artifact) -> Finding:
    """For up to 1,000 users, the API's own code answers with the list that was evaluated, id for id.

    It is asked under the mask of evaluation, as serving masks more, and with the history that was folded in, where one
    was. The users are drawn at random
    from the newest report of the model version that the index serves. An index that has no report yet passes. Two
    movies may change places where their scores are equal up to float32's rounding.
    """
    report = report_of(store, store.resolve(faiss_index.parents[kinds.TRAINED_MODEL]))
    if report is None:
        return Finding("serving_parity", True, "the model has no report yet, so there are no lists to compare with", {})
    evaluated = evaluated_lists(report)
    users = np.random.default_rng(0).permutation(list(evaluated))[:PARITY_USERS].tolist()
    answered = answered_lists(store, faiss_index, users, max(map(len, evaluated.values()), default=1))
    ranks = {user: first_difference(evaluated[user], answered[user]) for user in users}
    different = [user for user in users if ranks[user]]
    sentence = f"served lists equal evaluated lists for all {numbers.counted(len(users), 'user')}"
    if different:
        user, rank = different[0], ranks[different[0]]
        sentence = (
            f"served lists differ from evaluated lists for {len(different):,} of "
            f"{numbers.counted(len(users), 'user')}, such as user {user} from rank {rank} on"
        )
    return Finding(
        "serving_parity",
        not different,
        sentence,
        {"users": len(users), "different": len(different)},
    )


def nothing_rated_is_served(store: ArtifactStore, faiss_index: Artifact) -> Finding:
    """No list that the API's own code answers holds a movie that its user has rated, whatever became of the rating.

    Everybody in the raw ratings is asked for, be they in training or not, or 10,000 people at random of more; and for
    all of them the index must know every rating. Whom a refit left out, having been erased, is a stranger to it.
    """
    from movierec_engine.serving.list_making import list_for
    from movierec_engine.serving.list_options import ListOptions
    from movierec_engine.serving.loaded_index import SHORT_LIST
    from movierec_engine.serving.person import of_user

    splits = store.resolve(store.resolve(faiss_index.parents[kinds.TRAINED_MODEL]).parents[kinds.SPLITS])
    ratings, served = Ratings.load(raw_ratings_of(store, splits).verify().folder).table, _served(store, faiss_index)
    known = served.index.rated.users.index(ratings["user_id"]) >= 0
    if _left_out(store, faiss_index) == pc.count_distinct(ratings["user_id"].filter(pa.array(~known))).as_py():
        ratings = ratings.filter(pa.array(known))
    rated = RatedMovies.of(ratings)
    users = np.random.default_rng(0).permutation(rated.users.ids)[:MASKED_USERS].tolist()
    places = {}
    with one_blas_thread():
        for user_id in users:
            items = list_for(served, of_user(served, user_id, UserState()), ListOptions(SHORT_LIST)).items
            places[user_id] = len(np.intersect1d(served.index.items.ids[items], rated.by(user_id)[0]))
    again = sum(places.values())
    unknown = not rated.same_movies(served.index.rated)
    example = f", such as of user {max(places, key=places.__getitem__)}" if again else ""
    lacking = "; the index does not know all that was rated" if unknown else ""
    return Finding(
        "nothing_rated_is_served",
        not (again or unknown),
        f"{again or 'none'} of the movies served to {numbers.counted(len(users), 'user')} were rated by them"
        + example
        + lacking,
        {"users": len(users), "rated": again},
    )


def _left_out(store: ArtifactStore, faiss_index: Artifact) -> int:
    """How many people an index knows nothing of, as they were erased before its model was refitted."""
    refitted = faiss_index.parents.get(kinds.REFITTED_MODEL)
    return int(store.resolve(refitted).facts.get("left_out_users", 0)) if refitted else 0


def is_exact(faiss_index: Artifact) -> bool:
    """True if it is of the default factory; one of another misses some on purpose, so that its lists differ."""
    return bool(faiss_index.facts["factory"] == RetrievalConfig.factory)


def report_of(store: ArtifactStore, trained_model: Artifact) -> Artifact | None:
    """The newest report of just this trained model by its split's own protocol, or None."""
    for report in reversed(store.versions(trained_model.slot.beside(kinds.EVALUATION_REPORT))):
        same = report.parents.get(kinds.TRAINED_MODEL) == trained_model.reference
        if same and report.fingerprint == trained_model.fingerprint:
            return report
    return None


def evaluated_lists(report: Artifact) -> dict[PublicId, list[PublicId]]:
    """User id -> the movie ids of the evaluated list, best first."""
    table = pq.read_table(report.folder / LISTS_FILE).sort_by([("user_id", "ascending"), ("rank", "ascending")])
    lists: dict[PublicId, list[PublicId]] = {}
    for user, movie in zip(table["user_id"].to_pylist(), table["movie_id"].to_pylist(), strict=True):
        lists.setdefault(user, []).append(movie)
    return lists


def answered_lists(
    store: ArtifactStore, faiss_index: Artifact, users: list[PublicId], k: int
) -> dict[PublicId, list[tuple[PublicId, float]]]:
    """User id -> movie ids and scores as the API answers from an index under the mask of evaluation on test.

    Of users who have said nothing since the training: what live feedback leaves out is no fault of the index. Where
    the evaluation folds histories in, so does this, from however few movies. A few more than k
    movies, so that those which change places at the end of a list are both there.

    Raises StoreError when the API refuses the index.
    """
    from movierec_engine.retrieval.masks import evaluation_mask

    parts = load_split(store.resolve(store.resolve(faiss_index.parents[kinds.TRAINED_MODEL]).parents[kinds.SPLITS]))
    served = replace(_served(store, faiss_index), mask=evaluation_mask(parts.known_before_test()))
    folded_in = parts.holds_out_users or parts.asks_for_next
    answer = _folded_in(served, parts.before_test()) if folded_in else served.recommend
    ids, answers = served.index.items.ids, {}
    with one_blas_thread():
        for user_id in users:
            user = served.user(user_id)
            items, scores, _ = answer(user, k + _MARGIN) if user is not None else ([], [], "")
            answers[user_id] = list(zip(ids[items].tolist(), scores, strict=True)) if items else []
    return answers


def _folded_in(served: "LoadedIndex", known: Interactions) -> Callable[[int, int], "RankedItems"]:
    """Answers a user index and a k with the best items of a history that is folded in, the mask's left out."""
    from movierec_engine.recommending.fold_in import Taste, recommend
    from movierec_engine.serving.loaded_index import ranked_items

    scorer, popularity = served.index.fold_in_scorer, served.index.popularity
    histories = known.history(scorer.history_values)
    nothing = sparse.csr_matrix((1, known.n_items), dtype=np.float32)

    def answer(user: int, k: int) -> "RankedItems":
        allowed = np.ones(known.n_items, dtype=np.bool_)
        allowed[served.mask(user)] = False
        return ranked_items(*recommend(scorer, popularity, Taste(histories[[user]], nothing), k, 1, allowed))

    return answer


def _served(store: ArtifactStore, faiss_index: Artifact) -> "LoadedIndex":
    """An index as the API loads it, be it promoted, the newest, or neither; StoreError when the API refuses it.

    Without the search and the places of new movies, which take seconds to make and which no check asks for.
    """
    from movierec_engine.serving.config import IndicesConfig
    from movierec_engine.serving.index_reloader import IndexReloader

    promoted, data_set = _Promoted(store, faiss_index), faiss_index.slot.data_set
    settings = IndicesConfig(data_set=data_set, remembered_lists=MASKED_USERS)
    releases = IndexReloader(promoted, settings, warm=False)
    served = releases.current()
    if served is None:
        raise StoreError(f"the API refuses {faiss_index.reference}: {', '.join(releases.state().refused.values())}")
    return served


class _Promoted(ArtifactStore):
    """A store as it were if an index was promoted."""

    def __init__(self, store: ArtifactStore, faiss_index: Artifact) -> None:
        super().__init__(store.location)
        self._index = faiss_index

    def pointed(self, name: str, data_set: str) -> Artifact | None:
        return self._index if name == SERVING else super().pointed(name, data_set)


def first_difference(evaluated: list[PublicId], answered: list[tuple[PublicId, float]]) -> int:
    """The first rank at which an answer is not the evaluated list, ties aside; 0 where there is none."""
    scores = dict(answered)
    rounding = 1e-5 * max((abs(score) for score in scores.values()), default=0.0)
    for rank, movie in enumerate(evaluated, start=1):
        if rank > len(answered):
            return rank
        other, score = answered[rank - 1]
        if movie != other and not abs(scores.get(movie, math.inf) - score) <= rounding:
            return rank
    return 0


_MARGIN = 20
_ROUNDING = 1e-9
_OUTSIDE, _OTHER = "outside the metric's bounds", "not the mean of the users'"


def _history(trained_model: Artifact) -> list[dict[str, float]]:
    if HISTORY_FILE not in trained_model.files:
        return []
    rows: list[dict[str, float]] = pq.read_table(trained_model.folder / HISTORY_FILE).to_pylist()
    return rows


def _within_bounds(name: str, value: float) -> bool:
    """True if a metric's value is possible; a metric that is not registered here has no bounds."""
    low, high = metric.bounds if (metric := metric_of(name)) else (-math.inf, math.inf)
    return low - _ROUNDING <= value <= high + _ROUNDING
