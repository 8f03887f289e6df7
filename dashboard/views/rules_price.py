"""The part of Trade-offs on rules: what each does to a model's lists on validation, alone and all together."""

from pathlib import Path

import streamlit as st

from dashboard import charts, shell, state, tables
from dashboard.plots import rules_price as plots
from dashboard.queries import rules_price
from dashboard.queries.rules_price import PricedRules
from dashboard.queries.store_files import Signature
from movierec_engine.evaluation.rules_price import RulePrice
from movierec_engine.reporting import numbers
from movierec_engine.reporting.rules_price import without_rules


def show(root: Path, data: str) -> None:
    """The price that is chosen, of those on a data set."""
    st.header("What do rules cost?")
    seen = rules_price.rules_signature(root)
    shell.watch(lambda: rules_price.rules_signature(root), seen)
    found, unreadable = _priced(str(root), data, seen)
    shell.notes(unreadable)
    if not found:
        shell.missing(
            f"No rules are priced on {shell.plain(data)}: price a file of them before anybody publishes it.",
            "movierec rules price rules.json ease",
        )
        return
    by_id = {one.id: one for one in found}
    one = by_id[state.choose("Price of", "rules", list(by_id), lambda key: _name(by_id[key]), width=520)]
    st.markdown(_status(one))
    rows = plots.price_rows(one.prices)
    charts.draw(plots.differences(rows, one.prices, one.k), rows, "rules-price")
    tables.show(
        [_row(price, one.k) for price in one.prices],
        hide_index=True,
        width="stretch",
        height="content" if len(one.prices) <= 12 else 460,
        alt="The price of each rule, that of all of them together first",
    )
    st.caption(shell.plain(f"{without_rules(one.prices[0], one.k)} {_setup(one)}"))


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _priced(root: str, data: str, seen: Signature) -> tuple[list[PricedRules], list[str]]:
    return rules_price.priced(Path(root), data)


def _name(one: PricedRules) -> str:
    device = "" if one.device == "cpu" else f" ({one.device})"
    held = " · in force" if one.in_force else ""
    return f"{one.scenario} · {one.model}{device} · {numbers.minute(one.created_at)}{held}"


def _status(one: PricedRules) -> str:
    """Which version of the rules was priced, and whether it holds now."""
    if one.version is None:
        now = f"version {shell.plain(one.current.version)} does" if one.current else "none do"
        return (
            f"These rules have never held for {shell.plain(one.scenario)}; now {now}. "
            f"`movierec rules publish {one.scenario} rules.json` lets them hold."
        )
    held = one.version
    of = shell.plain(
        f"version {held.version} for {one.scenario}, {held.action} by {held.by} on {numbers.minute(held.at)}"
    )
    if one.in_force:
        return f"These rules are **in force now**: {of}."
    assert one.current is not None, "where a version has held, one holds"
    return f"These rules are **no longer in force**: {of}. Now version {shell.plain(one.current.version)} holds."


def _setup(one: PricedRules) -> str:
    """On what the price rests."""
    region = f" in {one.region}" if one.region else ""
    again = " It was trained anew since: price the rules again." if one.outdated else ""
    return (
        f"Lists of {one.k} for {one.scenario}{region}, by {one.model} ({one.device}) of {one.trained}, set-up "
        f"{one.fingerprint}. Alone each rule is taken to hold; together those that held when they were priced.{again}"
    )


def _row(price: RulePrice, k: int) -> dict[str, str]:
    return {
        "Rule": price.rule,
        "Kind": price.kind,
        f"NDCG@{k}": numbers.score(price.ndcg),
        "Difference": numbers.signed(price.difference),
        "95 %": numbers.signed_interval(price.low, price.high),
        "Coverage": numbers.percent(price.coverage),
        "Novelty, bits": numbers.score(price.novelty, 2),
        "Lists changed": numbers.percent(price.changed),
        "Unmet": numbers.percent(price.unmet),
    }
