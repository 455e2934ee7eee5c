"""Every route of the application, asked without a key, with a key of each kind, and by somebody who is signed in."""

from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest

from meterboard.api.ingest.events import PATH as EVENTS
from meterboard.api.ingest.traces import PATH as TRACES
from meterboard.app import litestar
from meterboard.services import Services
from tests.server import Server, command_here, sign_in


class Guarded(NamedTuple):
    """The statuses that a route answers with."""

    none: int
    ingest: int
    read: int
    all: int
    provider: int
    session: int


def everybody(status: int) -> Guarded:
    return Guarded(*(status,) * 6)


SENDS = Guarded(none=401, ingest=202, read=403, all=202, provider=202, session=401)
READS = Guarded(none=401, ingest=403, read=200, all=200, provider=403, session=200)
PAGE = Guarded(none=401, ingest=401, read=401, all=401, provider=401, session=200)

ROUTES: dict[tuple[str, str], Guarded] = {
    ("POST", EVENTS): SENDS,
    ("POST", TRACES): SENDS._replace(ingest=200, all=200, provider=200),
    ("GET", TRACES): everybody(405),
    ("GET", EVENTS): READS,
    ("GET", "/v1/credits"): READS,
    ("GET", "/v1/credits/returns"): READS,
    ("GET", "/v1/verify"): READS,
    ("GET", "/v1/statistics/summary"): READS,
    ("GET", "/v1/statistics/breakdown"): READS,
    ("GET", "/v1/statistics/series"): READS,
    ("GET", "/v1/statistics/table"): READS,
    ("GET", "/v1/statistics/flows"): READS,
    ("GET", "/v1/statistics/integration-tasks"): READS,
    ("GET", "/v1/statistics/related"): READS,
    ("GET", "/v1/statistics/values"): READS,
    ("GET", "/v1/instance"): everybody(200),  # proves whose server it is, and tells nothing
    ("GET", "/metrics"): Guarded(none=401, ingest=403, read=403, all=403, provider=200, session=401),
    ("GET", "/"): PAGE,
    ("GET", "/table"): PAGE,
    ("GET", "/calls"): PAGE,
    ("GET", "/flows"): PAGE,
    ("GET", "/connections"): everybody(301),  # its earlier address
    ("GET", "/tasks"): PAGE,
    ("GET", "/values"): PAGE,
    ("GET", "/verify"): PAGE,
    ("GET", "/live"): PAGE,
    ("GET", "/sign-in"): everybody(200),  # a form; what it sends is looked at by POST
    ("POST", "/sign-in"): everybody(403),  # without the form's cookie
    ("POST", "/sign-out"): everybody(303),
    ("GET", "/sign-out"): everybody(405),
    ("GET", "/schema"): everybody(200),
    ("GET", "/schema/openapi.json"): everybody(200),
    ("GET", "/schema/{path:str}"): everybody(404),
    ("GET", "/static/{file_path:path}"): everybody(200),
    ("HEAD", "/static/{file_path:path}"): everybody(200),
}
"""Status by method and path. Events are sent as `{}`; a key that may not send learns nothing of its body."""
QUESTIONS = {
    "/v1/statistics/breakdown": "by=user",
    "/v1/statistics/integration-tasks": "module=Leads",
    "/v1/statistics/values": "column=user",
    "/v1/instance": "challenge=abc",
    "/tasks": "module=Leads",
    "/values": "filter=user&show=1",
    "/sign-in": "link=unknown",
}
"""What a route must be asked to have an answer for those who may ask."""


@pytest.fixture(scope="module")
def askers(server: Server) -> Iterator[dict[str, httpx.Client]]:
    """A client of each kind."""
    base = {"base_url": server.url, "verify": False, "timeout": 30}
    found = {name: httpx.Client(**base) for name in Guarded._fields}  # type: ignore[arg-type]
    for scope in ("ingest", "read", "all"):
        made = command_here("key", "create", "acme", "--scope", scope, data=server.data)
        found[scope].headers["Authorization"] = f"Bearer {made.stdout.strip()}"
    made = command_here("key", "create", "*", data=server.data)
    found["provider"].headers["Authorization"] = f"Bearer {made.stdout.strip()}"
    yield found
    for client in found.values():
        client.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the framework
def test_every_route_of_the_application_is_in_the_table(services: Services) -> None:
    """Of the framework's own routes those are left out that say which methods there are."""
    routes = {
        (method, route.path)
        for route in litestar(services).routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS"
    }

    assert routes - set(ROUTES) == set()
    assert set(ROUTES) - routes == {
        ("POST", EVENTS),
        ("POST", TRACES),
        ("GET", TRACES),
        ("GET", "/sign-out"),
    }


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda part: part)
def test_who_may_do_what(server: Server, askers: dict[str, httpx.Client], method: str, path: str) -> None:
    question = QUESTIONS.get(path, "")
    where = path.replace("{file_path:path}", "main.js").replace("{path:str}", "nothing")
    body = {"organization": "acme"} if path == EVENTS else {}
    found = {}
    for name, client in askers.items():
        if name == "session" and not client.cookies.get("meterboard_session"):
            assert sign_in(client, server.sign_in_link()).status_code == 200
        options = {"json": body if name == "provider" else {}} if method == "POST" else {}
        with client.stream(method, f"{where}?{question}", **options) as answer:  # type: ignore[arg-type]
            found[name] = answer.status_code
            if path.startswith("/v1/") or ROUTES[method, path] == PAGE:
                headers = answer.headers
                kept = (headers.get_list("cache-control"), headers.get_list("x-content-type-options"))
                assert kept == (["no-store"], ["nosniff"]), name

    assert Guarded(**found) == ROUTES[method, path]


def test_the_earlier_address_of_the_flows_redirects_for_good(server: Server) -> None:
    response = httpx.get(f"{server.url}/connections?columns=user,module&user=a%26b", verify=False)

    assert (response.status_code, response.headers["Location"]) == (
        301,
        "/flows?columns=user,module&user=a%26b",
    )
