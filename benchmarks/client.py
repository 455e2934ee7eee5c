"""
What counting costs the API that is counted: the time of `record`, and the requests/s of a trivial FastAPI application
with and without the middleware, against a real Meterboard.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.server import free_port, running, wait_for
from meterboard.client import Meter
from meterboard.services import Services
from meterboard.settings import Settings

CALLS = 100_000
PAIRS = 10
ROUNDS = 5
ROUND_SECONDS = 0.5
CONNECTIONS = 16
GET = b"GET /crm/v8/Leads/123 HTTP/1.1\r\nHost: localhost\r\n\r\n"

ELSEWHERE = """
import asyncio
import sys

async def acknowledge(reader, writer):
    while True:
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\\r\\n")[0])
        events = (await reader.readexactly(length)).count(b'{"id":')
        answer = b'{"accepted":%d,"duplicates":0,"rejected":[]}' % events
        writer.write(b"HTTP/1.1 202 Accepted\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(answer) + answer)

async def main():
    server = await asyncio.start_server(acknowledge, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""
"""
Stands in for a Meterboard on another machine, which takes nothing of this one's processors: it acknowledges events, and
that is all.
"""

API = """
import sys
import uvicorn
from fastapi import FastAPI
from meterboard.client import Meter
from meterboard.client.middleware.asgi import MeterMiddleware

port, url, key, spool = sys.argv[1:]
app = FastAPI()

@app.get("/crm/v8/Leads/{id}")
async def lead(id: int):
    return {"id": id}

if url:
    meter = Meter(url, key, spool=spool)
    app.add_middleware(MeterMiddleware, meter=meter)
uvicorn.run(app, port=int(port), log_config=None, access_log=False, lifespan="off")
if url:
    meter.close()
    print(meter.stats)
"""


def recording(url: str, key: str) -> str:
    """Microseconds that `record` takes, in a loop that does nothing else."""
    took = []
    with TemporaryDirectory() as spool, Meter(url, key, spool=spool) as meter:
        for _ in range(CALLS):
            began = time.perf_counter_ns()
            meter.record(
                application="Sales desk", user="maria@acme.example", ip="203.0.113.7", version="v8",
                module="Leads", method="records.get", status=200,
            )  # fmt: skip
            took.append(time.perf_counter_ns() - began)
        assert meter.stats.dropped == meter.stats.invalid == 0
    took.sort()
    p50, p99, worst = (took[int(CALLS * share)] / 1000 for share in (0.5, 0.99, 0.999))
    return f"p50 {p50:.1f}, p99 {p99:.1f}, p99.9 {worst:.1f} µs (promised: p99 under 20)"


class Api(NamedTuple):
    """A running application."""

    port: int
    process: int

    def cpu_seconds(self) -> float:
        """What it has used of the processor, threads included."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def elsewhere() -> Iterator[str]:
    """The address of what acknowledges events at no cost."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", ELSEWHERE, str(port)], stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def api(url: str, key: str, spool: str) -> Iterator[Api]:
    """A trivial FastAPI application behind uvicorn; counted when `url` is given."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", API, str(port), url, key, spool], env=dict(os.environ))
    try:
        wait_for(port)
        yield Api(port, process.pid)
    finally:
        process.terminate()
        process.wait()


class Caller(asyncio.Protocol):
    """Asks again as soon as it is answered. Made of as little as possible: the application is to be the one at work."""

    def __init__(self) -> None:
        self.answered = 0
        self._received = 0
        self._length = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(GET)

    def data_received(self, data: bytes) -> None:
        if (
            not self._received
        ):  # answers are short, and all alike: the first of each piece says how long it is
            assert data.startswith(b"HTTP/1.1 200"), data
            head, _, _ = data.partition(b"\r\n\r\n")
            self._length = (
                len(head) + 4 + int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
            )
        self._received += len(data)
        if self._received == self._length:
            self._received = 0
            self.answered += 1
            self._transport.write(GET)


async def load(port: int, seconds: float) -> tuple[int, float]:
    """Ask over kept connections for so long: answers, and seconds that it took."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    made = [await loop.create_connection(Caller, "127.0.0.1", port) for _ in range(CONNECTIONS)]
    await asyncio.sleep(seconds)
    answered = sum(caller.answered for _, caller in made)
    took = time.perf_counter() - began
    for transport, _ in made:
        transport.close()
    return answered, took


def measured(served: Api) -> tuple[float, float]:
    """Requests a second, and requests for each second of processor time that the application used."""
    before = served.cpu_seconds()
    answered, seconds = asyncio.run(load(served.port, ROUND_SECONDS))
    return answered / seconds, answered / (served.cpu_seconds() - before)


def overhead(url: str, key: str, pairs: int) -> Iterator[str]:
    """
    The applications in turns, so that a change of the machine's speed meets all alike.

    Two processes of the very same program differ by a few percent as long as they live: hence several of each.
    """
    rounds: list[list[tuple[float, float]]] = []
    with elsewhere() as other_machine, TemporaryDirectory() as folder:
        for pair in range(pairs):
            far, near = (str(Path(folder, f"{name}-{pair}")) for name in ("far", "near"))
            with api("", "", "") as plain, api(other_machine, key, far) as there, api(url, key, near) as here:
                for served in (plain, there, here):
                    measured(served)
                rounds += [[measured(served) for served in (plain, there, here)] for _ in range(ROUNDS)]
    yield f"{median(plain[0] for plain, _, _ in rounds):,.0f} requests/s uncounted"
    for where, which in ("on another machine", 1), ("on this one too", 2):
        rate, used = (median(row[which][kind] / row[0][kind] for row in rounds) for kind in (0, 1))
        yield f"counted, Meterboard {where}: {rate:.3f} of it; by processor time of the application {used:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pairs",
        type=int,
        default=PAIRS,
        help="of applications: each is one not counted, and one counted there and here",
    )
    pairs = parser.parse_args().pairs
    with TemporaryDirectory() as folder:
        services = Services(Path(folder), Settings())
        acme = services.accounts.organizations.create(
            "acme", allowance=None, time_zone="UTC", schedule="one-per-call"
        )
        key = services.accounts.keys.create(acme, name="load", scope="all")
        services.close()
        # It must not keep those waiting who ask the application.
        with running(Path(folder), nice=19) as (host, port, _):
            url = f"http://{host}:{port}"
            print(f"    record, Meterboard there: {recording(url, key)}")
            print(f"    record, Meterboard away:  {recording('http://127.0.0.1:9', key)}")
            for line in overhead(url, key, pairs):
                print(f"    FastAPI behind uvicorn:   {line}")
            print("    (promised: at least 0.95 by the middleware itself, which is the first of the two)")


if __name__ == "__main__":
    main()
