"""Results of experiments: click and like rates and interleaving wins, from exposures and their feedback.

An event answers a list when it names the list's exposure, or the request whose answer held it (the newest one, should
the client have given several answers one request id), and is of the list's user and one of its movies. Feedback that
names no list counts for training and for the user's state alone; what was undone does not count.
"""

import json
from collections import Counter
from itertools import combinations
from typing import Any

import pyarrow as pa

from movierec_engine.data.id_map import PublicId
from movierec_engine.feedback.log import FeedbackLog

CONFIDENCE = 0.95
LIKED_FROM = 4.0
"""A rating of at least this much is a like, on the scale of MovieLens."""

_COUNTS = ("lists", "users", "clicks", "likes", "lists_clicked", "lists_liked")
RATES_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("experiment", "variant", "model")),
        *((name, pa.int64()) for name in _COUNTS),
        *((name, pa.float64()) for name in ("click_rate", "click_rate_low", "click_rate_high")),
        *((name, pa.float64()) for name in ("like_rate", "like_rate_low", "like_rate_high")),
    ]
)
DUELS_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("experiment", "first", "second")),
        *((name, pa.int64()) for name in ("lists", "occasions", "first_wins", "second_wins", "ties", "without_clicks")),
        *((name, pa.float64()) for name in ("first_share", "first_share_low", "first_share_high", "p_value")),
    ]
)

_NEWEST_OF_REQUEST = """
NOT EXISTS (
    SELECT 1 FROM exposures WHERE user_id = x.user_id AND request_id = x.request_id
    AND (at_ms, exposure_id) > (x.at_ms, x.exposure_id)
) AND NOT EXISTS (SELECT 1 FROM exposures WHERE exposure_id = e.shown_in AND user_id = x.user_id)
"""
_ANSWERS = " UNION ALL ".join(
    f"""
    SELECT x.exposure_id, e.movie_id, e.kind, e.rating, e.at_ms, e.seq
    FROM events AS e NOT INDEXED JOIN exposures AS x ON x.user_id = e.user_id AND x.{name} = e.shown_in
    WHERE e.shown_in <> '' AND e.undone_ms IS NULL AND {more}
    AND EXISTS (SELECT 1 FROM json_each(x.movie_ids) WHERE value = e.movie_id)
    """
    for name, more in (("exposure_id", "TRUE"), ("request_id", _NEWEST_OF_REQUEST))
)
"""NOT INDEXED has the events read in the table's order, and x.user_id has the last lookup made for matches alone."""
_ANSWERS = f"""
answers AS ({_ANSWERS}),
clicks AS (SELECT DISTINCT exposure_id, movie_id FROM answers WHERE kind = 'click')
"""
_VARIANTS, _VERSIONS = "experiment, variant, model", "model, version"
_RATES = f"""
WITH {_ANSWERS},
newest AS (
    SELECT exposure_id, movie_id, rating,
           row_number() OVER (PARTITION BY exposure_id, movie_id ORDER BY at_ms / 1000 DESC, seq DESC) AS age
    FROM answers WHERE kind = 'rating'
),
clicked AS (SELECT exposure_id, count(*) AS n FROM clicks GROUP BY exposure_id),
liked AS (SELECT exposure_id, count(*) AS n FROM newest WHERE age = 1 AND rating >= ? GROUP BY exposure_id)
SELECT {{by}}, count(*) AS lists, count(DISTINCT user_id) AS users,
       coalesce(sum(clicked.n), 0) AS clicks, coalesce(sum(liked.n), 0) AS likes,
       count(clicked.n) AS lists_clicked, count(liked.n) AS lists_liked
FROM exposures LEFT JOIN clicked USING (exposure_id) LEFT JOIN liked USING (exposure_id)
GROUP BY {{by}} ORDER BY {{by}}
"""
_TEAM_NAMES = """
(SELECT json_group_array(value) FROM (SELECT DISTINCT value FROM json_each(x.teams) WHERE value <> '' ORDER BY value))
"""
_DAY = 86_400_000
"""Milliseconds of the occasion for which a draft stays the same, a day in UTC."""
_DRAFTED = f"""
SELECT experiment, {_TEAM_NAMES} AS names, user_id, at_ms / {_DAY} AS day, count(*)
FROM exposures AS x WHERE teams <> '[]' GROUP BY 1, 2, 3, 4
"""
_CREDITED = f"""
WITH {_ANSWERS}
SELECT x.experiment, {_TEAM_NAMES} AS names, x.user_id, x.at_ms / {_DAY} AS day,
       json_extract(x.teams, '$[' || shown.key || ']') AS team, count(*)
FROM exposures AS x, json_each(x.movie_ids) AS shown
JOIN clicks ON clicks.exposure_id = x.exposure_id AND clicks.movie_id = shown.value
WHERE x.teams <> '[]' GROUP BY x.experiment, names, x.user_id, day, team
"""


