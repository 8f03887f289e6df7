"""Where what is served is seen: the API, the dashboard and MLflow's registry, which Dagster shows and does not run."""

import os

import dagster as dg

from movierec_assets.assets.models import evaluation_report
from movierec_assets.assets.release import leaderboard, serving_release
from movierec_engine.tracking.server import without_credentials

DOMAIN = {"domain": "surfaces"}

api_address = without_credentials(os.environ.get("MOVIEREC_API_URL") or "http://127.0.0.1:5000")

api = dg.AssetSpec(
    "api",
    deps=[serving_release],
    kinds={"flask"},
    tags=DOMAIN,
    metadata={"address": dg.MetadataValue.url(api_address)},
    description="The Flask API, which answers from the index that serving_release points at, and follows it by itself. "
    "`movierec serve` runs it; MOVIEREC_API_URL says where it is.",
)

dashboard = dg.AssetSpec(
    "dashboard",
    deps=[serving_release, leaderboard, evaluation_report],
    kinds={"streamlit"},
    tags=DOMAIN,
    description="The dashboard, which compares reports and says what is served and why. `python -m dashboard` runs it.",
)

mlflow_registry = dg.AssetSpec(
    "mlflow_registry",
    deps=[serving_release],
    kinds={"mlflow"},
    tags=DOMAIN,
    description="MLflow's model registry, where the alias `champion` names the version of DATA_SET.MODEL that is "
    "served, as long as `logger.use_mlflow` is set. MLFLOW_TRACKING_URI says where it is.",
)

SURFACES = [api, dashboard, mlflow_registry]
