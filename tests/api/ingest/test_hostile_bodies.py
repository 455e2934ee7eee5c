"""A few kilobytes that would become gigabytes are refused at once, and another organisation's events do not wait."""

import gzip
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import httpx
import pytest
import zstandard

from meterboard.domain.event import MAX_BODY_BYTES, MAX_TEXT
from tests.server import Server, command_here

MOST_GROWTH = 300_000_000
"""Bytes of the server's memory, with six of the worst at once."""
MOST_SECONDS = 5
"""For another organisation's event meanwhile, on a machine that is busy with other tests; usually 0.05."""

NDJSON, PROTOBUF, JSON = "application/x-ndjson", "application/x-protobuf", "application/json"
BATCH = "application/cloudevents-batch+json"
SPANS = b'{"resourceSpans":[{"scopeSpans":[{"spans":['


def field(number: int, value: bytes) -> bytes:
    """A field of a message in protobuf."""
    size, length = len(value), b""
    while size >= 0x80:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + value


def within(value: bytes, *numbers: int) -> bytes:
    for number in reversed(numbers):
        value = field(number, value)
    return value


def array(item: bytes, size: int) -> bytes:
    return b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"


EVENTS = MAX_BODY_BYTES - 100
TRACES = 20 * 2**20 - 100
ATTACKS: dict[str, tuple[str, str, Callable[[], bytes], int]] = {
    "empty spans in JSON": (
        "/v1/traces",
        JSON,
        lambda: SPANS + array(b"{}", TRACES - 100)[1:] + b"}]}]}",
        413,
    ),
    "empty spans in protobuf": (
        "/v1/traces",
        PROTOBUF,
        lambda: within(b"\x12\x00" * (TRACES // 2 - 50), 1, 2),
        413,
    ),
    "empty groups in protobuf": ("/v1/traces", PROTOBUF, lambda: b"\x0a\x00" * (TRACES // 2), 413),
    "a span of empty attributes": (
        "/v1/traces",
        PROTOBUF,
        lambda: within(b"\x4a\x00" * (TRACES // 2 - 50), 1, 2, 2),
        200,
    ),
    "objects around spans in JSON": (
        "/v1/traces",
        JSON,
        lambda: b'{"resourceSpans":' + array(b'{"a":{"b":[{}]}}', TRACES - 100) + b"}",
        413,
    ),
    "CloudEvents": ("/v1/events", BATCH, lambda: array(b"{}", EVENTS), 413),
    "an array of objects": ("/v1/events", JSON, lambda: array(b"{}", EVENTS), 413),
    "an array of numbers": ("/v1/events", JSON, lambda: array(b"1", EVENTS), 413),
    "an object of objects": ("/v1/events", JSON, lambda: b'{"a":' + array(b"{}", EVENTS - 100) + b"}", 413),
    "an object of objects in a line": (
        "/v1/events",
        NDJSON,
        lambda: b'{"a":' + array(b"{}", EVENTS - 100) + b"}",
        202,
    ),
    "objects in half an array": ("/v1/events", JSON, lambda: b'["' + b'",{"' * (EVENTS // 5), 413),
    "empty lines": ("/v1/events", NDJSON, lambda: b"\n" * EVENTS, 413),
    "empty objects in lines": ("/v1/events", NDJSON, lambda: b"{}\n" * (EVENTS // 3), 413),
    "lines of half an object": ("/v1/events", NDJSON, lambda: b"{\r" * (EVENTS // 2), 413),
    "nothing but zeros": ("/v1/events", JSON, lambda: bytes(100_000_000), 413),
}


def peak(server: Server) -> int:
    """The most memory that the server had, in bytes."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1_024


def neighbour(server: Server) -> Server:
    """Another organisation on the same server."""
    assert not command_here("org", "create", "globex", data=server.data).returncode
    other = Server(server.data)
    other.url = server.url
    other.key = command_here("key", "create", "globex", data=server.data).stdout.strip()
    return other


@pytest.fixture(scope="module")
def globex(server: Server) -> Server:
    return neighbour(server)


def post(server: Server, path: str, body: bytes, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}{path}", content=body, headers=server.headers() | headers, timeout=60, verify=False
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ATTACKS)
def test_memory_is_bounded_and_the_neighbour_is_answered(server: Server, globex: Server, name: str) -> None:
    path, content_type, make, status = ATTACKS[name]
    encoding = "zstd" if name.startswith("nothing") else "gzip"
    body = zstandard.compress(make()) if encoding == "zstd" else gzip.compress(make(), 1)
    before = peak(server)
    headers = {"Content-Type": content_type, "Content-Encoding": encoding}

    at_once = 6 if name in ("empty spans in JSON", "CloudEvents") else 2
    with ThreadPoolExecutor(at_once) as pool:
        attacks = [pool.submit(post, server, path, body, **headers) for _ in range(at_once)]
        slowest = slowest_event(globex, attacks)

    assert {attack.result().status_code for attack in attacks} == {status}
    assert peak(server) - before < MOST_GROWTH
    assert slowest < MOST_SECONDS


def slowest_event(sender: Server, meanwhile: Sequence[Future[httpx.Response]]) -> float:
    """Seconds that the slowest of some single events took, sent until something else is done."""
    slowest = 0.0
    left: set[Future[httpx.Response]] = set(meanwhile)
    while left:
        started = time.monotonic()
        assert sender.post(json={"user": "neighbour"}).status_code == 202
        slowest = max(slowest, time.monotonic() - started)
        left = wait(left, timeout=0.05).not_done
    return slowest


def test_hostile_paths_do_not_hold_up_the_neighbour(server: Server, globex: Server) -> None:
    paths = [f"/crm/v8/Leads?a=%&{'?' * (MAX_TEXT - 50)}", "/a1" * 3_000, "/%41" * 2_000]
    body = json.dumps([{"request": {"method": "GET", "path": path}} for path in paths] * 100).encode()

    with ThreadPoolExecutor(1) as pool:
        attack = pool.submit(
            post, server, "/v1/events", gzip.compress(body, 9), **{"Content-Encoding": "gzip"}
        )
        slowest = slowest_event(globex, [attack])

    assert attack.result().json()["accepted"] == 300
    assert slowest < MOST_SECONDS
