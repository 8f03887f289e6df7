"""Options of a personal list, whoever asks for it: the API, an export, an estimate or the dashboard."""

from dataclasses import dataclass, field

from movierec_engine.data.id_map import PublicId
from movierec_engine.errors import ConfigError
from movierec_engine.recommending.dials import Dials


@dataclass(frozen=True)
class ListOptions:
    """top_k: the list's length. exclude: movies that are left out, by public id. filtered: whether the list is chosen
    among some movies only, which `list_for` is given as a mask. cold_items: the share of the list that movies are to
    have which no model knows."""

    top_k: int
    dials: Dials = field(default_factory=Dials)
    exclude: frozenset[PublicId] = frozenset()
    filtered: bool = False
    cold_items: float = 0.0

    @property
    def plain(self) -> bool:
        """True if the list is the model's own."""
        return not (self.dials.turned or self.exclude or self.filtered or self.cold_items)


class ListOptionError(ConfigError):
    """A list cannot be made with an option, such as a dial whose facts are known of no movie; `option` is its name."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(message)
        self.option = option
