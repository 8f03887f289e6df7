"""Names beside the points of a chart, moved so that none covers another: on a wide chart and on a phone's.

A line leads from a name to its point where that is not plain. A name without room is left out: hovering over its point
and the page's table name it.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import altair as alt

from dashboard import charts
from dashboard.charts import Row
from dashboard.label_places import LONGEST, Box, Place, label_places

_WIDTH, _BESIDE, _HEIGHT = "containerSize()[0]", 90, 250.0
_FROM = (0, 420, 560, 1000)
"""Widths of a chart from which on its names are placed anew, for the plot of the least such chart; a wider one only
gives them more room. A chart is _BESIDE pixels wider than its plot, which is _HEIGHT or more pixels high."""
_PHONE = 330
"""Pixels of the narrowest chart."""

Align = Literal["left", "right", "center"]
_ALIGNED: tuple[Align, ...] = ("left", "right", "center")


def point_names(
    rows: Sequence[Row],
    at: Callable[[Row], tuple[float, float]],
    moved: Callable[[Row, float, float], Row],
    encoding: Mapping[str, Any],
    corners: Sequence[Row] = (),
) -> list[alt.Chart]:
    """A layer of texts for each width and alignment, and one of lines that lead to them.

    Names of what is `chosen` are placed first. at: a row's place as shares of the plot, from its left and from its top.
    moved: the row so many shares of the plot further to the right and down. encoding: of the texts. corners: rows of a
    line of steps, which names keep off.
    """
    rows = sorted(rows, key=lambda row: not row.get("chosen"))
    layers = []
    for least, most in zip(_FROM, (*_FROM[1:], 100_000), strict=True):
        width = float(max(least, _PHONE) - _BESIDE)
        here = f"{_WIDTH} >= {least} && {_WIDTH} < {most}"
        shown = alt.ExprRef(f"{here} ? 1 : 0")
        size = alt.ExprRef(f"{here} ? 12 : 0")  # unseen names would take room beside the plot

        def pixels(row: Row, width: float = width) -> tuple[float, float]:
            left, top = at(row)
            return left * width, top * _HEIGHT

        kept_free = [_around(*ends) for ends in pairwise(map(pixels, corners))]
        names = [str(row["model"]) for row in rows]
        found = label_places([pixels(row) for row in rows], names, (width, _HEIGHT), kept_free)
        placed = [(row, place) for row, place in zip(rows, found, strict=True) if place is not None]

        def named(row: Row, place: Place, width: float = width) -> dict[str, Any]:
            return dict(moved(row, place.dx / width, place.dy / _HEIGHT))

        led = [end for row, place in placed if place.leader for end in (dict(row), named(row, place))]
        if led:
            line = alt.Chart(charts.data(led)).mark_line(strokeWidth=1, opacity=shown)
            layers.append(line.encode(detail="model:N", **{**encoding, "color": alt.value(charts.QUIET)}))
        for align in _ALIGNED:
            own = [named(row, place) for row, place in placed if place.align == align]
            if own:
                mark = alt.Chart(charts.data(own)).mark_text(
                    align=align, baseline="middle", fontSize=size, limit=LONGEST, opacity=shown
                )
                layers.append(mark.encode(text=alt.Text("model:N"), **encoding))
    return layers


def _around(one: tuple[float, float], other: tuple[float, float]) -> Box:
    """Two pixels around a level or an upright line."""
    (left, right), (top, bottom) = (sorted(ends) for ends in zip(one, other, strict=True))
    return left - 2, top - 2, right + 2, bottom + 2
