"""Charts of the use of the catalogue, of new users and of taste dials."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from dashboard import charts
from dashboard.charts import Row
from dashboard.plots.point_names import point_names
from dashboard.queries.segments import LorenzCurve, TradeoffCurve
from dashboard.wording import say
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.reporting import numbers, words
from movierec_engine.reporting.conclusions import ends_sentence


def lorenz_rows(exposures: Mapping[str, LorenzCurve]) -> list[dict[str, Any]]:
    return [
        {"model": name, "catalogue": float(x), "places": float(y)}
        for name, exposure in exposures.items()
        for x, y in zip(exposure.catalogue, exposure.places, strict=True)
    ]


def lorenz(exposures: Mapping[str, LorenzCurve], models: Mapping[str, str], k: int) -> charts.Chart:
    """Concentration of the lists: the further below the diagonal, the fewer movies have all the places."""
    ordered = sorted(exposures, key=lambda name: exposures[name].gini)
    shown = {f"{name}: Gini {numbers.score(exposures[name].gini, 3)}": models[name] for name in ordered}
    names = dict(zip(ordered, shown, strict=True))
    rows = [{**row, "model": names[row["model"]]} for row in lorenz_rows(exposures)]
    even = alt.Chart(charts.data([{"x": 0, "y": 0}, {"x": 1, "y": 1}]))
    lines = alt.Chart(charts.data(rows)).mark_line(strokeWidth=2.2)
    legend = alt.Legend(
        title=None, orient="top-left", labelLimit=alt.ExprRef("containerSize()[0] * 0.6"), symbolStrokeWidth=3
    )
    percent = alt.Axis(format=".0%")
    chart = alt.layer(
        even.mark_line(strokeDash=[4, 4], color=charts.QUIET, strokeWidth=1).encode(x="x:Q", y="y:Q"),
        lines.encode(
            x=alt.X("catalogue:Q", title="Share of the catalogue, least shown first", axis=percent),
            y=alt.Y("places:Q", title=f"Share of all places in lists of {k}", axis=percent),
            color=charts.model_color(shown, legend),
            strokeDash=charts.model_dash(shown, legend),
            tooltip=[
                alt.Tooltip("model:N", title="Model"),
                alt.Tooltip("catalogue:Q", title="Catalogue", format=".1%"),
                alt.Tooltip("places:Q", title="Places", format=".1%"),
            ],
        ),
    )
    first = exposures[ordered[0]]
    head = f"{ordered[0]} spreads its lists most evenly: "
    head += f"{numbers.percent(first.shown / first.items, 0)} of the catalogue is shown"
    return chart.properties(title=charts.title(head, say("dashed: every movie shown equally often"), 58), height=460)


def list_shares(rows: list[dict[str, Any]], models: Mapping[str, str], k: int) -> charts.Chart:
    """Stacked bars of the lists' head, mid and tail items."""
    tail = {row["model"]: row["value"] for row in rows if row["segment"] == "tail"}
    most = max(tail, key=lambda name: tail[name]) if tail else ""
    head = (
        f"{most} shows most of the long tail: {numbers.percent(tail[most])} of the places"
        if tail
        else "What the lists show"
    )
    tiers_of = ["head", "mid", "tail"]
    title = charts.title(
        head,
        "; ".join(f"{one}: {words.popularity(one)}" for one in tiers_of),
        charts.WIDE,
    )
    shown = [{**row, "place": tiers_of.index(row["segment"])} for row in rows if row["segment"] in tiers_of]
    return (
        alt.Chart(charts.data(shown))
        .mark_bar()
        .encode(
            x=alt.X(
                "value:Q",
                title=f"Share of the places in lists of {k}",
                stack="zero",
                axis=alt.Axis(format=".0%"),
                scale=alt.Scale(domain=[0, 1]),
            ),
            y=alt.Y(
                "model:N",
                sort=list(models),
                title=None,
                axis=alt.Axis(labelLimit=charts.label_limit(160), ticks=False, domain=False),
            ),
            color=alt.Color(
                "segment:N",
                scale=alt.Scale(domain=tiers_of, range=[charts.GREY, charts.HUES[5], charts.HUES[0]]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("model:N", title="Model"),
                alt.Tooltip("segment:N", title="Tier"),
                alt.Tooltip("value:Q", title="Share of the places", format=".1%"),
            ],
        )
        .properties(title=title, height=30 * len(models) + 230)
    )


def novelty(rows: list[dict[str, Any]], models: Mapping[str, str], metric: str, other: str) -> charts.Chart:
    """Accuracy against novelty, which has no better end."""
    ends = {row["model"]: (row["score"], row["novelty"]) for row in rows}
    head = ends_sentence(ends, f"highest {metric}", f"highest {other}")
    spans = [_span([row[name] for row in rows]) for name in ("novelty", "score")]
    (left, right), (low, high) = spans

    def at(row: Row) -> tuple[float, float]:
        return (row["novelty"] - left) / (right - left), (high - row["score"]) / (high - low)

    def moved(row: Row, across: float, down: float) -> Row:
        return {**row, "novelty": row["novelty"] + across * (right - left), "score": row["score"] - down * (high - low)}

    x = alt.X(
        "novelty:Q",
        title=f"{other}, bits: further right, less known {say('movies')}",
        scale=alt.Scale(domain=[left, right], nice=False),
    )
    y = alt.Y("score:Q", title=f"{metric} on test", scale=alt.Scale(domain=[low, high], nice=False))
    color, base = charts.model_color(models), alt.Chart(charts.data(rows))
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("score:Q", title=metric, format=".4f"),
        alt.Tooltip("novelty:Q", title=other, format=".2f"),
    ]
    layers = [
        base.mark_point(size=120, filled=True, opacity=1).encode(
            x=x, y=y, color=color, shape=charts.model_shape(models), tooltip=tooltip
        )
    ]
    layers += point_names(rows, at, moved, {"x": x, "y": y, "color": alt.value(charts.ink())})
    return alt.layer(*layers).properties(
        title=charts.title(head, f"up is better; {other} has no better end", 58), height=420
    )


