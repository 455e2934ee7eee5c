"""What the client does with each answer that is not the one it hoped for."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from meterboard.client import Meter
from tests.client.conftest import IMPATIENT, ManualClock
from tests.server import free_port
from tests.waiting import eventually


class Answering:
    """A stand-in for what may be between the client and Meterboard. Sends the given answers in order."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.sizes: list[int] = []
        self.at: list[float] = []
        answering = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answering.sizes.append(len(events))
                answering.at.append(answering.clock.monotonic())
                fine: tuple[int, dict[str, str], bytes] = (
                    202,
                    {},
                    json.dumps({"accepted": len(events), "duplicates": 0, "rejected": []}).encode(),
                )
                status, headers, body = answering.answers.pop(0) if answering.answers else fine
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", free_port()), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def answering() -> Iterator[Answering]:
    stand_in = Answering()
    yield stand_in
    stand_in.server.shutdown()
    stand_in.server.server_close()


PROBLEM = {"Content-Type": "application/problem+json"}


def test_retry_after_is_honoured_even_by_a_flush(answering: Answering, spool: Path) -> None:
    clock = answering.clock
    timing = replace(IMPATIENT, sync_seconds=0.01, monotonic=clock.monotonic)
    answering.answers = [(503, {"Retry-After": "100"}, b""), (429, {"Retry-After": "100"}, b"")]
    with Meter(answering.url, "key", spool=spool, _timing=timing) as meter:
        meter.record()

        def is_flushed_a_little_later() -> bool:
            clock.seconds += 5
            return meter.flush(0.01)

        eventually(is_flushed_a_little_later)

    first, second, third = answering.at
    assert second - first >= 100
    assert third - second >= 100


def test_a_batch_that_is_too_large_is_divided(answering: Answering, spool: Path) -> None:
    answering.answers = [(413, {}, b""), (413, {}, b"")]
    with Meter(answering.url, "key", spool=spool, _timing=IMPATIENT) as meter:
        for _ in range(800):
            meter.record()
        assert meter.flush()
        assert meter.stats.sent == 800

    assert max(answering.sizes[2:]) <= answering.sizes[0] * 3 // 4
    assert meter.stats.dropped == 0


def test_an_event_that_is_refused_permanently_is_dropped_alone(
    answering: Answering, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refusal = (400, PROBLEM, b'{"detail": "The body is not JSON."}')
    with Meter(answering.url, "key", spool=spool, _timing=IMPATIENT) as meter:
        answering.answers = [refusal, refusal]
        meter.record()
        meter.record()
        assert meter.flush()

        assert (meter.stats.sent, meter.stats.dropped, meter.stats.spooled) == (1, 1, 0)
    assert "1 usage events were dropped and will not be counted: 400, The body is not JSON." in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"Content-Type": "text/html"}, b"plain HTTP sent to an HTTPS port"),
        (401, PROBLEM, b"{}"),
        (403, PROBLEM, b"{}"),
        (404, {}, b""),
        (302, {"Location": "/login"}, b""),
        (200, {}, b"<html>a page</html>"),
        (202, {}, b'{"accepted": 5}'),
        (500, {}, b""),
        (502, {}, b""),
    ],
)  # fmt: skip
def test_no_other_answer_costs_an_event(
    answering: Answering, spool: Path, answer: tuple[int, dict[str, str], bytes]
) -> None:
    answering.answers = [answer, answer]
    with Meter(answering.url, "key", spool=spool, _timing=IMPATIENT) as meter:
        meter.record()
        assert meter.flush()

    assert len(answering.sizes) == 3
    assert (meter.stats.sent, meter.stats.dropped) == (1, 0)
