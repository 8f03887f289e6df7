"""Types of parameters that are ids or ratings: read, and described, by what is known of the data set that is served."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from movierec_engine.api.config import ServingConfig
from movierec_engine.data.id_map import LONGEST_ID, PublicId
from movierec_engine.data.rating_scale import RatingScale
from movierec_engine.data.written_ids import escaped
from movierec_engine.serving.known_ids import MAX_ID, KnownIds, Of

Schema = dict[str, Any]
MUST_BE = "x-must-be"
"""Keyword of a schema: what is said to whoever gives something else, where `must_be` can't tell from the rest."""

_ID_OF = "x-id-of"
_ON_SCALE = "x-on-scale"
_NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_ID}


@dataclass(frozen=True)
class Context:
    """Context of parsing a request: the server's bounds, and the ids of the data set that it serves, if it has one."""

    limits: ServingConfig
    ids: KnownIds | None


@dataclass(frozen=True)
class IdOf:
    """An id of the data set. Without a context, as in the server's own requests, what is given is an id already."""

    of: Of

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        anything = core_schema.any_schema()
        return core_schema.with_info_plain_validator_function(self._read, json_schema_input_schema=anything)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        return {**handler(schema), _ID_OF: self.of}

    def _read(self, given: Any, info: core_schema.ValidationInfo[Any]) -> PublicId:
        context: Context | None = info.context
        if context is not None and context.ids is not None:
            known = context.ids
        else:
            known = KnownIds("", "") if isinstance(given, str) else KnownIds()
        if (read := known.read(self.of, given)) is None:
            raise PydanticCustomError("public_id", "no id of the data set")
        return read


@dataclass(frozen=True)
class OnScale:
    """A rating of the data set's scale. Without a context, as in the server's own requests, it was read already."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        return {**handler(schema), _ON_SCALE: True}

    def _check(self, rating: float, info: core_schema.ValidationInfo[Any]) -> float:
        context: Context | None = info.context
        if context is not None and rating not in (context.ids or KnownIds()).scale:
            raise PydanticCustomError("rating", "no rating of the scale")
        return rating


UserIdentifier = Annotated[PublicId, IdOf("user")]
MovieIdentifier = Annotated[PublicId, IdOf("movie")]
UserId = Annotated[UserIdentifier, Field(description="The user's public id.")]
MovieId = Annotated[MovieIdentifier, Field(description="The movie's public id.")]


def with_ids(schema: Any, ids: KnownIds | None) -> Any:
    """A JSON Schema with its ids and ratings described as a data set has them, or where there is none, as most do.

    In descriptions {movie} stands for an example of an id, and {rated} for one with a rating, as a query string has it.
    """
    if isinstance(schema, list):
        return [with_ids(one, ids) for one in schema]
    if not isinstance(schema, dict):
        return schema
    described = {name: with_ids(part, ids) for name, part in schema.items() if name != _ID_OF}
    if isinstance(said := schema.get("description"), str):
        described["description"] = _with_examples(said, ids or KnownIds())
    if described.pop(_ON_SCALE, False):
        return _on_scale(described, (ids or KnownIds()).scale)
    of = schema.get(_ID_OF) or schema.get("items", {}).get(_ID_OF)
    example = getattr(ids, of) if ids and of else None
    if isinstance(example, str) and "examples" in described:
        described["examples"] = [example if _ID_OF in schema else [example]]
    if _ID_OF not in schema:
        return described
    if ids is None:
        return {"anyOf": [dict(_NUMBER), _text_schema()], **described}
    return {**(_text_schema(example) if isinstance(example, str) else _NUMBER), **described}


def _on_scale(schema: Schema, scale: RatingScale) -> Schema:
    """The schema of a rating, with an example of the scale where it has any."""
    described = {**schema, "minimum": scale.lowest, "maximum": scale.highest, MUST_BE: str(scale)}
    if scale.step:
        described["multipleOf"] = scale.step
    if "examples" in schema:
        described["examples"] = [_rating_of(scale)]
    return described


def _rating_of(scale: RatingScale) -> float:
    """An example of the scale's ratings."""
    return scale.highest - scale.step


def _with_examples(said: str, ids: KnownIds) -> str:
    examples = {"{movie}": str(ids.movie), "{rated}": f"{escaped(ids.movie)}:{_rating_of(ids.scale):g}"}
    return re.sub(r"\{movie\}|\{rated\}", lambda named: examples[named[0]], said)


def _text_schema(example: str = "") -> Schema:
    such = f", such as {example!r}" if example else ""
    said = f"a text of 1 to {LONGEST_ID} characters{such}"
    return {"type": "string", "minLength": 1, "maxLength": LONGEST_ID, "pattern": r"^[^\x00-\x1f\x7f]+$", MUST_BE: said}
