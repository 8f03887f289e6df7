"""Materialization metadata: the numbers, tables and pictures that Dagster shows of an artifact."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow.parquet as pq

from movierec_assets.table_columns import table_column
from movierec_engine.data.split import split_label
from movierec_engine.evaluation.metrics import Reported, metric_title
from movierec_engine.evaluation.report import USERS_FILE
from movierec_engine.pipeline.backtest import METRICS_FILE, WINDOWS_FILE
from movierec_engine.pipeline.member_costs import MEMBERS
from movierec_engine.pipeline.training import HISTORY_FILE
from movierec_engine.release.decisions import PROMOTED, Decision
from movierec_engine.reporting import numbers
from movierec_engine.store import Artifact, ArtifactStore, kinds, measured_index
from movierec_engine.tracking.mlflow_tracker import run_page
from movierec_engine.tracking.tracker import flatten
from movierec_engine.tuning.trials import TRIALS_FILE

if TYPE_CHECKING:
    from movierec_engine.pipeline.batch_export import Exported

Metadata = Mapping[str, Any]


TABLES = {
    kinds.RAW_RATINGS: "ratings.parquet",
    kinds.RAW_MOVIES: "movies.parquet",
    kinds.INTERACTIONS: "interactions.parquet",
    kinds.SPLITS: "split.parquet",
    kinds.TRAINED_MODEL: HISTORY_FILE,
    kinds.EVALUATION_REPORT: USERS_FILE,
    kinds.FAISS_INDEX: "movies.parquet",
    kinds.LEADERBOARD: "leaderboard.parquet",
    kinds.BACKTEST: METRICS_FILE,
    kinds.SWEEP: TRIALS_FILE,
}
"""The table that shows what an artifact is about, by kind."""
COLUMNS_FROM = {
    kinds.INTERACTIONS: kinds.RAW_RATINGS,
    kinds.SPLITS: kinds.INTERACTIONS,
    kinds.FAISS_INDEX: kinds.RAW_MOVIES,
}
"""The kind that a table's columns are taken from, by its own kind; `part` of the splits alone is made there."""


def described(artifact: Artifact) -> dict[str, Any]:
    """Metadata of any artifact: version, fingerprint, the folder of its files, its MLflow run if any."""
    run_id = artifact.origin.get("mlflow_run_id", "")
    page = run_page(run_id) if run_id else ""
    return {
        "version": artifact.version,
        "content_key": artifact.key,
        "fingerprint": artifact.fingerprint or "none before the split",
        "folder": dg.MetadataValue.path(str(artifact.folder)),
        "megabytes": _rounded(sum(file["size"] for file in artifact.files.values()) / 2**20),
        **({"mlflow_run_id": run_id} if run_id else {}),
        **({"mlflow_run": dg.MetadataValue.url(page)} if page else {}),
    }


def columns_of(artifact: Artifact) -> dict[str, Any]:
    """The columns of an artifact's table, their types and where they are from; nothing for a kind that has none."""
    kind = artifact.slot.kind
    table = TABLES.get(kind, "")
    if table not in artifact.files:
        return {}
    schema = pq.read_schema(artifact.folder / table)
    shown: dict[str, Any] = {
        "dagster/column_schema": dg.TableSchema([table_column(one.name, str(one.type)) for one in schema])
    }
    if source := COLUMNS_FROM.get(kind):
        of = {name: [dg.TableColumnDep(dg.AssetKey(source), name)] for name in schema.names if name != "part"}
        shown["dagster/column_lineage"] = dg.TableColumnLineage(of)
    return shown


def facts(artifact: Artifact, rows: str = "") -> Metadata:
    """The counts and other facts that were found while making the artifact; `rows` names the one that counts rows."""
    shown = {
        name: value if isinstance(value, int | float | str) else json.dumps(value)
        for name, value in flatten(artifact.facts).items()
    }
    return {"dagster/row_count": artifact.facts[rows], **shown} if rows else shown


