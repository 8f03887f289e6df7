"""Words for off-policy estimates: what they rest on, and what was explored."""

from movierec_engine.evaluation.off_policy.question import NONE, THEN, OffPolicyResult
from movierec_engine.recommending.exploration import ExplorationConfig
from movierec_engine.reporting import numbers

SEEN = 0.98
"""Share of the target's places from which on the log is said to have seen what it shows."""


def sentences(result: OffPolicyResult) -> list[str]:
    """The reservations about the numbers, a sentence each."""
    found, asked = result.estimates, result.question
    share = found.covered.value
    said = [
        f"From {numbers.counted(found.lists, 'explored list')} of {numbers.counted(found.users, 'user')}, of which "
        f"{numbers.counted(result.rewards, 'place')} earned a {asked.reward} within {asked.minutes:g} minutes; the "
        f"weights are worth {found.effective_places:,.0f} places, and the largest is {found.largest_weight:,.1f}."
    ]
    if share < SEEN and found.covered.high < 1:
        said.append(
            f"The log could not have shown about {numbers.percent(1 - share, 0)} of the places of these lists: IPS "
            "counts nothing for them, SNIPS takes them to be like the others, and DR believes its reward model."
        )
    said += _of_rules(result)
    if asked.clip:
        said.append(f"Weights above {asked.clip:g} are cut down to it, which pulls the estimates towards 0.")
    assumed = {
        "movie": "A movie is taken to earn the same at every place of a list.",
        "place": "A movie is taken to earn the same at its place, whatever stands beside it.",
    }
    said.append(assumed[asked.by] + " Intervals are of 95 %, with users as independent.")
    if result.left_out:
        whys = [f"{count:,} that {why}" for why, count in sorted(result.left_out.items(), key=lambda one: -one[1])]
        said.append(f"Lists that are left out: {numbers.listed(whys)}.")
    if result.early:
        said.append(
            f"{numbers.counted(result.early, 'event')} dated more than a minute before the list named by it is left "
            "out; the clocks of clients and servers differ."
        )
    return said


def _of_rules(result: OffPolicyResult) -> list[str]:
    """Under which rules the target's lists were made."""
    if result.question.rules == NONE:
        return ["The lists are made without rules."]
    which = "the rules of then" if result.question.rules == THEN else f"the rules of {result.question.rules}"
    said = f"The lists are made under {which}, which hold for {result.under_rules:,} of them"
    return [f"{said}; {numbers.counted(result.unmet, 'list')} could not meet one." if result.unmet else f"{said}."]


def described(exploration: ExplorationConfig) -> str:
    """An exploration in a few words."""
    if not exploration.on:
        return "not explored"
    return (
        f"{numbers.percent(exploration.share, 0)} of the places from {exploration.from_place} on explored by "
        f"{exploration.strategy}, {exploration.candidates} movies"
    )
