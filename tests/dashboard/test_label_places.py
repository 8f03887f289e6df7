"""Names beside points: apart from each other, from the points and from lines, and inside the plot."""

from hypothesis import given
from hypothesis import strategies as st

from dashboard.label_places import _box, _overlap, label_places


def test_names_of_points_that_nearly_coincide_do_not_cover_each_other() -> None:
    points = [(200.0, 100.0), (205.0, 102.0), (198.0, 97.0), (400.0, 100.0)]
    names = ["lightgcn", "ngcf", "als", "hybrid_ensemble"]
    places = label_places(points, names, 470)
    boxes = [_box(x, y, place, name) for (x, y), place, name in zip(points, places, names, strict=True)]
    for number, box in enumerate(boxes):
        assert _overlap(box, boxes[:number] + boxes[number + 1 :], 470) == 0


def test_a_name_keeps_off_a_line_through_its_point() -> None:
    (place,) = label_places([(100.0, 100.0)], ["popularity"], 470, [(100.0, 98.0, 300.0, 102.0)])
    assert place.align == "right" or place.dy != 0


@given(st.lists(st.tuples(st.floats(0, 470), st.floats(0, 250)), max_size=12))
def test_every_point_gets_a_place(points: list[tuple[float, float]]) -> None:
    assert len(label_places(points, ["model"] * len(points), 470)) == len(points)
