"""The noun for a data set's items: movies, or the one that `data.item_noun` gives, such as books."""

import re
from collections.abc import Mapping
from typing import Any

Nouns = tuple[str, str]
"""One item, and several."""
MOVIES: Nouns = ("movie", "movies")
_MOVIE = re.compile(r"\b([Aa] )?([Mm])ovie(s?)\b")


def nouns_of_titles(facts: Mapping[str, Any]) -> Nouns:
    """The nouns in the facts of `raw_movies`; movies in those of an older program."""
    one, several = facts.get("nouns", MOVIES)
    return one, several


def nouns_of_config(config: Mapping[str, Any]) -> Nouns:
    """The nouns in the configuration of an artifact of a model; movies in that of an older program."""
    data = config.get("data", {})
    one = data.get("item_noun", MOVIES[0])
    return one, data.get("item_nouns") or f"{one}s"


def at_the_start(noun: str) -> str:
    """A noun as a title or a sentence begins with it."""
    return f"{noun[:1].upper()}{noun[1:]}"


def called(text: str, nouns: Nouns) -> str:
    """A text about movies in a data set's own words: "Movies like a movie" as "Artists like an artist"."""
    if nouns == MOVIES:
        return text

    def word(found: re.Match[str]) -> str:
        noun = nouns[1 if found[3] else 0]
        article = (found[1] or "").replace(" ", "n " if noun[:1].lower() in "aeiou" else " ")
        return article + (noun if found[2] == "m" else at_the_start(noun))

    return _MOVIE.sub(word, text)
