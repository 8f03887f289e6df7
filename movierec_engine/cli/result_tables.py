"""The tables of the commands: what each artifact holds, as rows in full precision and as columns for people."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import fmean
from typing import Any

import pyarrow.parquet as pq

from movierec_engine.cli.tables import ResultTable, Row, TableColumn
from movierec_engine.data.split import split_label
from movierec_engine.evaluation.comparison import Verdict
from movierec_engine.evaluation.metrics import hit_metrics
from movierec_engine.evaluation.protocols import described
from movierec_engine.evaluation.report import EvaluationReport
from movierec_engine.evaluation.strong_generalization import FOLD_IN, LEAST_HISTORY, POPULARITY, TRAINED_IN
from movierec_engine.evaluation.strong_generalization import WHOLE_HISTORY as WHOLE
from movierec_engine.pipeline import backtest, cold_items, elicitation, reranking_tradeoff, strong_generalization
from movierec_engine.pipeline.comparison import Board, by_segment, head_to_head
from movierec_engine.pipeline.reports import Measured, labels
from movierec_engine.release import decisions
from movierec_engine.release.decisions import Decision
from movierec_engine.release.promotion import named
from movierec_engine.reporting.conclusions import corrected_p
from movierec_engine.reporting.numbers import p_value
from movierec_engine.store import Artifact, ArtifactStore, is_refitted, kinds
from movierec_engine.tuning.trials import Score, SweepTrials

_BEST = 10
"""Trials of a sweep that are shown to people."""
_P = "p: the larger of bootstrap's and Wilcoxon's, Holm-corrected"
_EFFECT = "effect: mean / standard deviation of the users' differences."


def number(key: str, decimals: int = 4, sign: bool = False) -> Any:
    """A cell with a rounded number; `-` for none."""
    plus = "+" if sign else ""
    return lambda row: "-" if row[key] is None else f"{row[key]:{plus},.{decimals}f}"


def text(key: str) -> Any:
    return lambda row: str(row[key])


def _p(key: str) -> Any:
    return lambda row: "" if row.get(key) is None else p_value(row[key])


def interval(low: str, high: str, sign: bool = False) -> Any:
    plus = "+" if sign else ""
    return lambda row: "" if row[low] is None else f"{row[low]:{plus}.4f}..{row[high]:{plus}.4f}"


def report_table(report: EvaluationReport) -> ResultTable:
    """A report's test metrics with their intervals: a metric a row, a depth a column."""
    of = {"model": report.model, "device": report.device, "version": report.model_version, "part": "test"}
    of |= {"protocol": report.protocol, "fingerprint": report.fingerprint}
    rows, shown = [], dict[str, dict[str, Any]]()
    depths = sorted({int(name.split("@")[1]) for name in report.metrics if "@" in name})
    for name, value in report.metrics.items():
        low, high = report.intervals.get(name, (None, None))
        rows.append({**of, "metric": name, "value": value, "low": low, "high": high})
        metric, _, depth = name.partition("@")
        spread = "" if low is None or high is None else f" ± {(high - low) / 2:.4f}"
        own = shown.setdefault(metric, {"metric": metric if depth else f"{metric} (all ranks)"})
        own[depth or str(min(depths, default=0))] = f"{value:.4f}{spread}"
    notes = []
    if tied := report.split.get("tied_share"):
        notes.append(f"{tied:.1%} of the test items were chosen by data.split_seed from ratings of equal times.")
    if unknown := report.counts.get("unknown_rows"):
        notes.append(f"{unknown:,} rows of the lists are of users or movies that the data does not have.")
    return ResultTable(
        f"{report.model} on {report.device}: test, {described(report.protocol)}, "
        f"{report.counts['users_evaluated']:,} users, split {split_label(report.split['strategy'])}, "
        f"fingerprint {report.fingerprint}" + (f", {report.seconds:.1f} s" if report.seconds else ""),
        [
            TableColumn("metric", text("metric"), left=True),
            *(TableColumn(f"@{depth}", _value_at(str(depth))) for depth in depths or [0]),
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
        else f"≈ not significantly worse than {outcome.leader}: {', '.join(outcome.among_best[1:]) or 'none'}."
    )
    best_mark = "★" if outcome.alone else "≈"
    return ResultTable(
        f"{board.metric} on {board.part}: {first.data}, {described(first.protocol)}, "
        f"split {split_label(first.split['strategy'])}, {board.users:,} users, fingerprint {first.fingerprint}",
        [
            TableColumn("", lambda row: best_mark if row["among_best"] else "", style=lambda row: "green"),
            TableColumn("model", text("model"), left=True),
            TableColumn("mean", number("mean")),
            TableColumn("95 %", interval("low", "high"), sheds=3),
            TableColumn("behind the best", lambda row: "" if row["p"] is None else f"{row['difference']:+.4f}"),
            TableColumn("p", _p("p")),
            TableColumn("effect", lambda row: "" if row["p"] is None else f"{row['effect_size']:+.2f}", sheds=1),
            TableColumn("better/equal/worse", _counts, sheds=2),
        ],
        rows,
        [best, f"{_P} over all pairs of models. {_EFFECT}"],
    )


def pair_tables(store: ArtifactStore, a: Measured, b: Measured, metric: str, part: str) -> list[ResultTable]:
    """Two reports by every accuracy metric, and on test by every kind of users and of items."""
    label_a, label_b = labels([a, b])
    depth = int(metric.partition("@")[2] or 10)
    metrics = {
        name: (verdict.comparison.users, verdict) for name, verdict in head_to_head(store, a, b, depth, part).items()
    }
    tables = [_pair_table(f"by metric, {part}", "metric", metrics, (label_a, label_b))]
    if part == "test" and metric.partition("@")[0] in hit_metrics():
        found = by_segment(store, a, b, metric)
        for kind in dict.fromkeys(one.kind for one in found):
            of_kind = {one.segment: (one.users, one.verdict) for one in found if one.kind == kind}
            tables.append(_pair_table(f"{metric} by {kind}", kind, of_kind, (label_a, label_b)))
    note = (
        f"*: significantly better. p: the larger of bootstrap's and Wilcoxon's, Holm-corrected over the rows. {_EFFECT}"
    )
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
            TableColumn(of, text("of"), left=True),
            TableColumn("users", lambda row: f"{row['users']:,}", sheds=3),
            *(TableColumn(name, _marked(name), style=_bold(name)) for name in names),
            TableColumn("difference", number("difference", sign=True)),
            TableColumn("95 %", interval("difference_low", "difference_high", sign=True), sheds=4),
            TableColumn("p", _p("p")),
            TableColumn("effect", number("effect_size", 2, sign=True), sheds=1),
            TableColumn("better/equal/worse", _counts, sheds=2),
        ],
        rows,
    )