def of_trained_model(artifact: Artifact, metric: str) -> Metadata:
    """Time, epochs, validation metrics and, of a model that was trained by epochs, its learning curve."""
    shown = {
        **{name: _rounded(artifact.facts[name]) for name in ("seconds", "peak_memory_mb")},
        "epochs": artifact.facts["epochs"],
        **at_depth(artifact.facts["validation_metrics"], metric, "validation "),
    }
    if members := artifact.facts.get(MEMBERS):
        rows = [
            {
                "member": name,
                "weight": f"{one['weight']:.2f}",
                "trained in": numbers.duration(one["seconds"]),
                "ms a list": f"{one['milliseconds']:.2g}",
                "numbers an item": int(one["item_numbers"]),
            }
            for name, one in members.items()
        ]
        shown["members"] = dg.MetadataValue.md(table(rows))
    if HISTORY_FILE in artifact.files:
        history = pq.read_table(artifact.folder / HISTORY_FILE).to_pylist()
        shown["learning curve"] = dg.MetadataValue.md(learning_curve(history, metric))
    return shown


def of_report(artifact: Artifact, metric: str) -> Metadata:
    """The test metrics with their intervals as a table, and those at the main metric's depth as numbers to plot."""
    from movierec_engine.evaluation.report import EvaluationReport

    report = EvaluationReport.load(artifact.folder)
    return {
        **at_depth(report.metrics, metric, "test "),
        "test metrics": dg.MetadataValue.md(metrics_table(report.metrics, report.intervals)),
        "protocol": report.protocol,
        "split": split_label(report.split["strategy"]),
        "users evaluated": report.counts["users_evaluated"],
        "seconds": _rounded(report.evaluation_seconds),
        kinds.TRAINED_MODEL: artifact.parents[kinds.TRAINED_MODEL],
    }


def of_backtest(artifact: Artifact, metric: str) -> Metadata:
    """The metric of every window with its interval, as a table, and its mean over the windows."""
    windows = pq.read_table(artifact.folder / WINDOWS_FILE).to_pylist()
    measures = pq.read_table(artifact.folder / METRICS_FILE).to_pylist()
    by_window = {one["window"]: one for one in measures if one["metric"] == metric and one["users"] == "all"}
    rows = [
        {
            "window": row["window"],
            "tested from": numbers.day(row["test_from"]),
            "until": numbers.day(row["test_until"] - 1),
            "train": row["train"],
            "users": row["users"],
            "new users": row["users_without_history"],
            metric_title(metric): _with_interval(
                **{name: by_window[row["window"]][name] for name in ("value", "low", "high")}
            ),
        }
        for row in windows
    ]
    return {
        "dagster/row_count": len(measures),
        "windows": dg.MetadataValue.md(table(rows)),
        f"mean {metric}": _rounded(sum(one["value"] for one in by_window.values()) / len(by_window)),
    }


def of_sweep(artifact: Artifact) -> Metadata:
    """Number of trials, the command that repeats the best, and its gain over the default where that was measured."""
    facts = artifact.facts
    gain = {"gain": facts["gain"]} if facts["gain"] else {}
    return {"dagster/row_count": facts["trials"], "failed": facts["failed"], "best": facts["best"] or "none", **gain}


def of_canaries(artifact: Artifact) -> Metadata:
    """Table of what every check found."""
    rows = [
        {"check": one["name"], "passed": "yes" if one["passed"] else "NO", "finding": one["sentence"]}
        for one in artifact.facts["findings"]
    ]
    return {"passed": artifact.facts["passed"], "findings": dg.MetadataValue.md(table(rows))}


def of_leaderboard(artifact: Artifact) -> Metadata:
    """The ranking as a table."""
    return {
        "dagster/row_count": len(artifact.facts["rows"]),
        "ranking": dg.MetadataValue.md(
            table([{metric_title(name): value for name, value in row.items()} for row in artifact.facts["rows"]])
        ),
        "reports with another fingerprint": artifact.facts["other_fingerprints"],
    }


def of_refit(store: ArtifactStore, index: Artifact | None, decision: Decision) -> Metadata:
    """The refitted version, its measured version and its cost; or why nothing was refitted."""
    if index is None:
        why = "release.refit=false" if decision.verdict == PROMOTED else decision.sentence
        return {"refitted": "none", "why": why}
    model = store.resolve(index.parents[kinds.REFITTED_MODEL])
    return {
        "refitted": index.reference,
        "measured": index.parents[kinds.FAISS_INDEX],
        **{name: model.facts[name] for name in ("interactions", "epochs", "seconds", "peak_memory_mb")},
        "recall": index.facts["recall"],
    }


