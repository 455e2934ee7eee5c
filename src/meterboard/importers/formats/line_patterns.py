"""
Formats of text lines in the notation of servers: nginx's `log_format`, Apache's `LogFormat`, Envoy's commands.

A format becomes regular expressions for RE2. RE2 reads a line in one pass, three times as fast as otherwise, when every
part matches in only one way and at most four parts are captured: so values end at the first character of what follows,
and one expression captures up to three fields.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from meterboard.errors import InvalidParameter
from meterboard.importers.formats.times import (
    ANY,
    CLF_TIME,
    COMMON_LOG,
    HAPROXY_TIME,
    TimePart,
    has_date,
    strftime,
    time_of,
    time_part,
)
from meterboard.importers.reading.fields import ParseOptions, parsed, quoted

MAX_CAPTURES = 4
QUOTED = r'(?:[^"\\]|\\.)*'
UTC = "UTC"
_REST = r"([ \t\r].*)?$"
_QUOTES = r'^(?:(?:[^"\\]|\\.)*"){6}(.*)$'
"""
A line with six quotes, as the combined format has. What follows them is irrelevant for the call, so the id does not
depend on it: a line that is read before its end is written has the same id later. The id of every other line depends on
the whole line. Neither depends on the format that the line is read in.
"""

_VARIABLES = {
    # nginx
    "remote_addr": "ip",
    "client": "ip",
    "remote_user": "user",
    "time_local": "time",
    "time_iso8601": "time",
    "msec": "time",
    "request": "request",
    "request_method": "http",
    "request_uri": "path",
    "uri": "path",
    "status": "status",
    "elb_status_code": "status",
    "http_user_agent": "agent",
    "haproxy_time": "time",
    "broken_request": "request",
    "uri$is_args$args": "path",
    # Apache
    "h": "ip",
    "a": "ip",
    "u": "user",
    "t": "time",
    "r": "request",
    "m": "http",
    "U": "path",
    "U%q": "path",
    "s": "status",
    "{user-agent}i": "agent",
    # Envoy
    "START_TIME": "time",
    "REQ(:METHOD)": "http",
    "REQ(:PATH)": "path",
    "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)": "path",
    "RESPONSE_CODE": "status",
    "REQ(USER-AGENT)": "agent",
    "REQ(X-FORWARDED-FOR)": "ip",
    "DOWNSTREAM_REMOTE_ADDRESS": "ip",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": "ip",
}
"""The fields of servers' variables. The first variable of a field in a line is used."""
_STATUS = "(?:[0-9]{1,3}|-)"
_SIZE = "(?:[0-9]+|-)"
_ADDRESS = "[^ :]*(?::[^ :]*:[^ ]*)?"  # without a port, which would be a virtual host before the address
_CLASSES = {
    "time_local": CLF_TIME,
    "status": _STATUS,
    "s": _STATUS,
    "RESPONSE_CODE": _STATUS,
    "elb_status_code": _STATUS,
    "haproxy_status": "-?[0-9]{1,3}",
    "remote_addr": _ADDRESS,
    "h": _ADDRESS,
    "body_bytes_sent": _SIZE,
    "b": _SIZE,
    "client": "[^ ]*",
    "client_port": "[0-9]*",
    # Variables of the built-in formats. Each begins or ends in a way that separates it from its neighbours.
    "virtual_host": "[^ ]*",
    "virtual_host_with_port": r"(?:[^ :]*|\[[^ ]*\]):[0-9]{1,5}",
    "caller": "(?:[^ -][^ ]*|-[^ ]+)",
    "caller_name": r"[^ \[][^\[]*",
    "unquoted": r'(?:[^ "]+ )*',
    "syslog": '(?:[^"]* )?',
    "captured": r"(?:\{[^}]*\} )*",
    "broken_request": '[^"]*',
}
_DELIMITED = ("unquoted", "syslog", "captured")
"""Variables that need no separator before the next one."""
_PATHS = ("request_uri", "uri", "uri$is_args$args", "U", "U%q")
"""Variables that begin with a slash, so that they may directly follow a host."""
_SPACED_PATH = r'(?:[^"\\ ]|\\.| )*'
_HOST = r"(?:\[[^ /\]]*\])?[^ /]*"
_VARIABLES |= {"caller": "ip", "caller_name": "user", "haproxy_status": "status"}
_SPELLINGS = {
    "nginx": re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<name>uri\$is_args\$args|\w+))"),
    "Envoy": re.compile(r"%(?P<name>[A-Z_]{2,}(?:\([^)]*\))?)(?::\d+)?%"),
    "Apache": re.compile(r"%(?:[\d,!]*)[<>]?(?P<name>U%q|(?:\{[^}]+\})?\^?[a-zA-Z])"),
}
_BARE_TIME = re.compile(r"%[<>]?(?:\{(?:begin|end):?\})?t")
"""Apache writes these times in brackets."""


