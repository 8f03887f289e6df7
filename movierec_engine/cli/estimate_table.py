"""The memory and time that each step of each model needs, as a table."""

from movierec_engine.cli.tables import ResultTable, Row, TableColumn
from movierec_engine.models.memory import memory_budget
from movierec_engine.pipeline.preflight import STEPS, DataCounts, Estimate
from movierec_engine.reporting import numbers


def estimate_table(found: list[Estimate], counts: DataCounts) -> ResultTable:
    """A model a row for people, and a model and step a row for programs."""
    budget = memory_budget()
    rows = [
        {
            "model": one.model,
            "step": one.step,
            "bytes": one.n_bytes,
            "seconds": one.seconds,
            "available_bytes": budget,
            "fits": one.fits(budget),
            "instead": one.instead if one.fits(budget) is False else "",
        }
        for one in found
    ]
    shown: dict[str, dict[str, Row]] = {}
    for row in rows:
        shown.setdefault(str(row["model"]), {})[str(row["step"])] = row
    return ResultTable(
        f"{counts.users:,} users, {counts.items:,} items, {counts.train:,} train interactions; "
        f"{numbers.size(budget)} of memory to use",
        [
            TableColumn("model", lambda row: str(row[STEPS[0]]["model"]), left=True),
            *(column for step in STEPS for column in _columns(step)),
            TableColumn("", _verdict, left=True, wraps=True, style=lambda row: "red"),
        ],
        rows,
        [
            "Memory is of the whole process at its peak, time of two cores that do nothing else; a fit's is of all "
            "its epochs, which early stopping may cut short.",
        ],
        shown=list(shown.values()),
    )


def _columns(step: str) -> list[TableColumn]:
    return [
        TableColumn(step, lambda row: numbers.size(row[step]["bytes"])),
        TableColumn("time", lambda row: numbers.duration(row[step]["seconds"]), sheds=1 + STEPS.index(step)),
    ]


def _verdict(row: Row) -> str:
    """The advice where a step is too much for this machine."""
    return next((f"too much: {row[step]['instead']}" for step in STEPS if row[step]["fits"] is False), "")
