"""Number formats of every surface: scores, intervals, p values, durations, sizes, counts and shares.

Plain functions from numbers to text that import nothing of the engine, so that any part of it may word a sentence.
A value that is None is written as a dash.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

NONE = "–"
"""Stands where there is no value."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_SIZES = ("B", "kB", "MB", "GB", "TB")


def score(value: float | None, decimals: int = 4) -> str:
    """A metric's value: `0.2104`."""
    return NONE if value is None else f"{value:.{decimals}f}"


def rating(value: float) -> str:
    """A rating or a count of 32 bits, in the fewest digits that give it back: `4`, `3.5`, `2520377`."""
    return np.format_float_positional(np.float32(value), trim="-")


def signed(value: float | None, decimals: int = 4) -> str:
    """A difference, with its sign: `+0.0123`, `-0.0040`."""
    return NONE if value is None else f"{value:+.{decimals}f}"


def interval(low: float | None, high: float | None, decimals: int = 4) -> str:
    """The two ends of an interval: `[0.2034, 0.2211]`."""
    return NONE if low is None or high is None else f"[{low:.{decimals}f}, {high:.{decimals}f}]"


def signed_interval(low: float | None, high: float | None, decimals: int = 4) -> str:
    """The two ends of a difference's interval, with their signs: `[-0.0012, +0.0034]`."""
    return NONE if low is None or high is None else f"[{low:+.{decimals}f}, {high:+.{decimals}f}]"


def p_value(p: float | None) -> str:
    """A p value as a column headed p has it: `<.001`, `.012`, `.35`; three decimals below .1, two above."""
    if p is None:
        return NONE
    if p < 0.001:
        return "<.001"
    text = f"{p:.3f}" if p < 0.0995 else f"{p:.2f}"
    return text.removeprefix("0")


def p_equals(p: float) -> str:
    """A p value within a sentence: `p < .001`, `p = .35`."""
    text = p_value(p)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def mean_and_sd(mean: float | None, sd: float | None) -> str:
    """A mean over runs with the standard deviation, where there are several: `0.2104 ± 0.0012`."""
    return score(mean) if sd is None else f"{score(mean)} ± {score(sd)}"


def duration(seconds: float | None) -> str:
    """A length of time: `3 ms`, `1.6 s`, `46 s`, `12 min`, `3 h 05 min`, `4 days`."""
    if seconds is None:
        return NONE
    if seconds < 119.5:
        if seconds < 0.9995:
            return f"{seconds * 1000:.0f} ms"
        return f"{seconds:.{1 if seconds < 9.95 else 0}f} s"
    minutes = round(seconds / _MINUTE)
    if minutes < 120:
        return f"{minutes} min"
    if seconds < 4 * _DAY:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{seconds / _DAY:,.0f} days"


def latency(seconds: float | None) -> str:
    """A time of milliseconds or less: `12 ms`, `0.52 ms`, `3.4 µs`."""
    if seconds is None:
        return NONE
    return (
        f"{1e3 * seconds:.2g} ms"
        if 1e-5 <= seconds < 0.0995
        else duration(seconds)
        if seconds >= 0.0995
        else (f"{1e6 * seconds:.2g} µs")
    )


def size(n_bytes: float | None) -> str:
    """An amount of memory or of files, in units of 1024: `512 B`, `3.4 MB`, `345 MB`, `1.2 GB`."""
    if n_bytes is None:
        return NONE
    place, value = 0, float(n_bytes)
    while value >= 1023.5 and place < len(_SIZES) - 1:
        place, value = place + 1, value / 1024
    decimals = 1 if place and value < 9.95 else 0
    return f"{value:,.{decimals}f} {_SIZES[place]}"


def memory(megabytes: float | None) -> str:
    """The same of an amount that is measured in MB of 1024 * 1024 bytes."""
    return NONE if megabytes is None else size(megabytes * 1024**2)


def count(number: float | None) -> str:
    """A count: `671`, `90,072`, `20.0 M`."""
    if number is None:
        return NONE
    return f"{number:,.0f}" if number < 1e7 else f"{number / 1e6:,.1f} M"


def percent(share: float | None, decimals: int = 1) -> str:
    """A share of a whole: `12.3 %`."""
    return NONE if share is None else f"{100 * share:.{decimals}f} %"


def percent_interval(low: float | None, high: float | None) -> str:
    """The two ends of a share's interval: `[10.1 %, 14.8 %]`."""
    return NONE if low is None or high is None else f"[{percent(low)}, {percent(high)}]"


def relative(value: float, base: float) -> str:
    """A value relative to another: `+10.3 %`, or `2.2 times` where percents get unwieldy."""
    if base <= 0:
        return "from zero"
    return f"{value / base:.1f} times" if value / base >= 2 else f"{100 * (value / base - 1):+.1f} %"


def minute(instant: str) -> str:
    """An ISO instant of UTC to the minute: `2026-11-28 19:05 UTC`."""
    return f"{instant[:16].replace('T', ' ')} UTC"


def day(seconds: float) -> str:
    """The day of a moment in seconds since 1970, in UTC: `2016-10-16`; `?` for one outside of the calendar."""
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return "?"


def counted(number: int, one: str, many: str = "") -> str:
    """A number of things: `1 user`, `1,234 users`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def age(instant: str) -> str:
    """Time since an ISO instant, taken for UTC where it names no zone; a dash for what is none."""
    try:
        then = datetime.fromisoformat(instant)
    except ValueError:
        return NONE
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return duration(max((datetime.now(UTC) - then).total_seconds(), 0.001))


def days_ago(instant: str) -> str:
    """The day of an ISO instant as seen from today, in UTC: `today`, `yesterday`, `3 days ago`, `2026-10-16`."""
    try:
        days = (datetime.now(UTC).date() - datetime.fromisoformat(instant).date()).days
    except ValueError:
        return NONE
    if not 0 <= days < 7:
        return instant[:10]
    return {0: "today", 1: "yesterday"}.get(days, f"{days} days ago")


def listed(names: Sequence[str], last: str = "and") -> str:
    """Names in a sentence: `a, b and c`."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
