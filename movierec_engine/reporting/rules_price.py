"""Words of the price of rules: what they cost, and what the lists were without them."""

from collections.abc import Sequence

from movierec_engine.evaluation.rules_price import RulePrice
from movierec_engine.reporting import numbers


def without_rules(price: RulePrice, k: int) -> str:
    """A sentence on the lists of k without rules, and on whom they were measured."""
    before = f"ndcg@{k} {numbers.score(price.ndcg_before)}, coverage {numbers.percent(price.coverage_before)}"
    users = numbers.counted(price.users, "user")
    return f"Without rules: {before}, novelty {price.novelty_before:.2f} bits. {users} of validation, paired."


def effect(price: RulePrice) -> str:
    """Whether a rule surely lowers ndcg, surely raises it, or neither, by its 95 % interval."""
    return "lower" if price.high < 0 else "higher" if price.low > 0 else "not sure"


def conclusion(prices: Sequence[RulePrice], k: int) -> str:
    """A sentence: the effect of all rules together, the first price, on ndcg@k, and the rule that costs most alone."""
    together, *alone = prices
    size = f"{numbers.score(abs(together.difference))} of NDCG@{k}"
    said = {
        "lower": f"All together cost {size}",
        "higher": f"All together gain {size}",
        "not sure": f"All together do not surely change NDCG@{k}",
    }[effect(together)]
    surely = [one for one in alone if effect(one) == "lower"]
    if not surely:
        return f"{said}; no rule alone surely lowers it"
    worst = min(surely, key=lambda one: one.difference)
    return f"{said}; alone, {worst.rule} costs most ({numbers.signed(worst.difference)})"
