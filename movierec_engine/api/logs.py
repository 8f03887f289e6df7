"""The server's log on stderr: a line for each request and for each error, as text or as JSON."""

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from movierec_engine.api.incoming import ANSWERED, REQUEST_ID, incoming

STDERR = 2


def set_up_logs(log_format: str) -> None:
    """Write this process's log messages to stderr in a format."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    if log_format == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonFormatter())


class JsonFormatter(logging.Formatter):
    """One line of JSON for a message, with the id of the request that it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": incoming().get(REQUEST_ID),
            "trace": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return orjson.dumps({name: value for name, value in line.items() if value is not None}).decode()


def access_log(log_format: str) -> Callable[[dict[str, Any], int, float], None]:
    """A function that writes a request's line, given its WSGI environment, the status and the seconds that it took.

    The path is written without its query string, which may hold a person's history; nor are headers and bodies.
    One system call a line and no `logging`, which would cost a request several times as much.
    """

    def write(environ: dict[str, Any], status: int, seconds: float) -> None:
        model, sources = environ.get(ANSWERED, (None, ()))
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": "info",
            "message": "request",
            "request_id": environ[REQUEST_ID],
            "client": environ.get("REMOTE_ADDR"),
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "status": status,
            "ms": round(seconds * 1e3, 2),
            "model": model,
            "source": "+".join(dict.fromkeys(sources)) or None,
        }
        if log_format == "json":
            content = orjson.dumps(line)
        else:
            content = (
                f"{line['time']} {line['method']} {line['path']!r} {status} {line['ms']} ms "
                f"{line['client']} {model or '-'} {line['source'] or '-'} {line['request_id']}"
            ).encode("ascii", "backslashreplace")
        os.write(STDERR, content + b"\n")

    return write
