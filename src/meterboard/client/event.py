"""
Encodes a usage event as one line of JSON.

By hand rather than with `json.dumps`, since it happens inside the caller's request: it takes three microseconds,
validation included. What only Meterboard can validate, such as an IP address, is left to Meterboard.

Text may come from the API's callers, so no text makes an event invalid: it is truncated to what Meterboard accepts. Any
other wrong value is an error of the program that records it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from json.encoder import encode_basestring as quoted_unescaped
from json.encoder import encode_basestring_ascii as quoted
from secrets import token_hex
from time import time_ns
from typing import Any, TypedDict

from meterboard.client.text import MAX_VERB, truncate_path, truncate_text

SHORT_TEXT = 1_000
"""Characters of a text that needs no truncation, whatever its field."""
MAX_ID = 128
MAX_RECORDS = 2**31 - 1
MAX_CREDITS = 1_000_000
MAX_DIMENSIONS = 6
"""Dimensions of its own that an installation can have."""
_DIMENSION = re.compile(r"[a-z][a-z0-9_]{0,39}")
UNKNOWN_VERB = "?"
"""Replaces an HTTP method that has no valid characters."""


class HttpRequest(TypedDict):
    """The request that Meterboard's credit schedule finds version, module and method in."""

    method: str
    path: str


class UsageEvent(TypedDict, total=False):
    """The arguments of `record`. None is the same as omitting a field; `id` and `time` are added."""

    id: str | None
    time: datetime | None
    organization: str | None
    application: str | None
    function: str | None
    user: str | None
    ip: str | None
    version: str | None
    module: str | None
    method: str | None
    request: HttpRequest | None
    records: int | None
    credits: int | None
    status: int | None
    dimensions: Mapping[str, str | None] | None


class InvalidEvent(ValueError):
    """An event that can't be sent. Names its field, the value, and what was expected."""


