"""Bodies of HTTP responses that end before their Content-Length."""

from http.client import HTTPResponse


def require_whole(response: HTTPResponse, have: int) -> None:
    """Raise ConnectionError for a response that was read to its end, `have` bytes of the file, and should be longer.

    Reading in blocks does not raise for it, and the end of a connection that is cut looks like that of the file.
    """
    if missing := response.length:
        raise ConnectionError(f"the connection was cut after {have:,} of {have + missing:,} bytes")
