"""
Reading usage events as they are sent: one JSON object, an array, or NDJSON.

The whole body is decoded in one step, which is fast; only when that fails is each event looked at alone, so that one
bad event costs no other. A refused event is answered with its field, its value and what would be right.
"""

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, NoReturn

import msgspec

from meterboard.domain.event import MAX_CREDITS, MAX_EVENTS, MAX_RECORDS, MAX_TEXT, Rejection, UsageEvent
from meterboard.errors import TooLarge, UnreadableBody

EXPECTED = {
    "id": "a string of 1 to 128 characters",
    "time": "a time with its offset, such as 2026-11-03T10:45:00+05:30 (RFC 3339)",
    "ip": "an IPv4 or IPv6 address as a string",
    "request": 'an object such as {"method": "GET", "path": "/crm/v8/Leads"}',
    "request.method": "an HTTP method of 1 to 32 characters",
    "request.path": f"a path of at most {MAX_TEXT:,} characters",
    "records": f"a whole number from 0 to {MAX_RECORDS:,}",
    "credits": f"a whole number from 0 to {MAX_CREDITS:,}",
    "status": "an HTTP status, a whole number from 100 to 599",
    "dimensions": 'an object of strings such as {"environment": "production"}',
}
EXPECTED_TEXT = f"a string of at most {MAX_TEXT:,} characters"
HOW_TO_SEND = "Send one usage event as an object, an array of them, or one per line with Content-Type: application/x-ndjson."
UTF8_MARK = b"\xef\xbb\xbf"

MAX_SHOWN = 80
"""The most characters of a value in a message."""
MARKS = (b",", b"{", b"[")
"""The bytes that precede a value in JSON. Counting them bounds the objects of decoding before it begins."""
MAX_MARKS = 50 * MAX_EVENTS
"""The limit for a body. The largest batch of CloudEvents has half as many; decoding takes at most 100 MB."""
MAX_EVENT_MARKS = 150_000
"""The limit for one event, including commas in texts: ten texts of commas alone have fewer."""
MAX_LINES = 10 * MAX_EVENTS
"""The most lines of NDJSON, including empty ones."""
STEP_BYTES = 65_536
"""How much is searched at once: less than 5 ms, after which other threads can run."""
_TEXT = re.compile(rb'"[^"]*"?')
_OTHER_BYTES = bytes(set(range(256)) - set(b'",{['))

_one = msgspec.json.Decoder(UsageEvent)
_many = msgspec.json.Decoder(list[UsageEvent])
_raw_items = msgspec.json.Decoder(list[msgspec.Raw])
_path = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_unknown = re.compile(r"unknown field `(?P<name>.*?)`")


class Sent(NamedTuple):
    """The content of a request: its readable events with their positions, and the rejected ones with reasons."""

    events: Sequence[UsageEvent]
    positions: Sequence[int]
    rejected: list[Rejection]


def read_events(body: bytes, *, ndjson: bool) -> Sent:
    """
    Returns the usage events in the body of a request.

    Raises: UnreadableBody: not JSON, or neither an object nor an array. TooLarge: more events than the limit of a
    request.
    """
    sent = None if ndjson else read_valid_events(body)
    if sent is not None:
        return sent
    body = body.removeprefix(UTF8_MARK)
    if ndjson or _looks_like_ndjson(body):
        return each(_lines(body))
    if body.lstrip()[:1] != b"[":
        return each([_object_in(body)])
    try:
        items: Sequence[object] = _raw_items.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        items = _array_in(body)
    check_count(len(items))
    return each(bytes(item) if isinstance(item, msgspec.Raw) else item for item in items)


