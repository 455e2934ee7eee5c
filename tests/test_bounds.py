"""The figures that docs/operating.md states as bounds are those of the code."""

import re
from pathlib import Path
from typing import get_args, get_type_hints

from msgspec import Meta

from benchmarks.hostile import MOST_MEMORY_MB, WORST_SECONDS
from meterboard.accounts.organizations import MAX_NAME
from meterboard.api import slow_callers as sending
from meterboard.api.ingest import body, traces, workers
from meterboard.api.statistics import statistics
from meterboard.domain import event
from meterboard.domain.caller import ip
from meterboard.formats import json_events as wire
from meterboard.formats import otlp
from meterboard.network import listener, peers
from meterboard.proxy import records, upstream
from meterboard.proxy.app import CALLS_OF_ONE_PEER
from meterboard.schedule import classify, price
from meterboard.schedule import path_cache as shapes
from meterboard.schedule.validation import check as schedule_check
from meterboard.schedule.validation import expressions
from meterboard.service import access, export, reads
from meterboard.service.statistics import cache, events
from meterboard.settings import Settings
from meterboard.usage.answer_length import MAX_ANSWER_CHARACTERS
from meterboard.web import live
from meterboard.web.session import MAX_FORM_BYTES

OPERATING = (Path(__file__).parent.parent / "docs" / "operating.md").read_text()
SECTION = OPERATING.partition("\n## Bounds\n")[2].partition("\n## ")[0]
PACE = body.Pace()


def longest(struct: type, field: str) -> int:
    """The characters that a field of an event may have."""
    for kind in get_args(get_type_hints(struct, include_extras=True)[field]):
        for meta in (kind, *get_args(kind)):
            if isinstance(meta, Meta) and meta.max_length:
                return meta.max_length
    raise AssertionError(f"{field} has no limit.")


BOUNDS: dict[str, tuple[float, ...]] = {
    "body of `/v1/events`, expanded or not": (event.MAX_BODY_BYTES,),
    "events of a request": (event.MAX_EVENTS,),
    "lines of NDJSON, empty ones included": (wire.MAX_LINES,),
    "JSON values of a body of events": (wire.MAX_MARKS,),
    "JSON values of one event": (wire.MAX_EVENT_MARKS,),
    "body of `/v1/traces`, expanded or not": (traces.MAX_BYTES,),
    "spans and their groups in a request": (otlp.MAX_SPANS,),
    "JSON values of a body of spans": (otlp.MAX_MARKS,),
    "one span, or one resource": (otlp.MAX_SPAN_BYTES,),
    "bodies that are not answered yet": (body.MAX_HELD_BYTES, body.SMALL_BODY_BYTES, body.BRIEF_BYTES),
    "of these, bodies of one organisation, or of all provider-wide keys": (body.MAX_SHARE,),
    "pace of a body": (PACE.bytes_per_second, PACE.grace_seconds, PACE.max_seconds),
    "bodies that are expanded and read in threads": (1, workers.WORKERS, 1, body.BRIEF_BYTES),
    "sign-in form": (MAX_FORM_BYTES, sending.FORM_SECONDS),
    "sign-ins and sign-outs that wait": (access.MAX_SIGN_INS,),
    "events that wait for a commit": (Settings().queue_events,),
    "text of an event, path included": (event.MAX_TEXT,),
    "HTTP method, id, address of an event": (
        longest(event.Request, "method"),
        longest(event.UsageEvent, "id"),
        ip.MAX_IP,
    ),
    "name of an organisation": (MAX_NAME,),
    "connections": (listener.MAX_CONNECTIONS, listener.SPARE_FILES),
    "connections of one peer (an IPv4 address, or 64 bits of an IPv6 address), on Linux": (1, peers.PEERS),
    "a connection that sends no request": (listener.SILENT_SECONDS,),
    "address and headers of a request": (listener.MAX_HEADER_BYTES,),
    "live counters": (live.MAX_STREAMS_PER_SESSION, live.MAX_STREAMS),
    "reads of one organisation": (
        reads.MAX_RUNNING_PER_ORGANIZATION,
        reads.MAX_WAITING_PER_ORGANIZATION,
        reads.MAX_RUNNING,
    ),
    "a read whose caller has left": (reads.INTERRUPT_SECONDS,),
    "rows of an answer in JSON; events of an answer": (statistics.MAX_ROWS, events.MAX_LISTED_EVENTS),
    "names that a series or flows list": (statistics.MAX_NAMES,),
    "text of all names in an answer in JSON": (MAX_ANSWER_CHARACTERS,),
    "exports as CSV or Parquet that are written or sent": (
        export.MAX_FILES_PER_ORGANIZATION,
        export.MAX_FILES,
    ),
    "rows of an export in memory": (export.PAGE_ROWS,),
    "memory of a Parquet file that is written": (int(export.PARQUET_MEMORY.removesuffix("MB")),),
    "a caller who does not receive an answer": (
        sending.SEND_SECONDS,
        sending.PIECE_BYTES,
        sending.HURRY_SECONDS,
        sending.MAX_UNSENT_BYTES,
    ),
    "keys and sessions that are remembered": (
        access.CACHE_SIZE,
        access.MAX_SECRET_LENGTH,
        access.CACHE_SECONDS,
    ),
    "classified requests that a schedule remembers": (shapes.MAX_CACHED_BYTES, shapes.MAX_CACHED_PATH),
    "prices that a schedule remembers": (price.MAX_CACHED_PRICES, price.MAX_CACHED_TARIFFS),
    "answers of the dashboard that are remembered": (cache.CACHE_BYTES,),
    "parameters of an address that a price can depend on": (price.MAX_PARAMETERS,),
    "parts of a path that are classified": (classify.MOST_SEGMENTS, classify.MAX_PART),
    "a schedule's expression": (expressions.MAX_OPEN_REPEATS, expressions.MAX_CHOICES),
    "a schedule's path": (schedule_check.MAX_WILDCARDS, schedule_check.MAX_OPTIONAL_PARTS),
    "proxy: calls under way": (upstream.CONNECTIONS, CALLS_OF_ONE_PEER),
    "proxy: body whose records are counted": (records.MAX_BYTES, records.MAX_TOTAL_BYTES),
}


def figures(text: str) -> tuple[float, ...]:
    return tuple(float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*(?:\.\d+)?", text))


def test_the_table_of_bounds_says_what_the_code_has() -> None:
    rows = [line.strip("| ").split(" | ") for line in SECTION.splitlines() if line.startswith("| ")]
    stated = {what: figures(bound) for what, bound, _ in rows[2:]}

    assert stated == BOUNDS


def test_what_the_bounds_promise_is_what_the_benchmark_asks_for() -> None:
    assert f"at most {WORST_SECONDS:.0f} second" in SECTION
    assert f"at most {MOST_MEMORY_MB} MB" in SECTION


def test_a_retry_is_told_as_the_table_says() -> None:
    assert f"come back in {reads.RETRY_SECONDS} seconds" in SECTION
    assert f"come back in {export.RETRY_SECONDS} seconds" in SECTION
    assert f"or {peers.NETWORK_BITS} bits of an IPv6 address" in SECTION.replace("address, or", "or")
