"""`AllowanceGuard`: the headers with the credits left, and the refusal of calls when none are."""

import copy
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any

import httpx
import pytest

from meterboard.client import AllowanceGuard, Meter
from meterboard.client.timing import PollTiming
from tests.client import apis
from tests.client.apis import Api, served
from tests.client.conftest import ManualClock
from tests.client.proxy import Proxy
from tests.client.test_faults import fork
from tests.server import Server, command_here
from tests.waiting import eventually

EVERY = pytest.mark.parametrize("api", [*apis.ASGI, *apis.WSGI], ids=lambda api: api.__name__)


@pytest.fixture(scope="module")
def limited(meterboard: Server) -> Server:
    """The same Meterboard, with the key of an organisation that has used 250 of its 1,000 credits."""
    seen = copy.copy(meterboard)
    seen.key = another(meterboard, "limited", "--allowance", "1000")
    seen.post(json={"credits": 250}).raise_for_status()
    return seen


def another(server: Server, name: str, *options: str) -> str:
    """The key of another organisation."""
    command_here("org", "create", name, *options, data=server.data)
    return command_here("key", "create", name, data=server.data).stdout.strip()


@pytest.fixture(scope="module")
def spent(limited: Server) -> str:
    """The key of an organisation that used everything, 20 hours ago."""
    key = another(limited, "spent", "--allowance", "10")
    event = {"credits": 10, "time": (datetime.now(UTC) - timedelta(hours=20)).isoformat()}
    httpx.post(
        f"{limited.url}/v1/events", json=event, headers={"Authorization": f"Bearer {key}"}, verify=False
    ).raise_for_status()
    return key


@pytest.fixture
def guards() -> Iterator[Any]:
    """Creates guards that poll often and have polled once, and closes them."""
    created: list[AllowanceGuard] = []

    def create(url: str, key: str, clock: ManualClock | None = None, **options: Any) -> AllowanceGuard:
        timing = PollTiming(poll_seconds=0.05, monotonic=(clock or ManualClock()).monotonic)
        guard = AllowanceGuard(url, key, _timing=timing, **options)
        created.append(guard)
        eventually(lambda: guard._read_at > -inf or guard.stats.last_error)
        return guard

    yield create
    for guard in created:
        guard.close()


@EVERY
def test_responses_have_the_credits_left(limited: Server, meter: Meter, guards: Any, api: Api) -> None:
    guard = guards(limited.url, limited.key)
    with served(api, meter, guard=guard) as url:
        answer = httpx.get(f"{url}/crm/v8/Leads/5", verify=False)

    assert answer.status_code == 200
    assert answer.headers["X-API-CREDITS-REMAINING"] == "750"
    assert answer.headers["RateLimit-Policy"] == '"credits";q=1000;w=86400;meterboard-unit="credits"'
    assert answer.headers["RateLimit"] == '"credits";r=750;meterboard-unit="credits"'
    assert guard.stats.checked == 1
    assert guard.stats.refused == guard.stats.unchecked == 0


@EVERY
def test_calls_are_refused_when_nothing_is_left(
    limited: Server, meterboard: Server, meter: Meter, guards: Any, spent: str, api: Api
) -> None:
    guard = guards(limited.url, spent, refuse=True)
    name = f"refused {api.__name__}"
    with served(api, meter, guard=guard, application=lambda _: name) as url:
        answer = httpx.get(f"{url}/crm/v8/Leads/5", verify=False)

    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert answer.json()["violated-policies"] == ["credits"]
    assert "All 10 credits of the last 24 hours are used." in answer.json()["detail"]
    seconds = int(answer.headers["Retry-After"])
    assert 4 * 3600 - 60 <= seconds <= 5 * 3600 + 60  # the use of 20 hours ago, to the end of its hour
    assert answer.headers["RateLimit"] == f'"credits";r=0;t={seconds};meterboard-unit="credits"'
    assert answer.headers["X-API-CREDITS-REMAINING"] == "0"
    assert guard.stats.refused == 1

    assert meter.flush()
    (row,) = meterboard.get(
        "/v1/statistics/table", params={"columns": "status,module", "application": name}
    ).json()["rows"]
    assert (row["status"], row["module"], row["calls"], row["credits"]) == ("429", "Leads", 1, 0)


