"""Tables of releases: the trained versions, the decisions about what is served, and one decision's evidence."""

from dataclasses import asdict
from typing import Any

from movierec_engine.cli.tables import ResultTable, Row, TableColumn, cell
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.release import decisions
from movierec_engine.release.decisions import Decision
from movierec_engine.release.judging import named
from movierec_engine.reporting import numbers
from movierec_engine.store import SERVING, ArtifactStore, is_refitted, kinds

_SERVE_ANOTHER = "serve another version by `movierec models promote MODEL` or `movierec models rollback --to VERSION`"


def models_table(store: ArtifactStore, data_set: str, metric: str) -> ResultTable:
    """Every trained version, newest last, with what is served, pinned or was released before.

    A pointer that cannot be read, or names a version that cannot, is said below it.
    """
    served, problem = decisions.served_reference(store, data_set), ""
    pinned, lost, refitted = None, "", False
    try:
        index = store.pointed(SERVING, data_set)
        refitted = index is not None and is_refitted(index)
    except StoreError as error:
        problem = f"What is to be served cannot be read ({error}); {_SERVE_ANOTHER}."
        lost = decisions.served_model(store, data_set)
    try:
        pinned = decisions.pin_of(store, data_set)
    except StoreError as error:
        problem = problem or f"What is pinned cannot be read ({error}); `movierec models unpin` lets it go."
    before = set(decisions.releases(store, data_set)) - {served}
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
                    "served_unreadable": version.reference == lost,
                    "answers": served if served in own else None,
                    "pinned": bool(pinned) and served in own,
                    "released_before": bool(before & set(own)) and served not in own,
                }
            )
    return ResultTable(
        f"models of {data_set} in {store.location}",
        [
            TableColumn("model", cell("model"), left=True),
            TableColumn("device", cell("device"), left=True, sheds=4),
            TableColumn("version", cell("version"), left=True),
            TableColumn("fingerprint", cell("fingerprint"), left=True, sheds=2),
            TableColumn("age", cell("created_at", form=numbers.age), sheds=5),
            TableColumn(f"validation {metric_title(metric)}", cell("value", form=numbers.score)),
            TableColumn("trained in", cell("seconds", form=numbers.duration), sheds=3),
            TableColumn("indices", cell("indices"), sheds=1),
            TableColumn("", _marks, left=True),
        ],
        rows,
        [
            *([f"★: what answers is {served}, refitted on all interactions."] if refitted else []),
            *([problem] if problem else []),
        ],
    )


def history_table(store: ArtifactStore, data_set: str, last: int) -> ResultTable:
    """The last decisions about what is served, newest last."""
    made = decisions.decisions(store, data_set)
    rows = [
        {**_flat(decision), "carried_out": done}
        for decision, done in list(zip(made, decisions.carried_out(store, made), strict=True))[-last:]
    ]
    return ResultTable(
        f"decisions about {data_set} in {store.location}",
        [
            TableColumn("when", cell("at", form=numbers.minute), left=True),
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
        TableColumn("next to", cell("name"), left=True),
        TableColumn("own", cell("mean_a", form=numbers.score)),
        TableColumn("other", cell("mean_b", form=numbers.score)),
        TableColumn("difference", cell("difference", form=numbers.signed)),
        TableColumn("95 %", cell("low", "high", form=numbers.signed_interval), sheds=3),
        TableColumn("p bootstrap", cell("p_bootstrap", form=numbers.p_value)),
        TableColumn("p Wilcoxon", cell("p_wilcoxon", form=numbers.p_value), sheds=2),
        TableColumn("trials", lambda row: str(trials.get(row["model"], 0)), sheds=1),
        TableColumn(
            "",
            lambda row: "holds" if row["passed"] else "LOSES",
            left=True,
            style=lambda row: "green" if row["passed"] else "bold red",
        ),
    ]
    title = ""
    if compared:
        title = f"{named(decision.challenger_model)}, validation {metric_title(decision.evidence['metric'])}"
    return ResultTable(
        title,
        passed if compared else [],
        [{**_flat(decision), "comparisons": compared}],
        shown=compared,
        lines=[decision.sentence, *([f"decision: {decision.reference}"] if decision.reference else [])],
    )


def _marks(row: Row) -> str:
    marks = {
        "★ served": row["served"],
        "✗ served, but its index cannot be read": row["served_unreadable"],
        "pinned": row["pinned"],
        "released before": row["released_before"],
    }
    return ", ".join(mark for mark, holds in marks.items() if holds)


def _flat(decision: Decision) -> dict[str, Any]:
    return {name: value for name, value in asdict(decision).items() if name != "evidence"}
