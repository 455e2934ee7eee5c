"""An API in each framework, behind a real server, counted by a real Meterboard."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import pytest

from meterboard.client import Meter
from meterboard.client.middleware.wsgi import MeterMiddleware
from tests.client import apis
from tests.client.apis import Api, served
from tests.client.conftest import counted
from tests.server import Server
from tests.waiting import eventually

EVERY = pytest.mark.parametrize("api", [*apis.ASGI, *apis.WSGI], ids=lambda api: api.__name__)


def usage(server: Server, application: str) -> list[dict[str, Any]]:
    """What an application called, without what is unknown or the same in every call."""
    answer = server.get(
        "/v1/statistics/table",
        params={
            "columns": "version,module,method,status,user,ip",
            "application": application,
            "sort": "method",
        },
    )
    return [row | {"credits": None} for row in answer.json()["rows"]]


def row(
    version: str, module: str, method: str, status: int, calls: int = 1, user: str = "(unknown)"
) -> dict[str, Any]:
    return {
        "version": version,
        "module": module,
        "method": method,
        "status": str(status),
        "user": user,
        "ip": "127.0.0.1",
        "calls": calls,
        "credits": None,
        "integration_tasks": 0,
    }


@pytest.fixture
def caller(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A caller of the API. The application's name distinguishes the test's calls from all others."""
    limits = httpx.Limits(max_keepalive_connections=0)  # a server may close one after a failure
    with httpx.Client(headers={"X-Application": request.node.name}, timeout=10, limits=limits) as client:
        yield client


@EVERY
def test_calls_are_named_by_their_routes(
    meterboard: Server, meter: Meter, caller: httpx.Client, api: Api
) -> None:
    with served(api, meter, skip_paths=["/health"]) as url:
        for number in range(3):
            assert caller.get(f"{url}/crm/v8/Leads/{number}").status_code == 200
        assert caller.get(f"{url}/crm/v8/Leads", headers={"X-User": "maria"}).status_code == 200
        assert caller.post(f"{url}/crm/v8/Leads/5/actions/convert").status_code == 201
        assert caller.get(f"{url}/crm/v8/broken").status_code == 500
        assert caller.get(f"{url}/health").status_code == 200
        assert caller.get(f"{url}/crm/v8/Contacts/7?token=secret").status_code == 404
        eventually(lambda: meter.stats.recorded == 7)
    assert meter.flush()

    assert sorted(usage(meterboard, caller.headers["X-Application"]), key=str) == sorted(
        [
            row("v8", "Leads", "get", 200, calls=3),
            row("v8", "Leads", "get", 200, user="maria"),
            row("v8", "Leads", "actions.convert.create", 201),
            row("v8", "broken", "get", 500),
            row("v8", "Contacts", "get", 404),
        ],
        key=str,
    )
    assert meter.stats.invalid == meter.stats.rejected == 0


@EVERY
def test_records_names_and_further_fields_come_from_callables(
    meterboard: Server, meter: Meter, caller: httpx.Client, api: Api
) -> None:
    sent: list[dict[str, Any]] = []

    class Listening:
        @staticmethod
        def record_encoded(fields: str) -> None:
            sent.append(json.loads(f"{{{fields[1:]}}}"))

        @staticmethod
        def record_batched(fields: str) -> None:
            raise AssertionError("Calls with callables are recorded at once.")

    with served(
        api,
        Listening(),
        names=lambda verb, template: ("v8", "any", f"{verb} {len(template) > 5}"),
        function=lambda call: "nightly",
        credits=lambda call: None,
    ) as url:
        caller.get(f"{url}/crm/v8/Leads")
        eventually(lambda: sent)

    (event,) = sent
    assert event == {
        "status": 200,
        "ip": "127.0.0.1",
        "version": "v8",
        "module": "any",
        "method": "GET True",
        "application": caller.headers["X-Application"],
        "records": 3,
        "function": "nightly",
    }


@EVERY
def test_names_may_leave_a_call_to_the_schedule(
    meterboard: Server, meter: Meter, caller: httpx.Client, api: Api
) -> None:
    with served(api, meter, names=lambda verb, template: None) as url:
        caller.get(f"{url}/crm/v8/Leads/5")
        eventually(lambda: meter.stats.recorded)
    assert meter.flush()

    assert usage(meterboard, caller.headers["X-Application"]) == [row("v8", "Leads", "get", 200)]


