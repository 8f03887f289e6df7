"""The map of the catalogue, and what a recommendation is made of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np

from dashboard import charts
from dashboard.charts import Row
from dashboard.queries.indices import Reason, SearchableIndex
from dashboard.queries.movie_map import MovieMap
from dashboard.wording import say
from movierec_engine.reporting import numbers

OTHER = "other"
_FEW_RINGS = 150
"""More movies of a history than this are ringed faintly."""
SHOWN_PARTS = 12
"""Movies of a history whose parts in a score are drawn."""


def genre_names(found: SearchableIndex) -> list[str]:
    """All genres, the most frequent first."""
    return [name for name, _ in Counter(genre for own in found.genres for genre in own).most_common()]


def map_rows(
    found: SearchableIndex, drawn: MovieMap, genres: Sequence[str], extra: Sequence[int]
) -> list[dict[str, Any]]:
    """One row a movie: title, genres, ratings, x, y, and the last of the chosen genres that it has, the rarest one."""
    items = list(dict.fromkeys([*drawn.items.tolist(), *drawn.highlighted(list(extra))]))
    popularity = found.index.popularity
    return [
        {
            "title": found.titles[item],
            "genres": ", ".join(found.genres[item]),
            "genre": next((name for name in reversed(genres) if name in found.genres[item]), OTHER),
            "ratings": int(popularity[item]),
            "x": round(float(drawn.place[item, 0]), 4),
            "y": round(float(drawn.place[item, 1]), 4),
        }
        for item in items
    ]


def conclusion(drawn: MovieMap, history: Sequence[int], listed: Mapping[str, Sequence[int]]) -> str:
    """Sentence on where the lists lie: the movies nearer to the history's centre than half of the map is."""
    own = drawn.highlighted(list(history))
    if not own or not listed:
        return say("Movies that the same people have lie close together")
    centre = drawn.place[own].mean(axis=0)
    middle = float(np.median(np.linalg.norm(drawn.place[drawn.items] - centre, axis=1)))
    parts = []
    for model, items in listed.items():
        placed = drawn.highlighted(list(items))
        near = sum(float(np.linalg.norm(drawn.place[item] - centre)) < middle for item in placed)
        parts.append(f"{near} of {len(placed)} from {model}")
    return say("Near this person's own movies lie ") + numbers.listed(parts)


def movie_map(
    rows: list[dict[str, Any]],
    drawn: MovieMap,
    found: SearchableIndex,
    genres: Sequence[str],
    history: Sequence[int],
    listed: Mapping[str, Sequence[int]],
    models: Mapping[str, str],
) -> charts.Chart:
    """Genres coloured; rings are the history, large filled marks the lists."""
    share = numbers.percent(drawn.explained, 0)
    total = len(found.titles)
    all_of_them = len(drawn.items) == total
    shown = say("all movies" if all_of_them else f"the {len(drawn.items):,} most popular of {total:,} movies")
    title = charts.title(
        conclusion(drawn, history, listed),
        f"{shown}; the two directions in which embeddings differ most, which show {share} of their variance. "
        + say("Near: half of the map is further from the centre of the person's movies. Drag and scroll to wander"),
        charts.WIDE,
    )
    domain = [*genres, OTHER]
    x = alt.X("x:Q", title="First principal component of the embeddings", axis=alt.Axis(format=".2~f"))
    y = alt.Y("y:Q", title="Second principal component", axis=alt.Axis(format=".2~f"))
    tooltip = [
        alt.Tooltip("title:N", title=say("Movie")),
        alt.Tooltip("genres:N", title="Genres"),
        alt.Tooltip("ratings:Q", title=say("Train ratings"), format=","),
    ]
    faint = 0.5 if history else 0.65
    dots = (
        alt.Chart(charts.data(rows))
        .mark_circle(size=28)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "genre:N",
                scale=alt.Scale(domain=domain, range=[*charts.HUES[: len(genres)], charts.GREY]),
                legend=charts.model_legend(7) if genres else None,
            ),
            opacity=alt.condition(alt.datum.genre == OTHER, alt.value(0.18), alt.value(faint)),
            tooltip=tooltip,
        )
    )
    layers = [dots]
    if own := _placed(found, drawn, {"history": history}):
        few = len(own) <= _FEW_RINGS
        rings = alt.Chart(charts.data(own)).mark_point(
            size=70 if few else 30,
            filled=False,
            strokeWidth=1.8 if few else 1.0,
            opacity=0.9 if few else 0.5,
            stroke=charts.ink(),
        )
        layers.append(rings.encode(x=x, y=y, tooltip=tooltip))
    if shown_lists := _placed(found, drawn, listed):
        marks = alt.Chart(charts.data(shown_lists)).mark_point(
            size=190, filled=True, opacity=1, stroke=charts.ink(), strokeWidth=1.2
        )
        order = list(listed)
        shapes = alt.Scale(domain=order, range=list(_SHAPES[: len(order)]))
        legend = alt.Legend(title="List of", orient="bottom", symbolFillColor=charts.ink(), symbolStrokeWidth=1)
        layers.append(
            marks.encode(
                x=x,
                y=y,
                shape=alt.Shape("list:N", scale=shapes, legend=legend),
                fill=alt.Fill(
                    "list:N",
                    scale=alt.Scale(domain=order, range=[charts.hue(models[name]) for name in order]),
                    legend=None,
                ),
                tooltip=[alt.Tooltip("list:N", title="List of"), alt.Tooltip("rank:Q", title="Rank"), *tooltip],
            )
        )
    return alt.layer(*layers).properties(title=title, height=620).interactive()


