"""
What counting costs the API that is counted: the time of `record`, and the requests/s of a trivial FastAPI application
with and without the middleware, against a real Meterboard.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.server import running, wait_for
from meterboard.client import Meter
from meterboard.services import Services
from meterboard.settings import Settings

CALLS = 100_000
ROUNDS = 12
ROUND_SECONDS = 1.0
CONNECTIONS = 16
GET = b"GET /crm/v8/Leads/123 HTTP/1.1\r\nHost: localhost\r\n\r\n"

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
        assert meter.stats.dropped == meter.stats.mistakes == 0
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
def api(url: str, key: str, spool: str) -> Iterator[Api]:
    """A trivial FastAPI application behind uvicorn; counted when `url` is given."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", API, str(port), url, key, spool], env=dict(os.environ))
    try:
        wait_for(port)
        yield Api(port, process.pid)
    finally:
        process.terminate()
        process.wait()


async def load(port: int, seconds: float) -> tuple[int, float]:
    """Ask over kept connections for so long: answers, and seconds that it took."""
    answered = 0
    until = time.perf_counter() + seconds

    async def one() -> None:
        nonlocal answered
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            writer.write(GET)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            await reader.readexactly(int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]))
            answered += 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return answered, time.perf_counter() - began


def measured(served: Api) -> tuple[float, float]:
    """Requests a second, and requests for each second of processor time that the application used."""
    before = served.cpu_seconds()
    answered, seconds = asyncio.run(load(served.port, ROUND_SECONDS))
    return answered / seconds, answered / (served.cpu_seconds() - before)


def overhead(url: str, key: str, rounds: int) -> str:
    """Both applications in turns, so that a change of the machine's speed meets both alike."""
    with TemporaryDirectory() as spool, api("", "", "") as plain, api(url, key, spool) as counted:
        for served in (plain, counted):
            measured(served)
        pairs = [(measured(plain), measured(counted)) for _ in range(rounds)]
    rates, used = ([(with_[kind], without[kind]) for without, with_ in pairs] for kind in (0, 1))
    return (
        f"{median(w for w, _ in rates):,.0f} requests/s counted, {median(p for _, p in rates):,.0f} not: ratio "
        f"{median(w / p for w, p in rates):.3f} (promised: at least 0.95); by processor time of the application alone "
        f"{median(w / p for w, p in used):.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    with TemporaryDirectory() as folder:
        services = Services(Path(folder), Settings())
        acme = services.accounts.organizations.create(
            "acme", allowance=None, time_zone="UTC", schedule="one-per-call"
        )
        key = services.accounts.keys.create(acme, name="load", scope="all")
        services.close()
        with running(Path(folder)) as (host, port, _):
            url = f"http://{host}:{port}"
            print(f"    record, Meterboard there: {recording(url, key)}")
            print(f"    record, Meterboard away:  {recording('http://127.0.0.1:9', key)}")
            print(f"    FastAPI behind uvicorn:   {overhead(url, key, rounds)}")


if __name__ == "__main__":
    main()
