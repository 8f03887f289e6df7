"""One self-contained HTML page for people who decide: which model is better, is it sure, for whom, and how we know."""

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from movierec_engine.reporting.html.content import gather
from movierec_engine.reporting.html.document import Page
from movierec_engine.store import ArtifactStore, replace_file

__all__ = ["write_report"]


def write_report(store: ArtifactStore, data_set: str, path: Path, metric: str = "ndcg@10") -> Path:
    """Write the page of everything that was measured on a data set, in one step; returns its path.

    metric: what models are compared by, such as ndcg@10 or auc. Raises StoreError for a store without reports and
    ConfigError for a metric that cannot be compared.
    """
    replace_file(path, _render(gather(store, data_set, metric)))
    return path


def _render(page: Page) -> str:
    """The page as one HTML document that needs nothing beside it."""
    environment = Environment(
        loader=PackageLoader("movierec_engine.reporting.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = files("movierec_engine.reporting.html").joinpath("templates", "report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html.j2").render(page=page, style=Markup(style))
