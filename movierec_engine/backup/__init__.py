"""Backups of what cannot be made again: feedback, releases with what they came from, Dagster's and MLflow's records."""

from movierec_engine.backup.restoring import restore
from movierec_engine.backup.taking import back_up

__all__ = ["back_up", "restore"]
