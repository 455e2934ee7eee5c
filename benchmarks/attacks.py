"""
Requests that are meant to stop the server, each from one tenant or from somebody without a key.

Each attack is a function of a `Target` that returns what became of its requests. It runs in a process of its own.
"""

import asyncio
import gzip
import json
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SECONDS = 10
"""How long an attack goes on that has no end of its own."""
PATIENCE_SECONDS = 60
"""How long an attack waits for one answer."""


class Target(NamedTuple):
    """The server, and what the attacker holds: keys of an organisation, a provider-wide key and a session."""

    port: int
    key: str
    read_key: str
    provider_key: str
    session: str


Outcome = Counter[str]
"""How many requests ended with each status, or with `closed` or `no answer`."""


async def exchange(port: int, wire: bytes) -> str:
    """Sends one request on a connection of its own; returns the status of the answer."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(wire)
            head = await reader.readuntil(b"\r\n\r\n")
            while await reader.read(1 << 20):
                pass
            return head.split(b" ", 2)[1].decode()
    except TimeoutError:
        return "no answer"
    except (OSError, asyncio.IncompleteReadError):
        return "closed"
    finally:
        if writer is not None:
            writer.close()


def post(path: str, key: str, body: bytes, media_type: str = "application/json", **more: str) -> bytes:
    """A POST as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Authorization: Bearer {key}"]
    lines += [f"Content-Type: {media_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(path: str, key: str) -> bytes:
    """A GET as it goes over the wire."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\r\n"
    ).encode()


async def at_once(target: Target, wires: Iterable[bytes]) -> Outcome:
    """Sends all requests at the same moment."""
    return Counter(await asyncio.gather(*(exchange(target.port, wire) for wire in wires)))


async def repeatedly(target: Target, wire: bytes, connections: int) -> Outcome:
    """Sends the same request for SECONDS, as fast as it is answered."""
    outcome: Outcome = Counter()
    end = time.monotonic() + SECONDS

    async def lane() -> None:
        while time.monotonic() < end:
            outcome[await exchange(target.port, wire)] += 1

    await asyncio.gather(*(lane() for _ in range(connections)))
    return outcome


async def hold(target: Target, beginning: bytes, connections: int, received: int | None = None) -> Outcome:
    """
    Opens connections that send a beginning and then nothing, and keeps them open for SECONDS.

    `received`: how many bytes of answers each may receive before it reads no more.
    """
    writers: list[asyncio.StreamWriter] = []
    outcome: Outcome = Counter()
    for _ in range(connections):
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", target.port), 2)
        except (OSError, TimeoutError):
            outcome["refused"] += 1
            continue
        if received is not None:
            own: socket.socket = writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(beginning)
        writers.append(writer)
        outcome["opened"] += 1
    await asyncio.sleep(SECONDS)
    for writer in writers:
        writer.close()
    return outcome


def packed(body: bytes, **options: str) -> tuple[bytes, dict[str, str]]:
    return gzip.compress(body), {"Content_Encoding": "gzip", **options}


async def hostile_paths(target: Target) -> Outcome:
    """1,000 events in a few kilobytes, each with a path of 10,000 characters that is slow to search."""
    path = "/crm/v8/Leads?a=%&" + "?" * 9_900
    body, headers = packed(json.dumps([{"request": {"method": "GET", "path": path}}] * 1_000).encode())
    return await repeatedly(target, post("/v1/events", target.key, body, **headers), 4)


async def empty_spans_in_json(target: Target) -> Outcome:
    """6.6 million empty spans as JSON, 25 kB sent, four at once."""
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * 6_600_000 + b"{}]}]}]}"
    sent, headers = packed(body)
    return await at_once(target, [post("/v1/traces", target.key, sent, **headers)] * 4)


async def empty_spans_in_protobuf(target: Target) -> Outcome:
    """Millions of empty spans as protobuf, 19 kB sent, four at once."""
    spans = b"\x12\x00" * 9_900_000
    scope = _field(2, spans)
    body = _field(1, scope)
    assert len(ExportTraceServiceRequest.FromString(_field(1, _field(2, b"\x12\x00"))).resource_spans) == 1
    sent, headers = packed(body)
    wire = post("/v1/traces", target.key, sent, "application/x-protobuf", **headers)
    return await at_once(target, [wire] * 4)


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of protobuf."""
    length, size = len(content), bytearray()
    while length > 127:
        size.append(length & 127 | 128)
        length >>= 7
    return bytes([number << 3 | 2, *size, length]) + content


async def spans_with_a_read_key(target: Target) -> Outcome:
    """The same with a key that may not send."""
    return await empty_spans_in_json(target._replace(key=target.read_key))


async def empty_cloud_events(target: Target) -> Outcome:
    """A CloudEvents batch of 3.3 million empty objects, six at once."""
    sent, headers = packed(b"[" + b"{}," * 3_300_000 + b"{}]")
    wire = post("/v1/events", target.key, sent, "application/cloudevents-batch+json", **headers)
    return await at_once(target, [wire] * 6)


async def empty_events(target: Target) -> Outcome:
    """An array of 3.3 million empty objects, six at once."""
    sent, headers = packed(b"[" + b"{}," * 3_300_000 + b"{}]")
    return await at_once(target, [post("/v1/events", target.key, sent, **headers)] * 6)


async def tiny_lines(target: Target) -> Outcome:
    """NDJSON of 3.3 million lines, six at once."""
    sent, headers = packed(b"{}\n" * 3_300_000)
    wire = post("/v1/events", target.key, sent, "application/x-ndjson", **headers)
    return await at_once(target, [wire] * 6)


async def made_up_methods(target: Target) -> Outcome:
    """48 requests with 12 methods that don't exist and 4,000 paths of 9,000 characters."""
    outcome: Outcome = Counter()
    for number in range(48):
        events = [
            {"request": {"method": f"M{number % 12}", "path": f"/{number}/{one}/{'x' * 9_000}"}}
            for one in range(1_000)
        ]
        sent, headers = packed(json.dumps(events).encode())
        outcome[await exchange(target.port, post("/v1/events", target.key, sent, **headers))] += 1
    return outcome


async def unfinished_uploads(target: Target) -> Outcome:
    """Thirteen bodies of 10 MB that never end."""
    head = post("/v1/events", target.key, b"").replace(b"Content-Length: 0", b"Content-Length: 9999999")
    return await hold(target, head + b" " * 9_999_000, 13)


async def unknown_organizations(target: Target) -> Outcome:
    """Batches of a provider-wide key for 9,000 organisations that don't exist."""
    body = json.dumps([{"organization": f"nobody-{number}"} for number in range(9_000)]).encode()
    return await repeatedly(target, post("/v1/events", target.provider_key, body), 2)


async def unknown_keys(target: Target) -> Outcome:
    """Keys that don't exist, each once, as fast as they are refused."""
    outcome: Outcome = Counter()
    end = time.monotonic() + SECONDS

    async def lane(first: int) -> None:
        number = first
        while time.monotonic() < end:
            outcome[await exchange(target.port, get("/v1/credits", f"mb_made_up_{number:040}"))] += 1
            number += 8

    await asyncio.gather(*(lane(first) for first in range(8)))
    return outcome


async def verifications(target: Target) -> Outcome:
    """24 recomputations of a million events at once."""
    return await at_once(target, [get("/v1/verify", target.read_key)] * 24)


async def exports(target: Target) -> Outcome:
    """Eight exports of every user at once."""
    path = "/v1/statistics/table?columns=user,ip,application&period=last_30_days&format=csv"
    return await at_once(target, [get(path, target.read_key)] * 8)


async def unlimited_answers(target: Target) -> Outcome:
    """Eight breakdowns without a limit at once."""
    path = "/v1/statistics/breakdown?by=user&period=last_30_days"
    return await at_once(target, [get(path, target.read_key)] * 8)


async def decades(target: Target) -> Outcome:
    """Six time series of 55 years at once."""
    path = "/v1/statistics/series?period=1971-01-01..2026-11-25&by=user&limit=50"
    return await at_once(target, [get(path, target.read_key)] * 6)


async def silent_connections(target: Target) -> Outcome:
    """2,000 connections that send nothing."""
    return await hold(target, b"", 2_000)


async def half_requests(target: Target) -> Outcome:
    """2,000 connections that send half a request."""
    return await hold(target, b"GET /schema HTTP/1.1\r\nHost: local", 2_000)


async def idle_connections(target: Target) -> Outcome:
    """2,000 connections that stay open after one request."""
    return await hold(target, b"GET /static/icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n", 2_000)


async def live_streams(target: Target) -> Outcome:
    """1,100 live counters of one session."""
    wire = f"GET /live HTTP/1.1\r\nHost: localhost\r\nCookie: meterboard_session={target.session}\r\n\r\n"
    return await hold(target, wire.encode(), 1_100)


async def slow_forms(target: Target) -> Outcome:
    """2,000 sign-in forms that never end, without a key."""
    head = b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
    return await hold(target, head + b"Content-Type: application/x-www-form-urlencoded\r\n\r\nlink=", 2_000)


async def made_up_links(target: Target) -> Outcome:
    """Sign-in forms with links that don't exist, without a key, as fast as they are refused."""
    form = b"link=made-up&token=same"
    wire = post(
        "/sign-in", "none", form, "application/x-www-form-urlencoded", Cookie="meterboard_sign_in=same"
    )
    return await repeatedly(target, wire, 32)


async def unread_answers(target: Target) -> Outcome:
    """2,000 requests for the longest script of the pages, without a key, whose answers are not read."""
    wire = b"GET /static/charts.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    return await hold(target, wire, 2_000, received=2_048)


async def abandoned_verifications(target: Target) -> Outcome:
    """Recomputations of a million events whose callers leave at once, again and again."""
    outcome: Outcome = Counter()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        _, writer = await asyncio.open_connection("127.0.0.1", target.port)
        writer.write(get("/v1/verify", target.read_key))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        outcome["left"] += 1
    return outcome


async def long_names(target: Target) -> Outcome:
    """Six answers with 2,000 combinations of four names that have 10,000 characters each."""
    columns = "columns=user,application,module,method&sort=user&period=last_24_hours"
    paths = (
        f"table?{columns}&page_size=10000",
        f"table?{columns}&format=parquet",
        "breakdown?by=user&sort=name",
    )
    wires = [get(f"/v1/statistics/{path}", target.read_key) for path in paths] * 2
    return await at_once(target, wires)


Attack = Callable[[Target], Awaitable[Outcome]]
ATTACKS: list[Attack] = [
    hostile_paths,
    empty_spans_in_json,
    empty_spans_in_protobuf,
    spans_with_a_read_key,
    empty_cloud_events,
    empty_events,
    tiny_lines,
    made_up_methods,
    unfinished_uploads,
    unknown_organizations,
    unknown_keys,
    verifications,
    exports,
    unlimited_answers,
    decades,
    silent_connections,
    half_requests,
    idle_connections,
    live_streams,
    slow_forms,
    made_up_links,
    unread_answers,
    abandoned_verifications,
    long_names,
]
