"""Find movies by title, forgiving of case, accents, articles, punctuation, joined words and small typos; numpy alone.

A title has several names: `City of Lost Children, The (Cité des enfants perdus, La)` is found by both, and one with a
number by its digits and by its word: `Ocean's Eleven` by `oceans 11`. A name and what is searched for are folded to the
same plain words; a year in the search, as in `heat 1995`, narrows it. Movies are ranked by how they were found
(exactly, by the beginning, by words, by words with typos), then by popularity. Where nothing has the words as they are
written, a first word that is an article but for a typo is passed over, as in `teh godfather`.
"""

import re
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

EXACT, PREFIX, WORDS, TYPOS = range(4)
"""How a movie was found, best first."""

_ARTICLES = frozenset(
    [
        "the",
        "a",
        "an",
        "le",
        "la",
        "les",
        "l",
        "un",
        "une",
        "el",
        "los",
        "las",
        "il",
        "lo",
        "i",
        "gli",
        "der",
        "die",
        "das",
        "ein",
        "eine",
        "den",
        "det",
        "de",
        "het",
    ]
)
_NUMERALS = {"ii": "2", "iii": "3", "iv": "4", "vi": "6", "vii": "7", "viii": "8", "ix": "9"}
_NUMBER_WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
_DIGITS_OF = {word: str(number) for number, word in enumerate(_NUMBER_WORDS)}
_WORD_OF = {digits: word for word, digits in _DIGITS_OF.items()}
_LETTERS = str.maketrans({"ø": "o", "Ø": "o", "æ": "ae", "Æ": "ae", "œ": "oe", "ł": "l", "Ł": "l", "đ": "d", "ı": "i"})
_IN_BRACKETS = re.compile(r"\(([^()]*)\)")
_ALIAS_MARK = re.compile(r"^a\.?k\.?a\.?\s+", re.IGNORECASE)
_APOSTROPHE = re.compile("['’`´ʻ]")
_NO_WORD = re.compile(r"[^\w]+|_")
_YEAR = re.compile(r"(18|19|20)\d\d")
_LONGEST_WORD = 24
"""Longer words are compared by this many letters."""
_MOST_WORDS = 24


def fold(text: str) -> list[str]:
    """The plain words of a title or a search, without case, accents, punctuation and a leading or trailing article.

    Of symbols alone, such as "!!!" or an emoji, they are the symbols.
    """
    text = text.casefold().translate(_LETTERS).replace("&", " and ")
    if not text.isascii():
        text = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    head, comma, tail = text.rpartition(",")
    if comma and _plain(tail) and len(_plain(tail)) == 1 and _plain(tail)[0] in _ARTICLES:
        text = head
    words = _plain(text) or text.split()
    if len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    return [_NUMERALS.get(word, word) for word in words]


def names_of(title: str) -> list[list[str]]:
    """The folded names of a title: the one before the brackets, and those in brackets; numbers as digits and words."""
    parts = [_IN_BRACKETS.sub(" ", title), *(_ALIAS_MARK.sub("", part.strip()) for part in _IN_BRACKETS.findall(title))]
    names = [words for words in map(fold, parts) if words] or [[title.casefold().strip()]]
    numbered = [[spelt.get(word, word) for word in words] for words in names for spelt in (_DIGITS_OF, _WORD_OF)]
    return [*names, *(words for words in numbered if words not in names)]