def of_release(index: Artifact, decision: Decision) -> Metadata:
    """The served index, the decision, its reason, and the comparisons behind it."""
    rows = [
        {
            "next to": row["name"],
            "at least as good": "yes" if row["passed"] else "NO",
            "difference": numbers.signed(row.get("difference")),
            "95 % interval": numbers.signed_interval(row.get("low"), row.get("high")),
            "p bootstrap": numbers.p_value(row.get("p_bootstrap")),
            "p Wilcoxon": numbers.p_value(row.get("p_wilcoxon")),
            "users": row.get("users", ""),
            "tuning trials": decision.evidence["tuning_trials"].get(row["model"], 0),
        }
        for row in decision.evidence.get("comparisons", [])
    ]
    checks = [
        {"check": one["name"], "passed": "yes" if one["passed"] else "NO", "finding": one["sentence"]}
        for one in decision.evidence.get("refit_checks", [])
    ]
    return {
        "served": index.reference,
        "measured": measured_index(index),
        "decided": decision.verdict,
        "why": decision.sentence,
        "challenger": decision.challenger or "none",
        "champion before": decision.champion or "none",
        **({"compared": dg.MetadataValue.md(table(rows))} if rows else {}),
        **({"refit checks": dg.MetadataValue.md(table(checks))} if checks else {}),
        **({"decision": decision.reference} if decision.reference else {}),
    }


def of_export(made: "Exported") -> Metadata:
    """Where the lists are, whose, how many, and how fast they were made."""
    return {
        "dagster/row_count": made.rows,
        "target": made.target,
        "served": made.index.reference,
        "users": made.users,
        "users kept of an interrupted export": made.kept,
        "seconds": made.seconds,
        "users a second": made.users_a_second,
    }


def at_depth(metrics: Mapping[str, float], like: str, prefix: str) -> dict[str, float]:
    """The metrics that are measured at the same depth as another one, such as `ndcg@10`, rounded."""
    depth = Reported.read(like).depth
    return {prefix + name: _rounded(value) for name, value in metrics.items() if Reported.read(name).depth == depth}


def _rounded(value: float) -> float:
    """To the four decimals that every surface shows; the artifact has them all."""
    return round(float(value), 4)


def metrics_table(metrics: Mapping[str, float], intervals: Mapping[str, Sequence[float]]) -> str:
    """Metrics in rows, depths in columns, each with its 95 % interval where there is one."""
    of_names = (Reported.read(name).depth for name in metrics)
    depths: list[int | str] = [*dict.fromkeys(depth for depth in of_names if depth)] or [""]
    rows: dict[str, dict[str, str]] = {}
    for name, value in metrics.items():
        metric, depth = Reported.read(name)
        label = metric_title(metric) if depth else f"{metric_title(metric)} (all ranks)"
        row = rows.setdefault(label, {"metric": label, **{f"@{k}": "" for k in depths}})
        known = name in intervals
        row[f"@{depth or depths[0]}"] = _with_interval(value, *intervals[name]) if known else numbers.score(value)
    return table(list(rows.values()))


def _with_interval(value: float, low: float, high: float) -> str:
    return f"{numbers.score(value)} {numbers.interval(low, high)}"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same columns as a Markdown table."""
    lines = [list(rows[0]), ["---"] * len(rows[0])]
    lines += [[numbers.score(one) if isinstance(one, float) else str(one) for one in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def learning_curve(history: Sequence[Mapping[str, float]], metric: str) -> str:
    """Loss, and the metric on validation, by epoch, as an SVG picture in Markdown; each curve has its own scale."""
    width, height, left, top = 640, 240, 20, 30
    drawn = []
    for number, (column, colour) in enumerate((("loss", "#c2410c"), (metric, "#1d4ed8"))):
        values = [row[column] for row in history if row.get(column) is not None]
        if not values:
            continue
        low, spread = min(values), (max(values) - min(values)) or 1
        points = [
            (
                left + (width - 2 * left) * i / max(len(values) - 1, 1),
                height - 20 - (height - 60) * (value - low) / spread,
            )
            for i, value in enumerate(values)
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        first, last = numbers.score(values[0]), numbers.score(values[-1])
        label = f"{metric_title(column)}: {first} at epoch 1, {last} at epoch {len(values)}"
        drawn.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{left + number * width / 2:.0f}" y="{top - 10}" fill="{colour}">{label}</text>'
        )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>{"".join(drawn)}</svg>'
    )
    return f"![learning curve](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"
