"""Titles as people read them: "The Godfather" of "Godfather, The", as which catalogues sort it."""

import re

_ARTICLES = "the|an?|le|la|les|une?|el|los|las|il|lo|gli|der|die|das|de|het|det|den|os?|as|l'"
_INVERTED = re.compile(rf"(?:^|(?<=\())(?P<title>[^()]+), (?P<article>{_ARTICLES})(?=$|\)| \()", re.IGNORECASE)


def display_title(title: str) -> str:
    """A title with its article in front; the same for one in parentheses."""

    def upright(part: re.Match[str]) -> str:
        article = part["article"]
        return f"{article}{'' if article.endswith(chr(39)) else ' '}{part['title']}"

    return _INVERTED.sub(upright, title)
