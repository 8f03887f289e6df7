"""Preference elicitation: which few movies to ask a new user about.

Everyone is asked about the same movies, and folded in from those that they know. The movies are chosen one after the
other, each as the one that raises the mean ndcg@10 most, given those before it: GreedyExtend of Golbandi, Koren and
Lempel 2010, "On Bootstrapping Recommender Systems", with the ranking of new movies in place of the error of ratings.

So a movie is chosen if many know it and if knowing it tells one person from another. That everybody knows a movie tells
nothing, and a movie that few know helps few.

The people are users whom the model was trained on, as their train history is what answers for them; where the split
holds out whole users, it is those, with the histories that are folded in. What is looked for is not in train:
validation items while choosing, test items of other users when the choice is measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import Interactions
from movierec_engine.data.split import Split
from movierec_engine.errors import EmptyDataError
from movierec_engine.evaluation.metrics import PerUser
from movierec_engine.evaluation.strong_generalization import entries, ndcg_of_scores
from movierec_engine.models.base import Recommender
from movierec_engine.models.top_k import highest

SAMPLE = 400
"""Users by whom movies are chosen, at most; never more than half of those who could be."""

_BLOCK_CELLS = 2**22
"""Scores that are in memory together, at least one person's."""
_LEAST_GAIN = 1e-9
"""Least sum of the gains; less is rounding."""


@dataclass(frozen=True, eq=False)
class Panel:
    """n people who can be asked.

    users: int64 [n]. histories: CSR [n, n_items], what they know, as the model folds it in.
    seen: CSR [n, n_items], what is left out of their lists. relevant: CSR [n, n_items], what is to be found.
    """

    users: NDArray[np.int64]
    histories: sparse.csr_matrix
    seen: sparse.csr_matrix
    relevant: sparse.csr_matrix


def choosing_panel(model: Recommender, split: Split, seed: int) -> Panel:
    """A random sample of the users with train and validation items, to find their validation items.

    Raises EmptyDataError when there are fewer than two such users.
    """
    users = _sample(split, seed)
    return _panel(model, split, users, _known(split).matrix(), split.validation)


def measuring_panel(model: Recommender, split: Split, seed: int) -> Panel:
    """Every user with train and test items who is not in `choosing_panel`, to find their test items."""
    users = np.setdiff1d(_with_items(_known(split), split.test), _sample(split, seed))
    return _panel(model, split, users, split.known_before_test(), split.test)


def choose_questions(
    model: Recommender, split: Split, n: int = 5, candidates: int = 100, seed: int = 0
) -> NDArray[np.int64]:
    """The movies to ask about, item indices int64 [<=n] in the order of asking, from the most popular `candidates`.

    There are fewer than n where no further movie raises the mean ndcg@10 of `choosing_panel`; of equal gains the more
    popular movie has precedence. A step folds in each person with each candidate that they know, and nobody else, since
    the others' lists stay as they are.
    """
    panel = choosing_panel(model, split, seed)
    left = most_popular(model, candidates)
    chosen: list[int] = []
    reached = quality(model, panel, chosen)
    while len(chosen) < n and len(left):
        known = panel.histories[:, left].tocoo()
        added = (known.data, (np.arange(known.nnz), left[known.col]))
        answers = _answers(panel, chosen)[known.row] + sparse.csr_matrix(added, (known.nnz, panel.histories.shape[1]))
        after = _ndcg(model, answers, panel, known.row)
        gain = np.bincount(known.col, weights=after - reached[known.row], minlength=len(left))
        best = int(gain.argmax())
        if gain[best] < _LEAST_GAIN:
            break
        chosen.append(int(left[best]))
        reached[known.row[known.col == best]] = after[known.col == best]
        left = np.delete(left, best)
    return np.array(chosen, dtype=np.int64)


def quality(model: Recommender, panel: Panel, questions: Sequence[int] | NDArray[np.int64]) -> PerUser:
    """ndcg@10 of each person, float64 [n], folded in from those of the questions that they know; else popularity."""
    return _ndcg(model, _answers(panel, questions), panel, np.arange(len(panel.users)))


def most_popular(model: Recommender, n: int) -> NDArray[np.int64]:
    """The items with the most train interactions, int64 [<=n]; equal ones go by index."""
    return highest(model.popularity, n)


def _answers(panel: Panel, questions: Sequence[int] | NDArray[np.int64]) -> sparse.csr_matrix:
    """CSR [n, n_items]: the histories, of the questions alone."""
    return entries(panel.histories, np.isin(panel.histories.indices, questions))


def _ndcg(model: Recommender, answers: sparse.csr_matrix, panel: Panel, person: NDArray[np.integer]) -> PerUser:
    """ndcg@10 for each row of answers, CSR [m, n_items]; person: int [m], whose answers they are."""
    values = np.empty(len(person))
    step = max(1, _BLOCK_CELLS // answers.shape[1])
    for start in range(0, len(person), step):
        rows = slice(start, start + step)
        scores = model.fold_in(answers[rows])
        values[rows] = ndcg_of_scores(scores, panel.seen[person[rows]], panel.relevant[person[rows]])
    return values


def _panel(
    model: Recommender, split: Split, users: NDArray[np.int64], seen: sparse.csr_matrix, wanted: Interactions
) -> Panel:
    histories = _known(split).history(model.history_values)
    return Panel(users, histories[users], seen[users], wanted.matrix()[users])


def _known(split: Split) -> Interactions:
    """The interactions that stand for people's answers to the questions."""
    return split.fold_in if split.holds_out_users and split.fold_in is not None else split.train


def _sample(split: Split, seed: int) -> NDArray[np.int64]:
    able = _with_items(_known(split), split.validation)
    if len(able) < 2:
        raise EmptyDataError(
            "fewer than two users have train and validation items, so questions cannot be chosen; "
            "choose other data.* ratios"
        )
    return np.sort(np.random.default_rng(seed).choice(able, min(SAMPLE, len(able) // 2), replace=False))


def _with_items(*parts: Interactions) -> NDArray[np.int64]:
    """int64, ascending: the users who have an interaction in each of the parts."""
    counts = [np.bincount(part.user, minlength=part.n_users) for part in parts]
    return np.flatnonzero(np.min(counts, axis=0)).astype(np.int64)
