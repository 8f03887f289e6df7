"""What a parameter may be: read strictly from a query string or from JSON, and described for OpenAPI.

A request is a dataclass whose fields are parameters; the field is the one place that says what is accepted:

    @dataclass(frozen=True, kw_only=True)
    class SimilarRequest:
        item_id: int = parameter(Identifier(), "The movie's public id.", where="path", example=10)
        top_k: int = parameter(Integer(1, most=lambda limits: limits.max_top_k), "Length of the list.", default=10)
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Generic, Literal, NoReturn, TypeVar

from movierec_engine.api.config import ServingConfig
from movierec_engine.api.errors import ApiError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Bound = int | Callable[[ServingConfig], int]
"""A number, or one that the settings decide."""
Where = Literal["query", "path", "header"]
"""Where a parameter stands; `query` is the JSON body of a POST."""

MAX_ID = 2**63 - 1
_DIGITS = re.compile(r"[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,17})?")
_TEXT = r"[^\x00-\x1f\x7f]+"
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Kind(ABC, Generic[T_co]):
    """One kind of value. What does not fit is an ApiError that names the parameter."""

    @abstractmethod
    def of_json(self, value: object, name: str, limits: ServingConfig) -> T_co:
        """The value of a JSON body."""

    @abstractmethod
    def schema(self, limits: ServingConfig) -> dict[str, Any]:
        """JSON Schema of the value."""

    def of_text(self, text: str, name: str, limits: ServingConfig) -> T_co:
        """The value of a query string, a path or a header."""
        return self.of_json(text, name, limits)

    @property
    def in_query(self) -> dict[str, Any]:
        """How OpenAPI describes its writing in a query string."""
        return {}


@dataclass(frozen=True)
class Integer(Kind[int]):
    """A whole number, written in ASCII digits."""

    least: int = 0
    most: Bound = MAX_ID

    def of_text(self, text: str, name: str, limits: ServingConfig) -> int:
        return self.of_json(int(text) if _DIGITS.fullmatch(text) else text, name, limits)

    def of_json(self, value: object, name: str, limits: ServingConfig) -> int:
        most = bound(self.most, limits)
        if type(value) is not int or not self.least <= value <= most:
            written = "2^63-1" if most == MAX_ID else str(most)
            raise ApiError(400, f"{name} must be a whole number from {self.least} to {written}", name)
        return value

    def schema(self, limits: ServingConfig) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": bound(self.most, limits)}


class Identifier(Integer):
    """A public id."""


@dataclass(frozen=True)
class Number(Kind[float]):
    """A number in plain decimal notation."""

    least: float = 0.0
    most: float = 1.0

    def of_text(self, text: str, name: str, limits: ServingConfig) -> float:
        return self.of_json(float(text) if _NUMBER.fullmatch(text) else text, name, limits)

    def of_json(self, value: object, name: str, limits: ServingConfig) -> float:
        if type(value) not in (int, float) or not self.least <= value <= self.most:  # type: ignore[operator]
            raise ApiError(400, f"{name} must be a number from {self.least:g} to {self.most:g}", name)
        return float(value)  # type: ignore[arg-type]

    def schema(self, limits: ServingConfig) -> dict[str, Any]:
        return {"type": "number", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Rating(Kind[float]):
    """A rating on the MovieLens scale, in half stars."""

    def of_text(self, text: str, name: str, limits: ServingConfig) -> float:
        return self.of_json(float(text) if _NUMBER.fullmatch(text) else text, name, limits)

    def of_json(self, value: object, name: str, limits: ServingConfig) -> float:
        stars = float(value) if type(value) in (int, float) and abs(value) <= 5 else math.nan  # type: ignore[arg-type]
        if not 0.5 <= stars <= 5 or stars * 2 != int(stars * 2):
            raise ApiError(400, f"{name} must be a rating from 0.5 to 5 in steps of 0.5", name)
        return stars

    def schema(self, limits: ServingConfig) -> dict[str, Any]:
        return {"type": "number", "minimum": 0.5, "maximum": 5, "multipleOf": 0.5}


@dataclass(frozen=True)
class Flag(Kind[bool]):
    """true or false."""

    def of_text(self, text: str, name: str, limits: ServingConfig) -> bool:
        flags: dict[str, object] = {"true": True, "false": False, "1": True, "0": False}
        return self.of_json(flags.get(text.lower(), text), name, limits)

    def of_json(self, value: object, name: str, limits: ServingConfig) -> bool:
        if type(value) is not bool:
            raise ApiError(400, f"{name} must be true or false", name)
        return value

    def schema(self, limits: ServingConfig) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Text(Kind[str]):
    """Text without control characters. pattern: of the whole text; of which `hint` says what it is."""

    longest: int = 200
    shortest: int = 1
    pattern: str | None = None
    hint: str = ""

    def of_json(self, value: object, name: str, limits: ServingConfig) -> str:
        if not isinstance(value, str):
            raise ApiError(400, f"{name} must be {self.hint or 'text'}", name)
        if not self.shortest <= len(value) <= self.longest:
            raise ApiError(400, f"{name} must have {self.shortest} to {self.longest} characters", name)
        if _NO_TEXT.search(value):
            raise ApiError(400, f"{name} must be text without control characters", name)
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise ApiError(400, f"{name} must be {self.hint}", name)
        return value

    def schema(self, limits: ServingConfig) -> dict[str, Any]:
        described: dict[str, Any] = {"type": "string", "minLength": self.shortest, "maxLength": self.longest}
        return {**described, "pattern": f"^{self.pattern or _TEXT}$"}


def model_name() -> Text:
    return Text(64, pattern="[A-Za-z0-9._:-]+", hint="a model's name; GET /api/models lists them")


def idempotency_key() -> Text:
    """For `where="header"`; the same key twice is the same event."""
    return Text(128, pattern="[!-~]+", hint="1 to 128 visible ASCII characters, such as a UUID")


@dataclass(frozen=True)
class Choice(Kind[str]):
    """One of a few names."""

    options: tuple[str, ...]

    def of_json(self, value: object, name: str, limits: ServingConfig) -> str:
        if value not in self.options:
            raise ApiError(400, f"{name} must be one of {', '.join(self.options)}", name)
        return str(value)

    def schema(self, limits: ServingConfig) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.options)}


@dataclass(frozen=True)
class ListOf(Kind[tuple[T_co, ...]]):
    """Several values: an array in JSON, separated by commas in a query string."""

    of: Kind[T_co]
    most: Bound = 1000
    least: int = 1

    def of_text(self, text: str, name: str, limits: ServingConfig) -> tuple[T_co, ...]:
        parts = text.split(",", bound(self.most, limits)) if text else []
        self._count(len(parts), name, limits)
        return tuple(self.of.of_text(part, f"{name}[{place}]", limits) for place, part in enumerate(parts))

    def of_json(self, value: object, name: str, limits: ServingConfig) -> tuple[T_co, ...]:
        if not isinstance(value, list):
            raise ApiError(400, f"{name} must be an array", name)
        self._count(len(value), name, limits)
        return tuple(self.of.of_json(part, f"{name}[{place}]", limits) for place, part in enumerate(value))

    def schema(self, limits: ServingConfig) -> dict[str, Any]:
        return {
            "type": "array",
            "items": self.of.schema(limits),
            "minItems": self.least,
            "maxItems": bound(self.most, limits),
        }

    @property
    def in_query(self) -> dict[str, Any]:
        return {"style": "form", "explode": False}

    def _count(self, count: int, name: str, limits: ServingConfig) -> None:
        if count < self.least:
            raise ApiError(400, f"{name} must have at least {self.least} {_entries(self.least)}", name)
        if count > (most := bound(self.most, limits)):
            raise ApiError(422, f"{name} must have at most {most} {_entries(most)}", name)


@dataclass(frozen=True)
class RatedMovie(Kind[tuple[int, float | None]]):
    """A movie of a history, with or without a rating: `318` or `318:4.5` in a query string, in JSON 318 or
    {"movie_id": 318, "rating": 4.5}."""

    def of_text(self, text: str, name: str, limits: ServingConfig) -> tuple[int, float | None]:
        movie, colon, stars = text.partition(":")
        return (
            Identifier().of_text(movie, name, limits),
            Rating().of_text(stars, f"{name}.rating", limits) if colon else None,
        )

    def of_json(self, value: object, name: str, limits: ServingConfig) -> tuple[int, float | None]:
        if not isinstance(value, dict):
            return Identifier().of_json(value, name, limits), None
        if not {"movie_id"} <= set(value) <= {"movie_id", "rating"}:
            raise ApiError(400, f'{name} must be a movie id or an object {{"movie_id": 318, "rating": 4.5}}', name)
        stars = value.get("rating")
        return (
            Identifier().of_json(value["movie_id"], f"{name}.movie_id", limits),
            None if stars is None else Rating().of_json(stars, f"{name}.rating", limits),
        )

    def schema(self, limits: ServingConfig) -> dict[str, Any]:
        rated = {"movie_id": Identifier().schema(limits), "rating": Rating().schema(limits)}
        rated_movie = {
            "type": "object",
            "properties": rated,
            "required": ["movie_id"],
            "additionalProperties": False,
        }
        return {"oneOf": [Identifier().schema(limits), rated_movie]}


@dataclass(frozen=True)
class ObjectOf(Kind[T]):
    """A JSON object whose members are the `parameter` fields of a dataclass, which may `check` itself as a request."""

    of: type[T]

    def of_json(self, value: object, name: str, limits: ServingConfig) -> T:
        known = parameters_of(self.of)
        if not isinstance(value, dict):
            raise ApiError(400, f"{name} must be an object with {', '.join(known)}", name)
        for part in value:
            if part not in known:
                raise ApiError(400, f"there is no {name}.{part[:64]}; known are {', '.join(known)}", name)
        for part, one in known.items():
            if one.required and part not in value:
                raise ApiError(400, f"{name}.{part} is missing", f"{name}.{part}")
        made = self.of(
            **{part: known[part].kind.of_json(item, f"{name}.{part}", limits) for part, item in value.items()}
        )
        if (check := getattr(made, "check", None)) is not None:
            try:
                check(limits)
            except ApiError as error:
                raise ApiError(error.status, f"{name}.{error.message}", f"{name}.{error.parameter}") from error
        return made

    def schema(self, limits: ServingConfig) -> dict[str, Any]:
        known = parameters_of(self.of).values()
        return {
            "type": "object",
            "properties": {one.name: {**one.kind.schema(limits), "description": one.meaning} for one in known},
            "required": [one.name for one in known if one.required],
            "additionalProperties": False,
        }


@dataclass(frozen=True)
class Parameter:
    """One parameter of a request."""

    name: str
    kind: Kind[Any]
    meaning: str
    required: bool
    default: Any
    where: Where
    example: Any
    """A value as JSON that is answered on the bundled data; None where an example leaves the parameter out."""

    @property
    def shown_name(self) -> str:
        """As a client writes it: a header `Idempotency-Key` is the field idempotency_key."""
        return self.name.replace("_", "-").title() if self.where == "header" else self.name


def parameter(
    kind: Kind[Any], meaning: str, *, default: Any = MISSING, where: Where = "query", example: Any = None
) -> Any:
    """A field of a request's dataclass. Without a default the parameter is required."""
    metadata = {"kind": kind, "meaning": meaning, "where": where, "example": example}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def parameters_of(request: type[Any]) -> Mapping[str, Parameter]:
    """The parameters of a request's dataclass by name."""
    known = _known.get(request)
    if known is None:
        known = _known[request] = _parameters_of(request)
    return known


_known: dict[type[Any], Mapping[str, Parameter]] = {}


def _parameters_of(request: type[Any]) -> Mapping[str, Parameter]:
    return {
        item.name: Parameter(
            item.name,
            required=item.default is MISSING,
            default=None if item.default is MISSING else item.default,
            **item.metadata,
        )
        for item in fields(request)
    }


def bound(value: Bound, limits: ServingConfig) -> int:
    return value if isinstance(value, int) else value(limits)


def unprocessable(message: str, name: str) -> NoReturn:
    """Refuse a value that is well-formed but not possible together with the others."""
    raise ApiError(422, message, name)


def _entries(count: int) -> str:
    return "entry" if count == 1 else "entries"
