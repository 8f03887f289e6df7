"""Charts as SVG markup, without a drawing library.

An `<svg>` is the plot area alone: horizontal places are percentages of its width, vertical ones pixels, and names and
ticks stand outside it in margins of pixels. So a chart is as wide as the page lets it be while its text keeps its size.
Colours, shapes and dashes are classes of report.css; no meaning hangs on a colour alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from movierec_engine.reporting.html.scale import Scale, spread_out

BEST, AMONG, BEHIND, BASELINE = "best", "among", "behind", "baseline"
"""Roles of a model: diamond, filled circle, hollow circle and square; a chart's note says what they mean in it."""

SERIES = 10
"""Different lines, by colour and dash."""

_PARTS = ("better", "equal", "worse")

_ROW, _LINE, _CHARACTER = 30, 15, 7.2
_LONGEST_NAME = 22
_TOP, _BOTTOM = 40, 50
"""Margins that hold the name of the vertical axis, and ticks and name of the horizontal one."""


@dataclass(frozen=True)
class Dot:
    """A named value with its interval, drawn as a dot on a line."""

    name: str
    role: str
    value: float
    low: float
    high: float
    shown: str
    """The value in words."""


@dataclass(frozen=True)
class Point:
    """A named pair of values."""

    name: str
    role: str
    x: float
    y: float


@dataclass(frozen=True)
class Series:
    """A named series y over x = 1, 2, ..."""

    name: str
    y: tuple[float, ...]


@dataclass(frozen=True)
class StackedBar:
    """A named whole in three parts."""

    name: str
    parts: tuple[int, int, int]


def dots(rows: Sequence[Dot], scale: Scale, axis: str, spoken: str) -> Markup:
    """One row a name: a dot at its value, a line over its interval, the value in words at the right.

    spoken: what the chart says, for who cannot see it.
    """
    height = _ROW * len(rows)
    parts = [_x_axis(scale, height, axis)]
    for position, row in enumerate(rows):
        y = _ROW * (position + 0.5)
        parts += [
            _text(row.name, "-14", y, f"end name {row.role}"),
            Markup('<line class="interval {0}" x1="{1}" x2="{2}" y1="{3:g}" y2="{3:g}"/>').format(
                row.role, _percent(scale.at(row.low)), _percent(scale.at(row.high)), y
            ),
            _mark(row.role, scale.at(row.value), y),
            Markup('<text class="value {}" x="100%" dx="14" y="{:g}" dy=".34em">{}</text>').format(
                row.role, y, row.shown
            ),
        ]
    left, right = _width(row.name for row in rows), _width(row.shown for row in rows)
    return _svg(parts, height, (8, right, _BOTTOM, left), spoken)


def splits(rows: Sequence[StackedBar], keys: tuple[str, str, str], axis: str, spoken: str) -> Markup:
    """One bar a name, divided into three parts; keys: what the parts are, in a legend above that wraps."""
    height = _ROW * len(rows)
    scale = Scale(0, 100, 25)
    parts = [_x_axis(scale, height, axis, unit=" %")]
    for position, row in enumerate(rows):
        y, begin = _ROW * (position + 0.5), 0.0
        parts.append(_text(row.name, "-10", y, "end name"))
        for number, (part, count) in enumerate(zip(_PARTS, row.parts, strict=True)):
            share = count / max(sum(row.parts), 1)
            parts.append(
                Markup('<rect class="part {}" x="{}" y="{:g}" width="{}" height="20"/>').format(
                    part, _percent(begin), y - 10, _percent(share)
                )
            )
            if share > 0.08:
                parts.append(
                    Markup('<text class="inside part-{} middle" x="{}" y="{:g}" dy=".34em">{:,}</text>').format(
                        number, _percent(begin + share / 2), y, count
                    )
                )
            begin += share
    legend = Markup("").join(
        Markup('<span class="{}">{}</span>').format(part, key) for part, key in zip(_PARTS, keys, strict=True)
    )
    plot = _svg(parts, height, (0, 24, _BOTTOM, _width(row.name for row in rows)), spoken)
    return Markup('<p class="legend">{}</p>{}').format(legend, plot)


def scatter(points: Sequence[Point], x_axis: str, y_axis: str, spoken: str) -> Markup:
    """Every point with its name beside it; names that would overlap are moved apart."""
    height = 300
    x_scale = Scale.around([point.x for point in points], ticks=4)
    y_scale = Scale.around([point.y for point in points], ticks=5)
    heights = [height * (1 - y_scale.at(point.y)) for point in points]
    beside = spread_out(heights, _LINE)
    parts = [_x_axis(x_scale, height, x_axis), _y_axis(y_scale, height, y_axis)]
    for point, y, text_y in zip(points, heights, beside, strict=True):
        x = x_scale.at(point.x)
        side, away = ("start", 12) if x < 0.6 else ("end", -12)
        parts += [
            _mark(point.role, x, y),
            Markup('<text class="{} name {}" x="{}" dx="{}" y="{:g}" dy=".34em">{}</text>').format(
                side, point.role, _percent(x), away, text_y, _short(point.name)
            ),
        ]
    return _svg(parts, height, (_TOP, 24, _BOTTOM, 52), spoken)


