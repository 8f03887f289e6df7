"""What a page says, as a visitor reads it."""

import re
from typing import Any

import pyarrow as pa
from streamlit.testing.v1 import AppTest


def text(app: AppTest) -> str:
    kinds = ("markdown", "caption", "warning", "info", "header")
    return re.sub(r"\\(.)", r"\1", "\n".join(element.value for kind in kinds for element in app.get(kind)))


def titles(app: AppTest) -> list[str]:
    """What the charts conclude, as a screen reader says it."""
    return [chart.proto.alt for chart in app.get("vega_lite_chart")]


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def drawn(app: AppTest, start: str = "") -> list[dict[str, Any]]:
    """The rows behind the first chart whose title starts so, all of its layers together."""
    chart = next(one.proto for one in app.get("vega_lite_chart") if one.proto.alt.startswith(start))
    tables = [pa.ipc.open_stream(one.data.data).read_all() for one in chart.datasets]
    return [row for table in tables for row in table.to_pylist()]
