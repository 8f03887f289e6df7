"""Evaluation results as tables for people."""

from collections.abc import Mapping

from rich.table import Table


def metrics_table(
    title: str, metrics: Mapping[str, float], intervals: Mapping[str, tuple[float, float]] | None = None
) -> Table:
    """Metrics in rows, depths in columns, each with half the width of its 95 % interval where there is one.

    metrics: names such as `ndcg@10` -> values.
    """
    rows: dict[str, dict[int, str]] = {}
    for name, value in metrics.items():
        metric, depth = name.split("@")
        interval = (intervals or {}).get(name)
        spread = f" [dim]± {(interval[1] - interval[0]) / 2:.4f}[/]" if interval else ""
        rows.setdefault(metric, {})[int(depth)] = f"{value:.4f}{spread}"
    depths = sorted({k for row in rows.values() for k in row})
    table = Table(title=title)
    table.add_column("metric")
    for k in depths:
        table.add_column(f"@{k}", justify="right")
    for metric, row in rows.items():
        table.add_row(metric, *(row.get(k, "") for k in depths))
    return table
