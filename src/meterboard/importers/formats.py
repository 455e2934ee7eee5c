"""
The formats that an import knows by name, and how it guesses which one a file has.
"""

import json
import re
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple, Protocol

from meterboard.errors import InvalidParameter
from meterboard.importers.combined import Combined
from meterboard.importers.fields import FIELDS, SHARED, Wanted, moment, parsed, quoted
from meterboard.importers.patterns import read_pattern

COMMON = '$remote_addr $identity $remote_user [$time_local] "$request" $status $body_bytes_sent'
COMBINED = COMMON + ' "$http_referer" "$http_user_agent"'
TEXTS = {
    # Apache's vhost_combined has the host in front; further fields behind (nginx's own "main") are passed over.
    "combined": (COMBINED, COMMON, "$host:$server_port " + COMBINED, "$host:$server_port " + COMMON),
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
OBJECTS: dict[str, dict[str, tuple[str, ...]]] = {
    "ndjson": {name: (f"$.{name}",) for name in FIELDS}
    | {"http": ("$.request.method", "$.http"), "path": ("$.request.path", "$.path"), "request": ()},
    "nginx-json": {
        "time": ("$.time_iso8601", "$.time_local", "$.msec", "$.time", '$."@timestamp"', "$.timestamp"),
        "ip": ("$.remote_addr", "$.client_ip", "$.clientip"),
        "user": ("$.remote_user", "$.user"),
        "agent": ("$.http_user_agent", "$.user_agent", "$.agent"),
        "request": ("$.request",),
        "http": ("$.request_method", "$.method"),
        "path": ("$.request_uri", "$.uri", "$.path"),
        "status": ("$.status",),
    },
    "caddy-json": {
        "time": ("$.ts",),
        "ip": ("$.request.client_ip", "$.request.remote_ip", "$.request.remote_addr"),
        "user": ("$.user_id",),
        "agent": ('$.request.headers."User-Agent"[0]',),
        "http": ("$.request.method",),
        "path": ("$.request.uri",),
        "status": ("$.status",),
    },
    "traefik-json": {
        "time": ("$.StartUTC", "$.time"),
        "ip": ("$.ClientHost",),
        "user": ("$.ClientUsername",),
        "agent": ('$."request_User-Agent"',),
        "http": ("$.RequestMethod",),
        "path": ("$.RequestPath",),
        "status": ("$.DownstreamStatus",),
    },
}
"""Where each field is, the first place that has it."""
TABLES = ("csv", "parquet")
"""Each row becomes a JSON object on the way in."""
NAMES = (*TEXTS, "nginx-json", "caddy-json", "traefik-json", "csv", "ndjson", "parquet")


class Layout(Protocol):
    """How a line is laid out."""

    @property
    def is_closed(self) -> bool:
        """Does a line show that it is whole, though its end is missing?"""
        ...

    @property
    def fields(self) -> Set[str]:
        """The fields that it has."""
        ...

    def query(self, lines: str, wanted: Wanted) -> str:
        """What is parsed of a table of `n` and `line`; see `fields.parsed`."""
        ...


class Objects(NamedTuple):
    """Lines that are JSON objects."""

    places: Mapping[str, Sequence[str]]
    is_closed: bool = True

    @property
    def fields(self) -> Set[str]:
        """The fields that it has."""
        return {field for field, places in self.places.items() if places}

    def query(self, lines: str, wanted: Wanted) -> str:
        """What is parsed of a table of `n` and `line`; see `fields.parsed`."""
        paths = [path for places in self.places.values() for path in places]
        listed = "[" + ", ".join(map(quoted, paths)) + "]"
        number = {path: f"v[{place}]" for place, path in enumerate(paths, 1)}
        given = {
            field: "coalesce(" + ", ".join([*(number[path] for path in places), "''"]) + ")"
            for field, places in self.places.items()
            if places
        }
        texts = (
            "select n, line, v, '' as rest from (select n, line, case when json_valid(line) "
            f"then json_extract_string(line, {listed}) end as v from {lines})"
        )
        return parsed(texts, given, moment(given["time"]), wanted)


class Format(NamedTuple):
    """
    A format: its layouts, each for the lines that the ones before can't read; are there escapes
    in its texts, may lines have ids of their own?
    """

    name: str
    layouts: Sequence[Layout]
    is_escaped: bool = False
    has_ids: bool = False

    @property
    def shared(self) -> list[str]:
        """Those of SHARED that a line may say."""
        said = {field for layout in self.layouts for field in layout.fields}
        said |= {"request"} if said & {"http", "path"} else set()
        return [field for field in SHARED if field in said]


def read_format(text: str, mapping: Mapping[str, str]) -> Format:
    """
    A format by its name or as a server's configuration writes it; `mapping` says where fields are instead.

    Raises: InvalidParameter.
    """
    if text in TEXTS:
        layouts: list[Layout] = [read_pattern(pattern, mapping) for pattern in TEXTS[text]]
        if text == "combined" and not mapping:
            layouts.insert(0, Combined())
        return Format(text, layouts, is_escaped=True)
    if text in OBJECTS or text in TABLES:
        places = OBJECTS.get(text) or OBJECTS["ndjson"] | {"request": ("$.request",)}
        return Format(
            text, [Objects(places | {name: (_path(path),) for name, path in mapping.items()})], has_ids=True
        )
    if "$" in text or "%" in text:
        return Format("custom", [read_pattern(text, mapping)], is_escaped=True)
    raise InvalidParameter(
        "format",
        f"There is no format {text!r}. Use one of {', '.join(NAMES)}, or a log_format such as '{COMMON}'.",
    )


def _path(name: str) -> str:
    """`client.ip` is the member ip of client; `$.…` is a JSON path as it is."""
    if name.startswith("$"):
        return name
    return "$" + "".join(f".{json.dumps(part)}" for part in name.split("."))


def guess(file: str, beginning: bytes) -> str:
    """
    The format of a file by its name and its first bytes.

    Raises: InvalidParameter: nothing says which.
    """
    bare = re.sub(r"\.(gz|zst)$", "", file.lower())
    if beginning.startswith(b"PAR1"):
        return "parquet"
    line = beginning.lstrip(b"\xef\xbb\xbf\r\n ").partition(b"\n")[0].rstrip().decode("utf-8", "replace")
    if line.startswith("{"):
        return _guess_object(line)
    if bare.endswith((".csv", ".tsv")):
        return "csv"
    if re.match(r"\[\d{4}-\d\d-\d\dT", line):
        return "envoy"
    if re.match(r"(https?|h2|wss?|grpcs) \d{4}-\d\d-\d\dT", line):
        return "alb"
    if _is_header(line):
        return "csv"
    return "combined"


def _guess_object(line: str) -> str:
    for name in ("caddy-json", "traefik-json", "nginx-json"):
        sign = {
            "caddy-json": '"request":{',
            "traefik-json": '"RequestMethod"',
            "nginx-json": '"remote_addr"',
        }[name]
        if sign in line.replace('": ', '":') and (name != "caddy-json" or '"ts"' in line):
            return name
    return "ndjson"


def _is_header(line: str) -> bool:
    names = re.split(r"[,;\t]", line)
    return len(names) > 1 and all(re.fullmatch(r'"?[A-Za-z_][\w .()-]*"?', name) for name in names)
