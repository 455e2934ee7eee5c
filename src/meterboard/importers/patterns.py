"""
Formats of text lines, written as servers write them: nginx's `log_format`, Apache's `LogFormat`, Envoy's commands.

A format becomes regular expressions for RE2, which reads a line in one pass, three times as fast as otherwise, when no
part can be read in two ways and at most four parts are taken: so values end at the first character of what follows, and
one expression takes up to three fields.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from meterboard.errors import InvalidParameter
from meterboard.importers.fields import Wanted, clf, moment, parsed, quoted

MOST_TAKEN = 4
QUOTED = r'(?:[^"\\]|\\.)*'
CLF_TIME = r"[0-9]{2}/[A-Z][a-z][a-z]/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-](?:[01][0-9]|2[0-3])[0-5][0-9]"
_REST = r"([ \t\r].*)?$"

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
    # Apache
    "h": "ip",
    "a": "ip",
    "u": "user",
    "t": "time",
    "r": "request",
    "m": "http",
    "U": "path",
    "Uq": "path",
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
"""What variables of servers are fields of ours. A later one does not replace an earlier one of the same line."""
_CLASSES = {
    "time_local": CLF_TIME,
    "t": CLF_TIME,
    "status": "[0-9]{3}",
    "s": "[0-9]{3}",
    "RESPONSE_CODE": "[0-9]{3}",
}
_ADDRESS = "[^ :]*(?::[^ :]*:[^ ]*)?"  # none with a port, which is a virtual host in front of the address
_CLASSES |= {"elb_status_code": "(?:[0-9]{3}|-)"}
_CLASSES |= {"remote_addr": _ADDRESS, "h": _ADDRESS}
_CLASSES |= {"host": "[A-Za-z0-9_.-]+", "server_port": "[0-9]{1,5}"}
_CLASSES |= {"body_bytes_sent": "(?:[0-9]+|-)", "b": "(?:[0-9]+|-)"}
_SPELLINGS = {
    "nginx": re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<name>\w+))"),
    "Envoy": re.compile(r"%(?P<name>[A-Z_]{2,}(?:\([^)]*\))?)(?::\d+)?%"),
    "Apache": re.compile(r"%(?:[\d,!]*)[<>]?(?P<name>Uq|(?:\{[^}]+\})?\^?[a-zA-Z])"),
}


class Part(NamedTuple):
    """What stands in front of a variable, the variable's field if it has one, and what its value looks like."""

    before: str
    field: str
    value: str


class Pattern(NamedTuple):
    """A format: its parts, and what stands behind the last."""

    parts: list[Part]
    behind: str

    @property
    def is_closed(self) -> bool:
        """Does a line show that it is whole, though its end is missing?"""
        return self.behind.startswith('"')

    @property
    def fields(self) -> set[str]:
        """The fields that it has."""
        return {part.field for part in self.parts if part.field}

    def query(self, lines: str, wanted: Wanted) -> str:
        """What is parsed of a table of `n` and `line`; see `fields.parsed`."""
        fields = {part.field: part.value for part in self.parts if part.field}
        sign = (
            "status" if "status" in fields else "time"
        )  # what is never empty where the last expression fits
        others = [field for field in fields if field != sign]
        early = others[:-2]
        taken = [early[at : at + MOST_TAKEN] for at in range(0, len(early), MOST_TAKEN)]
        last = {sign, *others[-2:]}
        whole = [field for field in fields if field in last]
        extracts = [self._extract(f"e{number}", group) for number, group in enumerate(taken)]
        extracts.append(self._extract("whole", whole, to_the_end=True))
        places = {field: f"e{number}" for number, group in enumerate(taken) for field in group}
        places |= dict.fromkeys([*whole, "rest"], "whole")
        columns = ", ".join(f'{place}."{field}" as "{field}"' for field, place in places.items())
        texts = f"select n, line, {columns} from (select n, line, {', '.join(extracts)} from {lines})"
        time = clf('"time"') if fields["time"] == CLF_TIME else moment('"time"')
        found = f"if(\"{sign}\" = '', null, {time})"
        given = {field: _GIVEN.get(field, '"{}"').format(field) for field in fields}
        return parsed(texts, given, found, wanted)

    def _extract(self, name: str, fields: list[str], *, to_the_end: bool = False) -> str:
        """The expression that takes fields of a line, whole or no further than to the last of them."""
        pieces: list[str] = []
        missing = set(fields)
        for part in self.parts:
            value = f"({part.value})" if part.field in missing else part.value
            pieces.append(re.escape(part.before) + value)
            missing.discard(part.field)
            if not missing and not to_the_end:
                break
        if to_the_end:
            pieces.append(re.escape(self.behind) + _REST)
            fields = [*fields, "rest"]
        return f"regexp_extract(line, {quoted('^' + ''.join(pieces))}, {fields}) as {name}"


_GIVEN = {"user": 'rtrim("{}")'}
"""A user may hold spaces."""


def read_pattern(text: str, mapping: Mapping[str, str] | None = None) -> Pattern:
    """
    A format as a server's configuration writes it; `mapping` says which variable is which field, where ours is wrong.

    Raises: InvalidParameter: it says no time, or nothing tells two of its variables apart.
    """
    text = _statement(text)
    spelling = next((s for s in _SPELLINGS.values() if s.search(text)), None)
    if spelling is None:
        raise InvalidParameter("format", f"The format {text!r} has no variables such as $remote_addr or %h.")
    text = text.replace("%U%q", "%Uq").replace("%t", "[%t]") if spelling is _SPELLINGS["Apache"] else text
    chosen = {variable: field for field, variable in (mapping or {}).items()}
    parts: list[Part] = []
    seen = set(chosen.values())
    end = 0
    variables = list(spelling.finditer(text))
    for found, following in zip(variables, [*variables[1:], None], strict=True):
        before = text[end : found.start()]
        end = found.end()
        behind = text[end : following.start() if following else len(text)]
        if parts and not before:
            raise InvalidParameter("format", f"Nothing stands before {found[0]} that tells where it begins.")
        name = found["name"] or found.groupdict().get("braced") or ""
        name = name.lower() if name.startswith("{") else name
        field = chosen.get(name) or ("" if _VARIABLES.get(name) in seen else _VARIABLES.get(name, ""))
        seen.add(field)
        if field == "user" and behind.startswith(" ["):
            end += 1  # the space belongs to the name, which may hold some itself, and is cut off later
            parts.append(Part(before, field, r"[^\[]*"))
        else:
            parts.append(Part(before, field, _CLASSES.get(name) or _value(before, behind)))
    if "time" not in seen:
        raise InvalidParameter(
            "format", f"The format {text!r} says no time: add $time_local, %t or %START_TIME%."
        )
    return Pattern(parts, text[end:])


def _value(before: str, behind: str) -> str:
    if before.endswith('"') and behind.startswith('"'):
        return QUOTED
    return f"[^{re.escape(behind[0])}]*" if behind else "[^ ]*"


def _statement(text: str) -> str:
    """The format in a line of configuration: `log_format name '…' '…';` or `LogFormat "…" name`."""
    text = text.strip()
    if text.startswith("log_format "):
        return "".join(re.findall(r"'([^']*)'", text))
    if text.startswith("LogFormat "):
        text = re.sub(r'^LogFormat\s+"(.*)"[^"]*$', r"\1", text)
    return text.replace('\\"', '"')
