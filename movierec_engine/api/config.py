"""Settings of the serving group."""

from dataclasses import dataclass

from movierec_engine.errors import ConfigError


@dataclass(frozen=True)
class ServingConfig:
    """How the API listens, and what it accepts."""

    host: str = "127.0.0.1"
    port: int = 5000
    workers: int = 0
    """Server processes; 0 takes one for each core, at most 4."""
    threads: int = 4
    """Threads in each worker."""
    max_top_k: int = 500
    """Longest list that a request may ask for."""
    max_batch: int = 1000
    """Most users in one batch request."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise ConfigError(f"serving.port={self.port} must be from 1 to 65535")
        if self.workers < 0:
            raise ConfigError(f"serving.workers={self.workers} must be at least 0")
        for name in ("threads", "max_top_k", "max_batch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"serving.{name}={getattr(self, name)} must be at least 1")