def read_valid_events(body: bytes) -> Sent | None:
    """
    Returns the events of an object or array that are all valid, in one pass; None: the body is different.

    Raises: TooLarge: more events or values than the limit of a request.
    """
    body = body.removeprefix(UTF8_MARK)
    check_marks(body, MAX_MARKS)
    # JSON writes a NUL character as \\u0000 only, so one search clears a usual body.
    if b"\\u0000" in body:
        return None
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        events = _many.decode(body) if body[:1] == b"[" else [_one.decode(body)]
        check_count(len(events))
        return Sent(events, range(len(events)), [])
    return None


def check_marks(body: bytes, most: int, *, step_bytes: int = STEP_BYTES) -> None:
    """Checks the number of values in JSON before it is decoded. Raises: TooLarge: there are more than `most`."""
    if len(body) <= most or sum(map(body.count, MARKS)) <= most:
        return
    # Marks in texts don't count. Without escapes and all other bytes, quotes show where texts begin and end.
    marks_and_quotes = body.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _OTHER_BYTES)
    marks, in_text = 0, b""
    for start in range(0, len(marks_and_quotes), step_bytes):
        step = in_text + marks_and_quotes[start : start + step_bytes]
        in_text = b'"' if step.count(b'"') % 2 else b""
        marks += len(_TEXT.sub(b"", step))
        if marks > most:
            raise TooLarge(f"The request carries more than {most:,} JSON values. Send smaller batches.")


def _lines(body: bytes) -> list[bytes]:
    """Returns the lines that are not empty. Raises: TooLarge: there are too many."""
    if body.count(b"\n") + body.count(b"\r") > MAX_LINES:
        raise TooLarge(
            f"The request carries more than {MAX_LINES:,} lines; send at most {MAX_EVENTS:,} events in one request."
        )
    lines = [line for line in body.splitlines() if line.strip()]
    check_count(len(lines))
    return lines


def _looks_like_ndjson(body: bytes) -> bool:
    check_marks(body, MAX_MARKS)
    first, newline, rest = body.lstrip().partition(b"\n")
    if not (newline and rest.strip() and first.startswith(b"{")):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def check_count(count: int) -> None:
    """Checks the number of events. Raises: TooLarge: more than the limit of a request."""
    if count > MAX_EVENTS:
        raise TooLarge(f"The request carries {count:,} events; send at most {MAX_EVENTS:,} in one request.")


def each(items: Iterable[bytes | object]) -> Sent:
    """Returns events one by one, from bytes of JSON, decoded values, or faults of unreadable ones."""
    events: list[UsageEvent] = []
    positions: list[int] = []
    rejected: list[Rejection] = []
    for position, item in enumerate(items):
        try:
            if isinstance(item, Fault):
                raise item
            event = _event_of(item)
            check_text(event)
        except Fault as fault:
            rejected.append(Rejection(position, fault.code, str(fault)))
        else:
            events.append(event)
            positions.append(position)
    return Sent(events, positions, rejected)


