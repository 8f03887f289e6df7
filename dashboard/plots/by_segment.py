"""Charts of segments of users and items: every model beside the champion, and the leads over it that are tested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from dashboard import charts
from dashboard.charts import Row
from dashboard.wording import say
from movierec_engine.reporting import numbers, words

_NAMED = 3
"""More segments than these are counted and not named."""


@dataclass(frozen=True)
class BesideChampion:
    """The models of a chart beside the champion."""

    models: Mapping[str, str]
    """Label -> name of the model, in the chart's order."""
    metric: str
    """Its title."""
    champion: str
    """Its label."""
    tested: bool
    """As in `conclusion`."""

    @property
    def better(self) -> str:
        """The meaning of a star."""
        return _better(self.champion, self.tested)


def conclusion(kind: str, rows: Sequence[Row], champion: str, tested: bool) -> str:
    """The models that are better than the champion, and the segments in which they are.

    rows: of one kind, with `lead` as `segments.beside` has it. tested: whether leads are tested user by user, or told
    from intervals that do not overlap.
    """
    if {row["model"] for row in rows} == {champion}:
        return f"By {kind}: {champion} alone is measured here"
    leads: dict[str, list[str]] = {}
    for row in rows:
        if row["lead"]:
            leads.setdefault(row["model"], []).append(row["segment"])
    better = _better(champion, tested)
    if not leads:
        return f"By {kind}: no model is {better}"
    parts = [
        f"{model} {'is ' if place == 0 else ''}{better if place == 0 else ''} for "
        f"{numbers.listed(names) if len(names) <= _NAMED else numbers.counted(len(names), kind + ' segment')}"
        for place, (model, names) in enumerate(leads.items())
    ]
    return f"By {kind}: {'; '.join(' '.join(part.split()) for part in parts)}"


def verdict(rows: Sequence[Row], champion: str, tested: bool) -> tuple[str, str]:
    """The conclusion over all kinds of segments: a headline, and a sentence on who is better where, or "".

    rows, tested: as in `conclusion`, of every kind.
    """
    total = len({(row["kind"], row["segment"]) for row in rows})
    if {row["model"] for row in rows} == {champion}:
        return f"{champion} is the only model here.", ""
    leads: dict[str, list[str]] = {}
    for row in rows:
        if row["lead"]:
            leads.setdefault(row["model"], []).append(_segment(row["kind"], row["segment"]))
    better = _better(champion, tested)
    if not leads:
        return f"No model is {better} in any of {numbers.counted(total, 'segment')}.", ""
    lost = len({(row["kind"], row["segment"]) for row in rows if row["lead"]})
    parts = [
        f"{model} for {numbers.listed(own) if len(own) <= _NAMED else numbers.counted(len(own), 'segment')}"
        for model, own in leads.items()
    ]
    head = f"No single winner: {champion} loses in {lost} of {numbers.counted(total, 'segment')}."
    return head, f"{words.sentence(better)}: {'; '.join(parts)}."


def _segment(kind: str, name: str) -> str:
    """A segment's name within a sentence, whose genre stays as it is."""
    return name.join(say(part) for part in words.segment(kind, name).split(name))


def _better(champion: str, tested: bool) -> str:
    return f"significantly better than {champion}" if tested else f"above {champion} by intervals that do not overlap"


