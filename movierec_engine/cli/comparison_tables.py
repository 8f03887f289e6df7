"""Tables of reports and comparisons: one model's metrics, all models by one metric, two models by every metric."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from movierec_engine.cli.tables import CellText, ResultTable, Row, TableColumn, cell
from movierec_engine.data.split import split_label
from movierec_engine.evaluation.comparison import Verdict
from movierec_engine.evaluation.metrics import Reported, hit_metrics, metric_title
from movierec_engine.evaluation.protocols import described
from movierec_engine.evaluation.report import EvaluationReport
from movierec_engine.pipeline.comparison import Board, by_segment, head_to_head
from movierec_engine.pipeline.reports import Measured, labels
from movierec_engine.reporting import numbers
from movierec_engine.reporting.conclusions import corrected_p
from movierec_engine.store import ArtifactStore

_P = "p: the larger of bootstrap's and Wilcoxon's, Holm-corrected"
_EFFECT = "effect: mean / standard deviation of the users' differences."


def report_table(report: EvaluationReport) -> ResultTable:
    """A report's test metrics with their intervals: a metric a row, a depth a column."""
    of = {"model": report.model, "device": report.device, "version": report.model_version, "part": "test"}
    of |= {"protocol": report.protocol, "fingerprint": report.fingerprint}
    rows, shown = [], dict[str, dict[str, Any]]()
    depths = sorted({depth for name in report.metrics if (depth := Reported.read(name).depth)})
    for name, value in report.metrics.items():
        low, high = report.intervals.get(name, (None, None))
        rows.append({**of, "metric": name, "value": value, "low": low, "high": high})
        metric, depth = Reported.read(name)
        title = metric_title(metric)
        own = shown.setdefault(metric, {"metric": title if depth else f"{title} (all ranks)"})
        place = str(depth or min(depths, default=0))
        own |= {place: numbers.score(value), f"95 % {place}": "" if low is None else numbers.interval(low, high)}
    notes = []
    if tied := report.split.get("tied_share"):
        notes.append(f"{numbers.percent(tied)} of the test items are a random choice among ratings of equal times.")
    if unknown := report.counts.get("unknown_rows"):
        notes.append(f"{unknown:,} rows of the lists are of users or movies that the data does not have.")
    trained = f", trained in {numbers.duration(report.seconds)}" if report.seconds else ""
    return ResultTable(
        f"{report.model} on {report.device}: test, {described(report.protocol)}, "
        f"{report.counts['users_evaluated']:,} users, split {split_label(report.split['strategy'])}, "
        f"fingerprint {report.fingerprint}{trained}",
        [
            TableColumn("metric", cell("metric"), left=True),
            *(
                column
                for place, depth in enumerate(depths or [0])
                for column in (
                    TableColumn(f"@{depth}", _or_nothing(str(depth))),
                    TableColumn("95 %", _or_nothing(f"95 % {depth}"), sheds=len(depths) - place),
                )
            ),
        ],
        rows,
        notes,
        shown=list(shown.values()),
    )


def board_table(board: Board) -> ResultTable:
    """Models by mean, with how far behind the best each is and whether that is significant."""
    first, outcome = next(iter(board.measured.values())).report, board.outcome
    verdicts = {verdict.worse: verdict for verdict in outcome.verdicts}
    rows = [
        {
            "rank": rank,
            "model": name,
            "metric": board.metric,
            "part": board.part,
            "fingerprint": first.fingerprint,
            "users": board.users,
            "mean": board.means[name],
            "low": board.intervals[name][0],
            "high": board.intervals[name][1],
            "among_best": name in outcome.among_best,
            **(_against(verdicts[name], name) if name in verdicts else _ALONE),
        }
        for rank, name in enumerate((outcome.leader, *verdicts), start=1)
    ]
    best = (
        f"★ {outcome.leader} is significantly better than every other."
        if outcome.alone
        else f"≈ statistically tied with {outcome.leader}: {', '.join(outcome.among_best[1:]) or 'none'}."
    )
    pairs = board.family * (board.family - 1) // 2
    best_mark = "★" if outcome.alone else "≈"
    return ResultTable(
        f"{metric_title(board.metric)} on {board.part}: {first.data}, {described(first.protocol)}, "
        f"split {split_label(first.split['strategy'])}, {board.users:,} users, fingerprint {first.fingerprint}",
        [
            TableColumn("", lambda row: best_mark if row["among_best"] else "", style=lambda row: "green"),
            TableColumn("model", cell("model"), left=True),
            TableColumn("mean", cell("mean", form=numbers.score)),
            TableColumn("95 %", cell("low", "high", form=numbers.interval), sheds=3),
            TableColumn("behind the best", cell("difference", form=numbers.signed)),
            TableColumn("p", cell("p", form=numbers.p_value)),
            TableColumn("effect", cell("effect_size", form=_effect), sheds=1),
            TableColumn("better/equal/worse", _counts, sheds=2),
        ],
        rows,
        [best, f"{_P} over the {pairs} pairs of the {board.family} models of this set-up. {_EFFECT}"],
    )


