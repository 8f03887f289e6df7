"""Off-policy evaluation: what another model's lists, or another exploration, would have earned, from logged lists."""

from movierec_engine.evaluation.off_policy.estimators import PolicyEstimate, PolicyEstimates, WeighedLists, estimate
from movierec_engine.evaluation.off_policy.likelihood_interval import ratio_interval

__all__ = ["PolicyEstimate", "PolicyEstimates", "WeighedLists", "estimate", "ratio_interval"]
