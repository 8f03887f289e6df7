"""The scale that a searched setting is drawn on."""

import math
from dataclasses import dataclass

CHOICE, LINEAR, LOG = "choice", "linear", "log"


@dataclass(frozen=True)
class Axis:
    """The scale that a setting was searched on: a choice of values, or a range of numbers with both ends."""

    scale: str
    """`choice`, `linear` or `log`."""
    low: float = 0.0
    high: float = 0.0

    def place(self, value: float) -> float:
        """Where a number of the range lies on its scale, from 0 at the low end to 1 at the high one."""
        if self.high <= self.low:
            return 0.0
        if self.scale == LOG and value > 0:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)