def variant_rates(log: FeedbackLog) -> pa.Table:
    """Lists, clicks and likes by experiment, variant and model: RATES_SCHEMA, one row each.

    lists, users: lists that were shown, and to how many users.
    clicks, likes: movies of those lists that were clicked, and whose newest rating is a like; each counts once a list.
    click_rate: share of the lists with a click, with the Wilson interval; like_rate alike. The interval takes lists as
    independent: where few users see many lists each, it is too narrow.
    """
    return pa.Table.from_pylist(_rates(log, _VARIANTS), schema=RATES_SCHEMA)


def version_rates(log: FeedbackLog) -> dict[tuple[str, str], dict[str, Any]]:
    """The same counts and rates by what answered: model and version of the index, whatever the experiment."""
    return {(row["model"], row["version"]): row for row in _rates(log, _VERSIONS)}


def interleaving_duels(log: FeedbackLog) -> pa.Table:
    """Count the wins of interleaved lists, by experiment and pair of variants: DUELS_SCHEMA, one row each.

    An occasion is a user's day (UTC), over which all lists are of one draft, so that occasions, and not lists, are
    independent. It is won by the variant whose movies were clicked more often, over all its lists; `ties` had as many
    clicks on either's, `without_clicks` none. p_value: of a two-sided sign test over the occasions that somebody won;
    first_share with its Wilson interval is of those too. Both are null while nobody won any.
    """
    from scipy.stats import binomtest

    Pair = tuple[str, frozenset[str]]
    shown: dict[Pair, Counter[tuple[PublicId, int]]] = {}
    for experiment, names, user, day, lists in log.query(_DRAFTED):
        shown.setdefault((experiment, frozenset(json.loads(names))), Counter())[user, day] += lists
    clicks: dict[Pair, dict[tuple[PublicId, int], Counter[str]]] = {}
    for experiment, names, user, day, team, count in log.query(_CREDITED):
        of_pair = clicks.setdefault((experiment, frozenset(json.loads(names))), {})
        of_pair.setdefault((user, day), Counter())[team] += count
    rows = []
    for experiment in dict.fromkeys(experiment for experiment, _ in shown):
        drafted = [names for one, names in shown if one == experiment]
        for first, second in combinations(sorted(frozenset().union(*drafted)), 2):
            lists, clicked = Counter[tuple[PublicId, int]](), dict[tuple[PublicId, int], Counter[str]]()
            for names in (names for names in drafted if names <= {first, second}):
                lists.update(shown[experiment, names])
                for occasion, of_team in clicks.get((experiment, names), {}).items():
                    clicked.setdefault(occasion, Counter()).update(of_team)
            lead = [of_team[first] - of_team[second] for of_team in clicked.values()]
            wins, losses = sum(one > 0 for one in lead), sum(one < 0 for one in lead)
            row = {
                "experiment": experiment,
                "first": first,
                "second": second,
                "lists": lists.total(),
                "occasions": len(lists),
                "first_wins": wins,
                "second_wins": losses,
                "ties": len(lead) - wins - losses,
                "without_clicks": len(lists) - len(lead),
            }
            if wins + losses:
                row |= {**_share("first_share", wins, wins + losses), "p_value": binomtest(wins, wins + losses).pvalue}
            rows.append(row)
    return pa.Table.from_pylist(rows, schema=DUELS_SCHEMA)


def _rates(log: FeedbackLog, by: str) -> list[dict[str, Any]]:
    names = [*by.split(", "), *_COUNTS]
    rows = []
    for row in log.query(_RATES.format(by=by), LIKED_FROM):
        counts = dict(zip(names, row, strict=True))
        for rate, hits in (("click_rate", "lists_clicked"), ("like_rate", "lists_liked")):
            counts |= _share(rate, counts[hits], counts["lists"])
        rows.append(counts)
    return rows


def _share(name: str, hits: int, of: int) -> dict[str, float]:
    """A share and its Wilson interval (Wilson 1927)."""
    from scipy.stats import binomtest

    low, high = binomtest(hits, of).proportion_ci(CONFIDENCE, method="wilson")
    return {name: hits / of, f"{name}_low": low, f"{name}_high": high}
