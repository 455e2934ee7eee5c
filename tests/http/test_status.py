"""An error has one HTTP status, whether a program or a person asked."""

import logging
from collections.abc import Iterator

import pytest
from litestar import Litestar, Router, get
from litestar.params import FromPath
from litestar.testing import TestClient

from meterboard import errors
from meterboard.api.routes import PROBLEMS
from meterboard.http.status import status_of
from meterboard.web.routes import on_error

EXPECTED = {
    errors.UnreadableBody("x"): 400,
    errors.InvalidParameter("by", "x"): 400,
    errors.AnswerTooLong("x"): 400,
    errors.Unauthenticated("x"): 401,
    errors.Forbidden("x"): 403,
    errors.NotFound("x"): 404,
    errors.TooSlow("x"): 408,
    errors.AlreadyExists("x"): 409,
    errors.TooLarge("x"): 413,
    errors.Overloaded("x", retry_after=7): 503,
    errors.ServerAway("x"): 503,
    errors.StoreFailed("x"): 503,
    errors.OutcomeUnknown("x"): 503,
    errors.SettingError("x"): 500,
    errors.ScheduleError("x"): 500,
    errors.DataFolderError("x"): 500,
    errors.AddressError("x"): 500,
    errors.ServerRefused("x"): 500,
    errors.FileError("x"): 500,
    ZeroDivisionError("x"): 500,
}
PARAMETERS = pytest.mark.parametrize(("error", "status"), EXPECTED.items(), ids=repr)


@pytest.fixture
def client() -> Iterator[TestClient[Litestar]]:
    """An application that raises an error of the table for a program at /api, and for a person at /page."""

    @get("/{name:str}", sync_to_thread=False)
    def fail(name: FromPath[str]) -> None:
        raise next(error for error in EXPECTED if type(error).__name__ == name)

    api = Router("/api", route_handlers=[fail], exception_handlers=PROBLEMS)
    pages = Router("/page", route_handlers=[fail], exception_handlers={Exception: on_error})
    with TestClient(Litestar([api, pages], logging_config=None), raise_server_exceptions=False) as client:
        yield client


def name_of(error: Exception) -> str:
    return type(error).__name__


def test_the_table_names_every_error() -> None:
    tree = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    parents = {errors.MeterboardError, errors.Refused, errors.Unavailable}
    assert tree - parents == {type(error) for error in EXPECTED} - {ZeroDivisionError}


@PARAMETERS
def test_programs_and_people_get_the_same_status(
    client: TestClient[Litestar], error: Exception, status: int
) -> None:
    program, person = client.get(f"/api/{name_of(error)}"), client.get(f"/page/{name_of(error)}")
    assert status_of(error) == program.status_code == person.status_code == status
    assert program.headers.get("Retry-After") == person.headers.get("Retry-After")
    assert program.headers["Content-Type"].startswith("application/problem+json")
    assert program.json()["status"] == status
    assert person.headers["Content-Type"].startswith("text/html")


@PARAMETERS
@pytest.mark.parametrize("place", ["api", "page"])
def test_what_fails_here_is_logged_with_its_traceback(
    client: TestClient[Litestar],
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    place: str,
) -> None:
    """A limit that holds is no failure: its log would grow with each request that it turns away."""
    with caplog.at_level(logging.ERROR, "meterboard"):
        client.get(f"/{place}/{name_of(error)}")
    logged = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert logged == ([error] if status >= 500 and not isinstance(error, errors.Overloaded) else [])


def test_what_nothing_foresaw_is_answered_in_brief(client: TestClient[Litestar]) -> None:
    for place in ("api", "page"):
        answer = client.get(f"/{place}/ZeroDivisionError").text
        assert "The server's log has the details" in answer.replace("&#39;", "'")
