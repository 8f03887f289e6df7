"""Strict readers of the parts of a document of rules; each error names the place and what it must be."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, TypeVar

from movierec_engine.recommending.rules.errors import RuleError

T = TypeVar("T")
LONGEST_TEXT = 256


def members(given: dict[Any, Any], place: str, known: Sequence[str], required: Sequence[str] = ()) -> None:
    """Require an object's members to be known, and some of them to be there."""
    for name in given:
        if name not in known:
            close = get_close_matches(str(name)[:64], known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
            raise RuleError(f"{place} has {str(name)[:64]!r}, which is not known there; {hint}")
    for name in required:
        if name not in given:
            raise RuleError(f"{place} lacks {name}; add it")


def entries(given: Any, place: str, most: int) -> Iterator[tuple[Any, str]]:
    """The entries of an array that is not empty, each with its place."""
    if not isinstance(given, list) or not given:
        raise RuleError(f"{place} must be an array with at least one entry")
    if len(given) > most:
        raise RuleError(f"{place} has {len(given):,} entries, at most {most:,} are taken; split it or use a column")
    return ((one, f"{place}[{number}]") for number, one in enumerate(given))


def objects(given: Any, place: str, most: int) -> Iterator[tuple[dict[Any, Any], str]]:
    """The entries of an array of objects, each with its place."""
    for one, at in entries(given, place, most):
        if not isinstance(one, dict):
            raise RuleError(f"{at} must be an object such as {{...}}, and not {str(one)[:40]!r}")
        yield one, at


def values(given: Any, place: str, most: int) -> tuple[Any, ...]:
    """Texts, numbers or flags, all of one kind, each once."""
    found = [one for one, _ in entries(given, place, most)]
    kinds = {str if isinstance(one, str) else type(one) for one in found}
    kinds = {float} if kinds == {int, float} else kinds
    finite = all(not isinstance(one, float) or math.isfinite(one) for one in found)
    if len(kinds) != 1 or not kinds <= {str, int, float, bool} or not finite:
        raise RuleError(f"{place} must be texts alone or numbers alone; write them all alike")
    if any(isinstance(one, int) and abs(one) >= 2**63 for one in found):
        raise RuleError(f"{place} has a number of more than 64 bits; write it as a text if it is one")
    return tuple(dict.fromkeys(text(one, place) if isinstance(one, str) else one for one in found))


def text(given: Any, place: str, longest: int = LONGEST_TEXT) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= longest or not given.isprintable():
        raise RuleError(f"{place} must be a text of 1 to {longest} printable characters")
    return given


def number(given: Any, place: str, least: float, most: float) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not least <= given <= most:
        raise RuleError(f"{place} must be a number from {least:g} to {most:g}, and not {str(given)[:40]!r}")
    return given


def whole_number(given: Any, place: str, least: int, most: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
        raise RuleError(f"{place} must be a whole number from {least} to {most}, and not {str(given)[:40]!r}")
    return given


def one_of(given: Any, place: str, choices: Sequence[T]) -> T:
    for choice in choices:
        if type(given) is type(choice) and given == choice:
            return choice
    said = " or ".join(str(choice).lower() for choice in choices)
    raise RuleError(f"{place} must be {said}, and not {str(given)[:40]!r}")


def moment(given: Any, place: str) -> datetime:
    """A date such as 2026-12-24, which begins at midnight UTC, or a moment such as 2026-12-24T18:00:00+01:00."""
    try:
        found = datetime.fromisoformat(text(given, place))
    except (ValueError, RuleError) as error:
        raise RuleError(f"{place} must be a date such as 2026-12-24, with a time if need be") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
