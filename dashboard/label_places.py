"""Placing of point labels in a chart, so that none covers another or a point."""

from collections.abc import Sequence
from dataclasses import dataclass

_CHARACTER, _LINE, _GAP, _DOT = 7.0, 15.0, 10.0, 7.0
"""Pixels: a character's width, a line's height, the distance from the point, and the point's half size."""


@dataclass(frozen=True)
class Place:
    """Pixels from the point to the text, y downwards, and which of its ends stands there."""

    dx: float
    dy: float
    align: str


_PLACES = tuple(
    Place(sign * _GAP if align != "center" else 0.0, dy, align)
    for dy in (0.0, -16.0, 16.0, -32.0, 32.0, -48.0, 48.0)
    for sign, align in ((1, "left"), (-1, "right"), (0, "center"))
    if dy or align != "center"
)

Box = tuple[float, float, float, float]


def label_places(
    points: Sequence[tuple[float, float]], names: Sequence[str], width: float, levels: Sequence[Box] = ()
) -> list[Place]:
    """A place for each name, the first free one of those around its point.

    points: pixels, y downwards. levels: lines to keep off, as boxes left, top, right, bottom.
    """
    taken: list[Box] = [(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in points]
    chosen = []
    for number, ((x, y), name) in enumerate(zip(points, names, strict=True)):
        others = [*taken[:number], *taken[number + 1 :], *levels]
        place = min(_PLACES, key=lambda one: _overlap(_box(x, y, one, name), others, width))
        taken.append(_box(x, y, place, name))
        chosen.append(place)
    return chosen


def _box(x: float, y: float, place: Place, name: str) -> Box:
    length = _CHARACTER * len(name)
    left = x + place.dx - {"left": 0.0, "center": length / 2, "right": length}[place.align]
    return left, y + place.dy - _LINE / 2, left + length, y + place.dy + _LINE / 2


def _overlap(box: Box, others: Sequence[Box], width: float) -> float:
    """Square pixels that a box shares with others, and what of it is outside."""
    outside = max(0.0, -box[0]) + max(0.0, box[2] - width)
    shared = (
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in others
    )
    return sum(shared) + 100 * outside
