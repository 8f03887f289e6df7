"""The style that Streamlit's settings do not reach: legible captions and code, little space above, and paper."""

import streamlit as st

from dashboard import charts

_STYLE = """<style>
[data-testid="stMainBlockContainer"] {{ padding-top: 4.5rem; padding-bottom: 3rem; }}
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] :is(p, li, em, strong),
[data-testid="stMarkdownContainer"] span[class*="stMarkdownColoredText"] {{ color: {quiet}; opacity: 1; }}
[data-testid="stCaptionContainer"] {{ overflow-wrap: anywhere; }}
[data-testid="stCode"] code span {{ color: inherit !important; }}
[data-testid="stMarkdownContainer"] code {{ color: inherit; overflow-wrap: anywhere; }}
[data-testid="stAlert"] a {{ color: inherit; }}
:is([data-testid="stHeading"], [data-testid="stMarkdownContainer"]) :is(h1, h2, h3) {{ overflow-wrap: anywhere; }}
[data-testid="stMultiSelectTagsContainer"] :is(span, svg) {{ color: {on_chosen}; }}
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
@media print {{
  [data-testid="stHeader"], [data-testid="stToolbar"], [data-testid="stDownloadButton"],
  [data-testid="stElementToolbar"] {{ display: none !important; }}
  [data-testid="stMainBlockContainer"] {{ padding: 0 !important; max-width: none; }}
  [data-testid="stHorizontalBlock"] {{ flex-direction: column; }}
  [data-testid="stColumn"] {{ width: 100% !important; flex: none !important; }}
  [data-testid="stVegaLiteChart"], [data-testid="stMetric"], [data-testid="stAlert"] {{ break-inside: avoid; }}
  h1, h2, h3 {{ break-after: avoid; }}
}}
</style>"""


def legible() -> None:
    """Let every page have the style, in the visitor's theme."""
    theme = charts.theme()
    st.html(_STYLE.format(quiet=charts.SUBTITLE[theme], on_chosen=charts.BACKGROUND[theme]))
