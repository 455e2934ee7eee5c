"""
A usage event as one line of JSON.

Written out by hand rather than with `json.dumps`, since it happens inside the caller's request: it takes three
microseconds, the checks included. What only Meterboard can judge, such as an address, is left to Meterboard.

Text may come from whoever calls the API, so it never costs the event: it is cut to what Meterboard accepts. Other wrong
values are mistakes of the program that records.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from json.encoder import encode_basestring as quoted_unescaped
from json.encoder import encode_basestring_ascii as quoted
from secrets import token_hex
from time import time_ns
from typing import Any, TypedDict

from meterboard.client.text import MAX_VERB, short_path, short_text

SHORT_TEXT = 1_000
"""Characters of a text that is written without another look at its length."""
MAX_ID = 128
MAX_RECORDS = 2**31 - 1
MAX_CREDITS = 1_000_000
UNKNOWN_VERB = "?"
"""In place of an HTTP method of which nothing is left."""


class HttpRequest(TypedDict):
    """What Meterboard's credit schedule finds version, module and method in."""

    method: str
    path: str


class UsageEvent(TypedDict, total=False):
    """What `record` takes. None is the same as leaving a field out; `id` and `time` are filled in."""

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


class Mistake(ValueError):
    """An event that can't be sent: its field, the value, and what would be right."""


class Stamp:
    """Gives each event an id that nobody else gives out, 96 random bits for this process and a number, and its time."""

    def __init__(self) -> None:
        self._process = token_hex(12)
        self._start = f'{{"id":"{self._process}-'
        self._numbers = count()
        self._second = "", ""

    def line(self, fields: str, *, id: bool = True, time: bool = True) -> bytes:
        """
        An event as a line of UTF-8 that ends in a newline and holds no other.

        `fields` are encoded ones, each with a comma in front; `id` and `time` tell which of the two it lacks.
        """
        if id and time:
            return self.stamped(fields, time_ns())
        own_id = f',"id":"{self._process}-{next(self._numbers)}"' if id else ""
        own_time = (
            f',"time":"{datetime.fromtimestamp(time_ns() // 1_000 / 1e6, UTC).isoformat()}"' if time else ""
        )
        return f"{{{(own_id + own_time + fields)[1:]}}}\n".encode()

    def stamped(self, fields: str, moment: int) -> bytes:
        """`line` for an event that lacks both, as nearly all do; `moment` in nanoseconds since 1970."""
        return f"{self._start}{next(self._numbers)}{self._text(moment)}{fields}}}\n".encode()

    def stamped_all(self, events: Sequence[str], moment: int) -> bytes:
        """Such lines of events that have one moment, one behind the other: their fields."""
        start, text = self._start, self._text(moment)
        numbered = zip(events, self._numbers, strict=False)
        return "".join([f"{start}{number}{text}{fields}}}\n" for fields, number in numbered]).encode()

    def _text(self, moment: int) -> str:
        now = str(moment)  # ten digits of seconds until the year 2286, then nine of nanoseconds
        second, text = self._second
        if now[:-9] != second:
            second = now[:-9]
            text = datetime.fromtimestamp(int(second), UTC).strftime('","time":"%Y-%m-%dT%H:%M:%S.')
            self._second = second, text  # both at once: other threads are in other seconds
        return f'{text}{now[-9:-3]}Z"'


def encoded(fields: Mapping[str, Any]) -> str:
    """
    Fields as they are written in an event, each with a comma in front.

    All together take 600 kB at most: nine texts of `MAX_TEXT` characters, each of which takes six bytes at most.
    Raises: Mistake: a field that is none, or a value that it can't have.
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
        raise Mistake(f"{name!r} is no field of a usage event: use one of {', '.join(_ENCODERS)}.")
    return f',"{name}":{encode(name, value)}'


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _mistake(name, value, "a string")
    # Unescaped, so that a character takes four bytes rather than twelve.
    return quoted_unescaped(short_text(value))


def _id(name: str, value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID:
        raise _mistake(name, value, f"a string of 1 to {MAX_ID} characters")
    return quoted(value)


def _time(name: str, value: object) -> str:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise _mistake(name, value, "a datetime with a time zone, such as datetime.now(UTC)")
    return f'"{value.isoformat()}"'


def _request(name: str, value: object) -> str:
    if not isinstance(value, Mapping) or value.keys() != {"method", "path"}:
        raise _mistake(name, value, 'a dict such as {"method": "GET", "path": "/crm/v8/Leads"}')
    verb, path = value["method"], value["path"]
    if not isinstance(verb, str) or not verb:
        raise _mistake("request.method", verb, "a string such as GET")
    if not isinstance(path, str):
        raise _mistake("request.path", path, "a string such as /crm/v8/Leads")
    verb = short_text(verb)[:MAX_VERB] or UNKNOWN_VERB
    return f'{{"method":{quoted_unescaped(verb)},"path":{quoted_unescaped(short_path(path))}}}'


def _number(least: int, most: int) -> Callable[[str, object], str]:
    def encode(name: str, value: object) -> str:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise _mistake(name, value, f"a whole number from {least:,} to {most:,}")
        return str(int(value))  # an HTTPStatus is a number too

    return encode


def _mistake(name: str, value: object, expected: str) -> Mistake:
    return Mistake(f"{name} is {str(value)[:100]!r}: expected {expected}.")


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
}
_TEXTS = {name: f',"{name}":' for name, encode in _ENCODERS.items() if encode is _text}
