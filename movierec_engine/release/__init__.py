"""Releases: the decision which version of a data set's models is served, and its record."""

from movierec_engine.release.promotion import decide_release, refit_best

__all__ = ["decide_release", "refit_best"]
