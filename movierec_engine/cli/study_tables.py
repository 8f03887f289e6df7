"""Tables of studies of a model: leaks, fold-in, elicitation, backtests, dials, cold items and sweeps."""

from statistics import fmean
from typing import Any

import pyarrow.parquet as pq

from movierec_engine.cli.tables import ResultTable, Row, TableColumn, cell
from movierec_engine.data.nouns import nouns_of_config
from movierec_engine.evaluation.metrics import Reported, metric_title
from movierec_engine.evaluation.reranking_tradeoff import ACCURACY
from movierec_engine.evaluation.strong_generalization import FOLD_IN, LEAST_HISTORY, POPULARITY, TRAINED_IN
from movierec_engine.evaluation.strong_generalization import WHOLE_HISTORY as WHOLE
from movierec_engine.pipeline import backtest, cold_items, elicitation, reranking_tradeoff, strong_generalization
from movierec_engine.reporting import numbers, words
from movierec_engine.store import Artifact, kinds
from movierec_engine.tuning.trials import Score, SweepTrials

_BEST = 10
"""Trials of a sweep that are shown to people."""


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
            TableColumn("finding", cell("sentence"), left=True, wraps=True),
        ],
        made.facts["findings"],
    )


def fold_in_table(made: Artifact) -> ResultTable:
    """Strong generalization: the curve on test, and what validation decided."""
    rows, least, facts = strong_generalization.curve_rows(made), made.facts["fold_in_min_items"], made.facts
    found = (
        f"From {numbers.counted(least, 'movie')} on, fold-in is significantly better than popularity "
        "(decided on validation)."
        if least
        else "There is no size from which on fold-in is significantly better than popularity (decided on validation)."
    )
    held_out = (
        f"All people with at least {LEAST_HISTORY} train interactions, held out in {facts['folds']} folds"
        if facts["folds"]
        else f"The test users of data.split=users of whom at least {LEAST_HISTORY} interactions can be folded in"
    )
    known = {POPULARITY: "popularity", WHOLE: "their whole history", TRAINED_IN: "trained on them as well"}
    return ResultTable(
        f"{made.slot.model} on {made.slot.device}: NDCG@10 on test of {facts['users']:,} people it has not met",
        [
            TableColumn(
                "the model knows",
                lambda row: known.get(row["source"], f"{row['size']} of their {nouns_of_config(made.config)[1]}"),
                left=True,
            ),
            TableColumn("NDCG@10", cell("value", form=numbers.score)),
            TableColumn("95 %", cell("low", "high", form=numbers.interval), sheds=1),
            TableColumn("- popularity", lambda row: numbers.signed(row["gain"]) if row["source"] == FOLD_IN else ""),
            TableColumn(
                "95 %",
                lambda row: (
                    numbers.signed_interval(row["gain_low"], row["gain_high"]) if row["source"] == FOLD_IN else ""
                ),
                sheds=2,
            ),
            TableColumn(
                "p",
                lambda row: (
                    numbers.p_value(max(row["p_bootstrap"], row["p_wilcoxon"])) + (" *" if row["better"] else "  ")
                    if row["source"] == FOLD_IN
                    else ""
                ),
            ),
        ],
        rows,
        [
            f"{found} {held_out}, with {facts['draws']} random choices of their movies averaged. Every row is on test: "
            "full ranking, the same items masked. p and *: test's own significance, the larger p of bootstrap and "
            f"Wilcoxon, Holm-corrected over the sizes. It took {numbers.duration(facts['seconds'])}, of which training "
            f"{numbers.duration(facts['training_seconds'])}, and {numbers.memory(facts['peak_memory_mb'])} at most."
        ],
    ).called(nouns_of_config(made.config))