def lines(series: Sequence[Series], x_axis: str, y_axis: str, spoken: str) -> Markup:
    """Several lines over 1, 2, ..., each with its name at the right and a dot at its highest value."""
    height = 300
    x_scale = _whole_numbers(max(len(line.y) for line in series))
    y_scale = Scale.around([value for line in series for value in line.y], ticks=5)
    ends = [height * (1 - y_scale.at(line.y[-1])) for line in series]
    names = spread_out(ends, _LINE)
    parts = [_x_axis(x_scale, height, x_axis), _y_axis(y_scale, height, y_axis)]
    for position, (line, end, name) in enumerate(zip(series, ends, names, strict=True)):
        own = f"series-{position % SERIES}"
        path = " ".join(
            f"{1000 * x_scale.at(number):.1f},{1000 * (1 - y_scale.at(value)):.1f}"
            for number, value in enumerate(line.y, start=1)
        )
        best = max(range(len(line.y)), key=line.y.__getitem__)
        parts += [
            Markup('<line class="leader {}" x1="{}" y1="{:g}" x2="100%" y2="{:g}"/>').format(
                own, _percent(x_scale.at(len(line.y))), end, name
            ),
            Markup(
                '<svg class="stretched" width="100%" height="{}" viewBox="0 0 1000 1000" preserveAspectRatio="none">'
                '<polyline class="line {}" points="{}"/></svg>'
            ).format(height, own, path),
            Markup('<circle class="peak {}" cx="{}" cy="{:g}" r="5"/>').format(
                own, _percent(x_scale.at(best + 1)), height * (1 - y_scale.at(line.y[best]))
            ),
            Markup('<text class="name {}" x="100%" dx="8" y="{:g}" dy=".34em">{}</text>').format(
                own, name, _short(line.name)
            ),
        ]
    return _svg(parts, height, (_TOP, _width(line.name for line in series), _BOTTOM, 52), spoken)


def _svg(parts: Sequence[Markup], height: float, margins: tuple[float, float, float, float], spoken: str) -> Markup:
    """margins: top, right, bottom and left in pixels."""
    top, right, bottom, left = margins
    margin = f"{top:g}px {right:g}px {bottom:g}px {left:g}px"
    style = f"height:{height:g}px;margin:{margin};width:calc(100% - {left + right:g}px)"
    return Markup('<svg class="plot" role="img" aria-label="{}" style="{}">{}</svg>').format(
        spoken, style, Markup("").join(parts)
    )


def _x_axis(scale: Scale, height: float, name: str, unit: str = "") -> Markup:
    parts = []
    for tick in scale.ticks():
        x = _percent(scale.at(tick))
        parts += [
            Markup('<line class="grid" x1="{0}" x2="{0}" y1="0" y2="{1:g}"/>').format(x, height),
            Markup('<text class="tick middle" x="{}" y="{:g}">{}{}</text>').format(
                x, height + 17, scale.label(tick), unit
            ),
        ]
    parts.append(Markup('<text class="axis middle" x="50%" y="{:g}">{}</text>').format(height + 37, name))
    return Markup("").join(parts)


def _y_axis(scale: Scale, height: float, name: str) -> Markup:
    parts = [Markup('<text class="axis" x="0" dx="-44" y="-18">{}</text>').format(name)]
    for tick in scale.ticks():
        y = height * (1 - scale.at(tick))
        parts += [
            Markup('<line class="grid" x1="0" x2="100%" y1="{0:g}" y2="{0:g}"/>').format(y),
            _text(scale.label(tick), "-10", y, "tick end"),
        ]
    return Markup("").join(parts)


def _text(words: str, dx: str, y: float, classes: str) -> Markup:
    return Markup('<text class="{}" x="0" dx="{}" y="{:g}" dy=".34em">{}</text>').format(classes, dx, y, _short(words))


def _mark(role: str, x: float, y: float) -> Markup:
    """A shape centred at a position, in a nested <svg>: path coordinates can't be percentages."""
    if role in (AMONG, BEHIND):
        return Markup('<circle class="mark {}" cx="{}" cy="{:g}" r="5.5"/>').format(role, _percent(x), y)
    shape = "M0-8 8 0 0 8-8 0z" if role == BEST else "M-5-5H5V5H-5z"
    return Markup('<svg class="mark {}" x="{}" y="{:g}"><path d="{}"/></svg>').format(role, _percent(x), y, shape)


def _whole_numbers(longest: int) -> Scale:
    """An axis from 1 to the longest, with ticks at whole numbers."""
    axis = Scale.around([1, max(longest, 2)], ticks=5, tight=True)
    return Scale(axis.low, axis.high, max(1.0, float(round(axis.step))))


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _width(names: Iterable[str]) -> float:
    longest = max((len(_short(name)) for name in names), default=0)
    return 22 + _CHARACTER * longest


def _percent(place: float) -> str:
    return f"{100 * place:.2f}%"