def findings_table(made: Artifact) -> ResultTable:
    """The findings of the leak canaries."""
    return ResultTable(
        f"leak canaries of {made.parents[kinds.TRAINED_MODEL]}",
        [
            TableColumn("check", lambda row: row["name"].replace("_", " "), left=True),
            TableColumn(
                "",
                lambda row: "pass" if row["passed"] else "FAIL",
                left=True,
                style=lambda row: "green" if row["passed"] else "bold red",
            ),
            TableColumn("finding", text("sentence"), left=True, wraps=True),
        ],
        made.facts["findings"],
    )


def fold_in_table(made: Artifact) -> ResultTable:
    """Strong generalization: the curve on test, and what validation decided."""
    least, facts = made.facts["fold_in_min_items"], made.facts
    found = (
        f"From {least} {'movie' if least == 1 else 'movies'} on, fold-in is significantly better than popularity "
        "(decided on validation)."
        if least
        else "There is no size from which on fold-in is significantly better than popularity (decided on validation)."
    )
    known = {POPULARITY: "popularity", WHOLE: "their whole train history", TRAINED_IN: "trained on them as well"}
    return ResultTable(
        f"{made.slot.model} on {made.slot.device}: ndcg@10 on test of {facts['users']:,} people it has not met",
        [
            TableColumn(
                "the model knows",
                lambda row: known.get(row["source"], f"{row['size']} of their movies"),
                left=True,
            ),
            TableColumn("ndcg@10", number("value")),
            TableColumn("95 %", interval("low", "high"), sheds=1),
            TableColumn("- popularity", lambda row: f"{row['gain']:+.4f}" if row["source"] == FOLD_IN else ""),
            TableColumn("95 % ", interval("gain_low", "gain_high", sign=True), sheds=2),
            TableColumn(
                "p",
                lambda row: (
                    p_value(max(row["p_bootstrap"], row["p_wilcoxon"])) + (" *" if row["better"] else "  ")
                    if row["source"] == FOLD_IN
                    else ""
                ),
            ),
        ],
        strong_generalization.curve_rows(made),
        [
            f"{found} All people with at least {LEAST_HISTORY} train interactions, held out in {facts['folds']} folds, "
            f"with {facts['draws']} random choices of their movies averaged. Every row is on test: full ranking, the "
            "same items masked. p and *: test's own significance, the larger p of bootstrap and Wilcoxon, "
            f"Holm-corrected over the sizes. {facts['seconds']:,.0f} s, {facts['training_seconds']:,.0f} of them "
            f"training; {facts['peak_memory_mb']:,.0f} MB at most."
        ],
    )


