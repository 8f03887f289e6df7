"""What an experiment has found so far, from exposures and the feedback that answers them.

An event answers a list when it names the list's request, and is of the list's user and one of its movies. Feedback that
names no request counts for training and for the user's state alone.
"""

import json
from collections import Counter
from itertools import combinations
from typing import Any

import pyarrow as pa

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
        *((name, pa.int64()) for name in ("lists", "first_wins", "second_wins", "ties", "without_clicks")),
        *((name, pa.float64()) for name in ("first_share", "first_share_low", "first_share_high", "p_value")),
    ]
)

_ANSWERS = """
answers AS (
    SELECT e.request_id, e.movie_id, e.kind, e.rating, e.seq
    FROM events AS e JOIN exposures AS x ON x.request_id = e.request_id AND x.user_id = e.user_id
    WHERE EXISTS (SELECT 1 FROM json_each(x.movie_ids) WHERE value = e.movie_id)
),
clicks AS (SELECT DISTINCT request_id, movie_id FROM answers WHERE kind = 'click')
"""
_VARIANTS, _VERSIONS = "experiment, variant, model", "model, version"
_RATES = f"""
WITH {_ANSWERS},
newest AS (
    SELECT request_id, movie_id, rating, row_number() OVER (PARTITION BY request_id, movie_id ORDER BY seq DESC) AS age
    FROM answers WHERE kind = 'rating'
),
clicked AS (SELECT request_id, count(*) AS n FROM clicks GROUP BY request_id),
liked AS (SELECT request_id, count(*) AS n FROM newest WHERE age = 1 AND rating >= ? GROUP BY request_id)
SELECT {{by}}, count(*) AS lists, count(DISTINCT user_id) AS users,
       coalesce(sum(clicked.n), 0) AS clicks, coalesce(sum(liked.n), 0) AS likes,
       count(clicked.n) AS lists_clicked, count(liked.n) AS lists_liked
FROM exposures LEFT JOIN clicked USING (request_id) LEFT JOIN liked USING (request_id)
GROUP BY {{by}} ORDER BY {{by}}
"""
_TEAM_NAMES = """
(SELECT json_group_array(value) FROM (SELECT DISTINCT value FROM json_each(x.teams) WHERE value <> '' ORDER BY value))
"""
_DRAFTED = f"SELECT experiment, {_TEAM_NAMES} AS names, count(*) FROM exposures AS x WHERE teams <> '[]' GROUP BY 1, 2"
_CREDITED = f"""
WITH {_ANSWERS}
SELECT x.experiment, {_TEAM_NAMES} AS names, x.request_id, json_extract(x.teams, '$[' || shown.key || ']') AS team,
       count(*)
FROM exposures AS x, json_each(x.movie_ids) AS shown
JOIN clicks ON clicks.request_id = x.request_id AND clicks.movie_id = shown.value
WHERE x.teams <> '[]' GROUP BY x.experiment, names, x.request_id, team
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
    """Who wins the interleaved lists, by experiment and pair of variants: DUELS_SCHEMA, one row each.

    A list is won by the variant that contributed more of the movies that were clicked in it. p_value: of a two-sided
    sign test over the lists that somebody won; first_share with its Wilson interval is of those too. Both are null
    while nobody won any.
    """
    from scipy.stats import binomtest

    lists: dict[str, Counter[frozenset[str]]] = {}
    for experiment, names, count in log.query(_DRAFTED):
        lists.setdefault(experiment, Counter())[frozenset(json.loads(names))] += count
    credit: dict[tuple[str, frozenset[str]], dict[str, Counter[str]]] = {}
    for experiment, names, request, team, clicks in log.query(_CREDITED):
        clicked = credit.setdefault((experiment, frozenset(json.loads(names))), {})
        clicked.setdefault(request, Counter())[team] += clicks
    rows = []
    for experiment, drafted in lists.items():
        for first, second in combinations(sorted(frozenset().union(*drafted)), 2):
            between = [names for names in drafted if names <= {first, second}]
            counts = [clicked for names in between for clicked in credit.get((experiment, names), {}).values()]
            lead = [clicked[first] - clicked[second] for clicked in counts]
            wins, losses = sum(one > 0 for one in lead), sum(one < 0 for one in lead)
            shown = sum(drafted[names] for names in between)
            row = {
                "experiment": experiment,
                "first": first,
                "second": second,
                "lists": shown,
                "first_wins": wins,
                "second_wins": losses,
                "ties": len(lead) - wins - losses,
                "without_clicks": shown - len(lead),
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
