"""What each way of measuring means, in one line."""

from movierec_engine.data.split import LEAKY

SPLITS = {
    "random": "each user's interactions are shuffled and cut into train, validation and test; time plays no part",
    "user_time": "of each user's interactions the newest are test and those before them validation",
    "leave_one_out": "each user's newest interaction is test and the one before it validation",
    "global_time": "one moment for all users: what came after it is test, what came shortly before it validation",
    "rolling_origin": "one window of a backtest: train ends at a moment, and test is what came next",
    "given": "the parts came with the data",
}
"""How a strategy divides the interactions."""

RULES = (
    ("Relevant", "every test interaction of a user; what the user has in the mask is never ranked"),
    ("Ties", "count against the model, and in auc a half: of items with equal scores the relevant ones stand last"),
    ("Users", "the mean is over users with test items; a user without recommendations counts 0"),
    ("95 % interval", "percentile bootstrap of the mean, users drawn with replacement"),
    (
        "Significant",
        "the bootstrap of the mean difference and Wilcoxon's signed ranks, both over the same users and both "
        "Holm-corrected over all pairs of models, have p below .05 and favour the same model",
    ),
    ("p", "the larger of the two corrected p values"),
    (
        "Effect size",
        "mean of the users' differences / their standard deviation (Cohen's d_z): .2 small, .5 medium, .8 large",
    ),
)
"""Rules that hold for every number, by name."""


def split_words(strategy: str) -> str:
    """How a split was made and, where it looks ahead, that it does."""
    made = SPLITS.get(strategy, strategy)
    return f"{made}; leaky: {LEAKY[strategy]}" if strategy in LEAKY else made
