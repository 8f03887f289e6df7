"""Series told from titles, and the next of those begun."""

import numpy as np
import pytest

from movierec_engine.recommending.rows.series import MovieSeries


def groups(series: MovieSeries) -> list[list[int]]:
    """The movies of each series, in its order."""
    found = [np.flatnonzero(series.of == one) for one in range(series.of.max(initial=-1) + 1)]
    return [members[np.argsort(series.place[members])].tolist() for members in found]


@pytest.mark.parametrize(
    "titles, years, order",
    [
        (["Toy Story 2", "Toy Story", "Toy Story 3"], [1999, 1995, 2010], [1, 0, 2]),
        (["Godfather: Part II, The", "Godfather, The"], [1974, 1972], [1, 0]),
        (["Kill Bill: Vol. 2", "Kill Bill: Vol. 1"], [2004, 2003], [1, 0]),
        (["Star Wars: Episode IV - A New Hope", "Star Wars: Episode I - The Phantom Menace"], [1977, 1999], [1, 0]),
        (["Terminator 2: Judgment Day", "Terminator, The"], [1991, 1984], [1, 0]),
        (["Alien: Resurrection", "Alien"], [1997, 1979], [1, 0]),
        (["Dune: Part Two", "Dune: Part One"], [2024, 2021], [1, 0]),
        (["Rocky V (Rocky 5)", "ROCKY", "Rocky II"], [None, None, None], [1, 2, 0]),
    ],
)
def test_a_series_is_told_by_its_titles(titles: list[str], years: list[int | None], order: list[int]) -> None:
    assert groups(MovieSeries.told_by([*titles, "Heat"], [*years, 1995])) == [order]


@pytest.mark.parametrize(
    "titles",
    [
        ["King Kong", "King Kong", "King Kong"],
        ["District 9", "District 13"],
        ["Apollo 13", "Apollo"],
        ["Big", "Big One, The"],
        ["Ali", "Ali: Fear Eats the Soul"],
        ["Henry V", "Richard III"],
        ["", "2", "(1999)", ":", "III"],
    ],
)
def test_remakes_and_titles_that_hold_a_number_are_no_series(titles: list[str]) -> None:
    years = [2001, 1974, 1990, 1991, 1992][: len(titles)]
    assert groups(MovieSeries.told_by(titles, years)) == []


def test_metadata_name_series_that_go_by_year() -> None:
    series = MovieSeries.named(["ring", None, "ring", "alone", ""], [2002, 1999, 2001, 2000, None])
    assert groups(series) == [[2, 0]]


def test_the_next_part_follows_the_furthest_seen_the_series_seen_last_first() -> None:
    titles = ["Toy Story", "Toy Story 2", "Toy Story 3", "Rocky", "Rocky II", "Rocky III", "Jaws", "Jaws 2", "Jaws 3-D"]
    series = MovieSeries.told_by(titles, [1995, 1999, 2010, 1976, 1979, 1982, 1975, 1978, 1983])
    assert series.continued([1, 0, 3]) == [(4, 3), (2, 1)]
    assert series.continued([0, 2]) == [], "nothing follows the last part, though the second was not seen"
    assert series.continued([6, 3], but=[6]) == [(4, 3)], "who disliked a part is not offered the next"
