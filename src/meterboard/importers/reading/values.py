"""
What the fields of a log say, each worked out once for all lines that share it.

Sources: httpd's mod_log_config.c (escapes, `""` for an empty user), nginx's ngx_http_log_module.
"""

import re

from meterboard.domain.caller.ip import MAX_IP, ip_or_none
from meterboard.domain.event import MAX_TEXT, Request
from meterboard.importers.reading.fields import PARTS
from meterboard.schedule.classify import TOKEN

LONGEST_METHOD = 32
"""Characters of an HTTP method, as over HTTP."""
MISSING = ("", "-")
"""What logs write for nothing."""

_ESCAPE = re.compile(rb'\\(x[0-9a-fA-F]{2}|["\\abfnrtv])')
_PLAIN = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_OTHER_PROTOCOL = re.compile(r"[A-Z]+/[0-9.]+")
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_PLAIN_ADDRESS = re.compile(rf"(?:{_BYTE}\.){{3}}{_BYTE}", re.ASCII)
_WITH_PORT = re.compile(r"(?:(\d+\.\d+\.\d+\.\d+)|\[([0-9a-fA-F:.]+)\]):\d{1,5}")


def unescaped(field: str) -> str:
    """What was sent, without a log's escapes."""
    if "\\" not in field:
        return field
    return _ESCAPE.sub(_meant, field.encode()).decode("utf-8", "replace")


def _meant(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return bytes.fromhex(code[1:].decode()) if len(code) == 3 else _PLAIN.get(code, code)


def name(field: str) -> str | None:
    """A name as it is kept: `-` and `""` are none; NUL, which no name may hold, is left out."""
    text = field.replace("\0", "")[:MAX_TEXT]
    return None if text in ("-", "", '""') else text


def address(field: str) -> str | None:
    """
    The address of a client, a port behind it left out; None for a host name, which the server looked up.

    Of several with commas between them (`X-Forwarded-For`) the proxy wrote the last itself; the others anyone can send.
    """
    if _PLAIN_ADDRESS.fullmatch(field):
        return field
    field = field.rpartition(",")[2].strip()
    found = _WITH_PORT.fullmatch(field) if len(field) <= MAX_IP else None
    return ip_or_none((found[1] or found[2]) if found else field)


def request(text: str, *, is_escaped: bool = False) -> Request | None:
    """What is asked: a request line, or method and path with PARTS between them; None for what is no HTTP request."""
    http, apart, path = text.partition(PARTS)
    if not apart:
        http, path = _of_line(text)
        if not TOKEN.fullmatch(http):
            return None
    if http in MISSING or path in MISSING:
        return None
    path = (unescaped(path) if is_escaped else path).replace("\0", "")
    if len(path) > MAX_TEXT:
        path = path.partition("?")[0]  # without the query string, which may be of any length
    return Request(http[:LONGEST_METHOD], path) if path and len(path) <= MAX_TEXT else None


def _of_line(text: str) -> tuple[str, str]:
    """
    The method and the path of a request line; both are empty where it is none.

    Servers write a path with spaces as it came. A line without a version is one of HTTP/0.9, or was cut off.
    """
    http, _, rest = text.partition(" ")
    path, _, version = rest.rpartition(" ")
    if version.startswith("HTTP/"):
        return http, path
    is_path = rest.startswith("/") or rest == "*" or "://" in rest
    return (http, rest) if is_path and not _OTHER_PROTOCOL.fullmatch(version) else ("", "")