def fold_in_rows(curves: Sequence[TradeoffCurve], labels: Mapping[int, str]) -> list[dict[str, Any]]:
    """A row a model and known movies, and `popularity` at 0; the whole history stands at the right end."""
    rows = []
    for number, curve in enumerate(curves):
        sizes = [row["size"] for row in curve.rows if row["size"] is not None]
        end = 2 * max(sizes, default=1)
        for row in curve.rows:
            known = row["size"] if row["size"] is not None else end
            rows.append(
                {
                    "model": labels[number],
                    "source": str(row["source"]),
                    "known": known,
                    **{name: row[name] for name in ("value", "low", "high")},
                }
            )
    return rows


def fold_in(rows: list[dict[str, Any]], models: Mapping[str, str]) -> charts.Chart:
    """Fold-in quality by the length of the history; the level is the same people trained in."""
    curve = [row for row in rows if row["source"] not in ("trained_in", "popularity")]
    ends = [row for row in rows if row["source"] == "trained_in"]
    base = [row for row in rows if row["source"] == "popularity"]
    largest = max((row["known"] for row in curve), default=1)
    kept = _kept(rows)
    head = (
        f"New users lose least with {max(kept, key=lambda one: kept[one])}: fold-in of the whole history gives "
        f"{numbers.percent(max(kept.values()), 0)} of the quality of training on them"
        if kept
        else "Quality of new users' lists by the length of their history"
    )
    title = charts.title(
        head,
        f"line: fold-in by history length (last point: all {say('movies')}); dashed: trained on them as well; dotted: "
        "popularity",
        charts.WIDE,
    )
    color = charts.model_color(models, charts.model_legend())
    x = alt.X(
        "known:Q",
        title=say("Movies in the history (log scale, at the right end all)"),
        scale=alt.Scale(type="log", base=2, nice=False, domain=[0.9, largest * 1.1]),
        axis=alt.Axis(values=sorted({row["known"] for row in curve}), format="d"),
    )
    y = alt.Y("value:Q", title="NDCG@10 on test", scale=alt.Scale(zero=False))
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("source:N", title="Knows by"),
        alt.Tooltip("known:Q", title=say("Movies")),
        alt.Tooltip("value:Q", title="NDCG@10", format=".4f"),
        alt.Tooltip("low:Q", title="95 % from", format=".4f"),
        alt.Tooltip("high:Q", title="95 % to", format=".4f"),
    ]
    layers = [
        alt.Chart(charts.data(curve))
        .mark_errorband(opacity=0.15)
        .encode(x=x, y=alt.Y("low:Q", title="NDCG@10 on test"), y2="high:Q", color=color),
        alt.Chart(charts.data(curve))
        .mark_line(point=True, strokeWidth=2.2)
        .encode(x=x, y=y, color=color, tooltip=tooltip),
        *(
            [
                alt.Chart(charts.data(ends))
                .mark_rule(strokeDash=[6, 3], strokeWidth=1.5)
                .encode(y=y, color=color, tooltip=tooltip)
            ]
            if ends
            else []
        ),
        alt.Chart(charts.data(base[:1]))
        .mark_rule(strokeDash=[2, 3], color=charts.GREY, strokeWidth=1.5)
        .encode(y=y, tooltip=tooltip),
    ]
    return alt.layer(*layers).properties(title=title, height=460)


