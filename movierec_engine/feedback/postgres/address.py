"""A PostgreSQL address from the settings, and its form without the password for messages."""

from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from movierec_engine.errors import ConfigError
from movierec_engine.feedback.config import URL_VARIABLE

_SCHEMES = ("postgresql+psycopg://", "postgresql://")
_PREFIX = "feedback_"
_LONGEST_NAME = 63
"""Longest name of a schema, in bytes; PostgreSQL cuts longer ones."""


@dataclass(frozen=True)
class Address:
    """A database, as libpq takes it."""

    conninfo: str = field(repr=False)
    """May hold a password."""
    where: str
    """Host, port and database alone."""

    @classmethod
    def parse(cls, url: str) -> "Address":
        """The address in `feedback.url`. Raises ConfigError, which does not repeat it, for what is none."""
        for scheme in _SCHEMES:
            if url.startswith(scheme):
                try:
                    parts = conninfo_to_dict(f"postgresql://{url.removeprefix(scheme)}")
                except psycopg.Error:
                    break
                host, port, database = (str(parts.get(name, "")) for name in ("host", "port", "dbname"))
                if "@" in host + database or (not port.isdigit() and port):  # parts of a password that is not quoted
                    break
                return cls(make_conninfo("", **parts), f"{host or 'localhost'}:{port or 5432}/{database}")
        raise ConfigError(
            f"feedback.url ({URL_VARIABLE}) is no address of PostgreSQL; write postgresql+psycopg://user@host/database "
            "with special characters of a password percent-encoded"
        )


def schema_of(data_set: str) -> str:
    """The database schema that holds a data set's log. Raises ConfigError for a name that is too long for one."""
    name = _PREFIX + data_set
    if len(name.encode()) > _LONGEST_NAME:
        longest = _LONGEST_NAME - len(_PREFIX)
        raise ConfigError(f"data.name={data_set} is too long for a log in PostgreSQL; use up to {longest} characters")
    return name


def data_set_of(schema: str) -> str | None:
    """The data set whose log a schema holds, None for another schema."""
    return schema.removeprefix(_PREFIX) if schema.startswith(_PREFIX) else None