class TitleSearch:
    """An index over the titles of n movies.

    titles, years: of each movie; a year that is not known is None. popularity: float [n], larger is more popular.
    """

    def __init__(
        self, titles: Sequence[str], years: Sequence[int | None], popularity: NDArray[np.floating] | Sequence[float]
    ) -> None:
        self._years = np.array([year or 0 for year in years], dtype=np.int64)
        order = np.argsort(-np.asarray(popularity, dtype=np.float64), kind="stable")
        self._place = np.empty(len(order), dtype=np.int64)  # 0 for the most popular movie
        self._place[order] = np.arange(len(order))
        names: list[list[str]] = []
        owners: list[int] = []
        for movie, title in enumerate(titles):
            for words in names_of(title):
                names.append(words)
                owners.append(movie)
        self._phrases = _Sorted([" ".join(words) for words in names], owners)
        self._joined = _Sorted(["".join(words) for words in names], owners)
        self._words = _Sorted(*_distinct_pairs(names, owners))
        self._spelling = _Spelling(self._words.keys)

    def find(self, text: str, k: int = 10) -> list[tuple[int, int]]:
        """The best k movies for a search: their positions, and how each was found."""
        words = fold(text)[:_MOST_WORDS]
        if not words or k < 1:
            return []
        found = self._found(words)
        year, rest = _year_in(words)
        if year:
            narrowed = [(movies[self._years[movies] == year], how) for movies, how in self._found(rest)] if rest else []
            found = [*narrowed, *found] if rest else [*found, (np.flatnonzero(self._years == year), WORDS)]
            found.sort(key=lambda group: group[1])  # stable: within a rank those of the year come first
        if not any(len(movies) for movies, _ in found):
            if len(words) > 1 and _nearly_article(words[0]):
                return [(movie, TYPOS) for movie, _ in self.find(" ".join(words[1:]), k)]
            found = self._misspelt(words, 0)
            if year and rest:
                near = [(movies[self._years[movies] == year], how) for movies, how in self._misspelt(rest, 0)]
                found = [*near, *found]
        elif not any(len(movies) for movies, how in found if how == EXACT):
            found = [*found, *self._misspelt(rest if year and rest else words, year if rest else 0)]
        best: dict[int, int] = {}
        for movies, how in found:
            for movie in movies[np.argsort(self._place[movies])[:k]]:
                best.setdefault(int(movie), how)
            if len(best) >= k:
                break
        return list(best.items())[:k]

    def _found(self, words: list[str]) -> list[tuple[Ints, int]]:
        """Movies whose names hold the words as they are written, the last perhaps unfinished."""
        phrase, joined = " ".join(words), "".join(words)
        exact = np.union1d(self._phrases.equal(phrase), self._joined.equal(joined))
        beginning = np.union1d(self._phrases.beginning(phrase), self._joined.beginning(joined))
        return [(exact, EXACT), (beginning, PREFIX), (self._holding(words), WORDS)]

    def _holding(self, words: list[str]) -> Ints:
        parts = sorted([*(self._words.equal(word) for word in words[:-1]), self._words.beginning(words[-1])], key=len)
        movies = parts[0]
        for part in parts[1:]:
            movies = np.intersect1d(movies, part)
        return np.unique(movies)

    def _misspelt(self, words: list[str], year: int) -> list[tuple[Ints, int]]:
        """Movies that hold words near each of those searched for, in groups by the number of letters that differ.

        year: of the movies, or 0 for any.
        """
        errors: Ints | None = None
        for place, word in enumerate(words):
            near = self._near(word, unfinished=place == len(words) - 1)
            errors = near if errors is None else errors + near
        assert errors is not None
        errors[errors >= _FAR] = _FAR
        if year:
            errors[self._years != year] = _FAR
        allowed = max(1, min(3, sum(map(len, words)) // 4))
        return [(np.flatnonzero(errors == count), TYPOS) for count in range(allowed + 1)]

    def _near(self, word: str, *, unfinished: bool) -> Ints:
        """int64 [n]: in how many letters the nearest word of each movie differs from this one; _FAR without any."""
        errors = np.full(len(self._years), _FAR, dtype=np.int64)
        for position, distance in zip(*self._spelling.near(word), strict=True):
            movies = self._words.of(int(position))
            errors[movies] = np.minimum(errors[movies], distance)
        if unfinished:
            errors[self._words.beginning(word)] = 0
        return errors


_FAR = 1_000


class _Sorted:
    """Keys in order, each with the movies that have it."""

    def __init__(self, keys: Sequence[str], movies: Sequence[int]) -> None:
        order = sorted(range(len(keys)), key=keys.__getitem__)
        self._movies = np.array([movies[row] for row in order], dtype=np.int64)
        self.keys: list[str] = []
        starts = []
        for place, row in enumerate(order):
            if not self.keys or keys[row] != self.keys[-1]:
                self.keys.append(keys[row])
                starts.append(place)
        self._starts = np.array([*starts, len(order)], dtype=np.int64)

    def of(self, position: int) -> Ints:
        return self._movies[self._starts[position] : self._starts[position + 1]]

    def equal(self, key: str) -> Ints:
        position = bisect_left(self.keys, key)
        return self.of(position) if position < len(self.keys) and self.keys[position] == key else self._movies[:0]

    def beginning(self, key: str) -> Ints:
        """Movies with a key that begins with this one; one may be there several times."""
        first, last = bisect_left(self.keys, key), bisect_left(self.keys, key + chr(0x10FFFF))
        return self._movies[self._starts[first] : self._starts[last]]


class _Spelling:
    """Words of a vocabulary near a misspelt one, by optimal string alignment distance (Damerau 1964).

    Only words that share a pair of neighbouring letters with it, or two of its letters' ends, are compared.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._lengths = np.array([min(len(word), _LONGEST_WORD) for word in words], dtype=np.int64)
        self._codes = np.zeros((len(words), _LONGEST_WORD), dtype=np.uint32)
        holders: defaultdict[str, list[int]] = defaultdict(list)
        for row, word in enumerate(words):
            self._codes[row, : self._lengths[row]] = _codes(word)
            for pair in _pairs(word):
                holders[pair].append(row)
        self._holders = {pair: np.array(rows, dtype=np.int32) for pair, rows in holders.items()}

    def near(self, word: str) -> tuple[Ints, Ints]:
        """Positions of words that differ in 1 letter, or 2 where the word has more than 5, and the differences."""
        allowed = 0 if len(word) < 3 else 1 if len(word) <= 5 else 2
        pairs = _pairs(word)
        lists = [self._holders[pair] for pair in pairs if pair in self._holders]
        if not lists:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        shared = np.bincount(np.concatenate(lists), minlength=len(self._lengths))
        length = min(len(word), _LONGEST_WORD)
        # One changed letter breaks two pairs, two swapped ones three.
        likely = shared >= max(1, len(pairs) - 3 * allowed)
        rows = np.flatnonzero(likely & (np.abs(self._lengths - length) <= allowed))
        distances = _alignment_distances(_codes(word), self._codes[rows], self._lengths[rows])
        kept = distances <= allowed
        return rows[kept], distances[kept]


def _alignment_distances(word: NDArray[np.uint32], others: NDArray[np.uint32], lengths: Ints) -> Ints:
    """Insertions, deletions, changes and swaps of neighbours from a word [m] to others [n, l] of given lengths."""
    width = int(lengths.max()) if len(lengths) else 0
    others = others[:, :width]
    before = two_before = np.tile(np.arange(width + 1), (len(others), 1))
    for i, letter in enumerate(word):
        row = np.empty_like(before)
        row[:, 0] = i + 1
        changed = before[:, :-1] + (others != letter)
        cheapest = np.minimum(changed, before[:, 1:] + 1)
        if i:
            swapped = (others[:, 1:] == word[i - 1]) & (others[:, :-1] == letter)
            cheapest[:, 1:] = np.where(swapped, np.minimum(cheapest[:, 1:], two_before[:, :-2] + 1), cheapest[:, 1:])
        for j in range(width):
            row[:, j + 1] = np.minimum(cheapest[:, j], row[:, j] + 1)
        two_before, before = before, row
    return before[np.arange(len(others)), lengths].astype(np.int64)


@cache
def _article_spelling() -> "_Spelling":
    return _Spelling([word for word in sorted(_ARTICLES) if len(word) > 2])


def _nearly_article(word: str) -> bool:
    """True if a word is an article of three letters or more but for one letter, or two swapped."""
    return len(_article_spelling().near(word)[0]) > 0


def _codes(word: str) -> NDArray[np.uint32]:
    return np.array([ord(letter) for letter in word[:_LONGEST_WORD]], dtype=np.uint32)


def _pairs(word: str) -> set[str]:
    """Pairs of neighbouring letters, with the word's two ends as letters."""
    marked = f"^{word[:_LONGEST_WORD]}$"
    return {marked[place : place + 2] for place in range(len(marked) - 1)}


def _distinct_pairs(names: Iterable[list[str]], owners: Iterable[int]) -> tuple[list[str], list[int]]:
    """Each word with each movie that has it, once."""
    pairs = {(word, movie) for words, movie in zip(names, owners, strict=True) for word in words}
    ordered = sorted(pairs)
    return [word for word, _ in ordered], [movie for _, movie in ordered]


def _plain(text: str) -> list[str]:
    return _NO_WORD.sub(" ", _APOSTROPHE.sub("", text)).split()


def _year_in(words: list[str]) -> tuple[int, list[str]]:
    """The year that a search ends or begins with, 0 without one, and the other words."""
    for place in (len(words) - 1, 0):
        if _YEAR.fullmatch(words[place]):
            return int(words[place]), words[:place] + words[place + 1 :]
    return 0, words
