"""Data: reading files, validation, id maps, k-core, splits and the graph."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`MovieLensDataModule`, imported only when it is asked for: the API server needs no readers."""
    if name == "MovieLensDataModule":
        from movierec_engine.data.datamodule import MovieLensDataModule

        return MovieLensDataModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
