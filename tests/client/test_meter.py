"""Recording calls: what arrives, what is refused, and that the caller never notices."""

import asyncio
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from meterboard.client import AsyncMeter, Meter
from tests.client.conftest import adds_up, counted
from tests.server import Server, command_here
from tests.waiting import eventually

OUTSIDE_PYTHON = ("duckdb", "litestar", "msgspec", "granian", "sqlalchemy", "httpx", "jinja2", "click")


def test_importing_the_client_imports_nothing_of_the_server() -> None:
    program = (
        "import sys, meterboard.client, meterboard.client.middleware.asgi, meterboard.client.middleware.wsgi\n"
        "ours = {name.split('.')[1] for name in sys.modules if name.startswith('meterboard.')}\n"
        f"print(sorted(ours), sorted(set({OUTSIDE_PYTHON}) & set(sys.modules)))"
    )

    said = subprocess.check_output([sys.executable, "-c", program], text=True)

    assert said.strip() == "['client'] []"


def test_a_recorded_call_arrives_with_all_its_fields(meterboard: Server, meter: Meter) -> None:
    meter.record(
        application="all fields", function="f", user="maria@acme.example", ip="203.0.113.7", version="v8",
        module="Leads", method="records.get", records=3, credits=7, status=HTTPStatus.OK,
    )  # fmt: skip

    assert meter.flush()
    row = meterboard.get(
        "/v1/statistics/table",
        params={
            "columns": "application,function,user,ip,version,module,method,status",
            "application": "all fields",
        },
    ).json()["rows"][0]
    assert row == {
        "application": "all fields",
        "function": "f",
        "user": "maria@acme.example",
        "ip": "203.0.113.7",
        "version": "v8",
        "module": "Leads",
        "method": "records.get",
        "status": "200",
        "calls": 1,
        "credits": 7,
        "integration_tasks": 1,
    }


def test_a_request_is_classified_by_the_schedule(meterboard: Server, meter: Meter) -> None:
    meter.record(application="by request", request={"method": "GET", "path": "/crm/v8/Leads/123"})

    assert meter.flush()
    answer = meterboard.get(
        "/v1/statistics/table", params={"columns": "module,method,version", "application": "by request"}
    )
    (row,) = answer.json()["rows"]
    assert (row["version"], row["module"], row["method"]) == ("v8", "Leads", "get")


def test_calls_arrive_without_a_flush(meterboard: Server, meter: Meter) -> None:
    meter.record(application="no flush")

    eventually(lambda: counted(meterboard, "no flush") == 1)
    eventually(lambda: meter.stats.sent == 1)


def test_any_text_arrives_as_it_is(meterboard: Server, meter: Meter) -> None:
    texts = ['quote " and \\', "line\nbreak\ttab", "Ünïcödé 🧮", "اسم", "x" * 10_000]
    for text in texts:
        meter.record(application="any text", user=text)

    assert meter.flush()
    rows = meterboard.get(
        "/v1/statistics/breakdown", params={"by": "user", "application": "any text"}
    ).json()["rows"]
    assert {row["name"] for row in rows} == set(texts)


def test_a_time_may_be_given(meterboard: Server, meter: Meter) -> None:
    two_hours_ago = datetime.now(timezone(timedelta(hours=5, minutes=30))) - timedelta(hours=2)
    meter.record(application="earlier", time=two_hours_ago)

    assert meter.flush()
    points = meterboard.get("/v1/statistics/series", params={"application": "earlier"}).json()["points"]
    (hour,) = [point["start"] for point in points if point["calls"]]
    assert datetime.fromisoformat(hour) <= two_hours_ago < datetime.fromisoformat(hour) + timedelta(hours=1)


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        ({"usr": "maria"}, "unknown field 'usr'"),
        ({"user": 5}, "user is '5': expected a string"),
        ({"status": 99}, "status is '99': expected an integer from 100 to 599"),
        ({"status": "200"}, "expected an integer"),
        ({"records": -1}, "records is '-1'"),
        ({"credits": True}, "credits is 'True'"),
        ({"id": ""}, "id is '': expected a string of 1 to 128 characters"),
        ({"time": datetime(2026, 1, 1)}, "expected a datetime with a time zone"),  # noqa: DTZ001
        ({"request": {"path": "/"}}, "request is"),
        ({"request": {"method": "GET", "path": 5}}, "request.path is '5'"),
        ({"request": {"method": "", "path": "/"}}, "request.method is ''"),
    ],
)
def test_an_invalid_event_is_counted_and_logged_but_never_raised(
    meter: Meter, caplog: pytest.LogCaptureFixture, invalid: dict[str, Any], message: str
) -> None:
    meter.record(**invalid)

    assert meter.stats.invalid == 1
    assert meter.stats.recorded == 0
    assert message in caplog.text


def test_a_positional_argument_is_invalid(meter: Meter) -> None:
    meter.record("Sales desk")  # type: ignore[arg-type]

    assert meter.stats.invalid == 1


def test_a_value_that_fails_when_it_is_looked_at_does_not_fail_the_caller(
    meter: Meter, caplog: pytest.LogCaptureFixture
) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no text of mine")

    meter.record(user=Hostile())  # type: ignore[arg-type]

    assert meter.stats.invalid == 1
    assert "no text of mine" in caplog.text


