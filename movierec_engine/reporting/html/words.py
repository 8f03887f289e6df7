"""How numbers and kinds of users are put into words."""

from collections.abc import Sequence
from datetime import UTC, datetime

from movierec_engine.data.tiers import ACTIVITY_FROM, POPULARITY_UP_TO

_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def listed(names: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def count(number: int) -> str:
    """A number of things, in letters up to twelve."""
    return _COUNTS[number] if number < len(_COUNTS) else f"{number:,}"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 user`, `1,234 users`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def score(value: float) -> str:
    return f"{value:.4f}"


def signed(value: float) -> str:
    """With its sign, a real minus."""
    return f"{value:+.4f}".replace("-", "−")


def span(low: float, high: float) -> str:
    return f"{low:.4f}–{high:.4f}"


def percent(share: float, decimals: int = 1) -> str:
    return f"{100 * share:.{decimals}f} %"


def moment(instant: str) -> str:
    """An ISO instant to the minute."""
    return f"{instant[:16].replace('T', ' ')} UTC"


def day(seconds: int) -> str:
    """A day of UTC, such as 2016-10-16."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def sentence(text: str) -> str:
    """With a capital at the beginning."""
    return text[:1].upper() + text[1:]


def segment(kind: str, name: str) -> str:
    """A segment's name within a sentence."""
    if kind == "activity":
        return f"users with {activity(name)}"
    if kind == "popularity":
        return {"head": "the most popular items", "mid": "items of middling popularity"}.get(
            name, "the least popular items"
        )
    return {"genre": f"{name} movies", "decade": f"movies of the {name}"}.get(kind, name)


def activity(name: str) -> str:
    """What a tier of users by activity holds, in train interactions."""
    names, starts = list(ACTIVITY_FROM), list(ACTIVITY_FROM.values())
    if name not in names:
        return name
    place = names.index(name)
    if place + 1 == len(names):
        return f"{starts[place]} or more train interactions"
    return f"{starts[place]} to {starts[place + 1] - 1} train interactions"


def popularity(name: str) -> str:
    """What a tier of items by popularity holds."""
    names, ends = list(POPULARITY_UP_TO), list(POPULARITY_UP_TO.values())
    if name not in names:
        return name
    place = names.index(name)
    if place == 0:
        return f"the most popular items, with the first {ends[0]:.0%} of train interactions".replace("%", " %")
    return f"the items with the next {ends[place] - ends[place - 1]:.0%} of train interactions".replace("%", " %")
