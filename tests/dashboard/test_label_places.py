"""Names beside points: apart from each other, from the points and from lines, inside the plot, and told apart."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from dashboard.label_places import _box, _cover, _distance, label_places

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
    points = [(100.0 + 16 * number, 60.0) for number in range(5)]
    places = label_places(points, ["a_long_name"] * len(points), (285.0, 90.0))
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
