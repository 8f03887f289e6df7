"""Everything that Dagster loads: `dagster dev -w workspace.yaml`."""

import dagster as dg

from movierec_assets.assets import data, models, release
from movierec_assets.resources import SettingsResource, TrackingResource

everything = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all(),
    description="From the raw ratings to the served index, for a partition such as `cpu|lightgcn` or a range of them.",
)

defs = dg.Definitions(
    assets=dg.load_assets_from_modules([data, models, release]),
    resources={"settings": SettingsResource(), "tracking": TrackingResource()},
    jobs=[everything],
    executor=dg.in_process_executor,
)
