"""Results of experiments: click and like rates and interleaving wins, from exposures and their feedback.

An event answers a list when it names the list's exposure, or the request whose answer held it (the newest one, should
the client have given several answers one request id), and is of the list's user and one of its movies. Feedback that
names no list counts for training and for the user's state alone; what was undone does not count.
"""

import math
from collections import Counter
from itertools import combinations
from statistics import NormalDist
from typing import Any

import pyarrow as pa

from movierec_engine.data.id_map import PublicId
from movierec_engine.feedback.log import By, FeedbackLog

CONFIDENCE = 0.95

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


def variant_rates(log: FeedbackLog, liked_from: float) -> pa.Table:
    """Lists, clicks and likes by experiment, variant and model: RATES_SCHEMA, one row each.

    lists, users: lists that were shown, and to how many users.
    liked_from: the least rating of a like in the data set, see `data/rating_scale.py:least_like`.
    clicks, likes: movies of those lists that were clicked, and whose newest rating is a like; each counts once a list.
    click_rate: share of the lists with a click, with the Wilson interval; like_rate alike. The interval takes lists as
    independent: where few users see many lists each, it is too narrow.
    """
    return pa.Table.from_pylist(_rates(log, "experiment, variant, model", liked_from), schema=RATES_SCHEMA)


def version_rates(log: FeedbackLog, liked_from: float) -> dict[tuple[str, str], dict[str, Any]]:
    """The same counts and rates by what answered: model and version of the index, whatever the experiment."""
    return {(row["model"], row["version"]): row for row in _rates(log, "model, version", liked_from)}


def interleaving_duels(log: FeedbackLog) -> pa.Table:
    """Count the wins of interleaved lists, by experiment and pair of variants: DUELS_SCHEMA, one row each.

    An occasion is a user's day (UTC), over which all lists are of one draft, so that occasions, and not lists, are
    independent. It is won by the variant whose movies were clicked more often, over all its lists; `ties` had as many
    clicks on either's, `without_clicks` none. p_value: of a two-sided sign test over the occasions that somebody won;
    first_share with its Wilson interval is of those too. Both are null while nobody won any.
    """
    Pair = tuple[str, frozenset[str]]
    shown: dict[Pair, Counter[tuple[PublicId, int]]] = {}
    for experiment, variants, user, day, count in log.drafted():
        shown.setdefault((experiment, frozenset(variants)), Counter())[user, day] += count
    clicks: dict[Pair, dict[tuple[PublicId, int], Counter[str]]] = {}
    for experiment, variants, user, day, team, count in log.credited():
        of_pair = clicks.setdefault((experiment, frozenset(variants)), {})
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
                row |= {
                    **share_with_interval("first_share", wins, wins + losses),
                    "p_value": sign_test(wins, losses),
                }
            rows.append(row)
    return pa.Table.from_pylist(rows, schema=DUELS_SCHEMA)


def _rates(log: FeedbackLog, by: By, liked_from: float) -> list[dict[str, Any]]:
    names = [*by.split(", "), *_COUNTS]
    rows = []
    for row in log.list_counts(by, liked_from):
        counts = dict(zip(names, row, strict=True))
        for rate, hits in (("click_rate", "lists_clicked"), ("like_rate", "lists_liked")):
            counts |= share_with_interval(rate, counts[hits], counts["lists"])
        rows.append(counts)
    return rows


def share_with_interval(name: str, hits: int, of: int) -> dict[str, float]:
    """A share and its Wilson interval (Wilson 1927); of is 1 or more."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share = hits / of
    middle = (share + z**2 / (2 * of)) / (1 + z**2 / of)
    half = z / (1 + z**2 / of) * math.sqrt(share * (1 - share) / of + z**2 / (4 * of**2))
    low, high = middle - half if hits else 0.0, middle + half if hits < of else 1.0
    return {name: share, f"{name}_low": low, f"{name}_high": high}


def sign_test(wins: int, losses: int) -> float:
    """p value of the exact two-sided sign test."""
    from scipy.special import bdtr  # scipy.stats takes a second to load

    return min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5)))
