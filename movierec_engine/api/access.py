"""Access control: the scopes of API keys, and a rate limit for each client."""

import hmac
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from werkzeug.wrappers import Request

from movierec_engine.api.config import OPEN, SCOPES
from movierec_engine.api.errors import ApiError

_MOST_CLIENTS = 10_000
"""Clients whose rate is remembered; the one that asked longest ago is forgotten first."""


class ApiKeys:
    """Keys and the scope of each, as `keys_of_environment` gives them."""

    def __init__(self, scopes: Mapping[str, str] | None = None) -> None:
        self._scopes = [(key.encode(), SCOPES.index(scope)) for key, scope in (scopes or {}).items()]

    def require(self, request: Request, scope: str) -> None:
        """Raise an ApiError 401 for a request without a key of ours, 403 for one whose key does not reach so far.

        Nothing is needed for OPEN, nor where there are no keys.
        """
        if scope == OPEN or not self._scopes:
            return
        sent = _sent(request)
        given = self._scope_of(sent)
        if given is None:
            why = "the API key sent is not one of this server's" if sent else f"this needs an API key of scope {scope}"
            what = f"a key of scope {scope}" if sent else "it"
            raise ApiError(
                401,
                f"{why}; send {what} as Authorization: Bearer KEY",
                "Authorization",
                {"WWW-Authenticate": 'Bearer realm="movierec"'},
            )
        if given < SCOPES.index(scope):
            raise ApiError(
                403, f"this needs an API key of scope {scope}, and the one sent has {SCOPES[given]}", "Authorization"
            )

    def _scope_of(self, sent: str) -> int | None:
        """Index of the scope of a key in SCOPES. Compared with every key in constant time: timing reveals nothing."""
        offered = sent.encode("latin-1", "replace")
        found = [scope for key, scope in self._scopes if hmac.compare_digest(offered, key)]
        return max(found, default=None)


def _sent(request: Request) -> str:
    """The key that a request carries, "" for none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")


class RateLimit:
    """A token bucket for each client, in this process: `rate` requests a second, and `burst` of them at once."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, client: str) -> None:
        """Count a request. Raises an ApiError 429 with Retry-After when the client has none left."""
        if not self._rate:
            return
        now = self._clock()
        with self._lock:
            tokens, since = self._buckets.pop(client, (float(self._burst), now))
            tokens = min(self._burst, tokens + (now - since) * self._rate)
            self._buckets[client] = (tokens - 1 if tokens >= 1 else tokens, now)
            if len(self._buckets) > _MOST_CLIENTS:
                self._buckets.popitem(last=False)
        if tokens < 1:
            seconds = math.ceil((1 - tokens) / self._rate)
            raise ApiError(429, f"too many requests; ask again in {seconds} s", headers={"Retry-After": str(seconds)})
