"""Ids as people write them: one by one, and in lists such as `B00X:5,B00Y`.

In a list a backslash stands before a comma, a colon or a backslash of an id: `urn\\:isbn\\:1:4.5` is the id
`urn:isbn:1` with a rating of 4.5.
"""

import re

from movierec_engine.data.id_map import PublicId
from movierec_engine.errors import DataError

MAX_NUMBER = 2**63 - 1
_DIGITS = re.compile(r"[0-9]{1,19}")
_PIECES = re.compile(r"\\.|.|\\$", re.DOTALL)


def parsed_id(text: str, texts: bool) -> PublicId:
    """An id: the text itself where ids are texts, else its whole number.

    Raises DataError where ids are numbers and the text is none from 0 to 2^63-1.
    """
    if texts:
        return text
    if _DIGITS.fullmatch(text) and int(text) <= MAX_NUMBER:
        return int(text)
    raise DataError(f"{text!r} is no id: ids are whole numbers from 0 to 2^63-1 here")


def split(text: str, at: str, most: int = -1) -> list[str]:
    """Like `str.split(at, most)`, except that a character behind a backslash does not split."""
    if "\\" not in text:
        return text.split(at, most)
    parts = [""]
    for piece in _PIECES.findall(text):
        if piece == at and most:
            parts.append("")
            most -= 1
        else:
            parts[-1] += piece
    return parts


def unescaped(text: str) -> str:
    """The text without the backslashes that escape a character."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) if "\\" in text else text


def escaped(public_id: PublicId) -> str:
    """An id as it stands in a list."""
    return re.sub(r"([\\,:])", r"\\\1", str(public_id))
