"""The Flask application: each route parses, calls the service and renders."""

import re
import secrets
from pathlib import Path

from flask import Flask, Response, g, jsonify, request

from movierec_engine.api.config import ServingConfig
from movierec_engine.api.errors import register_error_answers
from movierec_engine.api.inference import InferenceService
from movierec_engine.api.releases import Releases
from movierec_engine.api.requests import (
    MAX_BODY_BYTES,
    parse_batch,
    parse_movie_id,
    parse_nothing,
    parse_recommend,
    parse_similar,
)
from movierec_engine.data.ratings import Movies
from movierec_engine.store import ArtifactStore

ENDPOINTS = {
    "GET, POST /api/recommend": "recommendations for a user: user_id, top_k, model, strict",
    "GET /api/similar/<item_id>": "similar movies: top_k, model",
    "POST /api/batch-recommend": "recommendations for many users: user_ids, top_k, model, strict",
    "GET /api/models": "the models that can answer, and which one does by default",
    "GET /api/movie/<movie_id>": "a movie's title, year and genres",
    "GET /api/health": "whether the server lives, and what it serves",
}

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def create_app(
    store_root: Path, serving: ServingConfig | None = None, *, device: str = "auto", titles: Movies | None = None
) -> Flask:
    """The API over an artifact store, which may still be empty.

    titles: replaces the titles that the indices carry. device: whose indices are served, `auto` for any.
    """
    limits = serving or ServingConfig()
    service = InferenceService(Releases(ArtifactStore(store_root), device, titles))
    app = Flask("movierec", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.url_map.merge_slashes = False  # a doubled slash is a 404 instead of an HTML page that redirects
    app.json.sort_keys = False  # type: ignore[attr-defined]
    register_error_answers(app)

    @app.before_request
    def name_request() -> None:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)

    @app.after_request
    def return_request_id(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.get("request_id", "")
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def answer(body: dict[str, object]) -> Response:
        return jsonify({**body, "request_id": g.request_id})

    @app.get("/")
    def endpoints() -> Response:
        parse_nothing(request)
        bounds = {"top_k": limits.max_top_k, "user_ids": limits.max_batch, "body_bytes": MAX_BODY_BYTES}
        return answer({"endpoints": ENDPOINTS, "at_most": bounds})

    @app.route("/api/recommend", methods=["GET", "POST"])
    def recommend() -> Response:
        return answer(service.recommend(parse_recommend(request, limits)))

    @app.get("/api/similar/<item_id>")
    def similar(item_id: str) -> Response:
        return answer(service.similar(parse_similar(request, item_id, limits)))

    @app.post("/api/batch-recommend")
    def batch_recommend() -> Response:
        return answer(service.batch(parse_batch(request, limits)))

    @app.get("/api/models")
    def models() -> Response:
        parse_nothing(request)
        return answer(service.models())

    @app.get("/api/movie/<movie_id>")
    def movie(movie_id: str) -> Response:
        return answer(service.movie(parse_movie_id(request, movie_id)))

    @app.get("/api/health")
    def health() -> Response:
        parse_nothing(request)
        return answer(service.health())

    return app