def test_calls_are_only_refused_when_asked_to(limited: Server, meter: Meter, guards: Any, spent: str) -> None:
    with served(apis.fastapi, meter, guard=guards(limited.url, spent)) as url:
        answer = httpx.get(f"{url}/crm/v8/Leads/5", verify=False)

    assert answer.status_code == 200
    assert answer.headers["X-API-CREDITS-REMAINING"] == "0"
    assert ";r=0;t=" in answer.headers["RateLimit"]


def test_an_unlimited_allowance_adds_no_headers(limited: Server, meter: Meter, guards: Any) -> None:
    guard = guards(limited.url, another(limited, "unlimited"))
    with served(apis.fastapi, meter, guard=guard) as url:
        answer = httpx.get(f"{url}/crm/v8/Leads/5", verify=False)

    assert answer.status_code == 200
    assert not [name for name in answer.headers if "ratelimit" in name or "credits" in name]
    assert guard.stats.unchecked == 0


def test_the_headers_follow_the_credits_used(limited: Server, guards: Any) -> None:
    key = another(limited, "followed", "--allowance", "100")
    guard = guards(limited.url, key)
    headers = {"Authorization": f"Bearer {key}"}
    httpx.post(
        f"{limited.url}/v1/events", json={"credits": 40}, headers=headers, verify=False
    ).raise_for_status()

    eventually(lambda: guard.check().headers[0] == ("X-API-CREDITS-REMAINING", "60"))


def test_meterboard_is_polled_in_the_background_and_never_by_a_call(limited: Server) -> None:
    proxy = Proxy(limited.port)
    guard = AllowanceGuard(proxy.url, limited.key, _timing=PollTiming(poll_seconds=3_600))
    eventually(lambda: guard._read_at > -inf)
    before = proxy.requests
    for _ in range(10_000):
        guard.check()

    assert proxy.requests == before
    guard.close()
    proxy.close()


@pytest.mark.parametrize("mode", ["refuse", "stall"])
def test_calls_are_accepted_unchecked_while_meterboard_is_away(
    limited: Server, meter: Meter, guards: Any, spent: str, caplog: pytest.LogCaptureFixture, mode: Any
) -> None:
    proxy, clock = Proxy(limited.port), ManualClock()
    guard = guards(proxy.url, spent, clock, refuse=True, timeout=0.2)
    with served(apis.fastapi, meter, guard=guard) as url:
        assert httpx.get(f"{url}/crm/v8/Leads/5", verify=False).status_code == 429

        proxy.mode = mode
        eventually(lambda: guard.stats.last_error)
        assert httpx.get(f"{url}/crm/v8/Leads/5", verify=False).status_code == 429  # it is not a second old
        clock.seconds += 1.1
        assert httpx.get(f"{url}/crm/v8/Leads/5", verify=False).status_code == 200
        assert (guard.stats.checked, guard.stats.refused, guard.stats.unchecked) == (2, 2, 1)
        assert "so calls are accepted unchecked" in caplog.text

        proxy.mode = "pass"
        eventually(lambda: guard.stats.last_error is None)
        assert httpx.get(f"{url}/crm/v8/Leads/5", verify=False).status_code == 429
    proxy.close()


def test_a_key_that_may_not_read_is_an_error_and_refuses_no_call(limited: Server, guards: Any) -> None:
    key = command_here("key", "create", "acme", "--scope", "ingest", data=limited.data).stdout.strip()
    guard = guards(limited.url, key, refuse=True)

    assert guard.check() is None
    assert "403" in guard.stats.last_error
    assert guard.stats.unchecked == 1


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_polls_too(limited: Server, guards: Any) -> None:
    guard = guards(limited.url, limited.key)
    guard.check()

    def child() -> None:
        assert guard.stats.checked == 0
        eventually(guard.check)
        assert os.getppid()

    assert fork(child) == 0
    eventually(guard.check)


def test_an_invalid_url_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="url is 'usage'"):
        AllowanceGuard("usage", "key")
