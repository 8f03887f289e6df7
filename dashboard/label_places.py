"""Placing of point labels in a chart, so that none covers another or a point, and each is told to be its point's."""

from collections.abc import Sequence
from dataclasses import dataclass

_CHARACTER, _LINE, _GAP, _DOT = 7.0, 15.0, 10.0, 7.0
"""Pixels: a character's width, a line's height, the distance from the point, and the point's half size."""
LONGEST = 160
"""Pixels of a name that are shown."""
_STEPS = 8
"""Boxes that stand for a leader line."""


@dataclass(frozen=True)
class Place:
    """Pixels from the point to the text, y downwards, and which of its ends stands there.

    leader: whether the text is so far from its point, or so near to another, that a line has to lead to it.
    """

    dx: float
    dy: float
    align: str
    leader: bool = False


_BESIDE = tuple(
    Place(sign * _GAP if align != "center" else 0.0, dy, align)
    for dy in (0.0, -16.0, 16.0)
    for sign, align in ((1, "left"), (-1, "right"), (0, "center"))
    if dy or align != "center"
)
_LED = tuple(
    Place(sign * dx, dy, align, leader=True)
    for dy in (-20.0, 20.0, -34.0, 34.0, -48.0, 48.0, -62.0, 62.0)
    for dx in (14.0, 34.0)
    for sign, align in ((1, "left"), (-1, "right"))
)
_PLACES = (*_BESIDE, *_LED)

Point = tuple[float, float]
Box = tuple[float, float, float, float]


def label_places(
    points: Sequence[Point], names: Sequence[str], size: tuple[float, float], lines: Sequence[Box] = ()
) -> list[Place | None]:
    """A place for each name, the first free one of those around its point; None where there is none.

    points: pixels, y downwards. size: of the plot. lines: those to keep off, as boxes left, top, right, bottom.
    """
    taken: list[Box] = [(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in points]
    chosen: list[Place | None] = []
    for number, (point, name) in enumerate(zip(points, names, strict=True)):
        others = [*points[:number], *points[number + 1 :]]
        occupied = [*taken[:number], *taken[number + 1 :]]
        place = next((one for one in _PLACES if _free(point, one, name, others, occupied, lines, size)), None)
        chosen.append(place)
        if place is not None:
            taken += [_box(*point, place, name), *_leader(point, place)]
    return chosen


def _free(
    point: Point,
    place: Place,
    name: str,
    others: Sequence[Point],
    occupied: Sequence[Box],
    lines: Sequence[Box],
    size: tuple[float, float],
) -> bool:
    """Whether a name covers nothing in a place, stands inside the plot, and is told to be its own point's there.

    Without a leader line it has to be nearer to its own point than to any other.
    """
    box = _box(*point, place, name)
    if box[0] < 0 or box[1] < 0 or box[2] > size[0] or box[3] > size[1]:
        return False
    if any(_cover(box, other) for other in (*occupied, *lines)):
        return False
    if place.leader:
        return not any(_cover(step, other) for step in _leader(point, place) for other in occupied)
    return all(_distance(box, other) > _distance(box, point) + _DOT for other in others)


def _box(x: float, y: float, place: Place, name: str) -> Box:
    length = min(_CHARACTER * len(name), LONGEST)
    left = x + place.dx - {"left": 0.0, "center": length / 2, "right": length}[place.align]
    return left, y + place.dy - _LINE / 2, left + length, y + place.dy + _LINE / 2


def _leader(point: Point, place: Place) -> list[Box]:
    """The line from a point to its name as small boxes; none without a line."""
    if not place.leader:
        return []
    steps = [step / _STEPS for step in range(1, _STEPS)]
    ends = [(point[0] + place.dx * step, point[1] + place.dy * step) for step in steps]
    return [(x - 1, y - 1, x + 1, y + 1) for x, y in ends]


def _cover(box: Box, other: Box) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]


def _distance(box: Box, point: Point) -> float:
    across = max(box[0] - point[0], 0.0, point[0] - box[2])
    down = max(box[1] - point[1], 0.0, point[1] - box[3])
    return float((across**2 + down**2) ** 0.5)
