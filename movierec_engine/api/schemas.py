"""JSON Schema of the answers, for the description; a test holds real answers against it."""

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_OBJECT: Schema = {"type": "object"}


def _object(optional: dict[str, Schema] | None = None, /, **properties: Schema) -> Schema:
    """optional: members that an answer may lack."""
    return {"type": "object", "properties": {**properties, **(optional or {})}, "required": list(properties)}


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
_MEASURED_VERSION = {
    **_TEXT,
    "description": "The version whose metrics vouch for `version`: another one where the model was refitted on all "
    "interactions before it was served, else the same.",
}
_ABOUT = {
    "model": _TEXT,
    "version": {**_TEXT, "description": "What answers."},
    "measured_version": _MEASURED_VERSION,
    "device": {**_TEXT, "description": "The kind of device that the model was trained on."},
    "fingerprint": {**_TEXT, "description": "Of the data and protocol; numbers of different ones don't compare."},
}
_SOURCE: Schema = {
    "type": "string",
    "enum": ["personal", "fold-in", "popularity"],
    "description": "What the list comes from.",
}
_FOLD_IN_MIN_ITEMS = {
    "fold_in_min_items": {
        **_nullable(_COUNT),
        "description": "Movies of a history from which on the model folds in; null where no number is enough.",
    }
}
_LIVE_RATINGS = {
    "live_ratings": {**_COUNT, "description": "Ratings since the training that are folded in; left out where none are."}
}
_LIST = {"source": _SOURCE, "recommendations": _list(_ref("RecommendedMovie"))}
_CONTRIBUTION = _object(movie_id=_COUNT, title=_TEXT, rating=_nullable(_NUMBER), contribution=_NUMBER)
_WHY = {
    **_object(
        sentence=_TEXT,
        exact={"type": "boolean", "description": "Whether the contributions are terms of the score."},
        base={**_NUMBER, "description": "What the history does not add."},
        contributions=_list(_CONTRIBUTION),
        others={**_NUMBER, "description": "What the movies of the history that are not shown add."},
    ),
    "description": "With explain=true: the reasons, the strongest contributions first; a disliked movie "
    "is among them only where it lowers the score. base, contributions and others add up to the score.",
}
_IN_LIST = {
    "why": _WHY,
    "new": {"type": "boolean", "description": "True for a movie that no model knows, with cold_items above 0."},
    "team": {**_nullable(_TEXT), "description": "Of an interleaved list: the variant that chose the movie."},
}
_FACTS = {
    "in_catalogue": {"type": "boolean", "description": "Whether models know the movie."},
    "interactions": {**_COUNT, "description": "How often it is in the training data."},
}
_RUNNING = {
    **_OBJECT,
    "description": "The experiment's settings; of each variant also the version that answers, the one that was "
    "measured, and whether it was refitted on all interactions, as only a promoted one is: compare like with like.",
}
_SHARES = _list(_object(name=_TEXT, share=_NUMBER, everybody=_NUMBER))
_VERSION = {
    "version": _TEXT,
    "measured_version": _MEASURED_VERSION,
    "device": _TEXT,
    "created_at": _TEXT,
    "fingerprint": _TEXT,
    "trained_model": {**_nullable(_TEXT), "description": "The model that was measured."},
    "refitted_model": {
        **_nullable(_TEXT),
        "description": "The model that answers where it was refitted on all interactions; else null.",
    },
    "metrics": {
        **_object(validation=_nullable(_OBJECT), test=_nullable(_OBJECT), report=_nullable(_TEXT)),
        "description": "Of the trained model on the data of this fingerprint; null where it was not measured.",
    },
    "runs": _object(mlflow_run_id=_nullable(_TEXT), dagster_run_id=_nullable(_TEXT)),
    "index": {**_OBJECT, "description": "What was measured when the index was built."},
    "default": {"type": "boolean", "description": "Whether it answers by default."},
    "loaded": {"type": "boolean", "description": "Whether it is in the memory of the worker that answered."},
}

