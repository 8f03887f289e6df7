"""The purpose of a run: studies run only where somebody asks for them, not with everything else.

*Materialize all* on the lineage page takes every asset, and its backfill counts as failed unless each is materialized.
"""

import dagster as dg
from dagster._core.storage.tags import BACKFILL_ID_TAG

from movierec_engine.store import kinds

STUDIES = frozenset(dg.AssetKey(name) for name in ("backtest", "sweep", kinds.LEAK_CANARIES))
"""Assets that cost as much as training again."""


def for_itself(context: dg.AssetExecutionContext) -> bool:
    """True for a run of studies alone: of a study's job, or of a selection or backfill of nothing else."""
    selected = context.run.asset_selection or frozenset()
    if (backfill_id := context.run.tags.get(BACKFILL_ID_TAG)) and (found := context.instance.get_backfill(backfill_id)):
        selected = frozenset(found.asset_selection or ())
    return selected <= STUDIES


def not_run(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """The materialization of a study that was launched with other assets; it says that nothing was made, and why."""
    name = context.asset_key.to_user_string()
    why = f"{name} was launched with other assets, and trains again; materialize it alone to run it"
    context.log.info(why)
    return dg.MaterializeResult(metadata={"not run": why})
