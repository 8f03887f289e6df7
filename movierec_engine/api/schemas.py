"""JSON Schema of the answers, for the description; a test holds real answers against it."""

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_OBJECT: Schema = {"type": "object"}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_REQUEST = {"request_id": {**_TEXT, "description": "Also in the header X-Request-ID."}}
_MOVIE = {
    "movie_id": {"type": "integer", "minimum": 0},
    "title": _TEXT,
    "year": _nullable({"type": "integer"}),
    "genres": _list(_TEXT),
}
_ABOUT = {
    "model": _TEXT,
    "version": _TEXT,
    "device": {**_TEXT, "description": "The kind of device that the model was trained on."},
    "fingerprint": {**_TEXT, "description": "Of the data and protocol; numbers of different ones don't compare."},
}
_SOURCE: Schema = {
    "type": "string",
    "enum": ["personal", "fold-in", "popularity"],
    "description": "What the list comes from.",
}
_FOR_USER = {"user_id": _COUNT, "source": _SOURCE, "recommendations": _list(_ref("ScoredMovie"))}
_VERSION = {
    "version": _TEXT,
    "device": _TEXT,
    "created_at": _TEXT,
    "fingerprint": _TEXT,
    "trained_model": _nullable(_TEXT),
    "index": {**_OBJECT, "description": "What was measured when the index was built."},
    "default": {"type": "boolean", "description": "Whether it answers by default."},
    "loaded": {"type": "boolean", "description": "Whether it is in the memory of the worker that answered."},
}

SCHEMAS: dict[str, Schema] = {
    "Movie": _object(**_MOVIE),
    "ScoredMovie": _object(**_MOVIE, score=_nullable(_NUMBER)),
    "Recommendations": _object(**_ABOUT, **_FOR_USER, **_REQUEST),
    "BatchRecommendations": _object(**_ABOUT, results=_list(_object(**_FOR_USER)), **_REQUEST),
    "SimilarMovies": _object(**_ABOUT, movie=_ref("Movie"), similar=_list(_ref("ScoredMovie")), **_REQUEST),
    "MovieDetails": _object(**_ABOUT, movie=_ref("Movie"), interactions=_COUNT, **_REQUEST),
    "FoundMovies": _object(
        **_ABOUT,
        q=_TEXT,
        movies=_list(
            _object(
                **_MOVIE, found={"type": "string", "enum": ["exact", "prefix", "words", "typos"]}, interactions=_COUNT
            )
        ),
        **_REQUEST,
    ),
    "Models": _object(
        models=_list(_object(model=_TEXT, **_VERSION, versions=_list(_object(**_VERSION)))),
        default=_nullable(_object(**_ABOUT)),
        **_REQUEST,
    ),
    "Health": _object(
        status={"type": "string", "enum": ["ok", "loading", "empty", "damaged"]},
        message=_nullable(_TEXT),
        serving=_nullable(_object(**_ABOUT)),
        refused={"type": "object", "additionalProperties": _TEXT, "description": "Version -> why it is not served."},
        **_REQUEST,
    ),
    "Overview": _object(endpoints={"type": "object", "additionalProperties": _TEXT}, at_most=_OBJECT, **_REQUEST),
    "Description": _object(openapi=_TEXT, info=_OBJECT, paths=_OBJECT),
    "Error": _object(
        error=_object(code=_TEXT, message=_TEXT, parameter=_nullable(_TEXT)),
        **_REQUEST,
    ),
}
