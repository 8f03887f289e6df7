"""What a page says, as a visitor reads it."""

import re

from streamlit.testing.v1 import AppTest


def text(app: AppTest) -> str:
    kinds = ("markdown", "caption", "warning", "info", "header")
    return re.sub(r"\\(.)", r"\1", "\n".join(element.value for kind in kinds for element in app.get(kind)))


def titles(app: AppTest) -> list[str]:
    """What the charts conclude, as a screen reader says it."""
    return [chart.proto.alt for chart in app.get("vega_lite_chart")]


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}
