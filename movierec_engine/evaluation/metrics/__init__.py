"""The metrics: a registered function each, over all users at once.

Users without a recommendation count 0; users without relevant items are left out before. The reported number is the
mean over users. Adding one: a function with `@register_metric` in this folder, or in any package (see `registry`).
"""

from movierec_engine.evaluation.metrics import accuracy, beyond_accuracy, likes  # noqa: F401 - registers them
from movierec_engine.evaluation.metrics.registry import (
    METRICS_VERSION,
    Counts,
    Hits,
    Lists,
    Metric,
    PerUser,
    Reported,
    hit_metrics,
    hits_at,
    judges,
    judging_metrics,
    less_is_better,
    metric_of,
    metric_title,
    metrics,
    register_metric,
)

__all__ = [
    "METRICS_VERSION",
    "Counts",
    "Hits",
    "Lists",
    "Metric",
    "PerUser",
    "Reported",
    "hit_metrics",
    "hits_at",
    "judges",
    "judging_metrics",
    "less_is_better",
    "metric_of",
    "metric_title",
    "metrics",
    "register_metric",
]
