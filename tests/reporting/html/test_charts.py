"""Axes hold their values, names keep apart, and what a chart says is text."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.reporting.html.charts import Dot, Point, Series, StackedBar, dots, lines, scatter, splits
from movierec_engine.reporting.html.scale import Scale, spread_out

numbers = st.integers(-(10**6), 10**6).map(lambda thousandths: thousandths / 1000)


@given(st.lists(numbers, min_size=1, max_size=8), st.integers(2, 8), st.booleans())
def test_an_axis_holds_its_values_and_has_a_handful_of_ticks(values: list[float], ticks: int, tight: bool) -> None:
    scale = Scale.around(values, ticks=ticks, tight=tight)

    assert all(-1e-6 <= scale.at(value) <= 1 + 1e-6 for value in values)
    assert all(-1e-6 <= scale.at(tick) <= 1 + 1e-6 for tick in scale.ticks())
    assert len(scale.ticks()) <= ticks + 3


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.03, 0.29], ["0.0", "0.1", "0.2", "0.3"]),
        ([1.0, 4.0], ["1", "2", "3", "4"]),
        ([0.02, 0.11], ["0.02", "0.04", "0.06", "0.08", "0.10", "0.12"]),
        ([0.0, 0.0], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([0.0, 12_000.0], ["0", "2,500", "5,000", "7,500", "10,000", "12,500"]),
    ],
)
def test_ticks_are_round_numbers(values: list[float], labels: list[str]) -> None:
    scale = Scale.around(values)

    assert [scale.label(tick) for tick in scale.ticks()] == labels


@given(st.lists(st.floats(0, 300), max_size=10))
def test_names_keep_apart_and_in_order(places: list[float]) -> None:
    moved = spread_out(places, 15)

    pairs = sorted(zip(places, moved, strict=True))
    assert all(b - a >= 15 - 1e-6 for (_, a), (_, b) in pairwise(pairs))
    assert math.isclose(sum(moved), sum(places), abs_tol=1e-6)


def test_names_that_are_apart_stay_where_they_are() -> None:
    assert spread_out([10, 100, 50], 15) == [10, 100, 50]


@pytest.mark.parametrize(
    "chart",
    [
        dots([Dot("<b>", "best", 0.5, 0.4, 0.6, "0.5")], Scale(0, 1, 0.5), "<i>", '"<u>'),
        scatter([Point("<b>", "among", 1, 2)], "<i>", "<i>", '"<u>'),
        lines([Series("<b>", (0.1,))], "<i>", "<i>", '"<u>'),
        splits([StackedBar("<b>", (0, 0, 0))], ("<i>", "<i>", "<i>"), "<i>", '"<u>'),
    ],
)
def test_names_in_charts_are_text_even_where_there_is_one_value(chart: str) -> None:
    assert not any(tag in chart for tag in ("<b>", "<i>", "<u>"))
    assert "&lt;b&gt;" in chart
    assert "nan" not in chart


def test_what_the_parts_of_bars_are_stands_outside_of_the_drawing_where_it_wraps() -> None:
    """Three long names above a phone's plot would be printed over one another."""
    keys = ("hybrid_ensemble better", "equal", "hybrid_ensemble worse")

    legend, drawing = splits([StackedBar("ease", (3, 2, 1))], keys, "share of the users", "spoken").split("<svg", 1)

    assert all(f">{key}<" in legend for key in keys)
    assert not any(f">{key}<" in drawing for key in keys)
