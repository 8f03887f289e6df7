"""What was measured: the data, how it was divided, and what was ranked against what."""

from movierec_engine.data.split import LEAKY, split_label
from movierec_engine.evaluation.protocols import described
from movierec_engine.evaluation.report import EvaluationReport
from movierec_engine.reporting.html import definitions, words
from movierec_engine.reporting.html.document import Section, Terms
from movierec_engine.reporting.html.ranking import Ranking

_BY_TIME = ("global_time", "rolling_origin")
"""Strategies that divide all users at one moment."""


def measurement(ranking: Ranking) -> Section:
    """What all the group's reports have in common."""
    report = ranking.report(ranking.leader)
    terms = (
        ("Data set", f"{report.data}: {_counts(report)}"),
        ("Split", f"{split_label(report.split['strategy'])}: {definitions.split_words(report.split['strategy'])}."),
        ("Looking ahead", _future(report)),
        *([("Ties in time", _ties(report))] if report.split["strategy"] in LEAKY else []),
        ("Interactions", _parts(report)),
        ("Protocol", _protocol(report, ranking.group.sampled)),
        ("Users", _users(report)),
        (
            "Fingerprint",
            f"{report.fingerprint}: the same data, split, protocol and metric definitions, or not compared.",
        ),
    )
    return Section(
        "measurement",
        "What was measured",
        "Numbers mean something only together with how they were made.",
        (Terms(terms),),
    )


def _protocol(report: EvaluationReport, sampled: bool) -> str:
    ranked = "only these and the relevant items are ranked" if sampled else "the whole catalogue is ranked"
    known = words.listed(report.mask.split("+"))
    return f"{described(report.protocol)}: {ranked} for each user, without what the user has in {known}."


def _counts(report: EvaluationReport) -> str:
    interactions = sum(count for name, count in report.counts.items() if name.endswith("_interactions"))
    return (
        f"{words.counted(report.counts.get('users', 0), 'user')}, "
        f"{words.counted(report.counts.get('items', 0), 'item')} and "
        f"{words.counted(interactions, 'interaction')} after filtering."
    )


def _parts(report: EvaluationReport) -> str:
    counts = {name: report.counts.get(f"{name}_interactions", 0) for name in ("train", "validation", "test")}
    total = max(sum(counts.values()), 1)
    return (
        words.sentence(words.listed([f"{name} {n:,} ({words.percent(n / total)})" for name, n in counts.items()])) + "."
    )


def _future(report: EvaluationReport) -> str:
    share = report.split.get("future_share")
    if share is None:
        return "Not measured."
    if share == 0:
        sure = "" if report.split["strategy"] in _BY_TIME else ", as far as the timestamps tell"
        return f"No test interaction happened before the newest train interaction{sure}."
    return (
        f"{words.percent(share)} of the test interactions happened before the newest train interaction, so models "
        "could learn from what came later; a running system cannot, and its numbers are likely to be lower."
    )


def _ties(report: EvaluationReport) -> str:
    share = report.split.get("tied_share")
    if share is None:
        return "Not measured."
    return (
        f"{words.percent(share)} of the test interactions have the same time as another of their user's outside test; "
        "which of those is test was decided by data.split_seed."
    )


def _users(report: EvaluationReport) -> str:
    counts = report.counts
    left_out = counts.get("users_without_test_items", 0)
    without = counts.get("users_without_history", 0)
    return (
        f"{counts.get('users_evaluated', 0):,} evaluated; {left_out:,} without test items, left out; {without:,} of "
        "the evaluated without train interactions, answered by popularity."
    )
