"""Everything that Dagster loads: `dagster dev -w workspace.yaml`."""

import dagster as dg

from movierec_assets import checks
from movierec_assets.assets import data, ensemble, models, release
from movierec_assets.resources import SettingsResource, TrackingResource

everything = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(models.leak_canaries, ensemble.hybrid_ensemble),
    description="From the raw ratings to the served index, for a partition such as `cpu|lightgcn` or a range of them.",
)

hybrid = dg.define_asset_job(
    "hybrid",
    selection=dg.AssetSelection.assets(ensemble.hybrid_ensemble),
    description="Fuse the trained models of a device, for a partition such as `cpu`.",
)

canaries = dg.define_asset_job(
    "canaries",
    selection=dg.AssetSelection.assets(models.leak_canaries),
    description="Train models twice again, where nothing may be found unless something leaks; a partition or a range.",
)

defs = dg.Definitions(
    assets=dg.load_assets_from_modules([data, models, ensemble, release]),
    resources={"settings": SettingsResource(), "tracking": TrackingResource()},
    asset_checks=dg.load_asset_checks_from_modules([checks]),
    jobs=[everything, hybrid, canaries],
    executor=dg.in_process_executor,
)