class FormatPart(NamedTuple):
    """
    The text before a variable, the variable's field if it has one, and the regular expression of its value.

    `time` is the part of the line's time that it is, if any.
    """

    before: str
    field: str
    value: str
    time: TimePart | None = None


class Pattern(NamedTuple):
    """
    A format: its parts, the text after the last, and the zone of times without an offset.

    `needs_all`: where a part ends can't be determined from what follows it alone.
    """

    parts: list[FormatPart]
    behind: str
    zone: str = UTC
    needs_all: bool = False

    @property
    def is_closed(self) -> bool:
        """Returns whether a line shows that it is complete, though its line end is missing."""
        return self.behind.startswith('"')

    @property
    def fields(self) -> set[str]:
        """Returns the fields of the format."""
        return {part.field for part in self.parts if part.field}

    def query(self, lines: str, options: ParseOptions) -> str:
        """Returns the query that parses a table of `n` and `line`; see `fields.parsed`."""
        fields = {part.field: part.value for part in self.parts if part.field}
        sign = (
            "status" if "status" in fields else "time"
        )  # a field that is never empty where the last expression matches
        others = [field for field in fields if field != sign]
        early = others[:-2]
        taken = [early[at : at + MAX_CAPTURES] for at in range(0, len(early), MAX_CAPTURES)]
        last = {sign, *others[-2:]}
        whole = [field for field in fields if field in last]
        extracts = [self._extract(f"e{number}", group) for number, group in enumerate(taken)]
        extracts.append(self._extract("whole", whole, to_the_end=True))
        places = {field: f"e{number}" for number, group in enumerate(taken) for field in group}
        places |= dict.fromkeys(whole, "whole")
        columns = ", ".join(f'{place}."{field}" as "{field}"' for field, place in places.items())
        columns += f", regexp_extract(line, {quoted(_QUOTES)}, 1) as rest"
        columns += f", whole.behind <> '' and not regexp_matches(line, {quoted(_QUOTES)}) as is_open"
        texts = f"select n, line, {columns} from (select n, line, {', '.join(extracts)} from {lines})"
        times = [(f'"{part.field}"', part.time) for part in self.parts if part.time is not None]
        found = f"if(\"{sign}\" = '', null, {time_of(times, self.zone)})"
        given = {field: _GIVEN.get(field, '"{}"').format(field) for field in fields}
        return parsed(texts, given, found, options)

    def _extract(self, name: str, fields: list[str], *, to_the_end: bool = False) -> str:
        """Returns the SQL that captures fields of a line, matching all of it or up to the last of them."""
        pieces: list[str] = []
        missing = set(fields)
        for part in self.parts:
            value = f"({part.value})" if part.field in missing else part.value
            pieces.append(re.escape(part.before) + value)
            missing.discard(part.field)
            if not missing and not to_the_end and not self.needs_all:
                break
        if to_the_end:
            pieces.append(re.escape(self.behind) + _REST)
            fields = [*fields, "behind"]
        elif self.needs_all:
            pieces.append(re.escape(self.behind))
        return f"regexp_extract(line, {quoted('^' + ''.join(pieces))}, {fields}) as {name}"


_GIVEN = {"user": 'rtrim("{}")'}
"""A user may contain spaces."""


