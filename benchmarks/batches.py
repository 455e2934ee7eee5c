"""
Batches of 1,000 events over HTTP, priced, deduplicated and durable, against the same work without HTTP.

    python -m benchmarks.batches
"""

import asyncio
import multiprocessing
import os
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import msgspec

from benchmarks.server import request, running, send_all
from meterboard.domain.access import ApiKey
from meterboard.domain.event import UsageEvent
from meterboard.formats.json_events import read_events
from meterboard.services import Accounts, Services
from meterboard.settings import Settings

BATCHES = 1_000
EVENTS = 1_000
CONNECTIONS = 8


def bodies(count: int) -> list[bytes]:
    """Batches as an API would send them: every event with an id of its own."""
    chance = Random(7)
    return [msgspec.json.encode([_event(chance) for _ in range(EVENTS)]) for _ in range(count)]


def _event(chance: Random) -> UsageEvent:
    """A call by one of 500 people, each with an application and two addresses: some 12,000 combinations."""
    person = chance.randrange(500)
    return UsageEvent(
        id=os.urandom(16).hex(),
        application=f"app {person % 12}",
        user=f"user{person}@acme.example",
        ip=f"10.0.{person % 2 + chance.randrange(2)}.{person % 250}",
        version="v8",
        module=chance.choice(("Leads", "Contacts", "Deals", "Accounts")),
        method=chance.choice(("records.get", "records.create", "records.update")),
        status=200,
    )


def without_http(folder: Path, sent: list[bytes]) -> float:
    """Decode, price and store in a loop; events a second."""
    services = Services(folder, Settings())
    acme = services.accounts.organizations.create(
        "acme", allowance=None, time_zone="UTC", schedule="one-per-call"
    )
    key = ApiKey(acme, "all")
    started = time.perf_counter()
    for body in sent:
        batch = services.ingest.price(key, read_events(body, ndjson=False)).batch
        services.store.append(batch, received_at=services.clock.now())
    rate = len(sent) * EVENTS / (time.perf_counter() - started)
    services.close()
    return rate


def over_http(folder: Path, sent: list[bytes]) -> float:
    """The same over HTTP from another process; events a second."""
    accounts = Accounts(folder)
    acme = accounts.organizations.create("acme", allowance=None, time_zone="UTC", schedule="one-per-call")
    key = accounts.keys.create(acme, name="load", scope="ingest")
    accounts.close()
    with running(folder) as (_, port, _pid):
        wires = [request(key, body) for body in sent]
        started = time.perf_counter()
        client = multiprocessing.Process(target=_client, args=(port, wires))
        client.start()
        client.join()
        assert client.exitcode == 0
        return len(sent) * EVENTS / (time.perf_counter() - started)


def _client(port: int, wires: list[bytes]) -> None:
    asyncio.run(send_all(port, iter(wires), CONNECTIONS))


def main() -> None:
    sent = bodies(BATCHES)
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        alone = without_http(Path(one), sent)
        http = over_http(Path(two), sent)
    print(f"{BATCHES:,} batches of {EVENTS:,} events, {len(sent[0]):,} bytes each, {CONNECTIONS} connections")
    print(f"without HTTP  {alone:>10,.0f} events/s")
    print(f"over HTTP     {http:>10,.0f} events/s   {http / alone:.0%} of it (promised: 60 %)")


if __name__ == "__main__":
    main()
