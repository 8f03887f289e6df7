"""Who may ask what, and how often: API keys from the environment and a rate limit for each client."""

import hmac
import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from flask import Request

from movierec_engine.api.errors import ApiError
from movierec_engine.errors import ConfigError

KEYS_VARIABLE = "MOVIEREC_API_KEYS"
SHORTEST_KEY = 16
_MOST_CLIENTS = 10_000
"""Clients whose rate is remembered; the one that asked longest ago is forgotten first."""


class ApiKeys:
    """Keys of which one is needed for endpoints that write; none are needed where none are set."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys = [key.encode() for key in keys]
        if any(len(key) < SHORTEST_KEY for key in self._keys):
            raise ConfigError(f"{KEYS_VARIABLE} has a key of fewer than {SHORTEST_KEY} characters; use longer ones")

    @classmethod
    def of_environment(cls) -> "ApiKeys":
        """The keys in MOVIEREC_API_KEYS, separated by commas."""
        return cls(key.strip() for key in os.environ.get(KEYS_VARIABLE, "").split(",") if key.strip())

    def require(self, request: Request) -> None:
        """Raise an ApiError 401 unless the request carries one of the keys, if there are any."""
        if self._keys and not self.given(request):
            raise ApiError(
                401,
                "this needs an API key; send it as Authorization: Bearer KEY",
                "Authorization",
                {"WWW-Authenticate": 'Bearer realm="movierec"'},
            )

    def given(self, request: Request) -> bool:
        """Whether the request carries one of the keys, compared in a time that says nothing about them."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        offered = (token.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")).encode()
        matches = [hmac.compare_digest(offered, key) for key in self._keys]
        return any(matches)


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
