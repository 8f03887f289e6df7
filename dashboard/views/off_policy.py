"""The part of Operations on lists that were not shown: what other models' would have earned, from explored lists."""

from pathlib import Path

import streamlit as st

from dashboard import charts, shell, state, tables
from dashboard.plots import off_policy as plots
from dashboard.queries import off_policy
from dashboard.queries.off_policy import OffPolicy
from dashboard.queries.store_files import Signature
from movierec_engine.reporting import numbers


def show(root: Path, data: str, seen: Signature) -> None:
    st.header("What would other lists have earned?")
    found = _estimates(str(root), data, seen)
    if not found:
        shell.missing(
            "No estimate yet: it needs lists that were explored, and what people did with them.",
            "movierec serve serving.exploration.share=0.1\nmovierec offpolicy ease  # once people have answered",
        )
        return
    kinds = list(dict.fromkeys(one.about for one in found))
    about = state.choose("Estimates of", "off_policy", kinds) if len(kinds) > 1 else kinds[0]
    own = [one for one in found if one.about == about]
    rows = [row for one in own for row in one.rows()]
    reward = own[0].question["reward"]
    if rows:
        charts.draw(plots.gains(rows, reward), rows, "off-policy")
    title = "Off-policy estimates of each model, with 95 % intervals"
    tables.show([_row(one) for one in own], hide_index=True, width="stretch", height="content", alt=title)
    with st.expander("What these estimates rest on"):
        for one in own:
            st.markdown(f"**{shell.plain(one.name)}**: {shell.plain(' '.join(one.sentences))}")


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _estimates(root: str, data: str, seen: Signature) -> list[OffPolicy]:
    return off_policy.estimates(Path(root), data)


def _row(one: OffPolicy) -> dict[str, str]:
    """A model's estimates, each with its interval."""
    named = {"As shown": "logged", "IPS": "ips", "SNIPS": "snips", "DR": "dr"}
    values = {
        name: f"{numbers.score(found['value'], 3)} {numbers.interval(found['low'], found['high'], 3)}"
        for name, found in ((name, one.estimates[key]) for name, key in named.items())
    }
    return {
        "Model": one.model,
        "Rules": one.question.get("rules", "none"),
        **values,
        "Lists": f"{one.estimates['lists']:,}",
        "Worth places": f"{one.estimates['effective_places']:,.0f}",
        "Largest weight": f"{one.estimates['largest_weight']:,.1f}",
        "Seen": numbers.percent(one.estimates["covered"]["value"], 0),
        "Estimated": numbers.minute(one.created_at),
    }
