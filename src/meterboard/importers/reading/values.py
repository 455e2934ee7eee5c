"""
The values of log fields, computed once for all lines that share them.

Sources: httpd's mod_log_config.c (escapes, `""` for an empty user), nginx's ngx_http_log_module.
"""

import re

from meterboard.domain.caller.ip import MAX_IP, ip_or_none
from meterboard.domain.event import MAX_TEXT, Request
from meterboard.importers.reading.fields import PARTS
from meterboard.schedule.classify import TOKEN

LONGEST_METHOD = 32
"""Characters of an HTTP method; the same limit as over HTTP."""
MISSING = ("", "-")
"""How logs write a missing value."""

_ESCAPE = re.compile(rb'\\(x[0-9a-fA-F]{2}|["\\abfnrtv])')
_PLAIN = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_OTHER_PROTOCOL = re.compile(r"[A-Z]+/[0-9.]+")
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_PLAIN_ADDRESS = re.compile(rf"(?:{_BYTE}\.){{3}}{_BYTE}", re.ASCII)
_WITH_PORT = re.compile(r"(?:(\d+\.\d+\.\d+\.\d+)|\[([0-9a-fA-F:.]+)\]):\d{1,5}")


def unescaped(field: str) -> str:
    """Returns what was sent, without a log's escapes."""
    if "\\" not in field:
        return field
    return _ESCAPE.sub(_meant, field.encode()).decode("utf-8", "replace")


def _meant(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return bytes.fromhex(code[1:].decode()) if len(code) == 3 else _PLAIN.get(code, code)


def name(field: str) -> str | None:
    """Returns a name as it is stored: None for `-` and `""`; without NUL, which names can't contain."""
    text = field.replace("\0", "")[:MAX_TEXT]
    return None if text in ("-", "", '""') else text


def address(field: str) -> str | None:
    """
    Returns the IP address of a client, without a port; None for a host name, which the server looked up.

    Of several addresses with commas (`X-Forwarded-For`) the last was written by the proxy; clients can send the others.
    """
    if _PLAIN_ADDRESS.fullmatch(field):
        return field
    field = field.rpartition(",")[2].strip()
    found = _WITH_PORT.fullmatch(field) if len(field) <= MAX_IP else None
    return ip_or_none((found[1] or found[2]) if found else field)


def request(text: str, *, is_escaped: bool = False) -> Request | None:
    """
    Returns the request of a request line, or of method and path separated by PARTS; None for what is not an HTTP
    request.
    """
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
    Returns the method and the path of a request line; both are empty if it isn't one.

    Servers log a path with spaces unchanged. A line without a version is of HTTP/0.9, or was truncated.
    """
    http, _, rest = text.partition(" ")
    path, _, version = rest.rpartition(" ")
    if version.startswith("HTTP/"):
        return http, path
    is_path = rest.startswith("/") or rest == "*" or "://" in rest
    return (http, rest) if is_path and not _OTHER_PROTOCOL.fullmatch(version) else ("", "")