def elicitation_table(made: Artifact) -> ResultTable:
    """The movies to ask a new user about."""
    facts, compared = made.facts, made.facts["comparison"]
    rows = pq.read_table(made.folder / elicitation.QUESTIONS_FILE).to_pylist()
    found = "" if rows else "No movie is worth asking about: none raises the mean. "
    return ResultTable(
        f"{made.slot.model} on {made.slot.device}: what to ask a new user",
        [
            TableColumn("", text("question")),
            TableColumn("movie", text("title"), left=True, wraps=True),
            TableColumn("year", lambda row: str(row["year"] or ""), sheds=1),
            TableColumn("known by", lambda row: f"{row['known_by']:.0%}"),
            TableColumn("ndcg@10 after it", number("value")),
            TableColumn("gain", number("gain", sign=True)),
        ],
        [{"question": place, **row} for place, row in enumerate(rows, start=1)],
        [
            f"{found}Chosen by ndcg@10 on validation of {facts['users']:,} users, "
            f"{facts['validation']['nothing']:.4f} where nothing is asked. On test of {compared['users']:,} others: "
            f"{facts['test']['chosen']:.4f}, against {facts['test']['popular']:.4f} when asked about the "
            f"{facts['questions']} most popular movies (difference {compared['difference']:+.4f}, 95 % "
            f"{compared['low']:+.4f}..{compared['high']:+.4f}, bootstrap p {p_value(compared['p_bootstrap'])}, "
            f"Wilcoxon p {p_value(compared['p_wilcoxon'])}) and {facts['test']['nothing']:.4f} when asked nothing."
        ],
    )


def backtest_table(made: Artifact, metric: str) -> ResultTable:
    """A window a row, by one metric."""
    measures = pq.read_table(made.folder / backtest.METRICS_FILE).to_pylist()
    rows = []
    for window in pq.read_table(made.folder / backtest.WINDOWS_FILE).to_pylist():
        row = dict(window)
        for users in (backtest.ALL, backtest.WITH_HISTORY):
            own = [one for one in measures if (one["window"], one["metric"]) == (window["window"], metric)]
            value = next((one for one in own if one["users"] == users), None)
            row |= {f"{name}_{users}": value[name] if value else None for name in ("value", "low", "high")}
        rows.append(row)
    return ResultTable(
        f"{made.slot.model} on {made.slot.device}: backtest of {metric}, {made.facts['data']}, full ranking",
        [
            TableColumn("", text("window")),
            TableColumn(
                "tested on",
                lambda row: f"{_day(row['test_from'])} to {_day(row['test_until'] - 1)}",
                left=True,
            ),
            TableColumn("train", lambda row: f"{row['train']:,}", sheds=1),
            TableColumn("users", lambda row: f"{row['users']:,}"),
            TableColumn("new", lambda row: f"{row['users_without_history']:,}", sheds=2),
            *(
                TableColumn(header, _with_spread(users))
                for header, users in (("all users", backtest.ALL), ("with history", backtest.WITH_HISTORY))
            ),
        ],
        rows,
        [
            "Each window tests a model that was trained on what came before it, on equally many interactions. "
            "New users have no history, and are answered by popularity."
        ],
    )


