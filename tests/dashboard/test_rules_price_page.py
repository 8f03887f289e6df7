"""The price of rules on the page Trade-offs: each alone and all together, of which version, and whether that holds."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from page_reading import text, titles
from streamlit.testing.v1 import AppTest

from dashboard.queries.rules_price import priced, rules_signature
from movierec_engine.evaluation.rules_price import TOGETHER, RulePrice
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.versions import publish_rules, roll_back_rules
from movierec_engine.reporting.rules_price import conclusion, effect
from movierec_engine.store import Artifact, ArtifactStore, Slot

Open = Callable[..., AppTest]
RULES = RuleDocument.of({"rules": [{"name": "lawsuit", "deny": [10]}, {"name": "no twenty", "deny": [20]}]})
OTHERS = RuleDocument.of({"rules": [{"name": "no thirty", "deny": [30]}]})


def price(rule: str, difference: float, half: float = 0.001) -> RulePrice:
    low, high = difference - half, difference + half
    coverage, novelty = {"coverage": 0.25, "coverage_before": 0.5}, {"novelty": 2.5, "novelty_before": 3.0}
    of = {"rule": rule, "kind": "" if rule == TOGETHER else "deny", "users": 3, "ndcg": 0.5, "ndcg_before": 0.5}
    return RulePrice(**of, difference=difference, low=low, high=high, **coverage, **novelty, changed=0.125, unmet=0.0)


PRICES = [price(TOGETHER, -0.02), price("lawsuit", -0.015), price("no twenty", 0.0)]


def put(store: ArtifactStore, scenario: str = "home", prices: list[RulePrice] = PRICES) -> Artifact:
    """Publish a price of RULES for ease, as `movierec rules price` does."""

    def write(folder: Path) -> None:
        pq.write_table(pa.Table.from_pylist([asdict(one) for one in prices]), folder / "price.parquet")
        (folder / "rules.json").write_text(RULES.text, encoding="utf-8")

    trained = store.latest(Slot("trained_model", "tiny", "ease", "cpu"))
    assert trained is not None
    facts = {"part": "validation", "data": "tiny", "scenario": scenario, "region": "NO", "k": 10}
    slot, parents = trained.slot.beside("rules_price"), {"trained_model": trained}
    return store.publish(slot, write, key="p", fingerprint=trained.fingerprint, parents=parents, facts=facts)


def test_without_a_price_the_page_says_which_command_makes_one(visit: Open, known: ArtifactStore) -> None:
    app = visit(known, "tradeoffs")
    assert "No rules are priced on tiny" in text(app)
    assert app.code[-1].value == "movierec rules price rules.json ease"


def test_each_rule_stands_alone_and_with_all_others_around_the_lists_without(
    visit: Open, damaged: ArtifactStore
) -> None:
    put(damaged)
    app = visit(damaged, "tradeoffs")
    assert titles(app)[-1] == "All together cost 0.0200 of NDCG@10; alone, lawsuit costs most (-0.0150)"
    table = app.dataframe[-1].value
    assert table["Rule"].to_list() == [TOGETHER, "lawsuit", "no twenty"]
    assert table["95 %"].to_list() == ["[-0.0210, -0.0190]", "[-0.0160, -0.0140]", "[-0.0010, +0.0010]"]
    seen = [table[name][0] for name in ("Difference", "Coverage", "Novelty, bits", "Lists changed")]
    assert seen == ["-0.0200", "25.0 %", "2.50", "12.5 %"]
    said = text(app)
    assert "Without rules: ndcg@10 0.5000, coverage 50.0 %, novelty 3.00 bits. 3 users of validation" in said
    assert "Lists of 10 for home in NO, by ease (cpu) of " in said and f"set-up {'f' * 12}" in said
    assert "These rules have never held for home; now none do." in said


def test_the_price_says_whether_its_rules_hold_now(visit: Open, damaged: ArtifactStore) -> None:
    put(damaged)
    seen = rules_signature(damaged.root)
    first = publish_rules(damaged, "tiny", "home", RULES, by="anna")
    assert rules_signature(damaged.root) != seen, "an open page has to follow"
    (found,), _ = priced(damaged.root, "tiny")
    assert found.in_force and found.version is not None and found.version.by == "anna"
    second = publish_rules(damaged, "tiny", "home", OTHERS, by="ben")
    said = text(visit(damaged, "tradeoffs"))
    assert f"**no longer in force**: version {first.version}" in said
    assert f"Now version {second.version} holds" in said
    third = roll_back_rules(damaged, "tiny", "home", first.version, by="eve")
    (found,), _ = priced(damaged.root, "tiny")
    assert found.in_force and found.version is not None and found.version.version == third.version


def test_any_price_can_be_chosen_and_what_is_old_or_cannot_be_read_is_said(visit: Open, damaged: ArtifactStore) -> None:
    mail, home = put(damaged, "mail"), put(damaged)
    publish_rules(damaged, "tiny", "mail", RULES, by="anna")
    broken = put(damaged)
    file = broken.folder / "price.parquet"
    file.chmod(0o644)
    file.write_bytes(b"PAR1")
    damaged.publish(Slot("trained_model", "tiny", "ease", "cpu"), lambda folder: None, key="n", fingerprint="f")
    app = visit(damaged, "tradeoffs", rules=f"ease/cpu/{mail.version}")
    said = text(app)
    assert "for mail, published by anna" in said
    assert [one.endswith("in force") for one in app.selectbox(key="rules").options] == [False, True]
    assert f"{broken.folder} cannot be read; price them again" in said
    assert "trained anew since: price the rules again" in said
    assert [one.created_at for one in priced(damaged.root, "tiny")[0]] == [home.created_at, mail.created_at]
    assert priced(damaged.root, "another set") == ([], [])


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ([price(TOGETHER, 0.02)], "All together gain 0.0200 of NDCG@5; no rule alone surely lowers it"),
        (
            [price(TOGETHER, -0.0005), price("a", -0.002), price("b", -0.003)],
            "All together do not surely change NDCG@5; alone, b costs most (-0.0030)",
        ),
    ],
)
def test_the_conclusion_says_what_is_sure(prices: list[RulePrice], said: str) -> None:
    assert conclusion(prices, 5) == said
    assert effect(price("a", 0.001)) == "not sure", "an interval that touches 0"
