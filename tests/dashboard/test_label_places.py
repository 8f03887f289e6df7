"""Names beside points: apart from each other, from the points and from lines, inside the plot, and told apart."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from dashboard.label_places import Place, _box, _cover, _distance, label_places

SIZE = (470.0, 250.0)


def test_names_of_points_that_nearly_coincide_do_not_cover_each_other() -> None:
    points = [(200.0, 100.0), (205.0, 102.0), (198.0, 97.0), (400.0, 100.0)]
    names = ["lightgcn", "ngcf", "als", "hybrid_ensemble"]
    places = label_places(points, names, SIZE)
    assert None not in places
    boxes = [_box(*point, place, name) for point, place, name in zip(points, places, names, strict=True) if place]
    assert not any(_cover(one, other) for one, other in combinations(boxes, 2))


def test_a_name_that_is_away_from_its_point_or_near_to_another_has_a_leader_line() -> None:
    points = [(200.0, 100.0), (212.0, 100.0), (206.0, 112.0), (206.0, 88.0)]
    names = ["one", "two", "three", "four"]
    for point, place, name in zip(points, label_places(points, names, SIZE), names, strict=True):
        assert place is not None
        box = _box(*point, place, name)
        nearest = min(points, key=lambda other: _distance(box, other))
        assert place.leader or nearest == point


def test_a_name_without_a_free_place_is_left_out() -> None:
    points = [(100.0 + 16 * number, 25.0) for number in range(5)]
    places = label_places(points, ["a_long_name"] * len(points), (285.0, 50.0))
    assert None in places and any(places)


def test_a_name_keeps_off_a_line_through_its_point() -> None:
    (place,) = label_places([(100.0, 100.0)], ["popularity"], SIZE, [(100.0, 98.0, 300.0, 102.0)])
    assert place is not None and (place.align == "right" or place.dy != 0)


@given(st.lists(st.tuples(st.floats(0, 470), st.floats(0, 250)), max_size=12))
def test_no_name_covers_a_point_or_leaves_the_plot(points: list[tuple[float, float]]) -> None:
    for point, place in zip(points, label_places(points, ["model"] * len(points), SIZE), strict=True):
        if place is not None:
            box = _box(*point, place, "model")
            assert box[0] >= 0 and box[1] >= 0 and box[2] <= SIZE[0] and box[3] <= SIZE[1]
            assert not any(_cover(box, (x - 7, y - 7, x + 7, y + 7)) for x, y in points if (x, y) != point)


def test_leaders_to_names_do_not_cross_and_names_keep_off_the_points_of_others() -> None:
    """The right end of a cost chart, where hybrid_ensemble's name stood at gmf's point and gmf's beside hybrid's."""
    points = [(384.0, 51.0), (344.0, 66.0), (365.0, 76.0), (308.0, 73.0), (310.0, 145.0), (248.0, 65.0), (260.0, 57.0)]
    names = ["hybrid_ensemble", "gmf", "lightgcn", "gf_cf", "svd", "als", "ease"]
    assert_told_apart(points, names, label_places(points, names, (447.0, 282.0)))


@given(st.lists(st.tuples(st.integers(0, 240), st.integers(0, 250)), max_size=9, unique=True))
def test_names_are_told_apart_wherever_their_points_are(points: list[tuple[int, int]]) -> None:
    names = [f"model_{number}" for number in range(len(points))]
    at = [(float(x), float(y)) for x, y in points]
    assert_told_apart(at, names, label_places(at, names, (240.0, 250.0)))


def assert_told_apart(points: list[tuple[float, float]], names: list[str], places: list[Place | None]) -> None:
    led = []
    for number, (point, name, place) in enumerate(zip(points, names, places, strict=True)):
        if place is None:
            continue
        box = _box(*point, place, name)
        others = [*points[:number], *points[number + 1 :]]
        assert all(_distance(box, other) > (10 if place.leader else _distance(box, point)) for other in others), name
        if place.leader:
            led.append((point, (point[0] + place.dx, point[1] + place.dy)))
    assert not any(cross(one, other) for one, other in combinations(led, 2))


def cross(one: tuple[tuple[float, float], ...], other: tuple[tuple[float, float], ...]) -> bool:
    """Whether two lines meet, by solving for where on each of them."""
    (ax, ay), (bx, by) = one
    (cx, cy), (dx, dy) = other
    across = (bx - ax) * (dy - cy) - (by - ay) * (dx - cx)
    if across == 0:
        return False
    first = ((cx - ax) * (dy - cy) - (cy - ay) * (dx - cx)) / across
    second = ((cx - ax) * (by - ay) - (cy - ay) * (bx - ax)) / across
    return 0 <= first <= 1 and 0 <= second <= 1


def test_nine_models_that_lie_close_all_have_a_name_on_a_phone() -> None:
    points = [(110.0 + 26 * (number % 3), 40.0 + 22 * (number // 3)) for number in range(9)]
    names = ["lightgcn", "gf_cf", "hybrid_ensemble", "als", "ease", "gmf", "item_cf", "svd", "popularity"]
    assert None not in label_places(points, names, (240.0, 250.0))
