"""Evaluation results as tables for people."""

from collections.abc import Mapping

from rich.table import Table


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
