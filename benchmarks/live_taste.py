"""Measure what folding a known user's newer ratings in on top of the trained model is worth.

    python benchmarks/live_taste.py

Trains each model on the older four fifths of each user's bundled ratings. The newer ones arrive live, in order of time:
after 1, 3 and 10 of them, the list of every fourth user is held against the liked ones that come
next. On validation the rules are compared; on test, once the validation ratings have arrived too, the chosen one is
reported. Intervals are of users, by bootstrap. Writes benchmarks/results/live_taste.md.
"""

import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.data.split import Split
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.recommending.live_taste import LiveTaste
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.store import ArtifactStore

RESULT = Path(__file__).with_name("results") / "live_taste.md"
MODELS = ("als", "svd", "gmf", "lightgcn", "ease", "item_cf", "hybrid_ensemble")
ARRIVED, K, LIKED_FROM, EVERY = (1, 3, 10), 10, 3.0, 4
LIKED_FROM_WHY = "the upper half of the scale of .5 to 5"
Rule = Callable[[RetrievalIndex, int, LiveTaste], NDArray[np.float32]]
console = Console(highlight=False)


def without(index: RetrievalIndex, user: int, live: LiveTaste) -> NDArray[np.float32]:
    return index.scores(user)


def on_top(index: RetrievalIndex, user: int, live: LiveTaste) -> NDArray[np.float32]:
    return index.live_scores(user, live)


def fold_in(index: RetrievalIndex, user: int, live: LiveTaste) -> NDArray[np.float32]:
    joint = index.live_history(user, live)
    return index.fold_in_scorer.scores(joint)[0] if joint.nnz else index.scores(user)


RULES: dict[str, Rule] = {"without": without, "on top": on_top, "fold-in of all": fold_in}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, rows = ArtifactStore(Path(folder) / "store"), []
        for model in MODELS:
            rows.append(measured(store, folder, model))
            RESULT.write_text(page(rows), encoding="utf-8")
    console.print(RESULT.read_text(encoding="utf-8"))


def measured(store: ArtifactStore, folder: str, model: str) -> str:
    """A model's row of the table."""
    own = ["model.models=[als,gmf,lightgcn]"] if model == "hybrid_ensemble" else []
    data = ["data.split=user_time", f"paths.checkpoints='{folder}/checkpoints'", "device=cpu"]
    made = pipeline.run(store, load_settings([f"model={model}", *data, *own]))
    index, parts = RetrievalIndex.load(made["faiss_index"].folder), pipeline.load_split(made["splits"])
    validation, _ = values_of(index, parts, before=False, rules=("without", "on top", "fold-in of all"))
    test, milliseconds = values_of(index, parts, before=True, rules=("without", "on top"))
    base, top, fold = validation.mean(axis=0)
    gain = test[:, 1] - test[:, 0]
    ((low, high),) = bootstrap_intervals(gain[:, None])
    before, after = test.mean(axis=0)
    return (
        f"| {model} | {base:.4f} | {top:.4f} | {fold:.4f} | {before:.4f} | {after:.4f} "
        f"| {gain.mean():+.4f} ({low:+.4f} to {high:+.4f}) | {milliseconds:.1f} |"
    )


def values_of(
    index: RetrievalIndex, parts: Split, before: bool, rules: tuple[str, ...]
) -> tuple[NDArray[np.float64], float]:
    """ndcg@10 of each user by rule, float64 [users, rules], and the median ms of the rule "on top" beyond `without`.

    before: whether the validation ratings have arrived already, and those of test are next.
    """
    values, seconds = [], []
    for user, known, queue in users_of(parts, before):
        own = []
        for arrived in ARRIVED:
            live, coming = queue[:arrived], {item for item, rating in queue[arrived:] if rating >= LIKED_FROM}
            if arrived >= len(queue) or not coming:
                continue
            said = [*known, *live]
            live = LiveTaste(*(pairs(index, said, wanted) for wanted in (True, False)))
            masked = [*index.history[[user]].indices, *(item for item, _ in said)]
            row = []
            for name in rules:
                started = time.perf_counter()
                scores = RULES[name](index, user, live).copy()
                if name == "on top":
                    seconds.append(time.perf_counter() - started)
                scores[masked] = -np.inf
                row.append(ndcg(np.argsort(-scores, kind="stable")[:K], coming))
            own.append(row)
        if own:
            values.append(np.mean(own, axis=0))
    return np.array(values), 1000 * float(np.median(seconds))


def users_of(parts: Split, before: bool) -> Iterator[tuple[int, list[tuple[int, float]], list[tuple[int, float]]]]:
    """Each user with the (item, rating) pairs that are known beyond train, and those that arrive, in order of time."""
    queues = []
    for part in (parts.validation, parts.test):
        order = np.lexsort((part.timestamp, part.user))
        of_user: dict[int, list[tuple[int, float]]] = {}
        for place in order:
            of_user.setdefault(int(part.user[place]), []).append((int(part.item[place]), float(part.rating[place])))
        queues.append(of_user)
    validation, test = queues
    for user, queue in [*(test if before else validation).items()][::EVERY]:
        yield user, validation.get(user, []) if before else [], queue


def pairs(index: RetrievalIndex, said: list[tuple[int, float]], liked: bool) -> tuple[tuple[int, float], ...]:
    rated = sorted((item, rating) for item, rating in said if (rating >= LIKED_FROM) == liked)
    return tuple((item, rating if index.fold_in_scorer.uses_ratings else 1.0) for item, rating in rated)


def ndcg(items: NDArray[np.int64], relevant: set[int]) -> float:
    gains = 1 / np.log2(np.arange(2, K + 2))
    found = [item in relevant for item in items.tolist()]
    return float(gains[: len(found)] @ found / gains[: min(K, len(relevant))].sum())


def page(rows: list[str]) -> str:
    return f"""# Live taste of known users

`python benchmarks/live_taste.py`, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, one thread.

Bundled data, each user's ratings by time. ndcg@{K} of the liked movies (rated {LIKED_FROM:g} or more, {LIKED_FROM_WHY})
that come after 1, 3 and 10 newer ratings, mean over every fourth user; everything rated is masked. `on top` is what is
served: trained score + f(h') - f(h). `fold-in of all` scores by the fold-in of the joint history alone. The rule was
chosen on validation; test confirms. The interval is of the paired gain on test, 95 %.

| model | validation, without | on top | fold-in of all | test, without | on top | gain | ms |
|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

The last column is the median time that the scores of one user take, for all movies; lists are remembered until the
user rates again.
"""


if __name__ == "__main__":
    main()
