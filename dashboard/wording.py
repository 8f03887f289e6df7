"""How numbers, names and conclusions are put into words."""

import re
from collections.abc import Sequence

from dashboard.queries.leaderboard import BASELINE, EvaluationSetup, Standing
from dashboard.queries.reports import Serving
from movierec_engine.evaluation.comparison import Verdict
from movierec_engine.evaluation.metrics import metrics


def metric_order(names: list[str]) -> list[str]:
    """Names of metrics in the order that they are shown everywhere; those that are not registered here come last."""
    known = [name for name in metrics() if name in names]
    return known + [name for name in names if name not in known]


def plain(text: object) -> str:
    """Text that Markdown shows as it is, with no markup, link, formula, icon or HTML."""
    return re.sub(r"([^\w\s/(),;=%+'–·-]|_)", r"\\\1", " ".join(str(text).split()))


def duration(seconds: float) -> str:
    """Such as 3 ms, 1.6 s, 46 s, 12 min or 3 h 05 min."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def memory(megabytes: float) -> str:
    return f"{megabytes:,.0f} MB" if megabytes < 1024 else f"{megabytes / 1024:.1f} GB"


def count(number: float) -> str:
    """Such as 671, 90,072 or 20.0 M."""
    return f"{number:,.0f}" if number < 1e7 else f"{number / 1e6:,.1f} M"


def counted(number: int, one: str) -> str:
    """`1 user`, `1,234 users`."""
    return f"{number:,} {one if number == 1 else one + 's'}"


def percent(share: float, decimals: int = 1) -> str:
    return f"{100 * share:.{decimals}f} %"


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def relative(value: float, base: float) -> str:
    """How far value is from base: +10.3 %, or 2.2 times where percents get unwieldy."""
    if base <= 0:
        return "from zero"
    return f"{value / base:.1f} times" if value / base >= 2 else f"{value / base - 1:+.1%}".replace("%", " %")


def day(created_at: str) -> str:
    """An ISO instant to the minute."""
    return created_at[:16].replace("T", " ")


def ranking(group: EvaluationSetup) -> str:
    return "sampled ranking" if group.sampled else "full ranking"


def group_name(group: EvaluationSetup) -> str:
    return f"{group.data} · {ranking(group)} · {group.fingerprint}"


def labels(standings: list[Standing]) -> dict[str, str]:
    """Report id -> the model's name, with its device where the model alone would be ambiguous."""
    names = [standing.model for standing in standings]
    return {
        standing.id: standing.model if names.count(standing.model) == 1 else f"{standing.model} ({standing.device})"
        for standing in standings
    }


def overlap(one: Standing, other: Standing) -> bool | None:
    """Whether two 95 % intervals share a value; None where one has no interval."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return None
    return one.low <= other.high and other.low <= one.high


def overlap_words(one: Standing, other: Standing) -> str:
    return {
        True: "their 95 % intervals overlap",
        False: "their 95 % intervals do not overlap",
        None: "this metric has no intervals",
    }[overlap(one, other)]


def runner_up(ranked: list[Standing]) -> Standing | None:
    return ranked[1] if len(ranked) > 1 else None


def baseline(ranked: list[Standing]) -> Standing | None:
    return next((standing for standing in ranked if standing.model == BASELINE), None)


def headline(ranked: list[Standing], names: dict[str, str], metric: str) -> str:
    """The page's conclusion, as Markdown; ranked: at least one scored report, the best first."""
    leader, second, base = ranked[0], runner_up(ranked), baseline(ranked)
    first = plain(names[leader.id])
    if second is None:
        return f"**{first}** is the only model measured here: {plain(metric)} {score(leader.score)}."
    assert leader.score is not None and second.score is not None
    other = plain(names[second.id])
    if leader.score == second.score:
        text = f"**{first}** and **{other}** tie on {plain(metric)} at {score(leader.score)}"
    else:
        ahead = _ahead(leader.score, second.score)
        text = f"**{first}** leads on {plain(metric)} with {score(leader.score)}, {ahead} {other}"
        text += f" ({score(second.score)}; {overlap_words(leader, second)})"
    if base is not None and base.id not in (leader.id, second.id) and base.score is not None:
        text += f" and {_ahead(leader.score, base.score)} {plain(names[base.id])} ({overlap_words(leader, base)})"
    elif base is None:
        text += f"; no {BASELINE} baseline has been measured here"
    return text + "."


def choice(ranked: list[Standing], names: dict[str, str], metric: str) -> str:
    """What validation, by which models are chosen, says."""
    judged = [standing for standing in ranked if standing.validation is not None]
    if not judged:
        return "These reports have no validation part, so nothing was chosen on data apart from the test."
    best = max(judged, key=lambda standing: standing.validation or 0.0)
    verb = "agrees" if best.id == ranked[0].id else "disagrees"
    return (
        f"Models are chosen by validation; test is the report. Validation {verb}: **{plain(names[best.id])}** has the "
        f"highest validation {plain(metric)} ({score(best.validation)})."
    )


def larger_p(verdict: Verdict) -> str:
    """The larger of the two tests' corrected p values: the one that decides."""
    return p_value(max(verdict.p_bootstrap, verdict.p_wilcoxon))


def paired(verdict: Verdict) -> str:
    """What the same users say about two models of a board."""
    found = verdict.comparison
    conclusion = "a real difference" if verdict.significant else "no difference that can be told"
    return (
        f"User by user, {plain(verdict.better)} scores {found.difference:+.4f} against {plain(verdict.worse)} over the "
        f"same {found.users:,} users (95 % interval {found.low:+.4f} to {found.high:+.4f}; {larger_p(verdict)}, "
        f"corrected for all pairs of models): {conclusion}."
    )


def as_good_for_less(leader: Standing, as_good: Sequence[Standing], names: dict[str, str]) -> str:
    """The quickest to train of the models that cannot be told from the leader, if in less than half of its time."""
    trained = [standing for standing in as_good if standing.seconds]  # given lists were not trained here
    quickest = min(trained, key=lambda standing: standing.seconds, default=leader)
    if quickest.seconds >= leader.seconds / 2:
        return ""
    return (
        f"If cost matters: **{plain(names[quickest.id])}** cannot be told from {plain(names[leader.id])} and trains in "
        f"{duration(quickest.seconds)} instead of {duration(leader.seconds)}."
    )


def served(serving: Serving | None, everything: list[Standing], names: dict[str, str]) -> str:
    """What answers now, and whether its report is among those shown."""
    if serving is None:
        return "Nothing is promoted yet, so the API answers from the newest index."
    shown = next((standing for standing in everything if standing.served), None)
    if shown is not None:
        name, since = plain(names[shown.id]), plain(day(serving.since))
        form = " refitted on all interactions with the settings measured here," if serving.refitted_model else ""
        return f"**{name}** is served now,{form} since {since} UTC; the page Operations says why."
    return (
        f"**{plain(serving.model)}** is served now, since {plain(day(serving.since))} UTC; the report of that version "
        f"is not in this table ({plain(serving.trained_model)})."
    )


def role(standing: Standing) -> str:
    return "baseline" if standing.model == BASELINE else "other"


def _ahead(better: float, other: float) -> str:
    if other <= 0:
        return "ahead of"
    ratio = better / other
    return f"{ratio:.1f} times" if ratio >= 2 else f"{ratio - 1:.1%}".replace("%", " %") + " ahead of"