def read_pattern(text: str, mapping: Mapping[str, str] | None = None, zone: str = UTC) -> Pattern:
    """
    Returns a format in the notation of a server's configuration; `mapping` overrides the variables of fields.

    Raises: InvalidParameter: it has no time, or nothing separates two of its variables.
    """
    written = _statement(text)
    outside = re.sub(r"%\{[^}]*\}", "%", written)  # a time format of Apache may look like a command of Envoy
    spelling = next((s for s in _SPELLINGS.values() if s.search(outside)), None)
    if spelling is None:
        raise InvalidParameter("format", f"The format {text!r} has no variables such as $remote_addr or %h.")
    if spelling is _SPELLINGS["Apache"]:
        written = _BARE_TIME.sub(r"[\g<0>]", written)
    parts, behind = _parts(
        written, spelling, {variable: field for field, variable in (mapping or {}).items()}
    )
    times = [part.time for part in parts if part.time is not None]
    if not times:
        raise InvalidParameter(
            "format", f"The format {text!r} has no time: add $time_local, %t or %START_TIME%."
        )
    if not has_date(times):
        raise InvalidParameter("format", f"The format {text!r} has no date: add %Y-%m-%d to its time.")
    needs_all = any(part.value in (_CLASSES["syslog"], _SPACED_PATH) for part in parts)
    return Pattern(parts, behind, zone, needs_all)


def _parts(text: str, spelling: re.Pattern[str], chosen: Mapping[str, str]) -> tuple[list[FormatPart], str]:
    """Returns the parts of a format, and the text after the last. `chosen` are the fields of variables."""
    parts: list[FormatPart] = []
    seen = set(chosen.values())
    end = 0
    variables = list(spelling.finditer(text))
    last = ""
    for found, following in zip(variables, [*variables[1:], None], strict=True):
        before = text[end : found.start()]
        end = found.end()
        behind = text[end : following.start() if following else len(text)]
        name = found["name"] or found.groupdict().get("braced") or ""
        name = name.lower() if name.startswith("{") and not name.endswith("}t") else name
        if parts and not before and last not in _DELIMITED and not (parts[-1].time and parts[-1].time.value):
            if name not in _PATHS:
                raise InvalidParameter(
                    "format", f"Text is missing before {found[0]} to mark where it begins."
                )
            parts[-1] = parts[-1]._replace(value=_HOST)
        last = name
        time = (
            ANY if chosen.get(name) == "time" else _time_of(name) if "time" not in chosen.values() else None
        )
        if time is not None and not any(part.time in (ANY, COMMON_LOG) for part in parts):
            field = f"time{sum(part.time is not None for part in parts) or ''}"
            parts.append(FormatPart(before, field, time.value or _value(before, behind), time))
            continue
        field = chosen.get(name) or ("" if _VARIABLES.get(name) in seen else _VARIABLES.get(name, ""))
        seen.add(field)
        value = _CLASSES.get(name) or _value(before, behind)
        if field == "user" and behind.startswith(" ["):
            end += 1  # the space belongs to the name, which may contain spaces, and is removed later
            value = _CLASSES.get(name) or r"[^\[]*"
        elif name in _PATHS and text.count('"', 0, found.start()) % 2:
            value = _SPACED_PATH  # Apache writes a path without its escapes, so it may contain spaces
        parts.append(FormatPart(before, "" if field == "time" else field, value))
    return parts, text[end:]


def _time_of(name: str) -> TimePart | None:
    """Returns the part of the time that a variable is; None: it is none."""
    if name in ("t", "time_local"):
        return COMMON_LOG
    if name.endswith("}t"):
        return time_part(name[1:-2])
    if name == "haproxy_time":
        return strftime(HAPROXY_TIME)
    return ANY if _VARIABLES.get(name) == "time" else None


def _value(before: str, behind: str) -> str:
    if before.endswith('"') and behind.startswith('"'):
        return QUOTED
    return f"[^{re.escape(behind[0])}]*" if behind else "[^ ]*"


def _statement(text: str) -> str:
    """Returns the format in a line of configuration: `log_format name '…' '…';` or `LogFormat "…" name`."""
    text = text.strip()
    if text.startswith("log_format "):
        return "".join(one or other for one, other in re.findall(r"""'([^']*)'|"([^"]*)\"""", text))
    if text.startswith("LogFormat "):
        text = re.sub(r'^LogFormat\s+"(.*)"[^"]*$', r"\1", text)
    return text.replace('\\"', '"')
