"""Placing of point labels in a chart, so that none covers another or a point, and each is told to be its point's."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import hypot

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
    for dx, dy in sorted(
        product((14.0, 34.0, 54.0, 80.0), (*range(-104, -18, 14), *range(20, 106, 14))), key=lambda at: hypot(*at)
    )
    for sign, align in ((1, "left"), (-1, "right"))
)
_PLACES = (*_BESIDE, *_LED)
_TRIES = 6
"""Orders in which names are placed."""

Point = tuple[float, float]
Line = tuple[Point, Point]
Box = tuple[float, float, float, float]


def label_places(
    points: Sequence[Point], names: Sequence[str], size: tuple[float, float], lines: Sequence[Box] = ()
) -> list[Place | None]:
    """A place for each name, the first free one of those around its point; None where there is none.

    The best of a few orders is kept, in each of which the name that fared worst comes first.

    points: pixels, y downwards. size: of the plot. lines: those to keep off, as boxes left, top, right, bottom.
    """
    order = list(range(len(points)))
    tried = []
    for _ in range(_TRIES):
        placed = _placed(order, points, names, size, lines)
        tried.append([placed.get(number) for number in range(len(points))])
        order.sort(key=lambda number: _far(placed.get(number)), reverse=True)
    return min(tried, key=lambda places: sum(map(_far, places)))


def _far(place: Place | None) -> float:
    """Pixels that a leader line is long: 0 without one, and more than any where there is no place."""
    if place is None:
        return 10_000.0
    return hypot(place.dx, place.dy) if place.leader else 0.0


def _placed(
    order: Sequence[int], points: Sequence[Point], names: Sequence[str], size: tuple[float, float], lines: Sequence[Box]
) -> dict[int, Place]:
    """Number of a point -> its name's place, chosen one after the other."""
    dots = [(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in points]
    texts: list[Box] = []
    leaders: list[Line] = []
    placed = {}
    for number in order:
        point, name = points[number], names[number]
        others = [*points[:number], *points[number + 1 :]]
        occupied = [*dots[:number], *dots[number + 1 :], *texts]
        free = [
            place
            for place in _PLACES
            if _free(point, place, name, others, occupied, lines, size) and _led_apart(point, place, leaders)
        ]
        if free:
            placed[number] = place = next((one for one in free if _nearest(point, one, name, others)), free[0])
            texts += [_box(*point, place, name), *_leader(point, place)]
            leaders += [_line(point, place)] if place.leader else []
    return placed


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

    Without a leader line it has to be nearer to its own point than to any other; with one it keeps off them.
    """
    box = _box(*point, place, name)
    if box[0] < 0 or box[1] < 0 or box[2] > size[0] or box[3] > size[1]:
        return False
    if any(_cover(box, other) for other in (*occupied, *lines)):
        return False
    if any(_cover(step, other) for step in _leader(point, place) for other in occupied):
        return False
    apart = _GAP if place.leader else _distance(box, point) + _DOT
    return all(_distance(box, other) > apart for other in others)


def _nearest(point: Point, place: Place, name: str, others: Sequence[Point]) -> bool:
    """Whether a name is nearer to its own point than to any other."""
    box = _box(*point, place, name)
    return all(_distance(box, other) > _distance(box, point) for other in others)


def _led_apart(point: Point, place: Place, leaders: Sequence[Line]) -> bool:
    """Whether the line to a name crosses none of the leaders."""
    return not place.leader or not any(_crossing(_line(point, place), other) for other in leaders)


def _line(point: Point, place: Place) -> Line:
    return point, (point[0] + place.dx, point[1] + place.dy)


def _crossing(one: Line, other: Line) -> bool:
    """Whether two lines have a point in common: the ends of each lie on different sides of the other."""
    return _side(one, other[0]) * _side(one, other[1]) <= 0 and _side(other, one[0]) * _side(other, one[1]) <= 0


def _side(line: Line, point: Point) -> float:
    (x, y), (to_x, to_y) = line
    return (to_x - x) * (point[1] - y) - (to_y - y) * (point[0] - x)


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