def dials_table(made: Artifact) -> ResultTable:
    """What taste dials cost: a dial's setting a row, a measure a column."""
    rows = pq.read_table(made.folder / reranking_tradeoff.PRICES_FILE).to_pylist()
    measures = list(dict.fromkeys(row["measure"] for row in rows))
    shown: dict[tuple[str, float], dict[str, Any]] = {}
    for row in rows:
        own = shown.setdefault((row["dial"], row["setting"]), {"dial": row["dial"], "setting": row["setting"]})
        own[row["measure"]] = _price(row)
    names: dict[str, list[str]] = {}
    for dial, _ in shown:  # a word a line, beside the dial's settings
        names.setdefault(dial, dial.split("_"))
    for own in shown.values():
        own["word"] = names[own["dial"]].pop(0) if names[own["dial"]] else ""
    return ResultTable(
        f"{made.slot.model} on {made.slot.device}: what taste dials cost, {made.facts['data']}, validation",
        [
            TableColumn("dial", text("word"), left=True),
            TableColumn("", lambda row: f"{row['setting']:g}"),
            *(TableColumn(name.partition("@")[0].replace("_", "\n"), text(name)) for name in measures),
        ],
        rows,
        [
            f"Lists of {made.facts['k']}, each dial alone over the model's best {made.facts['candidates']}. "
            "A divergence is from the shares in each user's history: lower is nearer.",
            "*: the 95 % interval of the users' differences from setting 0 does not hold 0.",
        ],
        shown=list(shown.values()),
        sections="dial",
    )


def cold_items_table(made: Artifact) -> ResultTable:
    """What a share of cold items costs, where they stand, and how well that finds them."""
    facts, cold = made.facts, made.facts["cold_items"]
    how_well = (
        f"Items that it was trained without are found by their place with an AUC of {cold['auc']:.3f} (95 % "
        f"{cold['low']:.3f}..{cold['high']:.3f}; {cold['popularity']:.3f} by their neighbours' popularity alone, 0.5 "
        "at random)."
        if cold
        else "How well items are found by their place was not measured."
    )
    return ResultTable(
        f"{made.slot.model} on {made.slot.device}: new movies in lists of {facts['k']}, {facts['data']}, "
        f"{facts['part']}",
        [
            TableColumn("share", lambda row: f"{row['share']:g}"),
            TableColumn("of all places", lambda row: f"{row['new_share']:.1%}"),
            TableColumn("movies shown", lambda row: f"{row['shown']:,}", sheds=1),
            TableColumn("ndcg@10", number("ndcg")),
            TableColumn("- share 0", lambda row: f"{row['difference']:+.4f}" if row["share"] else ""),
            TableColumn(
                "95 %",
                lambda row: f"{row['difference_low']:+.4f}..{row['difference_high']:+.4f}" if row["share"] else "",
                sheds=2,
            ),
        ],
        cold_items.share_rows(made),
        [
            f"{cold_items.summary(facts)} {how_well}",
            *(f"{one.title} stands among {'; '.join(one.among)}." for one in cold_items.examples(made)),
        ],
    )


