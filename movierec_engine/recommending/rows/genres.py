"""The genres that a person is told about: those that they like more than others do."""

import math
from collections.abc import Mapping


def favourites(own: Mapping[str, float], everybody: Mapping[str, float]) -> list[str]:
    """Genres, best first, by what each adds to KL(own || everybody), and then by everybody's share.

    own, everybody: numbers of interactions by genre; a person of none has everybody's order.
    """
    mine, all_of_us = sum(own.values()), sum(everybody.values())

    def telling(genre: str) -> float:
        share = own.get(genre, 0.0) / mine if mine else 0.0
        usual = everybody.get(genre, 0.0) / all_of_us if all_of_us else 0.0
        return share * math.log(share / max(usual, 1e-9)) if share else 0.0

    genres = sorted({*own, *everybody}, key=lambda genre: (-telling(genre), -everybody.get(genre, 0.0), genre))
    return [genre for genre in genres if not mine or own.get(genre)]
