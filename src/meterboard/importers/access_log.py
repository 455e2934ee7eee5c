r"""
Access logs of Apache and nginx: the *combined* format, and the *common* one, which lacks its last two fields.

    203.0.113.7 - maria [03/Nov/2026:10:45:00 +0530] "GET /crm/v8/Leads/12 HTTP/1.1" 200 512 "-" "curl/8.1"

Address -> `ip`, the third field -> `user`, time, request line -> `request`, status, the user agent's product ->
`application`. A virtual host in front (`vhost_combined`) and further fields behind (nginx's `main`) are passed over.

A line's id is made of its text and of how many equal lines came before it, so that reading a log again, or the same
lines from another file, counts nothing twice, while equal calls of one second each count.
Sources: httpd's mod_log_config.c (formats, escapes, `""` for an empty user), nginx's ngx_http_log_module.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from hashlib import blake2b
from typing import BinaryIO

from msgspec import Struct

from meterboard.domain.event import MAX_TEXT, Request, UsageEvent, canonical_ip

MAX_LINE = 65_536
"""Bytes, the line's end not counted. No server writes longer lines; of a longer one no more than this is held."""
BATCH = 5_000
"""Events. Half of what one request may carry, and a commit small enough for the progress bar to move."""
REMEMBERED = 100_000
"""Different lines. The repetitions of a line are counted while at most this many others came since; see `_identity`."""
LONGEST_ADDRESS = 45
"""Characters of the longest IPv6 address. A longer first field is a host name, and not worth a place in the cache."""
LONGEST_AGENT = 1_000
"""Bytes of a user agent that are looked at, so that hostile ones can't fill the cache."""

# Possessive quantifiers (`++`) never give back what they took: no line makes the match take more than linear time.
_QUOTED = rb'(?:[^"\\]++|\\.)*+'
_LINE = re.compile(
    rb"(?:[\w.-]++:\d{1,5} )?"  # the virtual host; never an IPv6 address, which has more colons
    rb"(?P<host>\S++) \S++ (?P<user>.*?) "
    rb"\[(?P<time>\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "
    rb'"(?P<request>' + _QUOTED + rb')" (?P<status>\d{3}) (?:\d++|-)'
    rb'(?: "' + _QUOTED + rb'" "(?P<agent>' + _QUOTED + rb')")?'
    rb"(?!\S)"
)
_REQUEST = re.compile(rb"([A-Z][A-Z_-]{0,31}) (\S++)(?: HTTP/[\d.]++)?")
_ESCAPE = re.compile(rb'\\(x[0-9a-fA-F]{2}|["\\abfnrtv])')
_PLAIN = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
# Not strptime's %b, which follows the locale of the machine that imports.
_MONTHS = dict(
    zip(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
        range(1, 13),
        strict=True,
    )
)
_BEHIND_BROWSER = re.compile(r"compatible; (?!MSIE|Windows|Linux|X11)([A-Za-z][\w .!-]*)")
_PRODUCT = re.compile(r"[^\s/;,()]+(?: (?!v\d)[^\W\d_][^\s/;,()]*)*")


class Unreadable(Struct, frozen=True):
    """A line that is no access log line: its number from 1, and its beginning."""

    number: int
    text: str


