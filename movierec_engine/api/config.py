"""Settings of the serving group, and the API keys that the environment names."""

import os
import re
from dataclasses import dataclass, field

from movierec_engine.errors import ConfigError
from movierec_engine.feedback.experiments import ExperimentConfig
from movierec_engine.recommending.exploration import ExplorationConfig
from movierec_engine.recommending.rows.config import RowsConfig
from movierec_engine.serving.config import IndicesConfig

MOST_WORKERS = 4
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client lets the workers of one server share their counters; read when it is imported."""
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")
LOG_FORMATS = ("text", "json")
OPEN, READ, WRITE, ADMIN = "open", "read", "write", "admin"
"""Scopes of API keys, as endpoints ask for them: none; to see what is known of people and of the operation; to record
what people do; to erase people."""
SCOPES = (OPEN, READ, WRITE, ADMIN)
KEYS_VARIABLE = "MOVIEREC_API_KEYS"
"""Names the environment variable with the API's keys, SCOPE=KEY by commas: read=KEY,write=KEY,admin=KEY. A key has 16
characters or more, ASCII alone, and no comma; there may be any number of a scope. A client sends one as
`Authorization: Bearer KEY`."""
SHORTEST_KEY = 16
CURSOR_SECRET_VARIABLE = "MOVIEREC_CURSOR_SECRET"
"""Names the environment variable with the secret by which cursors are signed, the same for all hosts of a service."""
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")


@dataclass(frozen=True)
class ServingConfig(IndicesConfig):
    """Settings of the API: its address, the versions that it answers from, and the requests that it accepts."""

    host: str = "127.0.0.1"
    """The address to listen on; 0.0.0.0 for all, where others can reach the server."""
    port: int = 5000
    """The TCP port to listen on."""
    public_without_keys: bool = False
    """Whether to listen on an address that others can reach though MOVIEREC_API_KEYS names no key."""
    trusted_proxies: int = 0
    """Proxies before the server whose X-Forwarded-For, -Proto, -Host and -Prefix are believed; 0 believes none."""
    prefix: str = ""
    """The path below which a proxy shows the server, such as /movies; empty for none."""
    workers: int = 0
    """Server processes; 0 takes one for each core, at most 4."""
    threads: int = 4
    """Threads in each worker."""
    drain_seconds: float = 0.0
    """How long after SIGTERM requests are still taken while `/api/ready` answers 503, so that a load balancer goes
    elsewhere before the server stops listening."""
    answer_seconds: float = 30.0
    """How long an answer may take: longer ones are answered 503, and requests in progress get as long after SIGTERM."""
    log_format: str = "text"
    """Format of what is written to stderr: text or json."""
    access_log: bool = False
    """Whether a line is written for each request, which costs it 12 microseconds."""
    max_top_k: int = 500
    """Longest list that a request may ask for."""
    max_batch: int = 1000
    """Most users in one batch request."""
    max_batch_movies: int = 20_000
    """Most movies in the answer to one batch request: users times top_k."""
    cursor_seconds: float = 3600.0
    """How long a list can be continued by the `next` of its newest page."""
    batch_seconds: float = 25.0
    """How long one batch request may take; then it is answered 503, before a server's or a proxy's time-out."""
    max_history: int = 1000
    """Most movies in the history of somebody without an account, and in a list of exclusions."""
    rate_limit: float = 0.0
    """Requests a second that one client may send to one worker; 0 sets no limit."""
    rate_burst: int = 50
    """Requests that a client may send at once before the limit holds."""
    cors_origins: tuple[str, ...] = ()
    """Web origins, such as https://example.org, whose pages may call the API from a browser."""
    rows: RowsConfig = field(default_factory=RowsConfig)
    """Settings of the home page's rows."""
    experiment: ExperimentConfig = field(default_factory=ExperimentConfig)
    """The experiment that runs on answers to users for which no model is named; none while it has no name."""
    exploration: ExplorationConfig = field(default_factory=ExplorationConfig)
    """The exploration of lists for users; none while its share is 0."""

    @property
    def worker_count(self) -> int:
        """Server processes: as set, or one for each core within bounds."""
        return self.workers or min(os.cpu_count() or 1, MOST_WORKERS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.port <= 65535:
            raise ConfigError(f"serving.port={self.port} must be from 1 to 65535")
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigError(
                f"serving.prefix={self.prefix!r} must be a path such as /movies, without a slash at its end"
            )
        if self.log_format not in LOG_FORMATS:
            raise ConfigError(f"serving.log_format={self.log_format!r} must be {' or '.join(LOG_FORMATS)}")
        for name, least, most in (
            ("drain_seconds", 0, 600),
            ("answer_seconds", 1, 600),
            ("batch_seconds", 1e-9, 600),
            ("cursor_seconds", 1, 604_800),
        ):
            if not least <= getattr(self, name) <= most:
                raise ConfigError(f"serving.{name}={getattr(self, name)} must be from {least} to {most}")
        for name in ("workers", "trusted_proxies", "rate_limit"):
            if getattr(self, name) < 0:
                raise ConfigError(f"serving.{name}={getattr(self, name)} must be at least 0")
        for name in (
            "threads",
            "max_top_k",
            "max_batch",
            "max_batch_movies",
            "max_history",
            "rate_burst",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"serving.{name}={getattr(self, name)} must be at least 1")
        self._require_memory()
        if wrong := [origin for origin in self.cors_origins if not _ORIGIN.fullmatch(origin)]:
            raise ConfigError(f"serving.cors_origins has {wrong[0]!r}, which is no origin such as https://example.org")

    def _require_memory(self) -> None:
        needed = len({variant.model for variant in self.experiment.variants}) + 1
        if self.experiment.running and self.models_in_memory < needed:
            raise ConfigError(
                f"serving.models_in_memory={self.models_in_memory} is too few for the experiment, whose models and the "
                f"default one need {needed}; raise it"
            )


def keys_of_environment() -> dict[str, str]:
    """The scope of each key in MOVIEREC_API_KEYS=read=KEY,write=KEY,admin=KEY; one without a scope is an admin's.

    A key of a scope may do what the scopes before it may. While no key is set everything is open, which is why a server
    does not listen on a public address then unless it is told to.

    Raises ConfigError for a key that is an example's, too short, not ASCII or of two scopes.
    """
    scopes: dict[str, str] = {}
    for entry in filter(None, map(str.strip, os.environ.get(KEYS_VARIABLE, "").split(","))):
        scope, separator, key = entry.partition("=")
        scoped = bool(separator) and scope in SCOPES[1:]
        key, scope = (key.strip(), scope) if scoped else (entry, ADMIN)
        if scopes.get(key, scope) != scope:
            raise ConfigError(f"{KEYS_VARIABLE} has one key for {scopes[key]} and {scope}; give each its own")
        scopes[key] = scope
    for key in scopes:
        if "CHANGE-ME" in key:
            raise ConfigError(f"{KEYS_VARIABLE} has a key that is still an example's, CHANGE-ME; set one of your own")
        if len(key) < SHORTEST_KEY:
            raise ConfigError(f"{KEYS_VARIABLE} has a key of fewer than {SHORTEST_KEY} characters; use longer ones")
        if not key.isascii():
            raise ConfigError(f"{KEYS_VARIABLE} has a key with a character that no HTTP header carries; use ASCII")
    return scopes
