r"""
Access logs of Apache and nginx: the *common* and *combined* formats.

    203.0.113.7 - maria [03/Nov/2026:10:45:00 +0530] "GET /crm/v8/Leads/12 HTTP/1.1" 200 512 "-" "curl/8.1"

Address -> `ip`, the third field -> `user`, time, request line -> `request`, status, the user agent's product ->
`application`. A line's id is made of its text and of how many equal lines came before it, so that reading a log again,
or the same lines from another file, counts nothing twice, while equal calls of one second each count.
Sources: httpd's mod_log_config (common, combined, and their escapes), nginx's ngx_http_log_module.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from hashlib import blake2b
from typing import BinaryIO

from msgspec import Struct

from meterboard.domain.event import Request, UsageEvent, canonical_ip

MAX_LINE = 65_536
"""Bytes. No server writes longer lines; a longer one is unreadable and is not held in memory."""
BATCH = 5_000
MOST_COUNTED = 200_000
"""Lines whose repetitions are counted at once. Equal lines carry the same second, so they stand close together; past
this many different lines since, counting starts anew."""

_LINE = re.compile(
    rb"(?P<host>\S+) \S+ (?P<user>.*?) "
    rb"\[(?P<time>\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\] "
    rb'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?:\d+|-)'
    rb'(?: "(?:[^"\\]|\\.)*" "(?P<agent>(?:[^"\\]|\\.)*)")?\s*'
)
_REQUEST = re.compile(r"(?P<method>[A-Z]{1,32}) (?P<path>\S{1,9000})(?: HTTP/[\d.]+)?")
_ESCAPE = re.compile(rb'\\(x[0-9a-fA-F]{2}|["\\abfnrtv])')
_PLAIN = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_MONTHS = dict(
    zip(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
        range(1, 13),
        strict=True,
    )
)
_PRODUCT_END = re.compile(r"[/;(]")
_NAMED_AGENT = re.compile(r"\(compatible; ([A-Za-z][\w .-]*?)[/;)]")


class Unreadable(Struct, frozen=True):
    """A line that is no access log line: its number from 1, and its beginning."""

    number: int
    text: str


class LogReader:
    """Reads a log once; the counts grow as its batches are taken."""

    def __init__(self) -> None:
        self.lines = 0
        self.unreadable = 0
        self.first_unreadable: Unreadable | None = None
        self._repeated: dict[bytes, int] = {}

    def batches(self, stream: BinaryIO) -> Iterator[list[UsageEvent]]:
        """The log's calls, at most BATCH at a time, in the order of its lines."""
        batch: list[UsageEvent] = []
        for line in _lines(stream):
            self.lines += 1
            event = self._event(line)
            if event is None:
                self.unreadable += 1
                self.first_unreadable = self.first_unreadable or Unreadable(self.lines, _brief(line))
                continue
            batch.append(event)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _event(self, line: bytes) -> UsageEvent | None:
        found = _LINE.fullmatch(line) if len(line) <= MAX_LINE else None
        time = found and _time(found["time"].decode())
        if not found or not time:
            return None
        host, user, _, request, status, agent = found.groups()
        return UsageEvent(
            id=self._identity(line.rstrip()),
            time=time,
            application=_application(_text(agent or b"-")),
            user=_said(_text(user)),
            ip=_address(host.decode("latin-1")),
            request=_request(_text(request)),
            status=int(status) if 100 <= int(status) <= 599 else None,
        )

    def _identity(self, line: bytes) -> str:
        digest = blake2b(line, digest_size=16).digest()
        if len(self._repeated) >= MOST_COUNTED:
            self._repeated.clear()
        before = self._repeated.get(digest, 0)
        self._repeated[digest] = before + 1
        return f"log-{digest.hex()}-{before}"


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(MAX_LINE + 1):
        rest = line
        while rest and not rest.endswith(b"\n") and len(rest) > MAX_LINE:
            rest = stream.readline(MAX_LINE + 1)
        if line.strip():
            yield line


@lru_cache(maxsize=4_096)
def _time(text: str) -> datetime | None:
    day, month, rest = text.split("/", 2)
    year, hour, minute, second, offset = rest[:4], rest[5:7], rest[8:10], rest[11:13], rest[14:]
    try:
        zone = timezone(timedelta(hours=int(offset[:3]), minutes=int(offset[0] + offset[3:])))
        local = datetime(
            int(year), _MONTHS[month], int(day), int(hour), int(minute), min(int(second), 59), tzinfo=zone
        )
        return local.astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None


def _text(field: bytes) -> str:
    if b"\\" in field:
        field = _ESCAPE.sub(_unescaped, field)
    return field.decode("utf-8", "replace").replace("\0", "")


def _unescaped(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return bytes([int(code[1:], 16)]) if code[:1] == b"x" and len(code) == 3 else _PLAIN.get(code, code)


def _said(text: str) -> str | None:
    return None if text in ("", "-") else text[:9_000]


@lru_cache(maxsize=4_096)
def _address(host: str) -> str | None:
    try:
        return canonical_ip(host)
    except ValueError:
        return None  # a host name: the server looked the address up and did not write it


@lru_cache(maxsize=4_096)
def _application(agent: str) -> str | None:
    """
    The product that calls: `curl` of `curl/8.1`, `Googlebot` of `Mozilla/5.0 (compatible; Googlebot/2.1; …)`.

    A browser is `Mozilla`, since that is all that every browser says of itself.
    """
    named = _NAMED_AGENT.search(agent)
    if named and not named[1].startswith("MSIE"):
        return named[1].strip()
    return _said(_PRODUCT_END.split(agent, maxsplit=1)[0].strip())


def _request(line: str) -> Request | None:
    found = _REQUEST.fullmatch(line)
    return Request(found["method"], found["path"]) if found else None


def _brief(line: bytes) -> str:
    text = line[:200].decode("utf-8", "backslashreplace").rstrip()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
