"""One Meterboard for all tests of the client; each test counts from where it began."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from meterboard.client import Meter, Stats
from tests.client.proxy import Proxy
from tests.server import Server


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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between tries that a test can wait for."""
    monkeypatch.setattr("meterboard.client.backoff.MOST_SECONDS", 0.05)
    monkeypatch.setattr("meterboard.client.backoff.SLOW_SECONDS", 0.1)


def eventually(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until a condition holds."""
    give_up = monotonic() + seconds
    while not condition():
        assert monotonic() < give_up, "it never came to hold"
        threading.Event().wait(0.01)


def counted(server: Server, application: str) -> int:
    """The calls of an application, as Meterboard's statistics have them."""
    answer = server.get("/v1/statistics/summary", params={"application": application})
    return int(answer.json()["calls"])


def adds_up(stats: Stats) -> bool:
    """Is every event accounted for?"""
    gone = stats.sent + stats.duplicates + stats.rejected + stats.dropped
    return stats.recorded + stats.adopted == gone + stats.spooled + stats.in_memory
