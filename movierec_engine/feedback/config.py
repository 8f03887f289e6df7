"""Settings of the feedback group: where feedback is logged."""

import os
from dataclasses import dataclass, field

URL_VARIABLE = "MOVIEREC_FEEDBACK_URL"
"""Names the environment variable with the address of a PostgreSQL database, which may hold a password."""


@dataclass(frozen=True)
class FeedbackLogConfig:
    """Settings of the feedback log: a file beside the artifacts, or a database that several machines share."""

    url: str = field(default="", repr=False)
    """PostgreSQL's address, postgresql+psycopg://user@host/database, for API hosts on several machines; empty: SQLite
    files beside the artifacts. Give it with its password by MOVIEREC_FEEDBACK_URL rather than on a command line."""


def url_of_environment() -> str:
    """The address in MOVIEREC_FEEDBACK_URL, for callers without settings; "" where it is not set."""
    return os.environ.get(URL_VARIABLE, "")
