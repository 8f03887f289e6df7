"""Words that every surface has in common: small numbers in letters, segments, and sentences' capitals."""

from collections.abc import Mapping, Sequence

from movierec_engine.data.catalogue import ACTIVITY_FROM, POPULARITY_UP_TO
from movierec_engine.evaluation.metrics import Reported, metric_of, metric_title
from movierec_engine.reporting.numbers import count, listed, percent

_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def spelled(number: int) -> str:
    """A number of things, in letters up to twelve."""
    return _COUNTS[number] if number < len(_COUNTS) else count(number)


def sentence(text: str) -> str:
    """The text as a sentence, with a capital at the beginning."""
    return text[:1].upper() + text[1:]


def segment(kind: str, name: str) -> str:
    """A segment's name within a sentence."""
    if kind in ("activity", "length", "gap"):
        return f"users {'whose' if kind == 'gap' else 'with'} {tier(kind, name)}"
    if kind == "popularity":
        return {"head": "the most popular items", "mid": "items of middling popularity"}.get(
            name, "the least popular items"
        )
    return {"genre": f"{name} movies", "decade": f"movies of the {name}"}.get(kind, name)


def activity(name: str) -> str:
    """Description of a tier of users by activity, in train interactions."""
    names, starts = list(ACTIVITY_FROM), list(ACTIVITY_FROM.values())
    if name not in names:
        return name
    place = names.index(name)
    if place + 1 == len(names):
        return f"{starts[place]} or more train interactions"
    return f"{starts[place]} to {starts[place + 1] - 1} train interactions"


def popularity(name: str) -> str:
    """Description of a tier of items by popularity."""
    names, ends = list(POPULARITY_UP_TO), list(POPULARITY_UP_TO.values())
    if name not in names:
        return name
    place = names.index(name)
    if place == 0:
        return f"the most popular items, with the first {percent(ends[0], 0)} of train interactions"
    which = "last" if place + 1 == len(names) else "next"
    return f"the items with the {which} {percent(ends[place] - ends[place - 1], 0)} of train interactions"


def length(name: str) -> str:
    """Description of a segment of users by the length of their history."""
    return f"a history of {name}"


def gap(name: str) -> str:
    """Description of a segment of users by the time from their newest interaction to the next."""
    return f"next item came {name}"


_TIERS = {"activity": activity, "length": length, "gap": gap, "popularity": popularity}


def tier(kind: str, name: str) -> str:
    """Description of a tier of users, or of items by popularity; "" for segments of another kind."""
    return _TIERS[kind](name) if kind in _TIERS else ""


def model_labels(slots: Sequence[tuple[str, str]]) -> list[str]:
    """Names of models on their devices: `ease`, and `ease/cpu` where several have that model."""
    names = [model for model, _ in slots]
    return [model if names.count(model) == 1 else f"{model}/{device}" for model, device in slots]


def dial(name: str) -> str:
    """A taste dial within a sentence: `decade balance`."""
    return name.replace("_", " ")


def measure(reported: str) -> str:
    """A measure's title: `genre_divergence@10` as `Genre divergence@10`, and a registered metric's own."""
    if metric_of(reported):
        return metric_title(reported)
    name, depth = Reported.read(reported)
    return str(Reported(sentence(name.replace("_", " ")), depth))


def who_leads(best: Mapping[str, str]) -> str:
    """The models with the highest mean by segment: `no single winner: ease for rich and moderate, gmf for limited`.

    best: segment -> model; segments in which nobody has a hit are left out.
    """
    if not best:
        return "no model has a hit"
    leads: dict[str, list[str]] = {}
    for segment, model in best.items():
        leads.setdefault(model, []).append(segment)
    if len(leads) == 1:
        return f"{next(iter(leads))} leads{' in each' if len(best) > 1 else ''}"
    ordered = sorted(leads.items(), key=lambda lead: -len(lead[1]))
    if len(best) <= 4:
        return "no single winner: " + ", ".join(f"{model} for {listed(names)}" for model, names in ordered)
    (first, most), *rest = ((model, len(names)) for model, names in ordered)
    return f"no single winner: {first} in {most} of {len(best)}" + "".join(f", {model} in {n}" for model, n in rest)
