"""The style that Streamlit's settings do not reach: legible captions and code, focus, little space above, and paper."""

from importlib.resources import files

import streamlit as st

from dashboard import charts

_STYLE = """
[data-testid="stMainBlockContainer"] {{ padding-top: 4.5rem; padding-bottom: 3rem; }}
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] :is(p, li, em, strong),
[data-testid="stMarkdownContainer"] span[class*="stMarkdownColoredText"] {{ color: {quiet}; opacity: 1; }}
[data-testid="stCaptionContainer"] {{ overflow-wrap: anywhere; }}
[data-testid="stCode"] code span {{ color: inherit !important; }}
[data-testid="stMarkdownContainer"] code {{ color: inherit; overflow-wrap: anywhere; }}
[data-testid="stAlert"] a {{ color: inherit; }}
:is([data-testid="stHeading"], [data-testid="stMarkdownContainer"]) :is(h1, h2, h3) {{ overflow-wrap: anywhere; }}
[data-testid="stMultiSelectTagsContainer"] :is(span, svg) {{ color: {on_chosen}; }}
[data-testid="stApp"] :is(a, button, summary, canvas, [role="slider"], [role="spinbutton"]):focus-visible {{
  outline: 3px solid {chosen} !important; outline-offset: 1px; border-radius: 4px;
}}
[data-testid="stMain"]:focus-visible {{ outline: 3px solid {chosen}; outline-offset: -3px; }}
[data-testid="stElementToolbar"]:focus-within {{ opacity: 1; }}
[data-testid="stHeaderActionElements"]:not(:is(h1, h2, h3, [data-testid="stHeading"]):hover *) {{ visibility: hidden; }}
[data-testid="stMetric"] [data-testid="stMetricValue"] * {{ white-space: normal; overflow-wrap: anywhere; }}
@media (max-width: 640px) {{
  [data-testid="stMainBlockContainer"] {{ padding-top: 3.75rem; }}
  [data-testid="stHorizontalBlock"]:has([data-testid="stMetric"]) {{ display: grid; grid-template-columns: 1fr 1fr; }}
  [data-testid="stHorizontalBlock"]:has([data-testid="stMetric"]) > [data-testid="stColumn"] {{
    width: auto !important; min-width: 0 !important; flex: none !important;
  }}
  [data-testid="stMetricValue"] {{ font-size: 1.5rem; }}
  [data-testid="stHeading"] h1 {{ font-size: 1.75rem; }}
  [data-testid="stMarkdownContainer"] h2, [data-testid="stHeading"] h2 {{ font-size: 1.25rem; }}
}}
"""


_DARK_CHARTS_ON_PAPER = """@media print {
  :is([data-testid="stVegaLiteChart"], [data-testid="stDataFrame"]) canvas { filter: invert(1) hue-rotate(180deg); }
}"""
"""CSS by which charts drawn light on dark are printed dark on white, each colour as it was."""


def legible() -> None:
    """Let every page have the style, in the visitor's theme."""
    theme = charts.theme()
    colors = {"quiet": charts.SUBTITLE, "chosen": charts.CHOSEN, "on_chosen": charts.BACKGROUND}
    paper = files("dashboard").joinpath("paper.css").read_text(encoding="utf-8")
    dark = _DARK_CHARTS_ON_PAPER if theme == "dark" else ""
    screen = _STYLE.format(**{name: by_theme[theme] for name, by_theme in colors.items()})
    st.html(f"<style>{screen}{paper}{dark}</style>")
