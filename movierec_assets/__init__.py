"""Dagster, thin: an asset's body is a few lines that call movierec_engine.pipeline."""

import warnings

from dagster import BetaWarning

warnings.filterwarnings("ignore", category=BetaWarning)  # Dagster's own: backfill_policy, dagster_mlflow
