"""Names beside the points of a chart, moved so that none covers another: on a wide chart and on a phone's."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import altair as alt

from dashboard import charts
from dashboard.label_places import Box, label_places

_PLOTS = {"containerSize()[0] >= 450": (470.0, 250.0), "containerSize()[0] < 450": (285.0, 250.0)}
"""Which charts -> pixels of the plot that names are placed for; it may be wider, which only gives them more room."""

_ALIGNED: tuple[Literal["left", "right", "center"], ...] = ("left", "right", "center")

Row = Mapping[str, Any]


def point_names(
    rows: Sequence[Row],
    at: Callable[[Row], tuple[float, float]],
    moved: Callable[[Row, float, float], Row],
    encoding: Mapping[str, Any],
    steps: Sequence[Row] = (),
) -> list[alt.Chart]:
    """A layer of texts for each width and alignment.

    at: a row's place as shares of the plot, from its left and from its top. moved: the row so many shares of the plot
    further to the right and down. encoding: of the texts. steps: rows of a line of steps, which names keep off.
    """
    layers = []
    for which, (width, height) in _PLOTS.items():

        def pixels(row: Row, width: float = width, height: float = height) -> tuple[float, float]:
            left, top = at(row)
            return left * width, top * height

        corners = sorted(map(pixels, steps))
        levels: list[Box] = [(left, top - 2, right, top + 2) for (left, top), (right, _) in pairwise(corners)]
        names = [str(row["model"]) for row in rows]
        placed = label_places([pixels(row) for row in rows], names, width, levels)
        for align in _ALIGNED:
            own = [
                dict(moved(row, place.dx / width, place.dy / height))
                for row, place in zip(rows, placed, strict=True)
                if place.align == align
            ]
            if own:
                shown = alt.ExprRef(f"{which} ? 1 : 0")
                mark = alt.Chart(charts.data(own)).mark_text(
                    align=align, baseline="middle", fontSize=12, limit=160, opacity=shown
                )
                layers.append(mark.encode(text=alt.Text("model:N"), **encoding))
    return layers
