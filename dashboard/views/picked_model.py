"""A model picked in a chart, or in a box: it stands out, and links lead on to its comparisons, segments and lists.

What a click picks can be picked in the box, too, stands in the address, and is undone by one click.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard import charts, shell, state
from dashboard.controls import Chosen
from dashboard.views import compare, explore, segments, side_by_side
from movierec_engine.reporting.conclusions import BASELINE

PICKED = "picked"
"""The name in the URL of the model that is picked."""


def on_model() -> charts.Click:
    """The click on a model's mark, which picks the model."""
    return charts.Click(("model",), _pick)


def _pick(clicked: Mapping[str, Any] | None) -> None:
    state.assign(PICKED, str(clicked["model"]) if clicked else "")


def choose(chosen: Chosen) -> str:
    """A box of the shown models; the label of the one that is picked, or ""."""

    def name(label: str) -> str:
        return label or "none: click a model in a chart, or choose one"

    return state.choose("A model of the charts", PICKED, ["", *chosen.models], name, default="", width=400)


def lead_on(chosen: Chosen, label: str, said: str) -> None:
    """The picked model with what is said of it, and where to look further. said: a sentence, not escaped."""
    first = chosen.labels[chosen.ranked[0].id]
    other = first if label != first else next((name for name in chosen.models if name != label), "")
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{shell.plain(label)}**")
            st.button("Show all", key="unpick", icon=":material/close:", on_click=state.assign, args=(PICKED, ""))
        st.markdown(shell.plain(said))
        with st.container(horizontal=True):
            if other and st.button(f"Compare with {shell.plain(other)}", icon=":material/compare_arrows:"):
                state.put("a", label)
                state.put("b", other)
                st.switch_page(st.Page(compare.page, title="Compare two", url_path="compare"))
            if other and st.button(f"Side by side with {shell.plain(other)}", icon=":material/view_week:"):
                side_by_side.go_to([chosen.address(label), chosen.address(other)])
            if st.button("For whom it is good", icon=":material/groups:"):
                if not _always_on_segments(chosen, label):
                    state.put("shown", label)
                st.switch_page(st.Page(segments.page, title="Segments and fairness", url_path="segments"))
            if st.button("Its lists", icon=":material/travel_explore:"):
                state.put("who", explore.USER)
                state.put("explored", chosen.standing(label).model)
                st.switch_page(st.Page(explore.page, title="Explore", url_path="explore"))


def _always_on_segments(chosen: Chosen, label: str) -> bool:
    """Whether a model stands on the page of segments without being chosen: the champion and the baseline."""
    one, served = chosen.standing(label), next((one for one in chosen.ranked if one.served), chosen.ranked[0])
    return one.model == BASELINE or one.id == served.id
