"""`python -m dashboard`: run Streamlit on the dashboard, from any folder; options are those of `streamlit run`."""

import sys
from pathlib import Path

from movierec_engine.cli.console import one_sentence_errors

if __name__ == "__main__":
    with one_sentence_errors():
        from streamlit.web.cli import main

        main(["run", str(Path(__file__).with_name("app.py")), *sys.argv[1:]])
