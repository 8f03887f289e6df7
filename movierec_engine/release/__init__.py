"""Decides what is served of a data set, and keeps the record of it."""

from movierec_engine.release.promotion import decide_release, refit_best

__all__ = ["decide_release", "refit_best"]