def models_table(store: ArtifactStore, data_set: str, metric: str) -> ResultTable:
    """Every trained version, newest last, with what is served, pinned or was released before."""
    served, pinned = decisions.served_reference(store, data_set), decisions.pin_of(store, data_set)
    before = set(decisions.releases(store, data_set)) - {served}
    refitted = bool(served) and is_refitted(store.resolve(served))
    rows = []
    for slot in store.slots(kinds.TRAINED_MODEL, data_set):
        indices: dict[str, list[str]] = {}
        for index in store.versions(slot.beside(kinds.FAISS_INDEX)):
            indices.setdefault(index.parents.get(kinds.TRAINED_MODEL, ""), []).append(index.reference)
        for version in store.versions(slot):
            own = indices.get(version.reference, [])
            rows.append(
                {
                    "model": slot.model,
                    "device": slot.device,
                    "version": version.version,
                    "fingerprint": version.fingerprint,
                    "created_at": version.created_at,
                    "metric": f"validation {metric}",
                    "value": version.facts.get("validation_metrics", {}).get(metric),
                    "seconds": version.facts.get("seconds", 0.0),
                    "indices": len(own),
                    "served": served in own,
                    "answers": served if served in own else None,
                    "pinned": bool(pinned) and served in own,
                    "released_before": bool(before & set(own)) and served not in own,
                }
            )
    return ResultTable(
        f"models of {data_set} in {store.root}",
        [
            TableColumn("model", text("model"), left=True),
            TableColumn("device", text("device"), left=True, sheds=4),
            TableColumn("version", text("version"), left=True),
            TableColumn("fingerprint", text("fingerprint"), left=True, sheds=2),
            TableColumn("age", lambda row: age(row["created_at"]), sheds=5),
            TableColumn(f"validation {metric}", number("value")),
            TableColumn("seconds", number("seconds", 1), sheds=3),
            TableColumn("indices", text("indices"), sheds=1),
            TableColumn("", _marks, left=True),
        ],
        rows,
        [f"★: what answers is {served}, refitted on all interactions."] if refitted else [],
    )


def history_table(store: ArtifactStore, data_set: str, last: int) -> ResultTable:
    """The last decisions about what is served, newest last."""
    made = decisions.decisions(store, data_set)
    rows = [
        {**_flat(decision), "carried_out": done}
        for decision, done in list(zip(made, decisions.carried_out(store, made), strict=True))[-last:]
    ]
    return ResultTable(
        f"decisions about {data_set} in {store.root}",
        [
            TableColumn("when", lambda row: row["at"][:16].replace("T", " "), left=True),
            TableColumn(
                "decision",
                lambda row: row["verdict"] if row["carried_out"] else f"{row['verdict']}, but interrupted",
                left=True,
            ),
            TableColumn(
                "who",
                lambda row: f"{row['by']}: {', '.join(f'{name} {value}' for name, value in row['origin'].items())}",
                left=True,
                wraps=True,
                sheds=1,
            ),
            TableColumn(
                "why",
                lambda row: row["sentence"] + (f"; reason: {row['reason']}" if row["reason"] else ""),
                left=True,
                wraps=True,
            ),
        ],
        rows,
    )


def decision_table(decision: Decision) -> ResultTable:
    """A decision about what is served, with the comparisons behind it."""
    trials = decision.evidence.get("tuning_trials", {})
    compared = decision.evidence.get("comparisons", [])
    passed = [
        TableColumn("next to", text("name"), left=True),
        TableColumn("own", _of_comparison("mean_a", ".4f")),
        TableColumn("other", _of_comparison("mean_b", ".4f")),
        TableColumn("difference", _of_comparison("difference", "+.4f")),
        TableColumn("95 %", lambda row: f"{row['low']:+.4f}..{row['high']:+.4f}" if "low" in row else "-", sheds=3),
        TableColumn("p bootstrap", _p("p_bootstrap")),
        TableColumn("p Wilcoxon", _p("p_wilcoxon"), sheds=2),
        TableColumn("trials", lambda row: str(trials.get(row["model"], 0)), sheds=1),
        TableColumn(
            "",
            lambda row: "holds" if row["passed"] else "LOSES",
            left=True,
            style=lambda row: "green" if row["passed"] else "bold red",
        ),
    ]
    return ResultTable(
        f"{named(decision.challenger_model)}, validation {decision.evidence['metric']}" if compared else "",
        passed if compared else [],
        [{**_flat(decision), "comparisons": compared}],
        shown=compared,
        lines=[decision.sentence, *([f"decision: {decision.reference}"] if decision.reference else [])],
    )


