"""Who may ask what, and how often: API keys and their scopes from the environment, and a rate limit for each client.

    MOVIEREC_API_KEYS=read=KEY,write=KEY,admin=KEY        a key without a scope is an admin's

A key of a scope may do what the scopes before it may. While no key is set everything is open, which is why a server
does not listen on a public address then unless it is told to.
"""

import hmac
import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from flask import Request

from movierec_engine.api.errors import ApiError
from movierec_engine.errors import ConfigError

OPEN, READ, WRITE, ADMIN = "open", "read", "write", "admin"
"""What an endpoint asks of a key: nothing; to see what is known of people and of the operation; to record what people
do; to erase people."""
SCOPES = (OPEN, READ, WRITE, ADMIN)
KEYS_VARIABLE = "MOVIEREC_API_KEYS"
SHORTEST_KEY = 16
_MOST_CLIENTS = 10_000
"""Clients whose rate is remembered; the one that asked longest ago is forgotten first."""


def keys_of_environment() -> dict[str, str]:
    """The scope of each key in MOVIEREC_API_KEYS, which are separated by commas.

    Raises ConfigError for a key that is too short or not ASCII.
    """
    scopes = {}
    for entry in filter(None, map(str.strip, os.environ.get(KEYS_VARIABLE, "").split(","))):
        scope, separator, key = entry.partition("=")
        scoped = bool(separator) and scope in SCOPES[1:]
        scopes[key.strip() if scoped else entry] = scope if scoped else ADMIN
    for key in scopes:
        if len(key) < SHORTEST_KEY:
            raise ConfigError(f"{KEYS_VARIABLE} has a key of fewer than {SHORTEST_KEY} characters; use longer ones")
        if not key.isascii():
            raise ConfigError(f"{KEYS_VARIABLE} has a key with a character that no HTTP header carries; use ASCII")
    return scopes


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
        given = self._given(request)
        if given is None:
            raise ApiError(
                401,
                f"this needs an API key of scope {scope}; send it as Authorization: Bearer KEY",
                "Authorization",
                {"WWW-Authenticate": 'Bearer realm="movierec"'},
            )
        if given < SCOPES.index(scope):
            raise ApiError(
                403, f"this needs an API key of scope {scope}, and the one sent has {SCOPES[given]}", "Authorization"
            )

    def _given(self, request: Request) -> int | None:
        """The place in SCOPES of the key that a request carries; all are compared, in a time that says nothing."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        sent = token.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")
        offered = sent.encode("latin-1", "replace")
        found = [scope for key, scope in self._scopes if hmac.compare_digest(offered, key)]
        return max(found, default=None)


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
