"""The words of the data set that a page shows: its own nouns for movies, and likes where it has no ratings."""

import re

import streamlit as st

from movierec_engine.data.nouns import MOVIES, Nouns, called

_SPOKEN = "words of the data set"
_RATING = re.compile(r"\b([Rr])at(ing|ed)(s?)\b")


def speak_of(nouns: Nouns, likes: bool = False) -> None:
    """Set the words of the page that is being drawn."""
    st.session_state[_SPOKEN] = nouns, likes


def say(text: str) -> str:
    """A text of ours about movies and ratings in these words: "rated movies" as "liked artists".

    Titles, ids and names of models are not to be in it: they stay as they are.
    """
    nouns, likes = st.session_state.get(_SPOKEN, (MOVIES, False))
    return called(_RATING.sub(_like, text) if likes else text, nouns)


def _like(found: re.Match[str]) -> str:
    return f"{'L' if found[1] == 'R' else 'l'}ike{'d' if found[2] == 'ed' else found[3]}"
