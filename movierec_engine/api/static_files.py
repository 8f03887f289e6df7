"""The pages' own files, read once when the server starts: a request's path is a name in a table, never a path."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, abort, request

FOLDER = Path(__file__).with_name("static")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class StaticFile:
    content: bytes
    content_type: str
    tag: str


def register_static_files(app: Flask) -> None:
    """Answer /static/NAME, and give templates `asset(NAME)`, an address that changes with the content."""
    known = {
        path.name: StaticFile(
            path.read_bytes(), _TYPES[path.suffix], hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        )
        for path in sorted(FOLDER.iterdir())
        if path.suffix in _TYPES
    }

    @app.get("/static/<name>", endpoint="static", provide_automatic_options=False)
    def static(name: str) -> Response:
        one = known.get(name) or abort(404)
        response = Response(one.content, content_type=one.content_type)
        response.set_etag(one.tag)
        fresh = request.args.get("v") == one.tag
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if fresh else "no-cache"
        response.make_conditional(request)
        return response

    @app.template_global()
    def asset(name: str) -> str:
        return f"{root()}/static/{name}?v={known[name].tag}"

    @app.template_global()
    def root() -> str:
        """The path below which a proxy shows this server, or ""."""
        return request.script_root
