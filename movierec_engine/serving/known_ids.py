"""Example ids of a data set, which tell whether its ids are whole numbers or texts, and its rating scale.

Whoever writes the number 17 as the text "17" means the number where ids are numbers; a text is always a text, so that
0501 stays another id than 501.
"""

import re
from dataclasses import dataclass
from typing import Literal

from movierec_engine.data.id_map import LONGEST_ID, PublicId
from movierec_engine.data.rating_scale import MOVIELENS, RatingScale

MAX_ID = 2**63 - 1

_DIGITS = re.compile(r"[0-9]{1,19}")
_ID_TEXT = re.compile(rf"[^\x00-\x1f\x7f\ud800-\udfff]{{1,{LONGEST_ID}}}")

Of = Literal["user", "movie"]


@dataclass(frozen=True)
class KnownIds:
    """An example user id and item id of a data set (a str where its ids are texts), and its rating scale."""

    user: PublicId = 1
    movie: PublicId = 10
    scale: RatingScale = MOVIELENS

    def read(self, of: Of, given: object) -> PublicId | None:
        """An id as the data set has it; None for what is none."""
        if isinstance(getattr(self, of), str):
            return given if isinstance(given, str) and _ID_TEXT.fullmatch(given) else None
        if isinstance(given, str) and _DIGITS.fullmatch(given):
            given = int(given)
        return given if type(given) is int and 0 <= given <= MAX_ID else None
