"""Formats whose lines are JSON objects: where each field is, and which lines are calls."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from meterboard.importers.reading.fields import FIELDS, ParseOptions, moment, parsed, quoted

CADDY = {
    "time": ("$.ts",),
    "ip": ("$.request.client_ip", "$.request.remote_ip", "$.request.remote_addr"),
    "user": ("$.user_id",),
    "agent": ('$.request.headers."User-Agent"[0]',),
    "http": ("$.request.method",),
    "path": ("$.request.uri",),
    "status": ("$.status",),
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
    "caddy-json": CADDY,
    "caddy-console": CADDY | {"time": ()},
    "traefik-json": {
        "time": ("$.StartUTC", "$.time"),
        "ip": ("$.ClientHost",),
        "user": ("$.ClientUsername",),
        "agent": ('$."request_User-Agent"',),
        "http": ("$.RequestMethod",),
        "path": ("$.RequestPath",),
        "status": ("$.DownstreamStatus",),
    },
    "iis": {
        "time": ("$.moment",),
        "ip": ('$."c-ip"',),
        "user": ('$."cs-username"',),
        "agent": ("$.agent",),
        "http": ('$."cs-method"',),
        "path": ("$.target",),
        "status": ('$."sc-status"',),
    },
}
"""Where each field is; the first path with a value is used."""
OF_A_CALL = ("ip", "request", "http", "path", "status")
"""A line of a server's log without any of these is a message."""
CADDY_ACCESS = (
    "starts_with(coalesce({$.logger}, 'http.log.access'), 'http.log.access') "
    "and coalesce({$.msg}, 'handled request') = 'handled request'"
)
"""A failed call also has a line of `http.log.error`, with the same request."""
CADDY_CONSOLE_ACCESS = "contains(line, chr(9) || 'http.log.access')"
CADDY_CONSOLE_MESSAGE = (
    r"regexp_matches(line, '^[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:.]{12}\t') and not " + CADDY_CONSOLE_ACCESS
)
_PATH = re.compile(r"\{(\$[^}]*)\}")

WHOLE_LINE = "line"
CONSOLE_OBJECT = "regexp_extract(line, '^[^{]*(.*)$', 1)"
CONSOLE_TIME = "replace(left(line, 23), '/', '-')"
_VALID = (
    "if(contains({text}, '\\x'), "
    "regexp_replace({text}, '(^|[^\\\\])((?:\\\\\\\\)*)\\\\x', '\\1\\2\\\\u00', 'g'), {text})"
)
"""A byte that is not UTF-8 reaches us as `\xe9`, which is not valid in JSON. It is read as Latin-1."""


class Objects(NamedTuple):
    """
    A format whose lines have a JSON object.

    `text` is the SQL of the object, `time` that of the time where the object does not have it. `is_log`: the log of a
    server, which may have messages among its calls; `is_call` is the SQL of a further condition of calls, with paths
    in braces.
    """

    places: Mapping[str, Sequence[str]]
    text: str = WHOLE_LINE
    time: str = ""
    is_log: bool = False
    is_call: str = "true"
    is_closed: bool = True

    @property
    def fields(self) -> set[str]:
        """Returns the fields of the format."""
        return {field for field, places in self.places.items() if places}

    @property
    def message(self) -> str:
        """Returns the SQL of whether a `line` is a message of the server rather than a call."""
        text = _VALID.format(text=self.text)
        condition = self._condition(lambda path: f"json_extract_string({text}, {quoted(path)})")
        return (
            f"case when json_valid({text}) then not ({condition}) else false end" if self.is_log else "false"
        )

    def query(self, lines: str, options: ParseOptions) -> str:
        """Returns the query that parses a table of `n` and `line`; see `fields.parsed`."""
        paths = [path for places in self.places.values() for path in places] + _PATH.findall(self.is_call)
        listed = "[" + ", ".join(map(quoted, paths)) + "]"
        number = {path: f"v[{place}]" for place, path in enumerate(paths, 1)}
        given = {
            field: "coalesce(" + ", ".join([*(number[path] for path in places), "''"]) + ")"
            for field, places in self.places.items()
            if places
        }
        texts = (
            "select n, line, v, '' as rest, false as is_open from (select n, line, case when json_valid(text) "
            f"then json_extract_string(text, {listed}) end as v from "
            f"(select n, line, {_VALID.format(text=self.text)} as text from {lines}))"
        )
        time = moment(self.time or given["time"])
        if self.is_log:
            time = f"if({self._condition(number.__getitem__)}, {time}, null)"
        return parsed(texts, given, time, options)

    def _condition(self, value: Callable[[str], str]) -> str:
        """Returns the SQL of whether a line is a call. `value` returns the SQL of the value at a path."""
        places = [value(path) for field in OF_A_CALL for path in self.places.get(field, ())]
        met = _PATH.sub(lambda found: value(found[1]), self.is_call)
        return f"coalesce({', '.join(places)}) is not null and {met}"


def objects(name: str, mapping: Mapping[str, Sequence[str]]) -> Objects:
    """Returns the layout of the format of that name; `mapping` overrides where fields are."""
    places: dict[str, Sequence[str]] = {**OBJECTS[name], **mapping}
    match name:
        case "caddy-json":
            return Objects(places, is_log=True, is_call=CADDY_ACCESS)
        case "caddy-console":
            return Objects(places, CONSOLE_OBJECT, CONSOLE_TIME, is_log=True, is_call=CADDY_CONSOLE_ACCESS)
        case _:
            return Objects(places, is_log=name in ("nginx-json", "traefik-json"))
