"""The engine: raw ratings in, evaluated models and served indices out. Knows nothing of Dagster or Streamlit."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("movierec")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"
