"""One self-contained HTML page for people who decide: which model is better, is it sure, for whom, and how we know."""

from pathlib import Path

from movierec_engine.reporting.html.content import gather
from movierec_engine.reporting.html.page import render
from movierec_engine.store import ArtifactStore, replace_file

__all__ = ["write_report"]


def write_report(store: ArtifactStore, data_set: str, path: Path, metric: str = "ndcg@10") -> Path:
    """Write the page of everything that was measured on a data set, in one step; returns its path.

    metric: what models are compared by, such as ndcg@10 or auc. Raises StoreError for a store without reports and
    ConfigError for a metric that cannot be compared.
    """
    replace_file(path, render(gather(store, data_set, metric)))
    return path