def _kept(rows: Sequence[Row]) -> dict[str, float]:
    """Model -> the whole history's value / trained in's."""
    whole = {row["model"]: row["value"] for row in rows if row["source"] == "whole_history"}
    trained = {row["model"]: row["value"] for row in rows if row["source"] == "trained_in"}
    return {name: value / trained[name] for name, value in whole.items() if trained.get(name, 0) > 0}


def dial_rows(curve: TradeoffCurve, accuracy: str) -> list[dict[str, Any]]:
    """Accuracy of each dial at each setting."""
    return [
        {name: row[name] for name in ("dial", "setting", "value", "low", "high")}
        for row in curve.rows
        if row["measure"] == accuracy
    ]


def dials(rows: list[dict[str, Any]], name: str, accuracy: str) -> charts.Chart:
    """Lines of accuracy by the setting of each dial."""
    order = list(dict.fromkeys(row["dial"] for row in rows))
    at_zero = {row["dial"]: row["value"] for row in rows if row["setting"] == 0}
    at_most = {row["dial"]: row["value"] for row in rows if row["setting"] == max(one["setting"] for one in rows)}
    lost = {dial: 1 - at_most[dial] / at_zero[dial] for dial in order if at_zero.get(dial) and dial in at_most}
    head = f"{name}: accuracy by the setting of each taste dial"
    if lost:
        dear = max(lost, key=lambda dial: lost[dial])
        share = f"{numbers.percent(lost[dear], 0)} of {metric_title(accuracy)}"
        head = f"{name}: {words.dial(dear)}, fully turned up, costs most: {share}"
    scale = alt.Scale(domain=order, range=list(charts.HUES[: len(order)]))
    legend = charts.model_legend(3, 190, labelLimit=200, labelExpr="replace(datum.label, /_/g, ' ')")
    return (
        alt.Chart(charts.data(rows))
        .mark_line(point=True, strokeWidth=2.2)
        .encode(
            x=alt.X("setting:Q", title="Dial, from 0 (off) to 1"),
            y=alt.Y("value:Q", title=f"{metric_title(accuracy)} on validation", scale=alt.Scale(zero=False)),
            color=alt.Color("dial:N", scale=scale, legend=legend),
            tooltip=[
                alt.Tooltip("dial:N", title="Dial"),
                alt.Tooltip("setting:Q", title="Setting"),
                alt.Tooltip("value:Q", title=metric_title(accuracy), format=".4f"),
                alt.Tooltip("low:Q", title="95 % from", format=".4f"),
                alt.Tooltip("high:Q", title="95 % to", format=".4f"),
            ],
        )
        .properties(title=charts.title(head, "each dial alone, over the model's best candidates", 58), height=440)
    )


def bought_rows(curve: TradeoffCurve, bought: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows of each dial and setting with the share by which its own measure has moved from setting 0."""
    values = {(row["dial"], row["setting"], row["measure"]): row["value"] for row in curve.rows}
    rows = []
    for dial, measure in bought.items():
        start = values.get((dial, 0.0, measure))
        for (one, setting, own), value in values.items():
            if one == dial and own == measure and start:
                rows.append({"dial": dial, "setting": setting, "measure": measure, "change": value / start - 1})
    return rows


def dials_buy(rows: list[dict[str, Any]], order: Sequence[str]) -> charts.Chart:
    scale = alt.Scale(domain=list(order), range=list(charts.HUES[: len(order)]))
    legend = charts.model_legend(3, 190, labelLimit=200, labelExpr="replace(datum.label, /_/g, ' ')")
    furthest = max(rows, key=lambda row: abs(row["change"]))
    change = f"{furthest['change']:+.0%}".replace("%", " %")
    head = f"{words.sentence(words.dial(furthest['dial']))} changes its own measure most, by {change}"
    return (
        alt.Chart(charts.data(rows))
        .mark_line(point=True, strokeWidth=2.2)
        .encode(
            x=alt.X("setting:Q", title="Dial, from 0 (off) to 1"),
            y=alt.Y("change:Q", title="Change of its own measure", axis=alt.Axis(format="+.0%")),
            color=alt.Color("dial:N", scale=scale, legend=legend),
            tooltip=[
                alt.Tooltip("dial:N", title="Dial"),
                alt.Tooltip("measure:N", title="Measure"),
                alt.Tooltip("setting:Q", title="Setting"),
                alt.Tooltip("change:Q", title="Change", format="+.1%"),
            ],
        )
        .properties(title=charts.title(head, "balance dials lower a divergence: down is better", 58), height=440)
    )


def _span(values: list[float]) -> tuple[float, float]:
    margin = 0.15 * (max(values) - min(values)) or 0.1 * abs(max(values)) or 1.0
    return min(values) - margin, max(values) + margin
