"""Scales of axes: from values to positions."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_SLACK = 1e-9
"""So that a tick is not missed by a rounding error."""


@dataclass(frozen=True)
class Scale:
    """A linear axis from low to high, with ticks at the multiples of a step."""

    low: float
    high: float
    step: float

    @classmethod
    def around(cls, values: Iterable[float], ticks: int = 5, zero: bool = False, tight: bool = False) -> "Scale":
        """An axis that holds all values, at least one and all finite.

        ticks: about how many. zero: whether it begins at 0, for values that are not negative. tight: whether it ends
        with the values instead of at the next ticks.
        """
        values = list(values)
        low, high = (0.0 if zero else min(values)), max(values)
        if low == high:
            low, high = (low, high + 1) if low == 0 else (low - abs(low) / 2, high + abs(high) / 2)
        rough = (high - low) / ticks
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(each * power for each in _STEPS if each * power >= rough * (1 - _SLACK))
        if tight:
            return cls(low, high, step)
        return cls(math.floor(low / step + _SLACK) * step, math.ceil(high / step - _SLACK) * step, step)

    def at(self, value: float) -> float:
        """A value's place: 0 at the low end, 1 at the high end."""
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        first, last = math.ceil(self.low / self.step - _SLACK), math.floor(self.high / self.step + _SLACK)
        return [number * self.step for number in range(first, last + 1)]

    def label(self, tick: float) -> str:
        """A tick with as many decimals as tell it from its neighbours."""
        decimals = 0
        while decimals < 9 and abs(round(self.step, decimals) - self.step) > self.step * _SLACK:
            decimals += 1
        return f"{tick + 0.0:,.{decimals}f}"


def spread_out(places: list[float], gap: float) -> list[float]:
    """Places as near as they can be to the given ones, in the same order, with at least the gap between neighbours.

    Clusters that overlap are merged and centred on the mean of what they hold.
    """
    order = sorted(range(len(places)), key=places.__getitem__)
    clusters: list[tuple[float, list[int]]] = []
    for index in order:
        centre, members = places[index], [index]
        while clusters and clusters[-1][0] + gap * (len(clusters[-1][1]) + len(members)) / 2 > centre:
            members = clusters.pop()[1] + members
            centre = sum(places[member] for member in members) / len(members)
        clusters.append((centre, members))
    moved = list(places)
    for centre, members in clusters:
        for position, member in enumerate(members):
            moved[member] = centre + gap * (position - (len(members) - 1) / 2)
    return moved
