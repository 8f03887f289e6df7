"""A typed client of Movierec's API: `Client`, `Event`, the answers and the errors."""

from movierec_client.client import Client
from movierec_client.errors import (
    AccessError,
    BadRequestError,
    ConflictError,
    GoneError,
    MovierecError,
    NoAnswerError,
    NotFoundError,
    RefusedError,
    ServerFailedError,
    TooManyRequestsError,
    UnavailableError,
    UnreadableAnswerError,
)
from movierec_client.requests import Event, Id, ListOptions, PersonalOptions, RuledOptions, Scenario, new_key
from movierec_client.retries import Retries

__all__ = [
    "AccessError",
    "BadRequestError",
    "Client",
    "ConflictError",
    "Event",
    "GoneError",
    "Id",
    "ListOptions",
    "MovierecError",
    "NoAnswerError",
    "NotFoundError",
    "PersonalOptions",
    "RefusedError",
    "Retries",
    "RuledOptions",
    "Scenario",
    "ServerFailedError",
    "TooManyRequestsError",
    "UnavailableError",
    "UnreadableAnswerError",
    "new_key",
]
