"""Errors at Dagster's own command line that a person can mend, as one sentence instead of a stack trace."""

import os
import sys
from types import TracebackType

from dagster_shared.check import CheckError

from movierec_engine.errors import MovierecError

_DIFFERENT_PARTITIONS = "There is no PartitionsDefinition shared by all the provided assets"


def tell_in_one_sentence() -> None:
    """Let an error that ends this process and that a person can mend be one sentence; HYDRA_FULL_ERROR=1 shows all."""
    before = sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if (sentence := sentence_of(error)) and os.environ.get("HYDRA_FULL_ERROR") != "1":
            print(f"error: {sentence}", file=sys.stderr)
        else:
            before(kind, error, trace)

    sys.excepthook = tell


def sentence_of(error: BaseException | None) -> str:
    """The engine's sentence in an error or what caused it, or what a selection of assets lacks; "" for any other."""
    while error:
        if isinstance(error, MovierecError):
            return str(error)
        if isinstance(error, CheckError) and _DIFFERENT_PARTITIONS in str(error):
            return (
                "the selected assets have no partitions in common, so that --partition cannot be of all of them; "
                "select those of one kind: '+key:faiss_index or key:evaluation_report or tag:domain=release' with "
                "cpu|ease, or hybrid_ensemble with cpu"
            )
        error = error.__cause__ or error.__context__
    return ""
