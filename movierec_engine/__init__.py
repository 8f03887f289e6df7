"""The engine: raw ratings in, evaluated models and served indices out. Knows nothing of Dagster or Streamlit."""

__version__ = "0.1.0"
