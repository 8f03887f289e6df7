import numpy as np
import pytest

from movierec_engine.models.explanation import Explanation
from movierec_engine.recommending.explanation import reasons_to_show, sentence

TITLES = {0: "Heat", 1: "Ronin", 2: "Harry & Sally", 3: "Se7en"}


def why(contributions: dict[int, float]) -> Explanation:
    items, values = np.array(list(contributions), dtype=int), np.array(list(contributions.values()))
    return Explanation.of(1.0, items, values, exact=True)


@pytest.mark.parametrize(
    ("contributions", "expected"),
    [
        ({0: 0.5}, "because you watched Heat"),
        ({1: 0.3, 0: 0.5}, "because you watched Heat and Ronin"),
        ({0: 0.5, 1: 0.3, 2: 0.4}, "because you watched Heat, Harry & Sally and Ronin"),
        ({0: 0.5, 1: 0.5, 2: 0.5, 3: 0.5}, "because you watched Heat, Ronin and Harry & Sally"),
        ({0: 0.5, 1: 0.2, 2: -0.5}, "because you watched Heat"),
        ({0: 0.5, 1: 0.25, 2: 0.24}, "because you watched Heat and Ronin"),
    ],
)
def test_the_strongest_reasons_are_named_up_to_three(contributions: dict[int, float], expected: str) -> None:
    assert sentence(why(contributions), TITLES, {}, 3.0) == expected


@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        ({0: 3.0, 1: 5.0, 2: 1.0}, "because you liked Heat and Ronin"),
        ({0: 5.0}, "because you watched Heat and Ronin"),
        ({0: 2.5, 1: 3.0}, "because you liked Ronin"),
        ({0: 0.5, 1: 2.5, 2: 5.0}, "because you liked Harry & Sally"),
        ({0: 0.5, 1: 2.5, 2: 1.0}, "although no single title you watched speaks for it"),
    ],
)
def test_only_likes_are_named(ratings: dict[int, float], expected: str) -> None:
    assert sentence(why({0: 0.5, 1: 0.4, 2: 0.1}), TITLES, ratings, 3.0) == expected


def test_a_dislike_is_shown_only_where_it_lowers_the_score() -> None:
    made = why({0: 0.5, 1: 0.4, 2: -0.1, 3: 0.0})
    assert [*reasons_to_show(made, {0: 4.0, 1: 2.5, 2: 1.0, 3: 1.0}, 3.0)] == [(0, 0.5), (3, 0.0), (2, -0.1)]
    assert [*reasons_to_show(made, {1: 3.0}, 3.0)] == [(0, 0.5), (1, 0.4), (3, 0.0), (2, -0.1)]


def test_without_a_positive_reason_none_is_made_up() -> None:
    expected = "although no single title you watched speaks for it"
    assert sentence(why({0: -0.5, 1: 0.0}), TITLES, {0: 5.0}, 3.0) == expected


def test_what_is_no_movie_is_not_said_to_be_watched() -> None:
    books = ("book", "books")
    assert sentence(why({0: 0.5, 1: 0.3}), TITLES, {}, 3.0, books) == "because of Heat and Ronin in your history"
    assert sentence(why({0: 0.5}), TITLES, {0: 4.0}, 3.0, books) == "because you liked Heat"
    assert sentence(why({0: -0.5}), TITLES, {}, 3.0, books) == "although no single book in your history speaks for it"


def test_a_person_without_a_history_is_told_of_popularity() -> None:
    assert sentence(Explanation.without_history(12.0), {}, {}, 3.0) == "because it is popular"
