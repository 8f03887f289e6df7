"""From JSON to dataclasses, by their annotations: what has another type is an error, what is not known is kept."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from movierec_client.errors import UnreadableAnswerError

MORE = "more"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Base of answers and their parts. more: fields that this client does not know, of a newer server."""

    more: Mapping[str, Any] = field(default_factory=dict, repr=False)


T = TypeVar("T", bound=Answer)


def decode(kind: type[T], body: object) -> T:
    """An answer of a type. Raises UnreadableAnswerError, which says where, for one that has not its fields."""
    found: T = _read(kind, body, "")
    return found


def _read(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if isinstance(kind, types.UnionType):
        return _read_union(kind, value, where)
    origin = get_origin(kind)
    if origin is list and isinstance(value, list):
        (part,) = get_args(kind)
        return [_read(part, one, f"{where}[{place}]") for place, one in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        part = get_args(kind)[1]
        return {name: _read(part, one, f"{where}.{name}") for name, one in value.items()}
    if isinstance(kind, type) and issubclass(kind, Answer) and isinstance(value, dict):
        return _read_fields(kind, value, where)
    if origin is None and (type(value) is kind or (kind is float and type(value) is int)):
        return kind(value)
    raise UnreadableAnswerError(f"{where.lstrip('.') or 'the answer'} is {_shown(value)}, which is not {_name(kind)}")


def _read_union(kind: types.UnionType, value: Any, where: str) -> Any:
    if value is None and type(None) in get_args(kind):
        return None
    parts = [part for part in get_args(kind) if part is not type(None)]
    return value if type(value) in parts else _read(parts[0], value, where)


def _read_fields(kind: type[T], value: dict[str, Any], where: str) -> T:
    known = _fields(kind)  # type: ignore[arg-type]  # classes are hashable
    read = {name: _read(part, value[name], f"{where}.{name}") for name, (part, _) in known.items() if name in value}
    missing = next((name for name, (_, required) in known.items() if required and name not in value), None)
    if missing:
        raise UnreadableAnswerError(f"{where.lstrip('.') or 'the answer'} has no {missing}")
    return kind(**read, more={name: one for name, one in value.items() if name not in known})


@cache
def _fields(kind: type[Answer]) -> dict[str, tuple[Any, bool]]:
    """Type of each field, and whether it must be there."""
    hints = get_type_hints(kind)
    return {
        one.name: (hints[one.name], one.default is MISSING and one.default_factory is MISSING)
        for one in fields(kind)
        if one.name != MORE
    }


def _name(kind: Any) -> str:
    return {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}.get(kind, str(kind))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
