"""Settings of an export."""

from dataclasses import dataclass

from movierec_engine.data.catalogue import ACTIVITY_FROM
from movierec_engine.errors import ConfigError

MOST_PLACES = 1_000


@dataclass(frozen=True)
class ExportConfig:
    """Settings of an export: the target, the lists' length and the users."""

    to: str = ""
    """The target, which is replaced: lists.parquet or lists.csv, here or in a bucket (s3://bucket/lists.parquet), or
    postgresql://user@host/database?table=name with the password in PGPASSWORD or a passfile; empty: no export."""
    k: int = 50
    """Length of a list."""
    users: str = ""
    """A file with the id of a user in each line; empty: all users."""
    tier: str = ""
    """Only users of a tier by their interactions in training: cold (none to 4), limited (5 to 19), moderate (20 to 99)
    or rich; empty: of all."""

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MOST_PLACES:
            raise ConfigError(f"k={self.k} must be from 1 to {MOST_PLACES}")
        if self.users and self.tier:
            raise ConfigError(f"users={self.users} and tier={self.tier} both name users; leave one out")
        if self.tier and self.tier not in ACTIVITY_FROM:
            raise ConfigError(f"tier={self.tier} must be one of {', '.join(ACTIVITY_FROM)}")