class Fault(Exception):
    """Why an event can't be accepted: a code for programs and a sentence for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def unknown_field(name: str, known: Sequence[str]) -> Fault:
    """Returns the fault of an unknown field."""
    name = name if len(name) <= MAX_SHOWN else f"{name[: MAX_SHOWN - 3]}..."
    named = f"The fields are {', '.join(known)}." if known else "No dimensions are set here."
    return Fault("unknown_field", f"unknown field {name}. {named}")


def _event_of(item: bytes | object) -> UsageEvent:
    try:
        return _one.decode(item) if isinstance(item, bytes) else msgspec.convert(item, UsageEvent)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        reason = str(error)
    if isinstance(item, bytes) and sum(map(item.count, MARKS)) > MAX_EVENT_MARKS:
        raise Fault("invalid_value", "The event has too many values: send one event as one object.")
    try:
        value = _json_value(item) if isinstance(item, bytes) else item
    except (ValueError, RecursionError) as error:
        raise Fault("invalid_json", f"The event is not JSON: {_reason(error)}.") from error
    if not isinstance(value, dict):
        raise Fault("invalid_type", f"The event is {shown(value)}: send an object.")
    try:
        # msgspec has the same error for "not JSON" and for an unpaired surrogate, which JSON's grammar allows.
        return msgspec.convert(value, UsageEvent)
    except msgspec.ValidationError as error:
        reason = str(error)
    except UnicodeEncodeError as error:
        name = shown(error.object)
        raise Fault("unknown_field", f"unknown field {name}: it contains an unpaired surrogate.") from error
    raise Fault(*_fault(reason, value))


def check_text(event: UsageEvent) -> None:
    """Checks the texts of an event. Raises: Fault: a field has a NUL character or an unpaired surrogate."""
    values = {name: getattr(event, name) for name in UsageEvent.__struct_fields__}
    if event.request:
        values |= {"request.method": event.request.method, "request.path": event.request.path}
    for name, value in (event.dimensions or {}).items():
        values[f"dimensions.{name}"] = value
    for name, value in values.items():
        if isinstance(value, str):
            if "\0" in value:
                raise Fault(
                    "invalid_value", f"{name} is {shown(value)}: it contains a NUL character. Remove it."
                )
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Fault(
                    "invalid_value",
                    f"{name} is {shown(value)}: it contains an unpaired surrogate.",
                ) from None


def _json_value(body: bytes) -> object:
    return json.loads(body, parse_constant=_no_constant, parse_int=_number)


def _number(digits: str) -> int | float:
    # Python refuses to read thousands of digits as an integer; as a float they are infinite and refused by name.
    return int(digits) if len(digits) < 100 else float(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object_in(body: bytes) -> bytes:
    if not isinstance(value_in(body), dict):
        raise UnreadableBody("The body is neither a JSON object nor an array of objects. " + HOW_TO_SEND)
    return body


def _array_in(body: bytes) -> list[object]:
    value = value_in(body)
    assert isinstance(value, list)
    return value


def value_in(body: bytes) -> object:
    """Returns the JSON value of a body. Raises: UnreadableBody: it is not JSON. TooLarge: it has too many values."""
    check_marks(body, MAX_MARKS)
    try:
        return _json_value(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableBody(f"The body can't be read as JSON: {_reason(error)}. {HOW_TO_SEND}") from error


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error).rstrip(".")


def _fault(message: str, value: dict[str, object]) -> tuple[str, str]:
    """Returns the code and the message for msgspec's error about `value`."""
    found = _path.search(message)
    path = found["path"] if found else ""
    if path.startswith("dimensions["):
        path = _wrong_dimension(value)
    unknown = _unknown.search(message)
    if unknown:
        name = f"{path}.{unknown['name']}" if path else unknown["name"]
        fault = unknown_field(name, ("method", "path") if path else UsageEvent.__struct_fields__)
        return fault.code, str(fault)
    if "missing required field" in message:
        return "missing_field", f"{path} is {_at(value, path)}: expected {EXPECTED.get(path, EXPECTED_TEXT)}."
    return "invalid_value", f"{path} is {_at(value, path)}: expected {EXPECTED.get(path, EXPECTED_TEXT)}."


def _wrong_dimension(event: dict[str, object]) -> str:
    """Returns the path of the first dimension whose value is not a text or too long, which msgspec doesn't name."""
    given = event["dimensions"]
    assert isinstance(given, dict)
    name = next(name for name, value in given.items() if not isinstance(value, str) or len(value) > MAX_TEXT)
    return f"dimensions.{name}"


def _at(value: object, path: str) -> str:
    for name in path.split(".", 1):
        value = value.get(name) if isinstance(value, dict) else None
    return shown(value)


def shown(value: object) -> str:
    """Returns a value as messages show it: JSON in ASCII, so that it can't disturb a log or a terminal; truncated."""
    try:
        text = json.dumps(value[: MAX_SHOWN + 1] if isinstance(value, str) else value)
    except (ValueError, RecursionError):
        text = "a value"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."
