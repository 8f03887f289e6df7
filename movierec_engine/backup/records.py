"""The places of Dagster's and MLflow's records: SQLite files, or PostgreSQL databases."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from movierec_engine.backup.databases import Postgres
from movierec_engine.errors import ConfigError
from movierec_engine.tracking.mlflow_database import DATABASE_FILE, home

DAGSTER, MLFLOW = "dagster", "mlflow"
_LEGACY = ("run_storage", "event_log_storage", "schedule_storage")
"""Keys of dagster.yaml that place each kind of records on its own."""


@dataclass(frozen=True)
class SqliteFiles:
    """Records in SQLite databases below a folder, with other files that belong to them."""

    folder: Path
    main: str
    """The database that has a table of runs, from the folder."""
    patterns: tuple[str, ...]
    """Glob patterns of all databases, from the folder."""
    beside: str = ""
    """A folder of files that are written once."""

    @property
    def databases(self) -> list[Path]:
        return sorted({path for pattern in self.patterns for path in self.folder.glob(pattern)})

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in (self.folder / self.beside).rglob("*") if path.is_file()) if self.beside else []


Records = SqliteFiles | Postgres


def dagster_records(artifacts: Path) -> Records | str:
    """Dagster's records by DAGSTER_HOME, else of the demo's, or the reason why there are none.

    Raises ConfigError for a DAGSTER_HOME that is no folder, and a dagster.yaml that cannot be used.
    """
    named = os.environ.get("DAGSTER_HOME")
    dagster_home = Path(named).expanduser().absolute() if named else artifacts / "dagster"
    if named and not dagster_home.is_dir():
        raise ConfigError(f"DAGSTER_HOME={named} is no folder; make it, or set it to the one with Dagster's records")
    if not dagster_home.is_dir():
        return "DAGSTER_HOME is not set"
    path = dagster_home / "dagster.yaml"
    try:
        content = OmegaConf.to_container(OmegaConf.load(path)) if path.exists() else {}
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"{path}: not readable ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds no settings of Dagster's")
    storage = content.get("storage") or {}
    known = isinstance(storage, dict) and not any(name in content for name in _LEGACY)
    if known and set(storage) == {"postgres"}:
        return Postgres(_postgres_url(storage["postgres"], path))
    if known and set(storage) <= {"sqlite"}:
        base = (storage.get("sqlite") or {}).get("base_dir")
        folder = Path(_value(base, path)) if base else dagster_home
        return SqliteFiles(folder, "history/runs.db", ("history/**/*.db", "schedules/*.db"))
    raise ConfigError(f"{path}: storage is neither sqlite nor postgres; back that up by its own means")


def mlflow_records(artifacts: Path) -> Records | str:
    """MLflow's records by MLFLOW_TRACKING_URI, else the embedded ones, or the reason why there are none."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri.startswith("postgresql"):
        return Postgres(uri)
    if uri.startswith("sqlite:///") and Path(uri.removeprefix("sqlite:///")) != home(artifacts) / DATABASE_FILE:
        return f"MLFLOW_TRACKING_URI={uri} is not the database below the artifacts; back that file up beside"
    if uri and not uri.startswith("sqlite:///"):
        return "MLFLOW_TRACKING_URI names a server, which has backups of its own"
    return SqliteFiles(home(artifacts), DATABASE_FILE, (DATABASE_FILE,), beside="files")


def _postgres_url(config: Mapping[str, Any], path: Path) -> str:
    if url := config.get("postgres_url"):
        return _value(url, path)
    parts = config.get("postgres_db") or {}
    try:
        of = {name: _value(parts[name], path) for name in ("username", "password", "hostname", "db_name")}
    except KeyError as error:
        raise ConfigError(f"{path}: storage.postgres.postgres_db has no {error.args[0]}") from error
    port = _value(parts.get("port", 5432), path)
    user, password = quote(of["username"], safe=""), quote(of["password"], safe="")
    return f"postgresql://{user}:{password}@{of['hostname']}:{port}/{quote(of['db_name'], safe='')}"


def _value(part: object, path: Path) -> str:
    """A value of dagster.yaml, which may be `{env: NAME}`. Raises ConfigError for a variable that is not set."""
    if not isinstance(part, dict):
        return str(part)
    name = str(part.get("env"))
    if name not in os.environ:
        raise ConfigError(f"{path} asks for {name}, which is not set in the environment")
    return os.environ[name]