def elicitation_table(made: Artifact) -> ResultTable:
    """The movies to ask a new user about."""
    facts, compared = made.facts, made.facts["comparison"]
    rows = pq.read_table(made.folder / elicitation.QUESTIONS_FILE).to_pylist()
    found = "" if rows else "No movie is worth asking about: none raises the mean. "
    return ResultTable(
        f"{made.slot.model} on {made.slot.device}: what to ask a new user",
        [
            TableColumn("", cell("question")),
            TableColumn("movie", cell("title"), left=True, wraps=True),
            TableColumn("year", lambda row: str(row["year"] or ""), sheds=1),
            TableColumn("known by", cell("known_by", form=lambda share: numbers.percent(share, 0))),
            TableColumn("NDCG@10 after it", cell("value", form=numbers.score)),
            TableColumn("gain", cell("gain", form=numbers.signed)),
        ],
        [{"question": place, **row} for place, row in enumerate(rows, start=1)],
        [
            f"{found}Chosen by NDCG@10 on validation of {facts['users']:,} users, "
            f"{numbers.score(facts['validation']['nothing'])} where nothing is asked. On test of "
            f"{compared['users']:,} others: {numbers.score(facts['test']['chosen'])}, against "
            f"{numbers.score(facts['test']['popular'])} when asked about the {facts['questions']} most popular movies "
            f"(difference {numbers.signed(compared['difference'])}, 95 % "
            f"{numbers.signed_interval(compared['low'], compared['high'])}, bootstrap "
            f"{numbers.p_equals(compared['p_bootstrap'])}, Wilcoxon {numbers.p_equals(compared['p_wilcoxon'])}) and "
            f"{numbers.score(facts['test']['nothing'])} when asked nothing."
        ],
    ).called(nouns_of_config(made.config))


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
        f"{made.slot.model} on {made.slot.device}: backtest of {metric_title(metric)}, {made.facts['data']}, "
        "full ranking",
        [
            TableColumn("", cell("window")),
            TableColumn(
                "tested on",
                lambda row: f"{numbers.day(row['test_from'])} to {numbers.day(row['test_until'] - 1)}",
                left=True,
            ),
            TableColumn("train", cell("train", form=numbers.count), sheds=1),
            TableColumn("users", cell("users", form=numbers.count)),
            TableColumn("new", cell("users_without_history", form=numbers.count), sheds=2),
            *(
                column
                for header, users, sheds in (("all users", backtest.ALL, 4), ("with history", backtest.WITH_HISTORY, 3))
                for column in (
                    TableColumn(header, cell(f"value_{users}", form=numbers.score)),
                    TableColumn("95 %", cell(f"low_{users}", f"high_{users}", form=numbers.interval), sheds=sheds),
                )
            ),
        ],
        rows,
        [
            "Each window tests a model that was trained on what came before it, on equally many interactions. "
            "New users have no history, and are answered by popularity."
        ],
    )


