"""Movies are found by title, whatever a person's typing is like."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec_engine.data.config import DataConfig
from movierec_engine.data.readers import read_movies
from movierec_engine.recommending.title_search import EXACT, PREFIX, TYPOS, WORDS, TitleSearch, fold

ROOT = Path(__file__).parents[2]


class Bundled:
    """The bundled titles; a movie is as popular as it has ratings."""

    def __init__(self) -> None:
        folder = ROOT / "data/movielens-small"
        table = read_movies(DataConfig(dir=str(folder))).table
        self.titles: list[str] = table["title"].to_pylist()
        self.years: list[int | None] = table["year"].to_pylist()
        rated = np.loadtxt(folder / "ratings.csv", delimiter=",", skiprows=1, usecols=1, dtype=np.int64)
        counts = dict(zip(*np.unique(rated, return_counts=True), strict=True))
        self.popularity = [int(counts.get(movie, 0)) for movie in table["movie_id"].to_pylist()]
        self.search = TitleSearch(self.titles, self.years, self.popularity)

    def first(self, text: str) -> tuple[str, int | None]:
        position, _ = self.search.find(text, 1)[0]
        return self.titles[position], self.years[position]


@pytest.fixture(scope="module")
def bundled() -> Bundled:
    return Bundled()


@pytest.mark.parametrize(
    ("text", "title", "year"),
    [
        ("the matrix", "Matrix, The", 1999),
        ("MATRIX, THE", "Matrix, The", 1999),
        ("matrx", "Matrix, The", 1999),
        ("Amélie", "Amelie (Fabuleux destin d'Amélie Poulain, Le)", 2001),
        ("le fabuleux destin d'amelie poulain", "Amelie (Fabuleux destin d'Amélie Poulain, Le)", 2001),
        ("se7en", "Seven (a.k.a. Se7en)", 1995),
        ("starwars", "Star Wars: Episode IV - A New Hope", 1977),
        ("star wras", "Star Wars: Episode IV - A New Hope", 1977),
        ("spiderman", "Spider-Man", 2002),
        ("wall-e", "WALL·E", 2008),
        ("schindlers list", "Schindler's List", 1993),
        ("shawshank redemtion", "Shawshank Redemption, The", 1994),
        ("godfather 2", "Godfather: Part II, The", 1974),
        ("heat 1995", "Heat", 1995),
        ("heat (2013)", "Heat, The", 2013),
        ("terminater 2 1991", "Terminator 2: Judgment Day", 1991),
        ("1984", "1984 (Nineteen Eighty-Four)", 1984),
        ("2001 a space odyssey", "2001: A Space Odyssey", 1968),
        ("dumb & dumber", "Dumb & Dumber (Dumb and Dumber)", 1994),
        ("fight clb", "Fight Club", 1999),
        ("el mariachi", "Mariachi, El", 1992),
        ("teh godfather", "Godfather, The", 1972),
        ("hte matrix 1999", "Matrix, The", 1999),
        ("teh shawshank redemtion", "Shawshank Redemption, The", 1994),
        ("oceans 11", "Ocean's Eleven", 2001),
        ("oceans eleven 1960", "Ocean's Eleven (a.k.a. Ocean's 11)", 1960),
        ("12 angry men", "12 Angry Men", 1957),
        ("twelve angry men", "12 Angry Men", 1957),
        ("godfather part two", "Godfather: Part II, The", 1974),
        ("ocean's ele", "Ocean's Eleven", 2001),
        ("lord of the rin", "Lord of the Rings: The Fellowship of the Ring, The", 2001),
    ],
)
def test_known_searches_find_the_movie_that_is_meant(bundled: Bundled, text: str, title: str, year: int) -> None:
    found = [(bundled.titles[movie], bundled.years[movie]) for movie, _ in bundled.search.find(text, 2)]
    assert (title, year) in found
    if text != "lord of the rin":  # of which the animated one of 1978 could be meant as well
        assert found[0] == (title, year)


def test_movies_found_better_come_first_and_then_the_more_popular() -> None:
    titles = ["Heathers", "Body Heat", "Heat", "Heat, The", "Wheat", "Haet", "Heat Wave"]
    search = TitleSearch(titles, [1990] * 7, [9, 8, 1, 2, 7, 99, 10])
    found = [(titles[movie], how) for movie, how in search.find("heat", 10)]
    assert found == [
        ("Heat, The", EXACT),
        ("Heat", EXACT),
        ("Heat Wave", PREFIX),
        ("Heathers", PREFIX),
        ("Body Heat", WORDS),
    ]
    assert search.find("haat", 10)[0][1] == TYPOS


def test_a_whole_title_stands_before_the_beginning_of_one_of_the_year_that_is_asked_for() -> None:
    search = TitleSearch(["Heat 1995", "Heat Wave", "Heat"], [None, 1995, 1986], [1, 9, 8])
    assert search.find("heat 1995") == [(0, EXACT), (1, PREFIX)]
    assert search.find("1986 heat")[0] == (2, EXACT), "a year may stand first"


def test_short_words_may_differ_in_fewer_letters_and_each_word_has_to_be_near() -> None:
    search = TitleSearch(["Rocky", "Heat", "Dark City", "Dark Water"], [1896, None, None, None], [1, 1, 9, 1])
    assert search.find("rocxx") == [], "two of five letters"
    assert search.find("het") == [(1, TYPOS)]
    assert search.find("drak watre") == [(3, TYPOS)]
    assert search.find("1896") == [(0, WORDS)]
    assert search.find("water dar") == [(3, WORDS)], "in any order, the last unfinished"
    assert (fold("The"), fold("Part IX")) == (["the"], ["part", "9"])


def test_digits_and_words_of_a_number_find_both_films(bundled: Bundled) -> None:
    for text in ("oceans 11", "ocean's eleven"):
        found = [(bundled.years[movie], how) for movie, how in bundled.search.find(text, 2)]
        assert found == [(2001, EXACT), (1960, EXACT)]


def test_a_first_word_near_an_article_is_kept_where_titles_have_it() -> None:
    titles = ["Ted", "Ted 2", "Godfather, The"]
    search = TitleSearch(titles, [None] * 3, [1, 2, 9])
    assert [titles[movie] for movie, _ in search.find("ted")] == ["Ted", "Ted 2"]
    assert search.find("ted 2")[0] == (1, EXACT)
    assert search.find("teh godfather") == [(2, TYPOS)]


def test_a_year_alone_finds_the_movies_of_that_year() -> None:
    search = TitleSearch(["A", "B", "C"], [1999, 2000, 1999], [1, 5, 2])
    assert [movie for movie, _ in search.find("1999")] == [2, 0]


@pytest.mark.parametrize("text", ["", "   ", "😀", "!?", "\ud800", "\x00", "(((", "a" * 10_000, "，。", "ا"])
def test_odd_searches_find_something_or_nothing(bundled: Bundled, text: str) -> None:
    assert len(bundled.search.find(text, 3)) <= 3


def test_titles_of_symbols_alone_are_found_by_them() -> None:
    titles = ["🎬🍿", "!!!", "Heat", "(500) Days"]
    search = TitleSearch(titles, [2020, 2021, 1995, 2009], np.zeros(4))
    assert search.find("🎬🍿") == [(0, EXACT)]
    assert search.find("🎬") == [(0, PREFIX)]
    assert search.find("!!!") == [(1, EXACT)]
    assert search.find("heat!!!") == [(2, EXACT)], "beside words they are left out"


def test_an_empty_catalogue_finds_nothing() -> None:
    assert TitleSearch([], [], []).find("heat") == []


WORDS_OF_LETTERS = st.lists(st.text("abcdefgh", min_size=3, max_size=9), min_size=1, max_size=4)


@settings(max_examples=60)
@given(st.lists(WORDS_OF_LETTERS, min_size=1, max_size=12), st.data())
def test_every_title_is_found_exactly_and_with_one_typo(catalogue: list[list[str]], data: st.DataObject) -> None:
    titles = [" ".join(words).title() for words in catalogue]
    search = TitleSearch(titles, [None] * len(titles), np.zeros(len(titles)))
    wanted = data.draw(st.integers(0, len(titles) - 1))
    same = {place for place, title in enumerate(titles) if fold(title) == fold(titles[wanted])}
    found = dict(search.find(titles[wanted].upper(), len(titles)))
    assert all(found[place] == EXACT for place in same)
    text = titles[wanted]
    place = data.draw(st.integers(0, len(text) - 1).filter(lambda at: text[at] != " "))
    mistyped = text[:place] + "z" + text[place + 1 :]
    assert same <= {movie for movie, _ in search.find(mistyped, len(titles))}


@settings(max_examples=60)
@given(st.lists(st.text(max_size=30), max_size=8), st.text(max_size=30), st.integers(-1, 9))
def test_any_titles_and_any_search_give_distinct_movies_best_first(titles: list[str], text: str, k: int) -> None:
    popularity = np.arange(len(titles), dtype=np.float32)
    found = TitleSearch(titles, [None] * len(titles), popularity).find(text, k)
    assert len(found) <= max(k, 0)
    assert len({movie for movie, _ in found}) == len(found)
    assert [how for _, how in found] == sorted(how for _, how in found)