class LogReader:
    """
    Reads one log once; the counts grow as its batches are taken.

    `lines` counts every line of the file; each is an event, or `unreadable`, or blank. `remembered`: see REMEMBERED.
    """

    def __init__(self, *, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self.lines = 0
        self.unreadable = 0
        self.first_unreadable: Unreadable | None = None
        self._repeated: dict[bytes, int] = {}
        self._repeated_before: dict[bytes, int] = {}

    def batches(self, stream: BinaryIO) -> Iterator[list[UsageEvent]]:
        """
        The log's calls, at most BATCH at a time, in the order of its lines. No bytes make it raise.

        A last line without its end counts when its user agent is complete; else it may be half of what the server is
        writing, and the next import would take the whole line for another call. So it is unreadable, until then.
        """
        batch: list[UsageEvent] = []
        for line in _lines(stream):
            self.lines += 1
            event = self._event(line)
            if event is not None:
                batch.append(event)
                if len(batch) == BATCH:
                    yield batch
                    batch = []
            elif line.strip():
                self.unreadable += 1
                self.first_unreadable = self.first_unreadable or Unreadable(self.lines, _brief(line))
        if batch:
            yield batch

    def _event(self, line: bytes) -> UsageEvent | None:
        found = _LINE.match(line) if len(line) <= MAX_LINE + 1 else None
        if found is None:
            return None
        host, user, when, request, status, agent = found.groups()
        time = _time(when)
        if time is None or (agent is None and not line.endswith(b"\n")):
            return None
        code = int(status)
        return UsageEvent(
            id=self._identity(found[0]),
            time=time,
            application=None if agent is None else _application(agent[:LONGEST_AGENT]),
            user=None if user in (b"-", b"", b'""') else _text(user)[:MAX_TEXT],
            ip=_address(host) if len(host) <= LONGEST_ADDRESS else None,
            request=_request(request),
            status=code if 100 <= code <= 599 else None,
        )

    def _identity(self, call: bytes) -> str:
        """
        The digest of a line and how many equal ones came before it.

        Equal lines carry the same second, so they stand close together. Two generations of counters hold at least the
        last REMEMBERED different lines and at most twice as many (about 30 MB). Beyond that, an equal line would take
        the first one's number and be held for the same call: one too few, never one too many.
        """
        digest = blake2b(call, digest_size=16).digest()
        before = self._repeated.get(digest)
        if before is None:
            before = self._repeated_before.get(digest, 0)
            if len(self._repeated) >= self._remembered:
                self._repeated_before, self._repeated = self._repeated, {}
        self._repeated[digest] = before + 1
        return f"log-{digest.hex()}-{before}"


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Each line with its end. Of one that is too long only the beginning, one byte longer than a line may be."""
    longest = MAX_LINE + 1  # with its end
    while line := stream.readline(longest):
        if len(line) < longest or line.endswith(b"\n"):
            yield line
            continue
        while (rest := stream.readline(longest)) and not rest.endswith(b"\n"):
            pass
        yield line + b"\n"


@lru_cache(maxsize=16_384)
def _time(when: bytes) -> datetime | None:
    """`10/Oct/2000:13:55:36 -0700` in UTC. A leap second is the second before it, which datetime can say."""
    day, month, rest = when.decode().split("/", 2)
    second = int(rest[11:13])
    try:
        zone = timezone(timedelta(hours=int(rest[14:17]), minutes=int(rest[14] + rest[17:])))
        clock = (int(rest[5:7]), int(rest[8:10]), 59 if second == 60 else second)
        return datetime(int(rest[:4]), _MONTHS[month], int(day), *clock, tzinfo=zone).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None


def _text(field: bytes) -> str:
    """What was sent, without the log's escapes, and without NUL, which no name may hold."""
    if b"\\" in field:
        field = _ESCAPE.sub(_unescaped, field)
    return field.decode("utf-8", "replace").replace("\0", "")


def _unescaped(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return bytes.fromhex(code[1:].decode()) if len(code) == 3 else _PLAIN.get(code, code)


@lru_cache(maxsize=4_096)
def _address(host: bytes) -> str | None:
    try:
        return canonical_ip(host.decode("latin-1"))
    except ValueError:
        return None  # a host name: the server looked the address up and did not write it


@lru_cache(maxsize=4_096)
def _application(agent: bytes) -> str | None:
    """
    The product that calls: `curl` of `curl/8.1`, `Chef Client` of `Chef Client/10.18.2 (ruby-1.9.3)`.

    It is the words in front of the first `/ ; , (` or version. A program that presents itself as a browser is what it
    says behind `compatible; `: `Googlebot` of `Mozilla/5.0 (compatible; Googlebot/2.1; …)`. A browser is `Mozilla`,
    all that every browser says of itself.
    """
    text = _text(agent).strip()
    found = None if text == "-" else _BEHIND_BROWSER.search(text) or _PRODUCT.search(text)
    return (found[1] if found.re is _BEHIND_BROWSER else found[0]).strip() if found else None


def _request(line: bytes) -> Request | None:
    """None for what is no HTTP request: `-` of a connection closed unused, the first bytes of TLS on a plain port."""
    found = _REQUEST.fullmatch(line)
    if found is None:
        return None
    path = _text(found[2])
    if len(path) > MAX_TEXT:
        path = path.partition("?")[0]  # the query string, which no schedule reads
    return Request(found[1].decode(), path) if len(path) <= MAX_TEXT else None


def _brief(line: bytes) -> str:
    text = line[:200].decode("utf-8", "backslashreplace").rstrip()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
