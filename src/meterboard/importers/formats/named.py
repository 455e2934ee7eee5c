"""The built-in formats of an import, and guessing the format of a file."""

import json
import re
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple, Protocol

from meterboard.domain.query import DimensionName
from meterboard.errors import InvalidParameter
from meterboard.importers.formats.line_patterns import UTC, read_pattern
from meterboard.importers.formats.objects import CADDY_CONSOLE_MESSAGE, OBJECTS, OF_A_CALL, objects
from meterboard.importers.reading.combined import CombinedFast
from meterboard.importers.reading.fields import OWN, SHARED, ParseOptions, own_fields, quoted
from meterboard.importers.reading.values import address

_CALLER = "$remote_addr $identity $remote_user"
COMMON = _CALLER + ' [$time_local] "$request" $status $body_bytes_sent'
_AGENT = ' $unquoted"$http_referer" $unquoted"$http_user_agent"'
_USUAL = COMMON.replace("$identity", "-")
# Text before the address is a host without a port if an address, and `-` for the identity, follow as fields.
_ON_A_HOST = COMMON.replace(_CALLER, "$virtual_host $caller - $caller_name")
_ON_A_PORT = COMMON.replace(_CALLER, "$virtual_host_with_port $caller $identity $caller_name")
_HAPROXY_CLF = COMMON.replace(_CALLER, "$caller - $caller_name").replace("$status", "$haproxy_status")
TEXTS = {
    # The host may come first, as in Apache's vhost_combined. Unknown fields between and after these are ignored.
    "combined": tuple(
        line + agent for line in (_USUAL, _ON_A_HOST, _ON_A_PORT, COMMON) for agent in (_AGENT, "")
    ),
    "lighttpd": (COMMON.replace("$identity", "$host") + _AGENT, COMMON.replace("$identity", "$host")),
    "haproxy": (
        "$syslog$client:$client_port [$haproxy_time] $frontend $backend/$server $timers $haproxy_status $bytes_read "
        '$cookie $set_cookie $termination $connections $queues $captured"$request"',
        # Truncated because it did not fit in a syslog line.
        "$syslog$client:$client_port [$haproxy_time] $frontend $backend/$server $timers $haproxy_status $bytes_read "
        '$cookie $set_cookie $termination $connections $queues $captured"$broken_request',
        "$syslog" + _HAPROXY_CLF,
    ),
    "alb": (
        "$type $time_iso8601 $elb $client $target $request_processing_time $target_processing_time "
        '$response_processing_time $elb_status_code $target_status_code $received_bytes $sent_bytes "$request" '
        '"$http_user_agent"',
    ),
    "envoy": (
        '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% '
        "%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
        '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"',
        # From version 1.26 on, between the flags and the sizes.
        '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% '
        "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
        '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% '
        '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" '
        '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"',
    ),
}
TABLES = ("csv", "parquet")
"""Each row is converted to a JSON object."""
NAMES = (
    *TEXTS,
    "iis",
    "nginx-json",
    "caddy-json",
    "caddy-console",
    "traefik-json",
    "csv",
    "ndjson",
    "parquet",
)
_PLAIN = ("haproxy",)
"""Text formats without escapes, in which a backslash is a backslash."""
ERROR_LOG = (
    r"^(?:[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8} \[[a-z]+\] [0-9]+#[0-9]+: "
    r"|\[[A-Z][a-z]{2} [A-Z][a-z]{2} [0-9]{2} [0-9:.]{8,15} [0-9]{4}\] \[[^\]]*\] \[pid )"
)
"""The lines of the error logs of nginx and Apache, which containers write to the same stream."""
HAPROXY_MESSAGE = (
    r'^(?:\[[A-Z]+\] +\([0-9]+\) : |[^"]*(?:haproxy(?:\[[0-9]+\])?: |haproxy [0-9]+ - - '
    r'|\[[0-9]{2}/[A-Z][a-z]{2}/[0-9:]{13}\.[0-9]{3}\] )[^"]*$)'
)
"""Starts and stops of HAProxy and its servers, handshakes that failed, and connections in its TCP format."""

MESSAGES = {"iis": "starts_with(line, '#')", "caddy-console": CADDY_CONSOLE_MESSAGE}
"""SQL: is a `line` a message, where that is not seen from its object?"""


class Layout(Protocol):
    """A layout of lines."""

    @property
    def is_closed(self) -> bool:
        """Returns whether a line shows that it is complete, though its line end is missing."""
        ...

    @property
    def fields(self) -> Set[str]:
        """Returns the fields of the layout."""
        ...

    def query(self, lines: str, options: ParseOptions) -> str:
        """Returns the query that parses a table of `n` and `line`; see `fields.parsed`."""
        ...


class Format(NamedTuple):
    """
    A format: its layouts, each for the lines that the earlier ones can't read.

    `message` is the SQL of whether a `line` that is not a call is a message of the server. `is_log`: it is a server's
    log, whose requests were received from clients. `is_escaped`: its texts have escapes. `has_ids`: its lines may
    have their own ids.
    """

    name: str
    layouts: Sequence[Layout]
    message: str = "false"
    is_log: bool = False
    is_escaped: bool = False
    has_ids: bool = False

    @property
    def shared(self) -> list[str]:
        """Returns the shared fields that its lines may have, and those of own dimensions."""
        fields = {field for layout in self.layouts for field in layout.fields}
        fields |= {"request"} if fields & {"http", "path"} else set()
        return [*(field for field in SHARED if field in fields), *own_fields(fields)]


