"""
Requests of a single event: how many a second over 32 connections, and how long each takes with 20 million ids kept.

    python -m benchmarks.singles [--ids 20000000]
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.filling import fill, spread
from benchmarks.server import free_port, request, running, send_all, wait_for
from meterboard.services import Services
from meterboard.settings import Settings

REQUESTS = 30_000
PACED_SECONDS = 10
PACED_RATE = 500


def requests(key: str, count: int) -> Iterator[bytes]:
    """Single events, each with an id of its own."""
    for _ in range(count):
        body = (
            f'{{"id":"{os.urandom(12).hex()}","application":"app","user":"maria@acme.example","module":"Leads",'
            '"method":"records.get","version":"v8","ip":"10.0.0.1","status":200}'
        )
        yield request(key, body.encode())


async def paced(port: int, key: str) -> list[float]:
    """Seconds that each request takes when PACED_RATE arrive a second: latency without a queue of our own making."""
    took: list[float] = []
    wires = list(requests(key, PACED_RATE * PACED_SECONDS))
    started = time.perf_counter()

    async def lane(first: int, lanes: int) -> None:
        for number in range(first, len(wires), lanes):
            await asyncio.sleep(max(0.0, started + number / PACED_RATE - time.perf_counter()))
            took.extend(await send_one(wires[number]))

    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(16)]
    free = asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]()
    for connection in connections:
        free.put_nowait(connection)

    async def send_one(wire: bytes) -> list[float]:
        reader, writer = await free.get()
        began = time.perf_counter()
        writer.write(wire)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]))
        free.put_nowait((reader, writer))
        return [time.perf_counter() - began]

    await asyncio.gather(*(lane(first, 16) for first in range(16)))
    for _, writer in connections:
        writer.close()
    return took


def measure(folder: Path, ids: int) -> tuple[float, tuple[float, float, float], tuple[float, float, float]]:
    """Requests a second at full speed; latency at full speed; latency when paced."""
    services = Services(folder, Settings())
    acme = services.accounts.organizations.create(
        "acme", allowance=None, time_zone="UTC", schedule="one-per-call"
    )
    key = services.accounts.keys.create(acme, name="load", scope="ingest")
    if ids:
        print(f"filled with {fill(services, acme, count=ids):,} ids")
    services.close()
    with running(folder) as (_, port, _pid):
        asyncio.run(send_all(port, requests(key, 2_000), 32))
        started = time.perf_counter()
        took = asyncio.run(send_all(port, requests(key, REQUESTS), 32))
        rate = REQUESTS / (time.perf_counter() - started)
        return rate, spread(took), spread(asyncio.run(paced(port, key)))


def bare() -> float:
    """Requests a second that the machine, the HTTP server and this load generator can do when nothing is stored."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.bare", str(port)])
    try:
        wait_for(port)
        asyncio.run(send_all(port, requests("none", 2_000), 32))
        started = time.perf_counter()
        asyncio.run(send_all(port, requests("none", REQUESTS), 32))
        return REQUESTS / (time.perf_counter() - started)
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", type=int, default=20_000_000)
    ids = parser.parse_args().ids
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        empty = measure(Path(one), 0)
        full = measure(Path(two), ids)
    print(f"   bare HTTP server: {bare():,.0f} requests/s over 32 connections, storing nothing")
    for name, (rate, busy, calm) in (("empty store", empty), (f"{ids:,} ids", full)):
        print(
            f"{name:>16}: {rate:,.0f} requests/s over 32 connections (p50 {busy[0] * 1e3:.1f}, "
            f"p95 {busy[1] * 1e3:.1f} ms); at {PACED_RATE}/s p50 {calm[0] * 1e3:.1f}, p95 {calm[1] * 1e3:.1f}, "
            f"p99 {calm[2] * 1e3:.1f} ms"
        )
    print(
        f"p95 at full speed: {full[1][1] / empty[1][1]:.2f} times that of an empty store (promised: at most 2)"
    )
    print(
        f"p95 when paced:    {full[2][1] / empty[2][1]:.2f} times that of an empty store (promised: at most 2)"
    )


if __name__ == "__main__":
    main()
