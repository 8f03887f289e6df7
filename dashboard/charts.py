"""Colours, titles, axes and downloads of all charts; legible on light and on dark, and to the colour-blind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import streamlit as st

from dashboard import print_view
from dashboard.downloads import csv_button
from dashboard.shell import plain
from movierec_engine.reporting.conclusions import BASELINE

HUES = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#C98A00", "#3FA0D8")
"""Okabe and Ito's vermillion, blue, green and purple, with their orange and sky blue darkened: each about 3 to 1 or
more on white and on near-black. Black and yellow would vanish on one of them."""
GREY = "#8A8A8A"
"""Marks that are not chosen: about 3.5 to 1 on white and 5.5 on near-black."""
QUIET = "#808495"
"""Plain marks, such as rules, which Streamlit's theme leaves black."""
BACKGROUND = {"light": "#FFFFFF", "dark": "#0E1117"}
INK = {"light": "#31333F", "dark": "#FAFAFA"}
"""Text inside charts, by the visitor's theme."""
SUBTITLE = {"light": "#5F6270", "dark": "#A3A8B4"}
CHOSEN = {"light": "#0072B2", "dark": "#3FA0D8"}
"""Colour of what is chosen, by the visitor's theme; Streamlit's own widgets have it too, by
`.streamlit/config.toml`."""
FIRST, SECOND = HUES[0], HUES[1]
"""Two sides of a comparison, and parts that are no models."""
DASHES = ([1, 0], [6, 3], [2, 2])
SHAPES = ("circle", "triangle-up", "cross")
"""Models with the same hue differ by these."""

ORDER = (
    *("ease", "hybrid_ensemble", "gmf", "als", "gf_cf", "lightgcn"),
    *("item_cf", "svd", "mlp", "ncf", "recvae", "ngcf", "markov", "sasrec"),
)
"""Models in the order that they take hues: those that are often shown together have hues of their own."""

Chart = Any
"""An Altair chart of any kind."""
Row = Mapping[str, Any]
"""One thing in a chart: its fields by name."""


def place(model: str) -> int:
    """A model's place among the hues, the same on every page: those of no place in the order by their letters."""
    return ORDER.index(model) if model in ORDER else len(ORDER) + sum(map(ord, model)) % len(HUES)


def hue(model: str) -> str:
    return GREY if model == BASELINE else HUES[place(model) % len(HUES)]