def sweep_table(sweep: SweepTrials) -> ResultTable:
    """The best trials of a sweep; unlike fingerprints stand one after the other and are not ranked together."""
    rows, again = list[dict[str, Any]](), list[str]()
    for fingerprint in dict.fromkeys(result.fingerprint for result in sweep.results):
        comparable = [result for result in sweep.results if result.fingerprint == fingerprint]
        again.append(f"again: {comparable[0].command}")
        for rank, result in enumerate(comparable, start=1):
            spent = [trial.seconds for trial in result.trials if trial.seconds is not None]
            rows.append(
                {
                    "fingerprint": fingerprint,
                    "rank": rank,
                    "settings": " ".join(result.differing),
                    **_score("validation", result.validation),
                    **_score("test", result.test),
                    "seeds": [trial.seed for trial in result.trials],
                    "seconds": fmean(spent) if spent else None,
                    "reports": [trial.report for trial in result.trials],
                    "command": result.command,
                    "error": "",
                }
            )
    failed = [
        {"settings": " ".join(sweep.differing(trial)) or "the only trial", "error": trial.error}
        for trial in sweep.failed
    ]
    several = len(again) > 1
    shown = [row for row in rows if row["rank"] <= _BEST]
    more = len(rows) - len(shown)
    return ResultTable(
        f"best trials by validation {sweep.metric}" if rows else "",
        [
            *([TableColumn("fingerprint", text("fingerprint"), left=True)] if several else []),
            TableColumn("rank", text("rank")),
            TableColumn("settings", lambda row: row["settings"] or "-", left=True, wraps=True),
            TableColumn(f"validation {sweep.metric}", _mean("validation")),
            TableColumn("test, not chosen by", _mean("test"), style=lambda row: "dim", sheds=2),
            TableColumn("seeds", lambda row: str(len(row["seeds"])), sheds=4),
            TableColumn("seconds", number("seconds", 1), sheds=3),
            TableColumn("report", lambda row: "\n".join(row["reports"]), left=True, sheds=1),
        ]
        if rows
        else [],
        [*rows, *failed],
        [f"and {more} more"] if more else [],
        shown=shown,
        sections="fingerprint",
        lines=[*again, *(f"failed: {row['settings']}: {row['error']}" for row in failed)],
    )


def age(created_at: str) -> str:
    """How long ago, in the largest unit of which it is at least one."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(created_at)).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _marks(row: Row) -> str:
    marks = {"★ served": row["served"], "pinned": row["pinned"], "released before": row["released_before"]}
    return ", ".join(mark for mark, holds in marks.items() if holds)


def _flat(decision: Decision) -> dict[str, Any]:
    return {name: value for name, value in asdict(decision).items() if name != "evidence"}


def _of_comparison(key: str, form: str) -> Any:
    return lambda row: format(row[key], form) if key in row else "-"


def _score(part: str, score: Score | None) -> dict[str, float | None]:
    return {part: score.mean if score else None, f"{part}_sd": score.sd if score else None}


def _mean(part: str) -> Any:
    def cell(row: Row) -> str:
        spread = "" if row[f"{part}_sd"] is None else f" ± {row[f'{part}_sd']:.4f}"
        return "-" if row[part] is None else f"{row[part]:.4f}{spread}"

    return cell


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
    return "" if row["wins"] is None else f"{row['wins']:,}/{row['ties']:,}/{row['losses']:,}"


def _marked(name: str) -> Any:
    return lambda row: f"{row[name]:.4f}{'*' if row['significantly_better'] == name else ' '}"


def _bold(name: str) -> Any:
    return lambda row: "bold" if row["significantly_better"] == name else ""


def _value_at(depth: str) -> Any:
    return lambda row: row.get(depth, "")


def _with_spread(users: str) -> Any:
    def cell(row: Row) -> str:
        if row[f"value_{users}"] is None:
            return "-"
        return f"{row[f'value_{users}']:.4f} ± {(row[f'high_{users}'] - row[f'low_{users}']) / 2:.4f}"

    return cell


def _price(row: Row) -> str:
    sure = row["difference_low"] > 0 or row["difference_high"] < 0
    decimals = 4 if row["measure"].startswith("ndcg") else 3
    return f"{row['value']:.{decimals}f}{'*' if sure else ' '}"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
