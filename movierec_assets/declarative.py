"""Declarative automation: leaderboard and release follow by themselves."""

import dagster as dg

from movierec_assets.automation import BATCH

_NEWS = dg.AutomationCondition.any_deps_match(
    (
        dg.AutomationCondition.newly_updated()
        & ~dg.AutomationCondition.executed_with_root_target()
        & ~dg.AutomationCondition.all_new_updates_have_run_tags(tag_keys={BATCH})
    )
    | dg.AutomationCondition.will_be_requested()
).with_label("something before it was made that nobody sees to")

ON_NEWS = (
    _NEWS.since_last_handled() & ~dg.AutomationCondition.in_progress() & ~dg.AutomationCondition.any_deps_in_progress()
).with_label("once nothing before it is being made any more")
"""Once for all that was made before it, however many partitions, and not while some of them are still being made.

Not for runs that make it themselves, such as those of the job `everything`; nor for those of a retraining, which the
sensor `after_retraining` follows with one release of all its models. Unlike `AutomationCondition.eager()` it does not
wait for the partitions that nobody ever makes, such as those of devices that are not on the machine.
"""
