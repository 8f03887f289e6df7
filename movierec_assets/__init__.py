"""Dagster, thin: an asset's body is a few lines that call movierec_engine.pipeline."""

import warnings

from dagster import BetaWarning

from movierec_assets.sentences import tell_in_one_sentence

warnings.filterwarnings("ignore", category=BetaWarning)  # Dagster's own: backfill_policy, dagster_mlflow
tell_in_one_sentence()
