"""The Dagster definitions, loaded by `dagster dev -w workspace.yaml`."""

from datetime import timedelta

import dagster as dg

from movierec_assets.alerts import make_alerts
from movierec_assets.assets import data, models, release, studies
from movierec_assets.assets.surfaces import SURFACES
from movierec_assets.automation import AutomationConfig, load_automation
from movierec_assets.checks import CHECKS
from movierec_assets.jobs import EXPORT, JOBS
from movierec_assets.partitions import ENSEMBLE
from movierec_assets.release_jobs import release_jobs
from movierec_assets.resources import SettingsResource
from movierec_assets.schedules import make_schedules
from movierec_assets.sensors import make_sensors
from movierec_assets.tracking import TrackingResource
from movierec_engine.pipeline.code_versions import code_version
from movierec_engine.store import kinds

GROUP = "movierec"
"""One for all assets: the lineage page opens with its assets then, and not with closed boxes. What tells them apart is
their tag `domain`."""
CODE = {ENSEMBLE: kinds.TRAINED_MODEL, "refitted_release": kinds.TRAINED_MODEL}
"""Assets whose content is decided by the code of another kind."""

automation = load_automation()
freshness = {
    name: dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours), warn_window=timedelta(hours=0.75 * hours))
    for name, hours in (
        (kinds.RAW_RATINGS, automation.freshness.data_age_hours),
        ("serving_release", automation.freshness.max_age_hours),
    )
}


def described(spec: dg.AssetSpec, config: AutomationConfig = automation) -> dg.AssetSpec:
    """An asset's spec with what does not stand beside its body: group, owners, freshness, and version of its code.

    Nothing is exported by itself while no target is named.
    """
    name = spec.key.to_user_string()
    follows = spec.automation_condition if name != EXPORT or config.export.to else None
    return spec.replace_attributes(
        automation_condition=follows,
        group_name=GROUP,
        owners=getattr(config.owners, spec.tags["domain"]),
        freshness_policy=freshness.get(name),
        code_version=code_version(CODE.get(name, name)),
    )


defs = dg.Definitions(
    assets=[
        *(
            asset.map_asset_specs(described)
            for asset in dg.load_assets_from_modules([data, models, studies, release])
            if isinstance(asset, dg.AssetsDefinition)
        ),
        *map(described, SURFACES),
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
