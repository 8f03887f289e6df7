"""Evaluation results as tables for people."""

from collections.abc import Mapping

from rich.markup import escape
from rich.table import Table

from movierec_engine.evaluation.comparison import LeaderComparison, Verdict


def metrics_table(
    title: str, metrics: Mapping[str, float], intervals: Mapping[str, tuple[float, float]] | None = None
) -> Table:
    """Metrics in rows, depths in columns, each with half the width of its 95 % interval where there is one.

    metrics: names such as `ndcg@10` -> values; one without a depth, such as `auc`, stands in the first.
    """
    depths = sorted({int(name.split("@")[1]) for name in metrics if "@" in name})
    rows: dict[str, dict[int, str]] = {}
    for name, value in metrics.items():
        metric, _, depth = name.partition("@")
        interval = (intervals or {}).get(name)
        spread = f" [dim]± {(interval[1] - interval[0]) / 2:.4f}[/]" if interval else ""
        place = int(depth) if depth else min(depths, default=0)
        rows.setdefault(metric if depth else f"{metric} (all ranks)", {})[place] = f"{value:.4f}{spread}"
    table = Table(title=title)
    table.add_column("metric", no_wrap=True)
    for k in depths or [0]:
        table.add_column(f"@{k}" if k else "", justify="right", no_wrap=True)
    for metric, row in rows.items():
        table.add_row(metric, *(row.get(k, "") for k in depths or [0]))
    return table


def leaderboard_table(
    title: str, outcome: LeaderComparison, intervals: Mapping[str, tuple[float, float]], means: Mapping[str, float]
) -> Table:
    """Models by mean, with how far behind the leader each is and whether that is significant.

    intervals, means: of the compared metric, by the outcome's names.
    """
    verdicts = {verdict.worse: verdict for verdict in outcome.verdicts}
    table = Table(title=title, caption=_caption(outcome), caption_justify="left")
    for column in ("", "model", "mean", "95 %", "behind the best", "p", "effect", "better/equal/worse"):
        table.add_column(column, justify="left" if column in ("", "model") else "right", no_wrap=True)
    for name in (outcome.leader, *verdicts):
        low, high = intervals[name]
        row = [_mark(outcome, name), name, f"{means[name]:.4f}", f"{low:.4f}-{high:.4f}"]
        table.add_row(*row, *(_behind(verdicts[name]) if name in verdicts else []))
    return table


def verdicts_table(title: str, of: str, verdicts: Mapping[str, tuple[int, Verdict]], names: tuple[str, str]) -> Table:
    """Two models side by side, a row for each metric or segment, with a star at the significantly better one.

    of: what the rows are. verdicts: row -> number of users and verdict. names: the columns' order.
    """
    a, b = names
    table = Table(
        title=title,
        caption="*: significantly better. p: the larger of bootstrap's and Wilcoxon's, Holm-corrected over the rows. "
        "effect: mean / standard deviation of the users' differences.",
        caption_justify="left",
    )
    for column in (of, "users", a, b, f"{a} - {b}", "95 %", "p", "effect", "better/equal/worse"):
        table.add_column(column, justify="left" if column == of else "right", no_wrap=True)
    for row, (users, verdict) in verdicts.items():
        one = verdict.comparison
        sign = 1 if verdict.better == a else -1
        means = {verdict.better: one.mean_a, verdict.worse: one.mean_b}
        low, high = sorted((sign * one.low, sign * one.high))
        shown = [
            f"[bold]{means[name]:.4f}*[/]" if verdict.significant and name == verdict.better else f"{means[name]:.4f}"
            for name in names
        ]
        counts = (one.wins, one.ties, one.losses)[::sign]
        table.add_row(
            escape(row),
            f"{users:,}",
            *shown,
            f"{sign * one.difference:+.4f}",
            f"{low:+.4f}..{high:+.4f}",
            p_value(verdict),
            f"{sign * one.effect_size:+.2f}",
            "/".join(f"{count:,}" for count in counts),
        )
    return table


def p_value(verdict: Verdict) -> str:
    """The larger of the two corrected p values, as people write it."""
    p = max(verdict.p_bootstrap, verdict.p_wilcoxon)
    return "<.001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"


def _mark(outcome: LeaderComparison, name: str) -> str:
    if outcome.alone and name == outcome.leader:
        return "[bold green]★[/]"
    return "[green]≈[/]" if name in outcome.among_best else ""


def _behind(verdict: Verdict) -> list[str]:
    one = verdict.comparison
    counts = "/".join(f"{count:,}" for count in (one.losses, one.ties, one.wins))
    return [f"{-one.difference:+.4f}", p_value(verdict), f"{-one.effect_size:+.2f}", counts]


def _caption(outcome: LeaderComparison) -> str:
    best = (
        f"★ {outcome.leader} is significantly better than every other."
        if outcome.alone
        else f"≈ not significantly worse than {outcome.leader}: {', '.join(outcome.among_best[1:]) or 'none'}."
    )
    return (
        f"{best} p: the larger of bootstrap's and Wilcoxon's, Holm-corrected over all pairs of models. "
        "effect: mean / standard deviation of the users' differences."
    )
