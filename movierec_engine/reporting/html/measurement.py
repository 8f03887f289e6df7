"""The section on the evaluation set-up: data, split, protocol and the rules of every number."""

from movierec_engine.data.config import NEXT, NEXT_ITEM, NEXT_ITEM_AFTER, USERS
from movierec_engine.data.split import LEAKY, split_label
from movierec_engine.evaluation.protocols import described
from movierec_engine.evaluation.report import EvaluationReport
from movierec_engine.reporting import numbers, words
from movierec_engine.reporting.html.document import Section, Terms
from movierec_engine.reporting.html.ranking import Ranking

_SPLITS = {
    "random": "each user's interactions are shuffled and cut into train, validation and test; time plays no part",
    "user_time": "of each user's interactions the newest are test and those before them validation",
    "leave_one_out": "each user's newest interaction is test and the one before it validation",
    "global_time": "one moment for all users: what came after it is test, what came shortly before it validation",
    "rolling_origin": "one window of a backtest: train ends at a moment, and test is what came next",
    "users": "whole users are held out, whom no model has seen: it is told of a part of what each has, and has to find "
    "the rest",
    NEXT_ITEM: "what comes next in each user's history: the newest interaction is test and the one before it "
    "validation, and everything before it is folded in",
    NEXT_ITEM_AFTER: "what comes next after one moment for all users: the first interaction of each who has a history "
    "is test, everything before the moment is folded in, and what came later is in no part; validation likewise, with "
    "an earlier moment",
    "given": "the parts came with the data",
}
"""How a strategy divides the interactions."""

RULES = (
    ("Relevant", "every test interaction of a user; what the user has in the mask is never ranked"),
    ("Ties", "count against the model, and in auc a half: of items with equal scores the relevant ones stand last"),
    ("Users", "the mean is over users with test items; a user without recommendations counts 0"),
    ("95 % interval", "percentile bootstrap of the mean, users drawn with replacement"),
    (
        "Significant",
        "the bootstrap of the mean difference and Wilcoxon's signed ranks, both over the same users and both "
        "Holm-corrected over all pairs of models, have p below .05 and favour the same model",
    ),
    ("p", "the larger of the two corrected p values"),
    (
        "Effect size",
        "mean of the users' differences / their standard deviation (Cohen's d_z): .2 small, .5 medium, .8 large",
    ),
)
"""Rules that hold for every number, by name."""


def measurement(ranking: Ranking) -> Section:
    """The section on how the group's reports were measured: what they have in common."""
    report = ranking.report(ranking.leader)
    terms = (
        ("Data set", f"{report.data}: {_counts(report)}"),
        ("Split", f"{split_label(report.split['strategy'])}: {_split_words(report.split['strategy'])}."),
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
    known = numbers.listed(report.mask.split("+"))
    return f"{described(report.protocol)}: {ranked} for each user, without what the user has in {known}."


def _counts(report: EvaluationReport) -> str:
    interactions = sum(count for name, count in report.counts.items() if name.endswith("_interactions"))
    return (
        f"{numbers.counted(report.counts.get('users', 0), 'user')}, "
        f"{numbers.counted(report.counts.get('items', 0), 'item')} and "
        f"{numbers.counted(interactions, 'interaction')} after filtering."
    )


def _parts(report: EvaluationReport) -> str:
    parts = (
        ("train", "train"),
        ("fold_in", "folded in"),
        ("validation", "validation"),
        ("test", "test"),
        ("later", "later than test"),
    )
    of = ((title, report.counts.get(f"{name}_interactions")) for name, title in parts)
    counts = {name: count for name, count in of if count is not None}
    total = max(sum(counts.values()), 1)
    return (
        words.sentence(numbers.listed([f"{name} {n:,} ({numbers.percent(n / total)})" for name, n in counts.items()]))
        + "."
    )


def _future(report: EvaluationReport) -> str:
    share = report.split.get("future_share")
    if share is None:
        return "Not measured."
    if share == 0:
        sure = "" if report.split.get("boundaries") else ", as far as the timestamps tell"
        return f"No test interaction happened before the newest train interaction{sure}."
    return (
        f"{numbers.percent(share)} of the test interactions happened before the newest train interaction, so models "
        "could learn from what came later; a running system cannot, and its numbers are likely to be lower."
    )


def _ties(report: EvaluationReport) -> str:
    share = report.split.get("tied_share")
    if share is None:
        return "Not measured."
    by = "a fixed random number of user and item" if report.split["strategy"] in NEXT else "data.split_seed"
    return (
        f"{numbers.percent(share)} of the test interactions have the same time as another of their user's outside "
        f"test; which of those is test was decided by {by}."
    )


def _users(report: EvaluationReport) -> str:
    counts = report.counts
    if report.split["strategy"] == USERS:
        return (
            f"{counts['users_evaluated']:,} evaluated, of whom no model has seen anything; "
            f"{counts['train_users']:,} are trained on, {counts['validation_users']:,} are for validation, and "
            f"{counts['left_out_users']:,} were left out, as fewer than two of their items are in train."
        )
    left_out = counts.get("users_without_test_items", 0)
    if report.split["strategy"] in NEXT:
        return (
            f"{counts.get('users_evaluated', 0):,} evaluated, each by one item; {left_out:,} without a history and a "
            "next item, left out."
        )
    without = counts.get("users_without_history", 0)
    return (
        f"{counts.get('users_evaluated', 0):,} evaluated; {left_out:,} without test items, left out; {without:,} of "
        "the evaluated without train interactions, answered by popularity."
    )


def _split_words(strategy: str) -> str:
    """Sentence on how a split was made, with a warning where it looks ahead."""
    made = _SPLITS.get(strategy, strategy)
    return f"{made}; leaky: {LEAKY[strategy]}" if strategy in LEAKY else made
