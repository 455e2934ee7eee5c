"""One Meterboard for all tests of the client; each test counts from where it began."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meterboard.client import Meter, Stats
from meterboard.client.timing import Timing
from tests.client.proxy import Proxy
from tests.server import Server

IMPATIENT = Timing(max_retry_seconds=0.05, refused_retry_seconds=0.1)
"""Waits between retries that are short enough for a test."""


class ManualClock:
    """A wall clock and a monotonic one: the first is ahead by `seconds`, the second shows them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def time_ns(self) -> int:
        return time.time_ns() + int(self.seconds * 1e9)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture(scope="session")
def meterboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that stays up."""
    running = Server(tmp_path_factory.mktemp("meterboard") / "data").prepare().start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def meter(meterboard: Server, spool: Path) -> Iterator[Meter]:
    with Meter(meterboard.url, meterboard.key, spool=spool) as running:
        yield running


@pytest.fixture
def proxy(meterboard: Server) -> Iterator[Proxy]:
    """The way to Meterboard, which can be cut."""
    way = Proxy(meterboard.port)
    yield way
    way.close()


def counted(server: Server, application: str) -> int:
    """The calls of an application, as Meterboard's statistics have them."""
    answer = server.get("/v1/statistics/summary", params={"application": application})
    return int(answer.json()["calls"])


def adds_up(stats: Stats) -> bool:
    """Is every event accounted for?"""
    gone = stats.sent + stats.duplicates + stats.rejected + stats.dropped
    return stats.recorded + stats.recovered == gone + stats.spooled + stats.in_memory