SCHEMAS: dict[str, Schema] = {
    "Movie": _object(**_MOVIE),
    "ScoredMovie": _object(**_MOVIE, score=_nullable(_NUMBER)),
    "RecommendedMovie": _object(_IN_LIST, **_MOVIE, score=_nullable(_NUMBER)),
    "Recommendations": _object(
        {
            "user_id": _COUNT,
            "history_used": {**_COUNT, "description": "Liked movies of an anonymous history that the model knows."},
            "exposure_id": {
                **_TEXT,
                "description": "In an experiment: of this list, for the feedback that answers it.",
            },
            "experiment": _TEXT,
            "variant": {**_nullable(_TEXT), "description": "Null for an interleaved list."},
            **_FOLD_IN_MIN_ITEMS,
            **_LIVE_RATINGS,
        },
        **_ABOUT,
        **_LIST,
        **_REQUEST,
    ),
    "BatchRecommendations": _object(
        **_ABOUT, results=_list(_object({**_FOLD_IN_MIN_ITEMS, **_LIVE_RATINGS}, user_id=_COUNT, **_LIST)), **_REQUEST
    ),
    "SimilarMovies": _object(
        **_ABOUT,
        movie=_ref("Movie"),
        by={
            "type": "string",
            "enum": ["model", "content"],
            "description": "model: the model's similarity, and shared genres; content: genres and years.",
        },
        similar=_list(_ref("ScoredMovie")),
        **_REQUEST,
    ),
    "MovieDetails": _object(**_ABOUT, movie=_ref("Movie"), **_FACTS, **_REQUEST),
    "FoundMovies": _object(
        **_ABOUT,
        q=_TEXT,
        movies=_list(
            _object(**_MOVIE, found={"type": "string", "enum": ["exact", "prefix", "words", "typos"]}, **_FACTS)
        ),
        **_REQUEST,
    ),
    "User": _object(
        **_ABOUT,
        user_id=_COUNT,
        known={"type": "boolean", "description": "Whether the model was trained on the user."},
        erased={"type": "boolean", "description": "Whether the model must not be asked about the user any more."},
        interactions={**_COUNT, "description": "Of the user in the training data."},
        tier={"type": "string", "enum": ["cold", "limited", "moderate", "rich"]},
        mean_rating=_nullable(_NUMBER),
        rated={**_COUNT, "description": "Movies of the history and the live ratings."},
        history=_list(_object(**_MOVIE, rating=_nullable(_NUMBER), timestamp=_nullable({"type": "integer"}))),
        feedback=_object(
            ratings=_list(_object(**_MOVIE, rating=_NUMBER)),
            clicked=_list(_ref("Movie")),
            not_interested=_list(_ref("Movie")),
            watched=_list(_object(**_MOVIE, share=_nullable(_NUMBER))),
            added_to_list=_list(_ref("Movie")),
        ),
        taste={
            **_object(genres=_SHARES, decades=_SHARES),
            "description": "Shares of genres and decades, beside those of all interactions.",
        },
        **_REQUEST,
    ),
    "Erased": _object(user_id=_COUNT, status={"type": "string", "enum": ["erased"]}, erasure=_COUNT, **_REQUEST),
    "Feedback": _object(
        results=_list(_object(key=_TEXT, status={"type": "string", "enum": ["recorded", "already recorded"]})),
        **_REQUEST,
    ),
    "Undone": _object(
        user_id=_COUNT,
        undone={**_COUNT, "description": "Events that were taken back; 0 where they had been before."},
        **_REQUEST,
    ),
    "Interview": _object(
        **_ABOUT,
        source={"type": "string", "enum": ["interview", "another model's interview", "popular"]},
        chosen_by={**_nullable(_TEXT), "description": "The artifact that the questions are of."},
        **_FOLD_IN_MIN_ITEMS,
        questions=_list(_object(**_MOVIE, known_by={**_NUMBER, "description": "Share of the users who have seen it."})),
        **_REQUEST,
    ),
    "Experiments": _object(running=_nullable(_RUNNING), rates=_list(_OBJECT), duels=_list(_OBJECT), **_REQUEST),
    "Models": _object(
        models=_list(_object(model=_TEXT, **_VERSION, versions=_list(_object(**_VERSION)))),
        default=_nullable(_object(**_ABOUT)),
        **_REQUEST,
    ),
    "Health": _object(
        {
            "feedback": {
                **_object(
                    status={"type": "string", "enum": ["ok", "busy", "unreadable", "read-only"]},
                    message=_nullable(_TEXT),
                ),
                "description": "Of /api/ready: the feedback log. Lists are answered without it.",
            },
            "workers": {
                **_object(expected=_COUNT, ready=_COUNT),
                "description": "Of /api/ready: the workers, and how many have an index to answer from.",
            },
        },
        status={"type": "string", "enum": ["ok", "loading", "empty", "damaged", "draining"]},
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