def test_what_meterboard_rejects_is_counted_logged_and_not_sent_again(
    meterboard: Server, meter: Meter, caplog: pytest.LogCaptureFixture
) -> None:
    meter.record(application="rejected", ip="10.0.0.300")
    meter.record(application="rejected", ip="10.0.0.30")

    assert meter.flush()
    assert counted(meterboard, "rejected") == 1
    stats = meter.stats
    assert (stats.sent, stats.rejected, stats.spooled) == (1, 1, 0)
    assert 'ip is "10.0.0.300"' in caplog.text
    assert adds_up(stats)


def test_an_id_of_ones_own_counts_once(meterboard: Server, meter: Meter) -> None:
    for _ in range(5):
        meter.record(id="order 17", application="own id")

    assert meter.flush()
    assert counted(meterboard, "own id") == 1
    assert (meter.stats.sent, meter.stats.duplicates) == (1, 4)


def test_many_threads_lose_nothing(meterboard: Server, meter: Meter) -> None:
    def calls(thread: int) -> None:
        for _ in range(2_000):
            meter.record(application="threads", user=f"thread {thread}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(calls, range(8)))

    assert meter.flush(30)
    assert counted(meterboard, "threads") == 16_000
    assert meter.stats.sent == meter.stats.recorded == 16_000


def test_recording_inside_a_recording_does_not_wait_for_itself(meterboard: Server, meter: Meter) -> None:
    """As a signal handler does that interrupts a writer."""
    journal = meter._journal
    assert journal._lock.acquire(timeout=10)
    meter.record(application="inside")
    journal._lock.release()
    meter.record(application="inside")

    assert meter.flush()
    assert counted(meterboard, "inside") == 2


def test_closing_sends_what_is_left(meterboard: Server, spool: Path) -> None:
    with Meter(meterboard.url, meterboard.key, spool=spool) as meter:
        meter.record(application="closing")

    assert counted(meterboard, "closing") == 1
    assert list(spool.iterdir()) == []


def test_the_end_of_the_program_sends_what_is_left(meterboard: Server, spool: Path) -> None:
    program = (
        "import sys\nfrom meterboard.client import Meter\n"
        "meter = Meter(sys.argv[1], sys.argv[2], spool=sys.argv[3])\nmeter.record(application='at exit')\n"
    )
    subprocess.run([sys.executable, "-c", program, meterboard.url, meterboard.key, str(spool)], check=True)

    assert counted(meterboard, "at exit") == 1


def test_what_is_recorded_after_closing_is_dropped_and_counted(
    meter: Meter, caplog: pytest.LogCaptureFixture
) -> None:
    meter.close()
    meter.close()
    meter.record(application="too late")

    meter.record(application="too late")

    assert (meter.stats.recorded, meter.stats.dropped) == (2, 2)
    assert caplog.text.count("recorded after the meter was closed. They are dropped") == 1


def test_the_asynchronous_meter(meterboard: Server, spool: Path) -> None:
    async def program() -> int:
        async with AsyncMeter(meterboard.url, meterboard.key, spool=spool) as meter:
            meter.record(application="asynchronous")
            assert await meter.flush()
            meter.record(application="asynchronous")
        return meter.stats.sent

    with ThreadPoolExecutor(1) as pool:  # this thread may have the browser's loop running
        assert pool.submit(asyncio.run, program()).result() == 2
    assert counted(meterboard, "asynchronous") == 2


def test_a_provider_wide_key_names_the_organisation_in_each_event(meterboard: Server, meter: Meter) -> None:
    meter.record(organization="acme", application="named")
    meter.record(organization="globex", application="named")

    assert meter.flush()
    assert (meter.stats.sent, meter.stats.rejected) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "usage.example.com"}, "url is 'usage.example.com'"),
        ({"url": "ftp://usage.example.com"}, "expected a URL"),
        ({"key": ""}, "key is not valid"),
        ({"key": "two words"}, "key is not valid"),
        ({"spool_bytes": 1}, "spool_bytes is 1: use at least 4,000,000"),
    ],
)
def test_an_argument_that_can_not_be_right_fails_at_once(
    spool: Path, changes: dict[str, Any], said: str
) -> None:
    arguments: dict[str, Any] = {"url": "http://127.0.0.1:1", "key": "key", "spool": spool}
    with pytest.raises(ValueError, match=said):
        Meter(**(arguments | changes))


def test_the_default_spool_is_the_users_own_for_this_server_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meterboard: Server
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with Meter(meterboard.url, meterboard.key), Meter(meterboard.url, meterboard.key + "x"):
        folders = list((tmp_path / "meterboard").iterdir())

        assert len(folders) == 2
        assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


def test_an_address_may_have_a_path_before_it(meterboard: Server, spool: Path) -> None:
    with Meter(f"{meterboard.url}/not/there", meterboard.key, spool=spool) as meter:
        meter.record()
        eventually(lambda: meter.stats.last_error)

        assert "404" in (meter.stats.last_error or "")
        assert meter.stats.spooled == 1


def test_keys_that_may_only_read_keep_the_events(
    meterboard: Server, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = command_here("key", "create", "acme", "--scope", "read", data=meterboard.data).stdout.strip()
    caplog.set_level(logging.WARNING)
    with Meter(meterboard.url, key, spool=spool) as meter:
        meter.record(application="forbidden")
        eventually(lambda: meter.stats.last_error)
        assert "403" in (meter.stats.last_error or "")
        assert meter.stats.spooled == 1
    assert caplog.text.count("Meterboard refused: 403") == 1

    with Meter(meterboard.url, meterboard.key, spool=spool) as meter:
        eventually(lambda: meter.stats.recovered == meter.stats.sent == 1)
    assert counted(meterboard, "forbidden") == 1