@EVERY
def test_a_callable_that_fails_costs_its_field_and_nothing_else(
    meterboard: Server, meter: Meter, caller: httpx.Client, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(call: object) -> str:
        raise LookupError("not signed in")

    with served(api, meter, user=fails) as url:
        assert caller.get(f"{url}/crm/v8/Leads/5").status_code == 200
        eventually(lambda: meter.stats.recorded)
    assert meter.flush()

    assert usage(meterboard, caller.headers["X-Application"]) == [row("v8", "Leads", "get", 200)]
    assert "The callable for user failed" in caplog.text


@EVERY
def test_names_that_fail_leave_the_call_to_the_schedule(
    meterboard: Server, meter: Meter, caller: httpx.Client, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(verb: str, template: str) -> None:
        raise LookupError("no name")

    with served(api, meter, names=fails) as url:
        assert caller.get(f"{url}/crm/v8/Leads/5").status_code == 200
        eventually(lambda: meter.stats.recorded)
    assert meter.flush()

    assert usage(meterboard, caller.headers["X-Application"]) == [row("v8", "Leads", "get", 200)]
    assert "The names callable failed" in caplog.text


@EVERY
def test_headers_of_proxies_are_not_trusted_by_default(
    meter: Meter, meterboard: Server, caller: httpx.Client, api: Api
) -> None:
    with served(api, meter) as url:
        caller.get(
            f"{url}/crm/v8/Leads/5", headers={"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6"}
        )
        eventually(lambda: meter.stats.recorded)
    assert meter.flush()

    (only,) = usage(meterboard, caller.headers["X-Application"])
    assert only["ip"] == "127.0.0.1"


@EVERY
def test_the_header_of_a_trusted_proxy_is_used(
    meter: Meter, meterboard: Server, caller: httpx.Client, api: Api
) -> None:
    headers = {"X-Forwarded-For": "6.6.6.6, 203.0.113.7, 10.1.2.3", "Forwarded": "for=6.6.6.6"}
    with served(api, meter, trusted_proxies=["127.0.0.0/8", "10.0.0.0/8"]) as url:
        caller.get(f"{url}/crm/v8/Leads/5", headers=headers)
        eventually(lambda: meter.stats.recorded)
    assert meter.flush()

    (only,) = usage(meterboard, caller.headers["X-Application"])
    assert only["ip"] == "203.0.113.7"


def test_a_wrong_option_fails_at_the_start(meter: Meter) -> None:
    options: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"usr": str}, TypeError, "unknown option 'usr': use one of organization, application"),
        ({"user": "maria"}, TypeError, "user is 'maria': expected a callable"),
        ({"proxy_header": "X-Real-IP"}, ValueError, "proxy_header is 'X-Real-IP'"),
        ({"trusted_proxies": ["everyone"]}, ValueError, "not appear to be an IPv4 or IPv6 network"),
    ]
    for wrong, error, message in options:
        with pytest.raises(error, match=message):
            MeterMiddleware(lambda *_: [], meter, **wrong)


@EVERY
def test_paths_that_no_text_can_hold_are_counted_too(
    meterboard: Server, meter: Meter, caller: httpx.Client, api: Api
) -> None:
    with served(api, meter) as url:
        for path in ("/%00nul", "/%FFlatin", "/" + "x" * 12_000):
            caller.get(f"{url}{path}")
        caller.get(f"{url}/crm/v8/Leads/5", headers={"X-User": "u" * 12_000})
        eventually(lambda: meter.stats.recorded == 4)
    assert meter.flush()

    assert meter.stats.rejected == meter.stats.invalid == 0
    assert counted(meterboard, caller.headers["X-Application"]) == 4
    assert "u" * 10_000 in {row["user"] for row in usage(meterboard, caller.headers["X-Application"])}


def test_a_call_with_a_complete_response_was_counted(meter: Meter) -> None:
    """A process that is killed before the server closes the answer loses no call."""

    def api(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("content-length", environ["length"])] if environ["length"] else [])
        yield from (b"so", b"me")

    for length in ("4", ""):
        before = meter.stats.recorded
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/crm/v8/Leads", "length": length}
        pieces = iter(MeterMiddleware(api, meter)(environ, lambda *_: None))
        recorded = [meter.stats.recorded - before for _ in pieces]
        assert recorded == ([0, 1] if length else [0, 0])
        assert meter.stats.recorded == before + 1


def test_a_flask_answer_that_breaks_off_is_counted(meterboard: Server, meter: Meter) -> None:
    def api(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"some"
        raise apis.Broken

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/crm/v8/Leads", "REMOTE_ADDR": "203.0.113.9"}
    answer = MeterMiddleware(api, meter, application=lambda _: "breaks off")(environ, lambda *_: None)
    with pytest.raises(apis.Broken):
        list(answer)
    answer.close()  # type: ignore[attr-defined]

    assert meter.flush()
    assert counted(meterboard, "breaks off") == 1
