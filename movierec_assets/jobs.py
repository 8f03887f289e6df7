"""Jobs: the selections of assets that are run together."""

import dagster as dg

from movierec_assets.assets.models import hybrid_ensemble, leak_canaries
from movierec_assets.assets.release import exported_lists, leaderboard, refitted_release, serving_release
from movierec_assets.assets.studies import backtest, sweep
from movierec_engine.store import kinds

DATA = kinds.DATA
MODEL = (kinds.TRAINED_MODEL, kinds.EVALUATION_REPORT, kinds.FAISS_INDEX)
RELEASE = (kinds.LEADERBOARD, "refitted_release", "serving_release")
"""The assets of the line, by part."""
EXPORT = "exported_lists"
"""The asset that follows the release where `automation.export` names a target."""

BESIDE = dg.AssetSelection.assets(leak_canaries, hybrid_ensemble, backtest, sweep, exported_lists)
"""Assets that the job `everything` leaves out: they cost as much as training again, have other partitions, or follow
the release in a run of their own."""

everything = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all() - BESIDE,
    description="From the raw ratings to the served index, for a partition such as `cpu|lightgcn` or a range of them.",
)

hybrid = dg.define_asset_job(
    "hybrid",
    selection=dg.AssetSelection.assets(hybrid_ensemble, leaderboard, refitted_release, serving_release),
    description="Fuse the trained models of a device, for a partition such as `cpu`, and release the best of all.",
)

canaries = dg.define_asset_job(
    "canaries",
    selection=dg.AssetSelection.assets(leak_canaries),
    description="Train models twice again, where nothing may be found unless something leaks; a partition or a range.",
)

backtests = dg.define_asset_job(
    "backtests",
    selection=dg.AssetSelection.assets(backtest),
    description="Train models up to moments of the past and test them on what came next; a partition or a range.",
)

sweeps = dg.define_asset_job(
    "sweeps",
    selection=dg.AssetSelection.assets(sweep),
    description="Search a model's best settings with Optuna, judged on validation; a partition or a range.",
)

JOBS = [everything, hybrid, canaries, backtests, sweeps]
