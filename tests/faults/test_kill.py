"""The server is killed under load: every acknowledged event is there afterwards, once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Event

import httpx
import pytest

from tests.server import Server, sign_in

CLIENTS = 8
BATCH = 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "data").prepare().start()
    yield running
    running.stop()


def send(server: Server, client: int, acknowledged: list[str], enough: Event) -> None:
    """Send batches until the server is gone; keep the ids of those that were answered."""
    with httpx.Client(headers=server.headers(), timeout=10) as connection:
        for number in count():
            ids = [f"{client}-{number}-{position}" for position in range(BATCH)]
            try:
                answer = connection.post(f"{server.url}/v1/events", json=[{"id": name} for name in ids])
            except httpx.TransportError:
                return
            assert answer.json() == {"accepted": BATCH, "duplicates": 0, "rejected": []}
            acknowledged += ids
            if number >= 15:
                enough.set()


def test_every_acknowledged_event_is_found_once_after_kill_9(server: Server) -> None:
    acknowledged: list[str] = []
    for _ in range(2):
        enough = Event()
        with ThreadPoolExecutor(CLIENTS) as pool:
            first = len(acknowledged)
            clients = [
                pool.submit(send, server, first + client, acknowledged, enough) for client in range(CLIENTS)
            ]
            assert enough.wait(60)
            server.kill()
            for client in clients:
                client.result()
        server.start()
        stored = server.get("/v1/credits").json()["calls"]
        # What was on its way when the server died may be stored without an answer; it is told apart by its id.
        assert len(acknowledged) <= stored <= len(acknowledged) + 2 * CLIENTS * BATCH

    again = [
        server.post(json=[{"id": name} for name in acknowledged[at : at + 1000]]).json()
        for at in range(0, len(acknowledged), 1000)
    ]

    assert sum(answer["duplicates"] for answer in again) == len(acknowledged)
    assert sum(answer["accepted"] for answer in again) == 0
    assert server.get("/v1/statistics/summary").json()["calls"] == stored
    assert server.get("/v1/verify").json()["difference"] == 0


def test_a_restart_needs_no_repair(server: Server) -> None:
    server.post(json=[{"id": "a", "credits": 3}])
    server.kill()
    server.start()

    assert server.get("/v1/credits").json()["used"] == 3
    assert server.post(json=[{"id": "a", "credits": 3}]).json()["duplicates"] == 1


def test_a_polite_stop_leaves_nothing_behind(server: Server) -> None:
    server.post(json=[{"id": "a"}])

    assert server.stop() == 0
    assert not (server.data / "server.json").exists()
    assert not (server.data / "usage.duckdb.wal").exists()


def test_a_live_line_does_not_keep_the_server_from_stopping(server: Server) -> None:
    link = server.sign_in_link()
    with httpx.Client() as browser:
        assert sign_in(browser, link).status_code == 200
        with browser.stream("GET", f"{server.url}/live") as line:
            assert "credits" in next(line.iter_text())
            assert server.stop() == 0