def dials_table(made: Artifact) -> ResultTable:
    """The trade-off of taste dials: a dial's setting a row, a measure a column."""
    rows = pq.read_table(made.folder / reranking_tradeoff.TRADEOFF_FILE).to_pylist()
    measures = list(dict.fromkeys(row["measure"] for row in rows))
    shown: dict[tuple[str, float], dict[str, Any]] = {}
    for row in rows:
        own = shown.setdefault((row["dial"], row["setting"]), {"dial": row["dial"], "setting": row["setting"]})
        own[row["measure"]] = _measured(row)
    names: dict[str, list[str]] = {}
    for dial, _ in shown:  # a word a line, beside the dial's settings
        names.setdefault(dial, dial.split("_"))
    for own in shown.values():
        own["word"] = names[own["dial"]].pop(0) if names[own["dial"]] else ""
    return ResultTable(
        f"{made.slot.model} on {made.slot.device}: trade-off of taste dials, {made.facts['data']}, validation",
        [
            TableColumn("dial", cell("word"), left=True),
            TableColumn("", lambda row: f"{row['setting']:g}"),
            *(TableColumn("\n".join(words.measure(Reported.read(name).name).split()), cell(name)) for name in measures),
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
    """Accuracy by the share of cold items in the lists, the movies they stand among, and how well that finds them."""
    facts, cold = made.facts, made.facts["cold_items"]
    how_well = (
        f"Items that it was trained without are ranked, by their neighbours' scores, with an AUC of "
        f"{numbers.score(cold['auc'], 3)} (95 % {numbers.interval(cold['low'], cold['high'], 3)}; "
        f"{numbers.score(cold['popularity'], 3)} by their neighbours' popularity alone, 0.5 at random)."
        if cold
        else "How well cold items are ranked was not measured."
    )
    return ResultTable(
        f"{made.slot.model} on {made.slot.device}: new movies in lists of {facts['k']}, {facts['data']}, "
        f"{facts['part']}",
        [
            TableColumn("share", lambda row: f"{row['share']:g}"),
            TableColumn("of recommendations", cell("new_share", form=numbers.percent)),
            TableColumn("movies shown", cell("shown", form=numbers.count), sheds=1),
            TableColumn("NDCG@10", cell("ndcg", form=numbers.score)),
            TableColumn("- share 0", lambda row: numbers.signed(row["difference"]) if row["share"] else ""),
            TableColumn(
                "95 %",
                lambda row: (
                    numbers.signed_interval(row["difference_low"], row["difference_high"]) if row["share"] else ""
                ),
                sheds=2,
            ),
        ],
        cold_items.share_rows(made),
        [
            f"{cold_items.summary(facts)} {how_well}",
            *(f"{one.title} is scored by its neighbours: {'; '.join(one.among)}." for one in cold_items.examples(made)),
        ],
    ).called(nouns_of_config(made.config))


_TESTED = TableColumn(
    "test, not chosen by",
    cell("test", "test_sd", form=numbers.mean_and_sd),
    style=lambda row: "dim",
    sheds=2,
)
_REPORTS = TableColumn("report", lambda row: "\n".join(row["reports"]), left=True, sheds=1)
"""Columns of sweeps whose trials have a report of their own."""


def sweep_table(sweep: SweepTrials) -> ResultTable:
    """The best trials of a sweep; unlike fingerprints stand one after the other and are not ranked together."""
    rows, again = list[dict[str, Any]](), list[str]()
    for fingerprint in dict.fromkeys(result.fingerprint for result in sweep.results):
        comparable = [result for result in sweep.results if result.fingerprint == fingerprint]
        if not again or not sweep.gain:  # else what follows was measured on fewer users
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
    several = len({row["fingerprint"] for row in rows}) > 1
    usual = "default" if sweep.gain else numbers.NONE
    tested = any(row["test"] is not None for row in rows)
    shown = [row for row in rows if row["rank"] <= _BEST]
    more = len(rows) - len(shown)
    return ResultTable(
        f"best trials by validation {metric_title(sweep.metric)}" if rows else "",
        [
            *([TableColumn("fingerprint", cell("fingerprint"), left=True)] if several else []),
            TableColumn("rank", cell("rank")),
            TableColumn("settings", lambda row: row["settings"] or usual, left=True, wraps=True),
            TableColumn(
                f"validation {metric_title(sweep.metric)}",
                cell("validation", "validation_sd", form=numbers.mean_and_sd),
            ),
            *([_TESTED] if tested else []),
            TableColumn("seeds", lambda row: str(len(row["seeds"])), sheds=4),
            TableColumn("trained in", cell("seconds", form=numbers.duration), sheds=3),
            *([_REPORTS] if tested else []),
        ]
        if rows
        else [],
        [*rows, *failed],
        [f"and {more} more"] if more else [],
        shown=shown,
        sections="fingerprint",
        lines=[*filter(None, [sweep.gain]), *again, *(f"failed: {row['settings']}: {row['error']}" for row in failed)],
    )


def _score(part: str, score: Score | None) -> dict[str, float | None]:
    return {part: score.mean if score else None, f"{part}_sd": score.sd if score else None}


def _measured(row: Row) -> str:
    sure = row["difference_low"] > 0 or row["difference_high"] < 0
    return f"{numbers.score(row['value'], 4 if row['measure'] == ACCURACY else 3)}{'*' if sure else ' '}"
