"""Pictures of movies: their addresses in a column of the metadata, of hosts that a setting names and no others."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from movierec_engine.errors import ConfigError

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_ADDRESS = re.compile(r"[!#$%&()*+,./:;=?@A-Za-z0-9_~\[\]-]{1,2000}")


@dataclass(frozen=True)
class PicturesConfig:
    """Settings of the posters on the pages; they are drawn where a movie has no picture."""

    column: str = ""
    """The column of `data.movies_file` with the addresses of pictures, such as poster_path; empty: none."""
    base: str = ""
    """Prefix of the addresses that are not whole, such as https://image.tmdb.org/t/p/w342."""
    hosts: tuple[str, ...] = ()
    """Further web origins, such as https://img.example.org, whose pictures the pages may load; no other than these and
    that of `base` is ever asked."""

    def __post_init__(self) -> None:
        if self.base and not (_ADDRESS.fullmatch(self.base) and _ORIGIN.fullmatch(_origin(self.base))):
            raise ConfigError(
                f"serving.pictures.base={self.base!r} is no address such as https://image.tmdb.org/t/p/w342"
            )
        if wrong := [host for host in self.hosts if not _ORIGIN.fullmatch(host)]:
            raise ConfigError(
                f"serving.pictures.hosts has {wrong[0]!r}, which is no origin such as https://example.org"
            )

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins from which pages may load pictures; none without a column."""
        own = (_origin(self.base),) if self.base else ()
        return tuple(dict.fromkeys((*own, *self.hosts))) if self.column else ()

    def address(self, value: object) -> str | None:
        """The absolute address of a picture; None if it is invalid, or of a host that is not allowed."""
        if not isinstance(value, str) or not value:
            return None
        address = value if re.match(r"https?://", value) else f"{self.base}/{value.lstrip('/')}" if self.base else ""
        return address if _ADDRESS.fullmatch(address) and _origin(address) in self.origins else None


def _origin(address: str) -> str:
    """Scheme, host and port of an address; "" if it has none, or names a user."""
    try:
        parts = urlsplit(address)
        named = parts.hostname and not parts.username and not parts.password
        return f"{parts.scheme}://{parts.netloc.lower()}" if named else ""
    except ValueError:
        return ""
