"""The setting `model.feedback`: learning from the values of ratings, or from the interactions alone."""

from movierec_engine.data.interactions import HistoryValues, Interactions
from movierec_engine.errors import ConfigError

FEEDBACK = ("auto", "explicit", "implicit")


def check_feedback(feedback: str) -> None:
    """Raises ConfigError for what is no value of `model.feedback`."""
    if feedback not in FEEDBACK:
        raise ConfigError(f"model.feedback={feedback} is not known; choose one of {', '.join(FEEDBACK)}")


def learns_from(feedback: str, train: Interactions, *, needs_ratings: bool = False) -> HistoryValues:
    """`ratings` if their values count: on `explicit`, or on `auto` for a model that needs ratings; else `ones`.

    Which interactions there are ranks better than what they were rated, and counts or hours are no ratings
    (benchmarks/results/rating_values.md). Values that are all equal say nothing: then it is `ones`, too.
    Raises ConfigError when they are to count by `explicit` and are all equal.
    """
    differ = bool(len(train)) and bool((train.rating != train.rating[0]).any())
    if feedback == "explicit" and not differ:
        raise ConfigError("model.feedback=explicit needs ratings, and those of train are all equal; set it to auto")
    asked = feedback == "explicit" or (feedback == "auto" and needs_ratings)
    return "ratings" if differ and asked else "ones"
