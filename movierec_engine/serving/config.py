"""Settings of the indices that answer, which the serving group's begin with."""

from dataclasses import dataclass, field

from movierec_engine.errors import ConfigError
from movierec_engine.serving.pictures import PicturesConfig

FOLLOW = ("promoted", "latest")


@dataclass(frozen=True)
class IndicesConfig:
    """Which versions answer, and what is kept of them in memory."""

    data_set: str = ""
    """The data set whose models answer; empty: the only one that has indices, else that of `data.name`."""
    follow: str = "promoted"
    """The version that answers by default: `promoted`, or `latest`, the newest version of any model."""
    follow_seconds: float = 0.5
    """How often the store is looked at for a new version."""
    models_in_memory: int = 4
    """Models that a worker keeps loaded, the default one included; the one asked for longest ago leaves first."""
    remembered_lists: int = 8192
    """Lists that a worker remembers for each loaded version, of the users who asked last; 0 computes every list. Before
    a version answers, as many are computed ahead as a quarter of a second suffices for."""
    repeat: bool = False
    """Whether movies that somebody has seen may be recommended to them again; dismissed ones never are."""
    pictures: PicturesConfig = field(default_factory=PicturesConfig)
    """Where the pages' posters come from."""

    def __post_init__(self) -> None:
        if self.follow not in FOLLOW:
            raise ConfigError(f"serving.follow={self.follow!r} must be {' or '.join(FOLLOW)}")
        if not 0 < self.follow_seconds <= 60:
            raise ConfigError(f"serving.follow_seconds={self.follow_seconds} must be above 0 and at most 60")
        if self.remembered_lists < 0:
            raise ConfigError(f"serving.remembered_lists={self.remembered_lists} must be at least 0")
        if self.models_in_memory < 1:
            raise ConfigError(f"serving.models_in_memory={self.models_in_memory} must be at least 1")
