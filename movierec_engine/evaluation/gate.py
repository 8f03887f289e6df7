"""The release gate's rule: when a challenger may take the champion's place, and its settings.

A challenger is at least as good as another model when, over the same validation users,

    mean(challenger - other) >= -tolerance, and
    neither of the two paired tests, of the mean and of the ranks, finds it worse with p < 0.05.

The second line matters where the first is met by a few users while most of them lose, or where a tolerance is allowed.
The p values are not corrected for several comparisons: each correction would make a refusal rarer, and keeping what is
served is the safe error.
"""

from dataclasses import asdict, dataclass
from typing import Any

from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.comparison import ALPHA, DECIMALS, PairedComparison, Values, compare_paired
from movierec_engine.evaluation.metrics import judges, judging_metrics
from movierec_engine.models.registry import model_names
from movierec_engine.reporting import numbers


@dataclass(frozen=True)
class ReleaseConfig:
    """Settings of the release gate: the conditions that a model must meet to be served."""

    metric: str = ""
    """The metric that challenger and champion are compared by, on validation; empty: the leaderboard's, which is
    `trainer.early_stopping.metric`."""
    above: tuple[str, ...] = ("popularity", "ease", "als")
    """Baselines that a challenger must be at least as good as, of those that were measured on the same data."""
    require_above: bool = False
    """Whether a baseline of `above` that was not measured on the same data stops a promotion; else it is only named."""
    tolerance: float = 0.0
    """How far a challenger's mean may lie below another's, in units of the metric, if it is not significantly worse."""
    min_recall: float = 0.99
    """Least measured recall of an index that is served; lower it for approximate `retrieval.factory` settings."""
    min_volume: float = 0.8
    """Fewest ratings in a model's data, as a multiple of those in the served model's, for the gate to promote it, as a
    file may have arrived half. 0: any; a person can always promote it."""
    min_overlap: float = 0.5
    """Least share of the served model's users, and of its items, that must still be in a model's data for the gate to
    promote it, as their ids may have been renamed. 0: any."""
    refit: bool = True
    """Whether what is promoted is trained on all interactions before it is served; else the measured version is."""
    min_agreement: float = 0.3
    """Least mean share of a user's ten best that the refitted and the measured version have in common. On the bundled
    data popularity shares up to .26 with a model, refitted models from .61 (svd) to .73 (hybrid_ensemble)."""
    max_refit_cost: float = 10.0
    """Most time, and most memory, that refitting may take, as a multiple of the measured training's."""
    keep_releases: int = 5
    """How many of the latest releases `movierec models prune` keeps, so that one can roll back to them."""

    def __post_init__(self) -> None:
        if self.metric and not judges(self.metric):
            raise ConfigError(
                f"release.metric={self.metric}: no model is better by it; choose {', '.join(judging_metrics())}, "
                "with a depth such as ndcg@10"
            )
        if unknown := set(self.above) - set(model_names()):
            raise ConfigError(
                f"release.above={list(self.above)}: there is no model {sorted(unknown)[0]!r}; "
                f"choose from {', '.join(model_names())}"
            )
        if self.tolerance < 0:
            raise ConfigError(f"release.tolerance={self.tolerance} must be at least 0")
        for name in ("min_recall", "min_volume", "min_overlap", "min_agreement"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"release.{name}={getattr(self, name)} must be from 0 to 1")
        if not self.max_refit_cost >= 1:
            raise ConfigError(f"release.max_refit_cost={self.max_refit_cost} must be at least 1")
        if self.keep_releases < 1:
            raise ConfigError(f"release.keep_releases={self.keep_releases} must be at least 1")


@dataclass(frozen=True)
class Weighed:
    """A challenger (a) weighed against another model (b)."""

    comparison: PairedComparison
    passed: bool
    sentence: str

    def plain(self) -> dict[str, Any]:
        """Its numbers as JSON-able data."""
        return {**asdict(self.comparison), "passed": self.passed, "sentence": self.sentence}


def weigh(challenger: Values, other: Values, tolerance: float = 0.0, less_is_better: bool = False) -> Weighed:
    """Compare a challenger with another model: it passes where it is at least as good.

    challenger, other: float64 [n_users], the metric of the same users in the same order.
    """
    compared = compare_paired(challenger, other, less_is_better=less_is_better)
    worse = "higher" if less_is_better else "lower"
    if round(compared.difference, DECIMALS) < -tolerance:
        found = f"is {worse}"
    elif compared.difference < 0 and compared.p_bootstrap < ALPHA:
        found = f"is significantly {worse} by the bootstrap of the mean"
    elif compared.rank_biserial < 0 and compared.p_wilcoxon < ALPHA:
        found = f"is significantly {worse} for most users by Wilcoxon's test"
    else:
        found = ""
    evidence = (
        f"{numbers.score(compared.mean_a)} against {numbers.score(compared.mean_b)}, difference "
        f"{numbers.signed(compared.difference)} {numbers.signed_interval(compared.low, compared.high)}, "
        f"{numbers.p_equals(compared.p_bootstrap)} by the bootstrap and {numbers.p_equals(compared.p_wilcoxon)} by "
        f"Wilcoxon, {numbers.counted(compared.users, 'user')}"
    )
    return Weighed(compared, not found, f"{found or 'is at least as good'} ({evidence})")
