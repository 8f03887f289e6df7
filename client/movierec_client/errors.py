"""Errors of the client, each with one sentence; catch MovierecError for all of them."""


class MovierecError(Exception):
    """Base of the client's errors."""


class NoAnswerError(MovierecError):
    """No answer came in time, however often it was asked for. Whether a write was recorded is not known then; send it
    again as it is, with its key, and it counts once."""


class UnreadableAnswerError(MovierecError):
    """An answer came that is not one of Movierec's API, such as a proxy's page."""


class RefusedError(MovierecError):
    """The server answered with an error, whose sentence this has.

    status: the HTTP status. code and parameter: the error's own; "" and None where the answer was not the API's.
    request_id: by which the server's log has it. retry_after: seconds after which the server wants to be asked again.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        parameter: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.parameter = status, code, parameter
        self.request_id, self.retry_after = request_id, retry_after


class BadRequestError(RefusedError):
    """400, 405, 413, 415, 422: something in the request is not as it must be; `parameter` says what."""


class AccessError(RefusedError):
    """401, 403: the API key is missing or wrong, or its scope does not reach so far."""


class NotFoundError(RefusedError):
    """404: there is no such movie, model, event or, with strict=True, user."""


class ConflictError(RefusedError):
    """409: the key of an event was used before for something else, or for what was undone or erased since; or other
    rules hold than those that a change is based on."""


class GoneError(RefusedError):
    """410: the `next` of a list is too old, or of another version; ask for the list again without it."""


class TooManyRequestsError(RefusedError):
    """429: more requests than the server takes of one client."""


class UnavailableError(RefusedError):
    """502, 503, 504: the server, or what it needs, is away or has nothing to answer from yet."""


class ServerFailedError(RefusedError):
    """500, or another status that is none of the API's."""


def refusal_of(status: int) -> type[RefusedError]:
    """The error of a status."""
    return _OF_STATUS.get(status, ServerFailedError)


_OF_STATUS = {
    **dict.fromkeys((400, 405, 413, 415, 422), BadRequestError),
    **dict.fromkeys((401, 403), AccessError),
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    429: TooManyRequestsError,
    **dict.fromkeys((502, 503, 504), UnavailableError),
}