def tiers(rows: list[dict[str, Any]], kind: str, head: str, beside: BesideChampion) -> charts.Chart:
    """Dots with intervals: a group of rows for each segment, a row a model. head: the `conclusion` over all models."""
    segments = list(dict.fromkeys(row["segment"] for row in rows))
    users = {row["segment"]: row["users"] for row in rows}
    names = {one: f"{one} (n = {numbers.count(users[one])})" for one in segments}
    shown = [{**row, "group": names[row["segment"]]} for row in rows]
    subtitle = "; ".join(f"{one}: {words.tier(kind, one)}" for one in segments)
    subtitle += f". n: users. Line: 95 % interval; ★: {beside.better}"
    title = charts.title(head, subtitle, 58)
    base = alt.Chart(charts.data(shown))
    axis = alt.Axis(labelLimit=charts.label_limit(170), ticks=False, domain=False)
    y = alt.Y("group:N", sort=list(names.values()), title=None, axis=axis)
    offset = alt.YOffset("model:N", sort=list(beside.models))
    legend = charts.model_legend(columns=3)
    color, tooltip = charts.model_color(beside.models, legend), _tooltip(kind, beside)
    line = base.mark_rule(strokeWidth=2.5, opacity=0.55).encode(
        x=alt.X("low:Q", title=f"{beside.metric}, mean over the segment's users"),
        x2="high:Q",
        y=y,
        yOffset=offset,
        color=color,
        tooltip=tooltip,
    )
    dot = base.mark_point(size=65, filled=True, opacity=1).encode(
        x="value:Q",
        y=y,
        yOffset=offset,
        color=color,
        shape=charts.model_shape(beside.models, legend),
        tooltip=tooltip,
    )
    star = base.mark_text(align="left", dx=8, fontSize=13, color=charts.ink()).encode(
        x="high:Q", y=y, yOffset=offset, text="mark:N"
    )
    height = max(260, len(segments) * (len(beside.models) * 16 + 20) + 220)
    return alt.layer(line, dot, star).properties(title=title, height=height)


def differences(rows: list[dict[str, Any]], kind: str, head: str, beside: BesideChampion) -> charts.Chart:
    """A row a segment, a column a model: its mean, shaded by the difference from the champion's.

    head: the `conclusion` over all models.
    """
    segments = list(dict.fromkeys(row["segment"] for row in rows))
    if kind == "decade":
        segments = sorted(segments)
    users = {row["segment"]: row["users"] for row in rows}
    names = {one: f"{one} (n = {numbers.count(users[one])})" for one in segments}
    shown = [
        {**row, "group": names[row["segment"]], "text": f"{numbers.score(row['value'], 3)} {row['mark']}"}
        for row in rows
    ]
    reach = max((abs(row["difference"]) for row in rows), default=0.0) or 1.0
    title = charts.title(
        head,
        f"mean {beside.metric} over the n users with such items in test; shade: how far above (blue) or below (orange) "
        f"{beside.champion}, the same scale in every row; ★: {beside.better}",
        charts.WIDE,
    )
    base = alt.Chart(charts.data(shown)).encode(
        x=alt.X(
            "model:N",
            sort=list(beside.models),
            title=None,
            axis=alt.Axis(
                orient="top",
                labelAngle=charts.slanted_if_narrow(len(beside.models), 45),
                labelAlign=charts.at_its_tick(len(beside.models)),
                labelLimit=110,
                labelOverlap=False,
            ),
        ),
        y=alt.Y(
            "group:N",
            sort=[names[one] for one in segments],
            title=None,
            axis=alt.Axis(labelLimit=charts.label_limit(180)),
        ),
    )
    below, even, above = f"{charts.FIRST}90", f"{charts.QUIET}00", f"{charts.CHOSEN[charts.theme()]}90"
    cells = base.mark_rect().encode(
        color=alt.Color(
            "difference:Q",
            scale=alt.Scale(domain=[-reach, 0, reach], range=[below, even, above], interpolate="rgb"),
            legend=None,
        ),
        tooltip=[*_tooltip(kind, beside), alt.Tooltip("test_items:Q", title="Test items", format=",")],
    )
    texts = base.mark_text(fontSize=11, color=charts.ink()).encode(text="text:N")
    return alt.layer(cells, texts).properties(title=title, height=26 * len(segments) + 150)


def _tooltip(kind: str, beside: BesideChampion) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("segment:N", title=kind.capitalize()),
        alt.Tooltip("value:Q", title=beside.metric, format=".4f"),
        alt.Tooltip("low:Q", title="95 % from", format=".4f"),
        alt.Tooltip("high:Q", title="95 % to", format=".4f"),
        alt.Tooltip("difference:Q", title=f"Above {beside.champion} by", format="+.4f"),
        alt.Tooltip("users:Q", title="Users", format=","),
    ]