def place_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Every place of every list, and whether its movie stands in another list too."""
    lists = Counter(row["movie_id"] for row in rows)
    names = ("model", "rank", "movie_id", "title", "in_test")
    return [{**{name: row[name] for name in names}, "shared": lists[row["movie_id"]] > 1} for row in rows]


def joined(rows: list[dict[str, Any]], models: Sequence[str], person: str) -> charts.Chart:
    """Places by model; a line joins the places of a movie that stands in several lists. rows: of `place_rows`."""
    shared = {row["movie_id"] for row in rows if row["shared"]}
    total = len({row["movie_id"] for row in rows})
    hits = {row["movie_id"] for row in rows if row["in_test"]}
    head = f"{len(shared)} of {total} {say('movies')} that {person} gets stand in more than one list"
    if hits:
        head += f"; {say(numbers.counted(len(hits), 'movie'))} in the test part"
    deepest = max(row["rank"] for row in rows)
    base = alt.Chart(charts.data(rows))
    x = alt.X("model:N", sort=list(models), title=None, axis=alt.Axis(orient="top", labelAngle=0))
    y = alt.Y("rank:Q", title="Place", scale=alt.Scale(domain=[deepest + 0.5, 0.5]), axis=alt.Axis(tickMinStep=1))
    tooltip = [
        alt.Tooltip("title:N", title=say("Movie")),
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("rank:Q", title="Place"),
        alt.Tooltip("in_test:N", title="In the test part"),
    ]
    color = alt.condition(alt.datum.in_test, alt.value(charts.HUES[2]), alt.value(charts.QUIET))
    joins = base.transform_filter(alt.datum.shared).mark_line(strokeWidth=1.5, opacity=0.7, color=charts.QUIET)
    names = base.mark_text(fontSize=11, dy=-11, limit=alt.ExprRef(f"(containerSize()[0] - 60) / {len(models)} - 12"))
    return alt.layer(
        joins.encode(x=x, y=y, detail="movie_id:N"),
        base.mark_point(size=70, filled=True, opacity=1).encode(x=x, y=y, color=color, tooltip=tooltip),
        names.encode(x=x, y=y, text="title:N", color=alt.value(charts.ink()), tooltip=tooltip),
    ).properties(
        title=charts.title(head, say("line: the same movie; green: in the test part"), charts.WIDE),
        height=34 * deepest + 110,
    )


_SHAPES = ("triangle-up", "diamond", "square")


def _placed(found: SearchableIndex, drawn: MovieMap, groups: Mapping[str, Sequence[int]]) -> list[dict[str, Any]]:
    return [
        {
            "list": name,
            "rank": rank,
            "title": found.titles[item],
            "genres": ", ".join(found.genres[item]),
            "ratings": int(found.index.popularity[item]),
            "x": round(float(drawn.place[item, 0]), 4),
            "y": round(float(drawn.place[item, 1]), 4),
        }
        for name, items in groups.items()
        for rank, item in enumerate(items, start=1)
        if drawn.known[item]
    ]


def reason_rows(reason: Reason) -> list[dict[str, Any]]:
    """Contributions of the history's strongest movies to a score, negative ones included."""
    strongest = sorted(reason.contributions, key=lambda part: -abs(part[1]))[:SHOWN_PARTS]
    return [{"movie": title, "adds": amount} for title, amount in sorted(strongest, key=lambda part: -part[1])]


def reasons(rows: list[dict[str, Any]], reason: Reason, model: str, movie: str) -> charts.Chart:
    first = rows[0]
    how = (
        f"exact terms of the score; the part that does not depend on the history adds {reason.base:+.3g}"
        if reason.exact
        else say("score lost if that movie were removed from the history; such effects overlap")
    )
    head = f"{model} recommends {movie} most of all because of {first['movie']}"
    if first["adds"] <= 0:
        head = f"Nothing in the history speaks for {movie} with {model}"
    left = len(reason.contributions) - len(rows)
    subtitle = f"score {reason.score:#.4g}; {how}" + (
        f". The strongest {len(rows)} of {len(rows) + left}" if left else ""
    )
    return (
        alt.Chart(charts.data(rows))
        .mark_bar(height={"band": 0.7})
        .encode(
            x=alt.X("adds:Q", title="Adds to the score"),
            y=alt.Y(
                "movie:N",
                sort=[row["movie"] for row in rows],
                title=None,
                axis=alt.Axis(labelLimit=charts.label_limit(260), ticks=False, domain=False),
            ),
            color=alt.condition(alt.datum.adds > 0, alt.value(charts.SECOND), alt.value(charts.FIRST)),
            tooltip=[
                alt.Tooltip("movie:N", title=say("Movie of the history")),
                alt.Tooltip("adds:Q", title="Adds", format="+.4f"),
            ],
        )
        .properties(title=charts.title(head, subtitle, charts.WIDE), height=26 * len(rows) + 170)
    )
