"""Reads take turns, each organisation has its share, and one whose caller has left is ended."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from threading import Event
from typing import Any

import duckdb
import httpx
import pytest

from meterboard.app import asgi
from meterboard.domain.organization import Organization
from meterboard.errors import Overloaded
from meterboard.service.reads import (
    MAX_RUNNING,
    MAX_RUNNING_PER_ORGANIZATION,
    MAX_WAITING_PER_ORGANIZATION,
    Reads,
)
from meterboard.services import Services
from meterboard.usage.store import Snapshot
from tests.waiting import eventually_in_loop

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")

FOR_EVER = "select sum(hash(i)) from range(1000000000000) as numbers(i)"


def run(work: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: the browser's event loop may be running in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, asyncio.wait_for(work, 60)).result()


@asynccontextmanager
async def held(reads: Reads, organization: int, count: int) -> AsyncIterator[None]:
    """So many reads of an organisation that end when the block does; they run or wait when it begins."""
    end = Event()
    tasks = [asyncio.create_task(reads.run(organization, end.wait)) for _ in range(count)]
    try:
        await eventually_in_loop(lambda: reads.running + reads.waiting >= count)
        yield
    finally:
        end.set()
        await asyncio.gather(*tasks)


def client(services: Services) -> httpx.AsyncClient:
    app: Any = asgi(services)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://meterboard")


def test_reads_of_one_organization_keep_no_other_from_reading_or_sending(
    services: Services, acme: Organization, globex: Organization
) -> None:
    key = services.accounts.keys.create(globex, name="test", scope="all")
    own = services.accounts.keys.create(acme, name="test", scope="all")

    async def main() -> None:
        most = MAX_RUNNING_PER_ORGANIZATION + MAX_WAITING_PER_ORGANIZATION
        async with client(services) as web, held(services.reads, acme.id, most):
            assert services.reads.running == MAX_RUNNING_PER_ORGANIZATION < MAX_RUNNING
            headers = {"Authorization": f"Bearer {key}"}
            sent = await web.post("/v1/events", json={"module": "Leads"}, headers=headers)
            read = await web.get("/v1/credits", headers=headers)
            refused = await web.get("/v1/statistics/summary", headers={"Authorization": f"Bearer {own}"})
            assert (sent.status_code, read.status_code, read.json()["calls"]) == (202, 200, 1)
            assert refused.status_code == 503
            assert refused.headers["content-type"] == "application/problem+json"
            assert int(refused.headers["retry-after"]) > 0
        assert (services.reads.running, services.reads.waiting) == (0, 0)

    run(main())


def test_organizations_take_turns() -> None:
    order: list[int] = []

    async def main() -> None:
        reads = Reads(lambda thread: None)
        async with held(reads, 1, MAX_RUNNING - 1):
            async with held(reads, 2, 1):
                tasks = [
                    asyncio.create_task(reads.run(own, partial(order.append, own)))
                    for own in (3, 3, 3, 4, 4, 4, 5)
                ]
                await eventually_in_loop(lambda: reads.waiting == len(tasks))
            await asyncio.gather(*tasks)  # one after the other, in the thread that is free
        reads.close()

    run(main())
    assert order == [3, 4, 5, 3, 4, 3, 4]


def test_a_read_that_waits_is_dropped_when_its_caller_leaves() -> None:
    done: list[str] = []

    async def main() -> None:
        reads = Reads(lambda thread: None)
        async with held(reads, 1, MAX_RUNNING_PER_ORGANIZATION):
            waiting = asyncio.create_task(reads.run(1, lambda: done.append("unwanted")))
            await eventually_in_loop(lambda: reads.waiting == 1)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
            assert reads.waiting == 0
        await reads.run(1, lambda: done.append("wanted"))
        reads.close()

    run(main())
    assert done == ["wanted"]


def test_a_read_that_runs_is_interrupted_when_its_caller_leaves_and_disturbs_no_other(
    services: Services, acme: Organization, globex: Organization
) -> None:
    ended: list[Exception] = []
    begun = Event()

    def endless() -> None:
        with services.store.snapshot() as snapshot:
            begun.set()
            try:
                statement(snapshot, FOR_EVER)
            except duckdb.InterruptException as error:
                ended.append(error)
                raise

    def heavy() -> object:
        with services.store.snapshot() as snapshot:
            return statement(snapshot, "select count(distinct hash(i)) from range(2000000) as numbers(i)")

    async def main() -> None:
        reads = services.reads
        unwanted = asyncio.create_task(reads.run(acme.id, endless))
        await eventually_in_loop(begun.is_set)
        wanted: Awaitable[object] = asyncio.create_task(reads.run(globex.id, heavy))
        await asyncio.sleep(0)
        unwanted.cancel()
        with pytest.raises(asyncio.CancelledError):
            await unwanted
        assert await wanted == [(2_000_000,)]
        assert (reads.running, len(ended)) == (0, 1)
        credits = await reads.run(acme.id, lambda: services.live_credits.now(acme))
        assert credits.calls == 0

    run(main())


def statement(snapshot: Snapshot, sql: str) -> object:
    """Rows of a statement that takes as long as the test needs, which no question to the store does."""
    return snapshot._rows(sql, [])  # type: ignore[attr-defined]


def test_a_request_ends_its_read_when_its_caller_disconnects(services: Services, acme: Organization) -> None:
    key = services.accounts.keys.create(acme, name="test", scope="all")
    sent: list[dict[str, Any]] = []

    async def main() -> None:
        left = asyncio.Event()
        first = True

        async def receive() -> dict[str, Any]:
            nonlocal first
            if first:
                first = False
                return {"type": "http.request", "body": b"", "more_body": False}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/verify",
            "raw_path": b"/v1/verify",
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {key}".encode())],
            "http_version": "1.1",
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "root_path": "",
        }
        app: Any = asgi(services)
        async with held(services.reads, acme.id, MAX_RUNNING_PER_ORGANIZATION):
            request = asyncio.create_task(app(scope, receive, send))
            await eventually_in_loop(lambda: services.reads.waiting == 1)
            left.set()
            await request
            assert services.reads.waiting == 0
        assert sent == []

    run(main())


def test_the_queue_of_an_organization_is_bounded() -> None:
    async def main() -> None:
        reads = Reads(lambda thread: None)
        async with held(reads, 1, MAX_RUNNING_PER_ORGANIZATION + MAX_WAITING_PER_ORGANIZATION):
            with pytest.raises(Overloaded):
                await reads.run(1, lambda: None)
            await reads.run(2, lambda: None)
        await reads.run(1, lambda: None)
        reads.close()

    run(main())
