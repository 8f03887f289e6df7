"""The Dagster definitions, loaded by `dagster dev -w workspace.yaml`."""

from datetime import timedelta

import dagster as dg

from movierec_assets.alerts import make_alerts
from movierec_assets.assets import data, models, release, studies
from movierec_assets.automation import load_automation
from movierec_assets.checks import CHECKS
from movierec_assets.jobs import JOBS
from movierec_assets.release_jobs import release_jobs
from movierec_assets.resources import SettingsResource
from movierec_assets.schedules import make_schedules
from movierec_assets.sensors import make_sensors
from movierec_assets.tracking import TrackingResource
from movierec_engine.store import kinds

OWNERS = ["team:recommendations"]

automation = load_automation()
freshness = {
    name: dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours), warn_window=timedelta(hours=0.75 * hours))
    for name, hours in (
        (kinds.RAW_RATINGS, automation.freshness.data_age_hours),
        ("serving_release", automation.freshness.max_age_hours),
    )
}

defs = dg.Definitions(
    assets=[
        asset.map_asset_specs(
            lambda spec: spec.replace_attributes(
                owners=OWNERS, freshness_policy=freshness.get(spec.key.to_user_string())
            )
        )
        for asset in dg.load_assets_from_modules([data, models, studies, release])
        if isinstance(asset, dg.AssetsDefinition)
    ],
    resources={
        "settings": SettingsResource(overrides=list(automation.overrides)),
        "tracking": TrackingResource(),
        "alerts": make_alerts(automation.alerts),
    },
    asset_checks=CHECKS,
    jobs=[*JOBS, *release_jobs],
    schedules=make_schedules(automation),
    sensors=make_sensors(automation),
    executor=dg.in_process_executor,
)