class Stamper:
    """Adds an id and the time to events. An id is 96 random bits of this process and a number."""

    def __init__(self, clock: Callable[[], int] = time_ns) -> None:
        """`clock` returns nanoseconds since 1970."""
        self._clock = clock
        self._process = token_hex(12)
        self._start = f'{{"id":"{self._process}-'
        self._numbers = count()
        self._second = "", ""

    def stamp(self, fields: str) -> bytes:
        """
        Returns an event as a line of UTF-8 that ends in a newline and has no other.

        `fields` are encoded ones without `id` and `time`, each with a comma before it.
        """
        return f"{self._start}{next(self._numbers)}{self._time(self._clock())}{fields}}}\n".encode()

    def stamp_all(self, events: Sequence[str]) -> bytes:
        """Returns such lines, concatenated, of events that happened now."""
        start, text = self._start, self._time(self._clock())
        numbered = zip(events, self._numbers, strict=False)
        return "".join([f"{start}{number}{text}{fields}}}\n" for fields, number in numbered]).encode()

    def stamp_partly(self, fields: str, *, id: bool = True, time: bool = True) -> bytes:
        """Returns such a line of an event that may have one of both: `id` and `time` say which to add."""
        if id and time:
            return self.stamp(fields)
        own_id = f',"id":"{self._process}-{next(self._numbers)}"' if id else ""
        now = datetime.fromtimestamp(self._clock() // 1_000 / 1e6, UTC)
        own_time = f',"time":"{now.isoformat()}"' if time else ""
        return f"{{{(own_id + own_time + fields)[1:]}}}\n".encode()

    def _time(self, moment: int) -> str:
        now = str(moment)  # ten digits of seconds until the year 2286, then nine of nanoseconds
        second, text = self._second
        if now[:-9] != second:
            second = now[:-9]
            text = datetime.fromtimestamp(int(second), UTC).strftime('","time":"%Y-%m-%dT%H:%M:%S.')
            self._second = second, text  # in one assignment, since threads may be in different seconds
        return f'{text}{now[-9:-3]}Z"'


def encode_fields(fields: Mapping[str, Any]) -> str:
    """
    Returns the fields of an event as JSON, each with a comma before it.

    They take 900 kB at most: fifteen texts of `MAX_TEXT` characters, each of which takes six bytes at most.

    Raises: InvalidEvent: an unknown field, or a value that it can't have.
    """
    text = ""
    for name, value in fields.items():
        start = _TEXTS.get(name)
        if start and type(value) is str and len(value) <= SHORT_TEXT:  # nearly always
            text += start + quoted(value)
        elif value is not None:
            text += _field(name, value)
    if "\\u" in text:  # a character outside ASCII, or one that Meterboard refuses
        return "".join([_field(name, value) for name, value in fields.items() if value is not None])
    return text


def _field(name: str, value: object) -> str:
    encode = _ENCODERS.get(name)
    if encode is None:
        raise InvalidEvent(f"unknown field {name!r}: use one of {', '.join(_ENCODERS)}.")
    return f',"{name}":{encode(name, value)}'


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _invalid(name, value, "a string")
    # Not escaped, so that a character takes four bytes rather than twelve.
    return quoted_unescaped(truncate_text(value))


def _id(name: str, value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID:
        raise _invalid(name, value, f"a string of 1 to {MAX_ID} characters")
    return quoted(value)


def _time(name: str, value: object) -> str:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise _invalid(name, value, "a datetime with a time zone, such as datetime.now(UTC)")
    return f'"{value.isoformat()}"'


def _request(name: str, value: object) -> str:
    if not isinstance(value, Mapping) or value.keys() != {"method", "path"}:
        raise _invalid(name, value, 'a dict such as {"method": "GET", "path": "/crm/v8/Leads"}')
    verb, path = value["method"], value["path"]
    if not isinstance(verb, str) or not verb:
        raise _invalid("request.method", verb, "a string such as GET")
    if not isinstance(path, str):
        raise _invalid("request.path", path, "a string such as /crm/v8/Leads")
    verb = truncate_text(verb)[:MAX_VERB] or UNKNOWN_VERB
    return f'{{"method":{quoted_unescaped(verb)},"path":{quoted_unescaped(truncate_path(path))}}}'


def _dimensions(name: str, value: object) -> str:
    expected = 'a dict of strings such as {"environment": "production"}'
    if not isinstance(value, Mapping):
        raise _invalid(name, value, expected)
    members = []
    for dimension, said in value.items():
        check_dimension(dimension)
        if said is not None:
            members.append(f'"{dimension}":{_text(f"dimensions.{dimension}", said)}')
    if len(members) > MAX_DIMENSIONS:
        raise _invalid(name, value, f"at most {MAX_DIMENSIONS} dimensions")
    return f"{{{','.join(members)}}}"


def check_dimension(name: object) -> None:
    """Raises: InvalidEvent: no dimension can have such a name."""
    if not isinstance(name, str) or not _DIMENSION.fullmatch(name):
        raise _invalid("dimensions", name, "a name such as environment: lower-case letters, digits and _")


def _number(minimum: int, maximum: int) -> Callable[[str, object], str]:
    def encode(name: str, value: object) -> str:
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise _invalid(name, value, f"an integer from {minimum:,} to {maximum:,}")
        return str(int(value))  # which may be an HTTPStatus

    return encode


def _invalid(name: str, value: object, expected: str) -> InvalidEvent:
    return InvalidEvent(f"{name} is {str(value)[:100]!r}: expected {expected}.")


_ENCODERS: dict[str, Callable[[str, object], str]] = {
    "id": _id,
    "time": _time,
    "organization": _text,
    "application": _text,
    "function": _text,
    "user": _text,
    "ip": _text,
    "version": _text,
    "module": _text,
    "method": _text,
    "request": _request,
    "records": _number(0, MAX_RECORDS),
    "credits": _number(0, MAX_CREDITS),
    "status": _number(100, 599),
    "dimensions": _dimensions,
}
_TEXTS = {name: f',"{name}":' for name, encode in _ENCODERS.items() if encode is _text}
