"""The Pareto front of models by two values, such as quality and cost, and the sentence that says who is on it."""

from collections.abc import Mapping, Sequence

from movierec_engine.reporting.numbers import listed

_NAMED = 4
"""More models than this are counted and not named."""


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names that no other one dominates: at least equal in both values, and better in one.

    points: name -> two values of which more is better; of a cost, its negative.
    """
    return [
        name
        for name, (x, y) in points.items()
        if not any(x <= u and y <= v and (u, v) != (x, y) for u, v in points.values())
    ]


def front_sentence(front: Sequence[str], models: int, values: str) -> str:
    """Who is on a front, and how many are dominated.

    front: names of the models on it, at least one. models: how many there are. values: such as `cost-quality`.
    """
    dominated = models - len(front)
    if len(front) == 1 and dominated:
        return f"{front[0]} dominates every other model: it is alone on the {values} front"
    if not dominated:
        everybody = {1: "The model is", 2: "Both models are"}.get(models, f"All {models} models are")
        return f"{everybody} on the {values} front"
    on_front = listed(front) if len(front) <= _NAMED else f"{len(front)} models"
    verb = "is" if dominated == 1 else "are"
    return f"{on_front} are on the {values} front; {dominated} {verb} dominated"
