"""Types of parameters: annotated types by which pydantic reads them and JSON Schema describes them.

A request is a model whose fields are its parameters; a field is the one place that says what is accepted:

    class SimilarRequest(RequestModel):
        item_id: MovieId = Field(examples=[10])
        top_k: Annotated[int, Field(strict=True, ge=1), AtMost("max_top_k")] = 10
        \"\"\"Length of the list.\"\"\"
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, NoReturn

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    ValidationInfo,
)
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from movierec_engine.api.config import ServingConfig
from movierec_engine.api.known_ids import MUST_BE, MovieIdentifier, OnScale, Schema, with_ids
from movierec_engine.data.id_map import PublicId
from movierec_engine.serving.known_ids import MAX_ID, KnownIds

NULL = object()
"""The value of a JSON null, which fits no parameter: one that is not given is left out."""
_SETTING = "x-setting"
"""Keyword of a schema: the setting that is its bound, which `schema_of` puts there."""


class RequestModel(BaseModel):
    """A request. A field with an alias is the header of that name.

    The endpoint's path says which fields stand in it; the others are the query string, or the JSON body.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_by_name=True, protected_namespaces=()
    )


def refuse(status: int, parameter: str, message: str) -> NoReturn:
    """Refuse a request whose parameters do not fit together; for a model's own validators.

    status: 400, or 422 where each is well-formed. parameter: the one at fault, which the message begins with.
    """
    raise PydanticCustomError("refused", "{message}", {"status": status, "parameter": parameter, "message": message})


@dataclass(frozen=True)
class AtMost:
    """A bound that a setting of ServingConfig decides: the largest number, or the most entries of a list.

    It holds where the validation has a context, as when a client's request is read.
    """

    setting: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        return {**handler(schema), _SETTING: self.setting}

    def _check(self, value: Any, info: ValidationInfo) -> Any:
        if info.context is None:
            return value
        most = getattr(info.context.limits, self.setting)
        if isinstance(value, tuple) and len(value) > most:
            raise PydanticKnownError("too_long", {"field_type": "Tuple", "max_length": most, "actual_length": None})
        if isinstance(value, int) and value > most:
            raise PydanticKnownError("less_than_equal", {"le": most})
        return value


@dataclass(frozen=True)
class OneOf:
    """One of a few names."""

    options: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema([*self.options])


def text(longest: int, pattern: str = r"[^\x00-\x1f\x7f]+", must_be: str = "text without control characters") -> Any:
    """A pydantic Field for a str: its greatest length, the pattern that it matches as a whole, and that in words."""
    said: Any = {MUST_BE: must_be}
    return Field(strict=True, min_length=1, max_length=longest, pattern=f"^{pattern}$", json_schema_extra=said)


Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Rating = Annotated[float, Field(strict=True, allow_inf_nan=False), OnScale()]
Year = Annotated[int, Field(strict=True, ge=1800, le=2200)]
Flag = Annotated[bool, Strict()]
TopK = Annotated[int, Field(strict=True, ge=1), AtMost("max_top_k")]
ModelName = Annotated[str, text(64, "[A-Za-z0-9._:-]+", "a model's name; GET /api/models lists them")]
IdempotencyKey = Annotated[str, text(128, "[!-~]+", "1 to 128 visible ASCII characters, such as a UUID")]
AnswerId = Annotated[str, text(64, "[A-Za-z0-9._-]+", "an id of an answer")]
Cursor = Annotated[str, text(400_000, "[A-Za-z0-9_-]+", "what an answer gave as next")]
Genres = Annotated[tuple[Annotated[str, text(40)], ...], Field(max_length=20)]


class RatedMovie(RequestModel):
    """A movie of a history, with or without a rating."""

    movie_id: MovieIdentifier
    rating: Rating | None = None


def _rated_movie(given: Any) -> Any:
    """A movie in a history: 318, or {"movie_id": 318, "rating": 4.5}; a null rating is no rating."""
    if isinstance(given, dict):
        return {name: value for name, value in given.items() if value is not NULL}
    return given if isinstance(given, RatedMovie) else {"movie_id": given}


_Seen = Annotated[RatedMovie, BeforeValidator(_rated_movie, json_schema_input_type=MovieIdentifier | RatedMovie)]
History = Annotated[tuple[_Seen, ...], AtMost("max_history")]


def ratings_told(history: Sequence[RatedMovie]) -> dict[PublicId, float | None]:
    """Movie -> its rating in a history, if it has one; of a movie that is named twice the last time counts."""
    ratings: dict[PublicId, float | None] = {}
    for one in history:
        ratings.pop(one.movie_id, None)
        ratings[one.movie_id] = one.rating
    return ratings


class _RequestSchema(GenerateJsonSchema):
    """JSON schemas without titles and without null, which only marks parameters left out and is never sent."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> Schema:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Schema:
        described = super().default_schema(schema)
        return {name: value for name, value in described.items() if (name, value) != ("default", None)}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@cache
def _described(model: type[RequestModel]) -> Schema:
    """Pydantic's JSON schema of a request; cached, as an application needs it several times, so not to be changed."""
    return model.model_json_schema(schema_generator=_RequestSchema)


def schema_of(model: type[RequestModel], limits: ServingConfig, ids: KnownIds | None) -> Schema:
    """The JSON Schema of a request, without references, with the bounds that the settings decide.

    ids: those of the data set; None for either kind.
    """
    schema = dict(_described(model))
    parts = schema.pop("$defs", {})

    def resolved(part: Any) -> Any:
        if isinstance(part, list):
            return [resolved(one) for one in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return resolved(parts[part["$ref"].rpartition("/")[2]])
        known = {name: resolved(value) for name, value in part.items() if name != _SETTING}
        if isinstance(part.get("description"), str):
            known["description"] = " ".join(part["description"].split())
        if _SETTING in part:
            known["maxItems" if part.get("type") == "array" else "maximum"] = getattr(limits, part[_SETTING])
        return known

    found: Schema = with_ids(resolved(schema), ids)
    return found


def must_be(schema: Schema) -> str:
    """A schema's permitted values, in words that follow `must be`."""
    if MUST_BE in schema:
        return str(schema[MUST_BE])
    if "anyOf" in schema:
        return " or ".join(map(must_be, schema["anyOf"]))
    bounds = f"from {schema.get('minimum')} to {schema.get('maximum')}".replace(str(MAX_ID), "2^63-1")
    match schema["type"]:
        case "integer":
            said = f"a whole number {bounds}"
        case "number":
            said = f"a number {bounds}"
        case "boolean":
            said = "true or false"
        case "array":
            said = "an array"
        case "object":
            said = f"an object with {', '.join(schema['properties'])}"
        case _:
            said = f"one of {', '.join(schema['enum'])}"
    return said
