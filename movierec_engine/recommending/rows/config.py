"""Settings of the rows of a home page."""

from dataclasses import dataclass

from movierec_engine.errors import ConfigError
from movierec_engine.recommending.rows.ratings_by_item import KEPT_DAYS


@dataclass(frozen=True)
class RowsConfig:
    """Settings of rows: what is trending, and how soon the feedback log is heeded in it."""

    trending_days: int = 180
    """The window of `trending` and `rising`: older likes don't count."""
    trending_half_life: float = 30.0
    """Days after which a like counts half in `trending`."""
    trending_seconds: float = 60.0
    """How often the likes in the feedback log are counted anew; what a person has rated or dismissed leaves their rows
    at once."""

    def __post_init__(self) -> None:
        if not 1 <= self.trending_days <= KEPT_DAYS // 2:
            raise ConfigError(
                f"serving.rows.trending_days={self.trending_days} must be from 1 to {KEPT_DAYS // 2}, as an index "
                f"keeps the likes of its newest {KEPT_DAYS} days"
            )
        if not 0 < self.trending_half_life <= 10_000:
            raise ConfigError(
                f"serving.rows.trending_half_life={self.trending_half_life} must be above 0 and at most 10000 days"
            )
        if not 0 <= self.trending_seconds <= 86_400:
            raise ConfigError(f"serving.rows.trending_seconds={self.trending_seconds} must be from 0 to 86400")
