"""The HTTP status of each error: the only mapping, for the API and for pages."""

from http import HTTPStatus

from meterboard import errors

STATUS: dict[type[errors.MeterboardError], HTTPStatus] = {
    errors.UnreadableBody: HTTPStatus.BAD_REQUEST,
    errors.InvalidParameter: HTTPStatus.BAD_REQUEST,
    errors.AnswerTooLong: HTTPStatus.BAD_REQUEST,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.TooSlow: HTTPStatus.REQUEST_TIMEOUT,
    errors.AlreadyExists: HTTPStatus.CONFLICT,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


def status_of(error: Exception) -> HTTPStatus:
    """Returns the status of an error: that of its nearest ancestor in the table, else 500."""
    return next(
        (STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), HTTPStatus.INTERNAL_SERVER_ERROR
    )


def headers_of(error: Exception) -> dict[str, str]:
    """Returns the headers that go with the status of an error, for any kind of answer."""
    return {"Retry-After": str(error.retry_after)} if isinstance(error, errors.Unavailable) else {}


def is_logged(error: Exception) -> bool:
    """Does an error go to the log with its traceback? Those of 500 and above do, but for a limit that holds."""
    return status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, errors.Overloaded)