def dash(model: str) -> list[int]:
    return DASHES[0] if model == BASELINE else DASHES[place(model) // len(HUES) % len(DASHES)]


def shape(model: str) -> str:
    return "square" if model == BASELINE else SHAPES[place(model) // len(HUES) % len(SHAPES)]


def model_color(names: Mapping[str, str], legend: alt.Legend | None = None) -> alt.Color:
    """Colour of the field `model`; names: what is shown -> the model."""
    return alt.Color("model:N", scale=_scale(names, [hue(model) for model in names.values()]), legend=legend)


def model_dash(names: Mapping[str, str], legend: alt.Legend | None = None) -> alt.StrokeDash:
    return alt.StrokeDash("model:N", scale=_scale(names, [dash(model) for model in names.values()]), legend=legend)


def model_shape(names: Mapping[str, str], legend: alt.Legend | None = None) -> alt.Shape:
    return alt.Shape("model:N", scale=_scale(names, [shape(model) for model in names.values()]), legend=legend)


def model_legend(columns: int = 6, column: int = 130, **more: Any) -> alt.Legend:
    """Above a chart; 6 columns fit the page's whole width, 3 half of it, and on a phone as many as fit.

    column: pixels of one. more: of the legend.
    """
    beside = 90  # pixels for the labels of the vertical axis
    fitting = alt.ExprRef(f"min({columns}, max(1, floor((containerSize()[0] - {beside}) / {column})))")
    look = {"labelLimit": 160, "symbolStrokeWidth": 3, "symbolOpacity": 1, **more}
    return alt.Legend(title=None, orient="top", columns=fitting, **look)


def _scale(names: Mapping[str, str], values: Sequence[Any]) -> alt.Scale:
    return alt.Scale(domain=list(names), range=list(values))


def data(rows: Sequence[Row]) -> alt.InlineData:
    return alt.InlineData(values=[dict(row) for row in rows])


def title(conclusion: str, subtitle: str = "", width: int = 62) -> alt.TitleParams:
    """A chart's title: the conclusion, and below it how to read it; width: characters a line."""
    return alt.TitleParams(
        text=lines(conclusion, width),
        subtitle=lines(subtitle, round(width * 1.25)) if subtitle else [],
        subtitleColor=SUBTITLE[theme()],
        anchor="start",
        fontSize=16,
        offset=12,
    )


def theme() -> str:
    """The visitor's: `dark` or `light`; the print view is light."""
    return "dark" if st.context.theme.type == "dark" and not print_view.is_on() else "light"


def ink() -> str:
    """The colour of text inside a chart's marks, by the visitor's theme."""
    return INK[theme()]


def quiet_ink() -> str:
    """The same of text that steps back, at a contrast of 4.5."""
    return SUBTITLE[theme()]


def chosen_color() -> alt.Color:
    """Colour by the field `chosen`, which is true of what is chosen: everything else is grey."""
    scale = alt.Scale(domain=[True, False], range=[CHOSEN[theme()], GREY])
    return alt.Color("chosen:N", scale=scale, legend=None)


def lines(text: str, width: int) -> list[str]:
    """Text broken at spaces, since a chart's title does not wrap by itself."""
    broken = [""]
    for word in text.split():
        if len(broken[-1]) + len(word) >= width:
            broken.append("")
        broken[-1] = f"{broken[-1]} {word}".strip()
    return broken


WIDE = 120
"""Characters a line in the title of a chart that has the page's whole width."""


def label_limit(most: int) -> alt.ExprRef:
    """Pixels of an axis' labels: on a phone they leave most of the width to what is drawn."""
    return alt.ExprRef(f"min({most}, containerSize()[0] * 0.35)")


@dataclass(frozen=True)
class Click:
    """The effect of a click on a chart's marks; a box on the page does the same for the keyboard.

    fields: of the marks, by which one is told. then: is given their values; None for a click beside all marks.
    """

    fields: tuple[str, ...]
    then: Callable[[Row | None], None]


def time_format(first: str, last: str) -> str:
    """How a time axis between two ISO instants is labelled, in 24 hours."""
    if first[:10] == last[:10]:
        return "%H:%M:%S" if first[:13] == last[:13] else "%H:%M"
    return "%d %b, %H:%M" if first[:8] == last[:8] else "%d %b %Y"


def slanted_if_narrow(names: int, slant: int = -45) -> alt.ExprRef:
    """The angle of labels of so many names below a chart, or of 45 above one: level where each has room."""
    return alt.ExprRef(f"containerSize()[0] < {100 * names} ? {slant} : 0")


def at_its_tick(names: int) -> alt.ExprRef:
    """How such labels are aligned: in the middle where level, by their ends, which are inside, where slanted."""
    return alt.ExprRef(f"containerSize()[0] < {100 * names} ? 'right' : 'center'")


def draw(chart: Chart, rows: Sequence[Row], name: str, click: Click | None = None) -> None:
    """Show a chart below its title, with the numbers behind it as a CSV file; its own tools save it as PNG.

    The title is text of the page, which wraps on a phone, and the alternative text of the chart.
    """
    head, how_to_read = (" ".join(part or []) for part in (chart.title.text, chart.title.subtitle))
    lines_of_title = 20 * len(chart.title.text) + 14 * len(chart.title.subtitle or []) + 12
    st.markdown(f"**{plain(head)}**" + (f"  \n:small[:gray[{plain(how_to_read)}]]" if how_to_read else ""))
    drawn = chart.properties(height=chart.height - lines_of_title, padding={"right": 14})  # for half a label
    drawn.title = alt.Undefined
    legible = {"labelColor": ink(), "titleColor": ink()}
    if print_view.is_on():
        st.altair_chart(_on_paper(drawn), width="stretch", alt=head, theme=None)
        return
    if click is not None:
        drawn = drawn.add_params(alt.selection_point(name=_CLICKED, fields=list(click.fields), toggle=False))
    drawn = drawn.configure_axis(**legible, labelFlush=False).configure_legend(**legible)
    if click is None:
        st.altair_chart(drawn, width="stretch", alt=head)
    else:
        key = f"chart {name}"
        st.altair_chart(drawn, width="stretch", alt=head, key=key, on_select=lambda: _clicked(key, click))
    csv_button(rows, name, "Data (CSV)", "PNG: the tools that appear at the upper right of the chart")


_CLICKED = "clicked"


def _clicked(key: str, click: Click) -> None:
    marks = st.session_state[key].selection.get(_CLICKED) or [None]
    click.then(marks[0])


_PAPER_FONT = "Arial, Liberation Sans, sans-serif"
"""A file has no font of its own: labels are as wide as they are measured only in one that readers have."""


def _on_paper(chart: Chart) -> Chart:
    """A chart as a drawing of lines and texts, dark on white."""
    fonts = {"labelFont": _PAPER_FONT, "titleFont": _PAPER_FONT}
    text = {"labelColor": INK["light"], "titleColor": INK["light"], **fonts}
    drawn = (
        chart.configure(background=BACKGROUND["light"], font=_PAPER_FONT, padding=8)
        .configure_axis(gridColor="#E4E4E4", domainColor=QUIET, tickColor=QUIET, labelFlush=False, **text)
        .configure_legend(**text)
        .configure_view(stroke="#E4E4E4")
        .configure_text(font=_PAPER_FONT)
    )
    drawn.usermeta = {"embedOptions": {"renderer": "svg"}}
    return drawn
