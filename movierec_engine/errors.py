"""The errors a person sees. Each message is one sentence: what was wrong, where, and what to do."""

EXTRAS = {
    "serve": ("flask", "gunicorn", "jinja2", "orjson", "prometheus_client", "pydantic", "waitress", "werkzeug"),
    "train": ("duckdb", "jinja2", "surprise", "torch"),
    "tracking": ("mlflow", "wandb"),
    "sweeps": ("optuna",),
    "dashboard": ("altair", "duckdb", "streamlit"),
    "dagster": ("dagster", "dagster_mlflow", "sqlalchemy"),
    "postgres": ("psycopg",),
    "team": ("dagster_postgres",),
    "objectstore": ("obstore",),
    "cluster": ("dagster_ray", "ray"),
}
"""Modules of pyproject.toml's optional dependencies, beyond those that are always installed."""


class MovierecError(Exception):
    """Base of every error that is the caller's to mend; the command line prints it without a stack trace."""


class ConfigError(MovierecError):
    """A setting has an unknown name, a wrong type or a value out of range."""


class DataError(MovierecError):
    """An input file is missing, empty, malformed or contradicts itself."""


class EmptyDataError(DataError):
    """A file is empty, or a filter or a split left nothing to work on."""


class StoreError(MovierecError):
    """An artifact is missing, damaged or incompatible."""


class NotYetError(MovierecError):
    """The thing that is asked for is being made, and will be there soon."""


class DeviceError(MovierecError):
    """The requested device is not on this machine."""


class TooLargeError(MovierecError):
    """The work needs more memory than there is."""


class LeakError(MovierecError):
    """Training has seen what it is measured on."""


class NotFittedError(MovierecError, AttributeError):
    """A model is asked for what it has only once it is fitted."""


class MissingExtraError(MovierecError):
    """An optional part of the package is needed and not installed."""

    def __init__(self, error: ImportError, extra: str = "") -> None:
        needed = (error.name or "").split(".")[0]
        extra = extra or next((extra for extra, modules in EXTRAS.items() if needed in modules), "all")
        super().__init__(f'{needed} is not installed, which this needs; run pip install "movierec[{extra}]"')
