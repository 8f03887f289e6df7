"""What each metric and each way of measuring means, in one line."""

from movierec_engine.data.split import LEAKY

METRICS = {
    "ndcg": "hits in the first k, each divided by log2(rank + 1), over the same sum of an ideal list, which has "
    "min(k, number of relevant items) hits at its top",
    "recall": "hits in the first k / the user's relevant items",
    "precision": "hits in the first k / k, even where fewer items are shown or relevant",
    "hit_rate": "1 for a user with any hit in the first k, else 0",
    "map": "precision at the rank of each hit in the first k, summed, / min(k, number of relevant items)",
    "mrr": "1 / rank of the first hit, 0 without one in the first k",
    "auc": "pairs of a relevant and an irrelevant item in the right order / all such pairs, over the whole ranking; a "
    "tie counts a half",
    "serendipity": "hits in the first k that are not among the k most popular items that the user could be shown / k",
    "novelty": "mean over the shown items of −log2(share of the users who have the item in train), in bits",
    "average_popularity": "mean over the shown items of the share of the users who have the item in train",
    "genre_diversity": "mean of 1 − cosine of the genres over all pairs of shown items",
    "embedding_diversity": "mean of 1 − cosine of the items' embeddings over all pairs of shown items; the embeddings "
    "are a rank-32 decomposition of train, the same for all models",
    "coverage": "items that stand in the first k of at least one user / all items of the catalogue",
    "gini": "inequality of how often items are shown: 0 where all are shown equally often, near 1 where few items are "
    "shown to everybody; the whole catalogue counts",
}
"""Metric -> its definition with its denominator; the reported number is the mean over users but for the last two."""

MEANINGS = {
    "coverage": "share of the catalogue that anybody is shown",
    "gini": "how unequally items are shown; lower is more even",
    "novelty": "bits of surprise in an item; higher is less known",
    "average_popularity": "share of users who know a shown item",
    "genre_diversity": "how unlike in genre a list's items are",
    "embedding_diversity": "how unlike in who watches them",
    "serendipity": "hits that popularity would not have found",
    "auc": "right order of relevant and other items",
}
"""What the metrics beyond accuracy say, for the reader of a table."""

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
