"""The setting `model.feedback`: learning from the values of ratings, or from the interactions alone."""

from movierec_engine.data.interactions import HistoryValues, Interactions
from movierec_engine.errors import ConfigError

FEEDBACK = ("auto", "explicit", "implicit")


def check_feedback(feedback: str) -> None:
    """Raises ConfigError for what is no value of `model.feedback`."""
    if feedback not in FEEDBACK:
        raise ConfigError(f"model.feedback={feedback} is not known; choose one of {', '.join(FEEDBACK)}")


def learns_from(feedback: str, train: Interactions) -> HistoryValues:
    """`ratings` if their values count: on `explicit`, or on `auto` where they differ; else `ones`.

    Raises ConfigError when they are to count and are all equal.
    """
    differ = bool(len(train)) and bool((train.rating != train.rating[0]).any())
    if feedback == "explicit" and not differ:
        raise ConfigError("model.feedback=explicit needs ratings, and those of train are all equal; set it to auto")
    return "ratings" if differ and feedback != "implicit" else "ones"