def read_format(
    text: str, mapping: Mapping[str, str], zone: str = UTC, own: Sequence[DimensionName] = ()
) -> Format:
    """
    Returns a format by its name, or in the notation of a server's configuration; `mapping` overrides where fields
    are, `zone` is the time zone of times without an offset, `own` are the own dimensions that usage events may have.

    Raises: InvalidParameter: there is no such format.
    """
    if text in TEXTS:
        layouts: list[Layout] = [read_pattern(pattern, mapping, zone) for pattern in TEXTS[text]]
        if text in ("combined", "lighttpd") and not mapping:
            layouts.insert(0, CombinedFast())
        message = _matches(HAPROXY_MESSAGE if text == "haproxy" else ERROR_LOG)
        return Format(text, layouts, message, is_log=True, is_escaped=text not in _PLAIN)
    if text in OBJECTS or text in TABLES:
        places: dict[str, tuple[str, ...]] = {name: (_path(path),) for name, path in mapping.items()}
        if text == "ndjson":
            for name in own:  # where usage events have them, if nothing stands where the mapping says
                places[f"{OWN}{name}"] = (*places.get(f"{OWN}{name}", ()), _path(f"dimensions.{name}"))
        if text in TABLES:
            places = {"request": ("$.request",)} | places
        layout = objects(text if text in OBJECTS else "ndjson", places)
        message = MESSAGES.get(text, layout.message)
        return Format(text, [layout], message, is_log=layout.is_log or text == "iis", has_ids=True)
    if "$" in text or "%" in text:
        layouts = [read_pattern(text, mapping, zone)]
        return Format("custom", layouts, _matches(ERROR_LOG), is_log=True, is_escaped=True)
    raise InvalidParameter(
        "format",
        f"There is no format {text!r}. Use one of {', '.join(NAMES)}, or a log_format such as '{COMMON}'.",
    )


def _matches(pattern: str) -> str:
    return f"regexp_matches(line, {quoted(pattern)})"


def _path(name: str) -> str:
    """Returns a JSON path: of the member ip of client for `client.ip`; `$.…` is one already."""
    if name.startswith("$"):
        return name
    return "$" + "".join(f".{json.dumps(part)}" for part in name.split("."))


_BEGINNINGS = {
    "iis": re.compile(r"#(?:Software|Version|Date|Fields): "),
    "caddy-console": re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3}\t[^\t]*\thttp\.log\.access"),
    "envoy": re.compile(r"\[\d{4}-\d\d-\d\dT"),
    "alb": re.compile(r"(?:https?|h2|wss?|grpcs) \d{4}-\d\d-\d\dT"),
}
"""How the lines of a format begin, if no others do."""
_STAMP = re.compile(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(\.\d{3}| [+-]\d{4})\] ")
_MESSAGE_TIMES = {"ts": "caddy-json", "time": "traefik-json"}
"""The time member of each server's messages."""


def guess(file: str, beginning: bytes) -> str:
    """
    Returns the format of a file by its name and its first bytes: by the first line that is a call, since messages of
    the server may come before it.
    """
    bare = re.sub(r"\.(gz|zst)$", "", file.lower())
    if beginning.startswith(b"PAR1"):
        return "parquet"
    lines = beginning.lstrip(b"\xef\xbb\xbf\r\n ").decode("utf-8", "replace").split("\n")
    first = lines[0].rstrip()
    if not first.startswith("{") and (bare.endswith((".csv", ".tsv")) or _is_header(first)):
        return "csv"
    found = next(filter(None, map(_format_of, lines)), None)
    if found is not None:
        return found
    objects = [line for line in lines if line.startswith("{")]
    return _of_messages(objects[0]) or "ndjson" if objects else "combined"


def _format_of(line: str) -> str | None:
    """Returns the format in which a line is a call; None: it is not clear."""
    if line.startswith("{"):
        return _of_object(line.replace('": ', '":'))
    named = next((name for name, beginning in _BEGINNINGS.items() if beginning.match(line)), None)
    stamp = _STAMP.search(line)
    if named or stamp is None:
        return named
    before = line[: stamp.start()]
    if stamp[1].startswith(".") or "haproxy[" in before:
        return "haproxy"
    if line[stamp.end() : stamp.end() + 1] != '"':
        return None
    match before.split():
        case [caller, host, _] if host != "-" and address(caller):
            return "lighttpd"
        case _:
            return "combined"


def _of_object(line: str) -> str | None:
    if '"request":{' in line and ('"ts":' in line or '"logger":"http.log.' in line):
        return "caddy-json"
    if '"RequestMethod"' in line:
        return "traefik-json"
    return "nginx-json" if '"remote_addr"' in line else None


def _of_messages(line: str) -> str | None:
    """Returns the format of the server that writes such messages; None: it is not clear."""
    try:
        names = set(json.loads(line))
    except (ValueError, RecursionError):
        return None
    is_message = "level" in names and names & {"msg", "message"} and not names & set(OF_A_CALL)
    return (
        next((form for name, form in _MESSAGE_TIMES.items() if name in names), None) if is_message else None
    )


def _is_header(line: str) -> bool:
    names = re.split(r"[,;\t]", line)
    return len(names) > 1 and all(re.fullmatch(r'"?[A-Za-z_][\w .()-]*"?', name) for name in names)