def pair_tables(
    store: ArtifactStore, a: Measured, b: Measured, metric: str, part: str, family: Sequence[Measured]
) -> list[ResultTable]:
    """Two reports by every accuracy metric, and on test by every kind of users and of items.

    family: the reports whose pairs are tested together by each metric.
    """
    label_a, label_b = labels([a, b])
    depth = Reported.read(metric).depth or 10
    metrics = {
        name: (verdict.comparison.users, verdict)
        for name, verdict in head_to_head(store, a, b, depth, part, family).items()
    }
    tables = [_pair_table(f"by metric, {part}", "metric", metrics, (label_a, label_b))]
    if part == "test" and Reported.read(metric).name in hit_metrics():
        found = by_segment(store, a, b, metric)
        for kind in dict.fromkeys(one.kind for one in found):
            of_kind = {one.segment: (one.users, one.verdict) for one in found if one.kind == kind}
            tables.append(_pair_table(f"{metric_title(metric)} by {kind}", kind, of_kind, (label_a, label_b)))
    note = f"*: significantly better. {_P}: by metric as above, by segments over the rows of each table. {_EFFECT}"
    last = tables[-1]
    return [*tables[:-1], ResultTable(last.title, last.columns, last.rows, [note])]


def _pair_table(title: str, of: str, found: Mapping[str, tuple[int, Verdict]], names: tuple[str, str]) -> ResultTable:
    a, b = names
    rows = []
    for row, (users, verdict) in found.items():
        one = verdict.comparison
        means = {verdict.better: one.mean_a, verdict.worse: one.mean_b}
        against = _against(verdict, a)
        better = verdict.better if verdict.significant else None
        rows.append({"of": row, "users": users, a: means[a], b: means[b], **against, "significantly_better": better})
    return ResultTable(
        title,
        [
            TableColumn(of, cell("of", form=metric_title if of == "metric" else str), left=True),
            TableColumn("users", cell("users", form=numbers.count), sheds=3),
            *(TableColumn(name, _marked(name), style=_bold(name)) for name in names),
            TableColumn("difference", cell("difference", form=numbers.signed)),
            TableColumn("95 %", cell("difference_low", "difference_high", form=numbers.signed_interval), sheds=4),
            TableColumn("p", cell("p", form=numbers.p_value)),
            TableColumn("effect", cell("effect_size", form=_effect), sheds=1),
            TableColumn("better/equal/worse", _counts, sheds=2),
        ],
        rows,
    )


_ALONE: dict[str, Any] = dict.fromkeys(
    ("difference", "difference_low", "difference_high", "p", "p_bootstrap", "p_wilcoxon", "effect_size")
) | dict.fromkeys(("wins", "ties", "losses"))


def _against(verdict: Verdict, name: str) -> dict[str, Any]:
    """A verdict as seen from one of its two models; the p values are the corrected ones."""
    one = asdict(verdict.comparison)
    sign = 1 if verdict.better == name else -1
    low, high = sorted((sign * one["low"], sign * one["high"]))
    wins, losses = (one["wins"], one["losses"])[::sign]
    return {
        "difference": sign * one["difference"],
        "difference_low": low,
        "difference_high": high,
        "p": corrected_p(verdict),
        "p_bootstrap": verdict.p_bootstrap,
        "p_wilcoxon": verdict.p_wilcoxon,
        "effect_size": sign * one["effect_size"],
        "wins": wins,
        "ties": one["ties"],
        "losses": losses,
    }


def _counts(row: Row) -> str:
    return numbers.NONE if row["wins"] is None else f"{row['wins']:,}/{row['ties']:,}/{row['losses']:,}"


def _effect(size: float | None) -> str:
    return numbers.signed(size, 2)


def _marked(name: str) -> CellText:
    return lambda row: f"{numbers.score(row[name])}{'*' if row['significantly_better'] == name else ' '}"


def _bold(name: str) -> CellText:
    return lambda row: "bold" if row["significantly_better"] == name else ""


def _or_nothing(key: str) -> CellText:
    return lambda row: row.get(key, "")
