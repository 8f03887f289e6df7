"""From content to HTML."""

from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from movierec_engine.reporting.html.document import Page


def render(page: Page) -> str:
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
