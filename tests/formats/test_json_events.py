"""Bodies as senders send them, good and bad."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterboard.domain.event import MAX_EVENTS
from meterboard.errors import MeterboardError, TooLarge, UnreadableBody
from meterboard.formats.json_events import MARKS, MAX_MARKS, check_marks, read_events

GOOD = {"user": "maria"}


def test_one_event_an_array_or_lines_are_the_same() -> None:
    one = read_events(json.dumps(GOOD).encode(), ndjson=False)
    array = read_events(json.dumps([GOOD]).encode(), ndjson=False)
    lines = read_events(json.dumps(GOOD).encode() + b"\n\n", ndjson=True)

    assert one.events == list(array.events) == lines.events
    assert [0] == list(one.positions) == list(array.positions) == list(lines.positions)


def test_lines_are_recognised_without_their_content_type() -> None:
    sent = read_events(b'{"user":"a"}\n{"user":"b"}\n', ndjson=False)

    assert [event.user for event in sent.events] == ["a", "b"]


def test_a_pretty_printed_object_is_one_event() -> None:
    assert len(read_events(json.dumps(GOOD, indent=2).encode(), ndjson=False).events) == 1


@pytest.mark.parametrize(
    ("event", "code", "says"),
    [
        ({"credits": -1}, "invalid_value", "credits is -1: expected a whole number from 0 to 1,000,000."),
        ({"credits": 1_000_001}, "invalid_value", "credits is 1000001: expected"),
        ({"credits": 1.5}, "invalid_value", "credits is 1.5: expected"),
        ({"credits": True}, "invalid_value", "credits is true: expected"),
        ({"credits": 10**400}, "invalid_value", "credits is Infinity: expected"),
        ({"records": "many"}, "invalid_value", 'records is "many": expected a whole number'),
        ({"status": 99}, "invalid_value", "status is 99: expected an HTTP status"),
        ({"status": 600}, "invalid_value", "status is 600: expected an HTTP status"),
        ({"id": ""}, "invalid_value", 'id is "": expected a string of 1 to 128 characters.'),
        ({"id": "x" * 129}, "invalid_value", "id is"),
        ({"time": "2026-11-01T00:00:00"}, "invalid_value", "expected a time with its offset"),
        ({"time": 1_700_000_000}, "invalid_value", "time is 1700000000: expected"),
        ({"user": 5}, "invalid_value", "user is 5: expected a string"),
        ({"user": "a\0b"}, "invalid_value", 'user is "a\\u0000b": it contains a NUL character'),
        ({"user": "\ud800"}, "invalid_value", 'user is "\\ud800": it contains an unpaired surrogate'),
        ({"usr": "maria"}, "unknown_field", "unknown field usr. The fields are id, time"),
        ({"request": {"method": "GET"}}, "missing_field", 'request is {"method": "GET"}: expected'),
        ({"request": {"method": "GET", "path": 5}}, "invalid_value", "request.path is 5: expected a path"),
        ({"request": {"method": "GET", "path": "/\0"}}, "invalid_value", "request.path"),
        ({"request": {"method": "GET", "path": "/", "x": 1}}, "unknown_field", "unknown field request.x"),
        (None, "invalid_type", "The event is null: send an object."),
        ([], "invalid_type", "The event is []: send an object."),
    ],
    ids=lambda value: json.dumps(value)[:40] if not isinstance(value, str) else None,
)
def test_a_refused_event_is_told_its_field_and_value_and_costs_no_other(
    event: object, code: str, says: str
) -> None:
    sent = read_events(json.dumps([GOOD, event, GOOD]).encode(), ndjson=False)

    assert list(sent.positions) == [0, 2]
    assert [accepted.user for accepted in sent.events] == ["maria", "maria"]
    (refused,) = sent.rejected
    assert (1, code) == (refused.index, refused.code)
    assert says in refused.message


def test_a_broken_line_costs_no_other() -> None:
    sent = read_events(b'{"user":"a"}\n{oh no\n{"user":"b"}', ndjson=True)

    assert list(sent.positions) == [0, 2]
    assert sent.rejected[0].code == "invalid_json"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"null",
        b"5",
        b'"text"',
        b"[{}",
        b"[{}] and more",
        b'{"user": NaN}',
        b"\xff\xfe",
        b"<xml/>",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'[{"user":' + b"[" * 50_000 + b"]" * 50_000 + b"}]",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a_body_that_is_no_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableBody, match="Send one usage event"):
        read_events(body, ndjson=False)


def test_too_many_events_are_too_large() -> None:
    with pytest.raises(TooLarge, match="10,001 events"):
        read_events(json.dumps([{}] * (MAX_EVENTS + 1)).encode(), ndjson=False)


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_raise_anything_else(body: bytes, ndjson: bool) -> None:
    try:
        sent = read_events(body, ndjson=ndjson)
    except MeterboardError:
        return

    assert sorted([*sent.positions, *(refused.index for refused in sent.rejected)]) == list(
        range(len(sent.events) + len(sent.rejected))
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["id", "time", "ip", "user", "request", "records", "credits", "status", "other"])


@given(st.lists(st.dictionaries(fields, values, max_size=4) | values, max_size=5))
def test_any_json_array_is_answered_event_by_event(events: list[object]) -> None:
    body = json.dumps(events, allow_nan=True)
    if "NaN" in body or "Infinity" in body:
        return

    sent = read_events(body.encode(), ndjson=False)

    assert len(sent.events) + len(sent.rejected) == len(events)
    assert all(len(refused.message) > 20 for refused in sent.rejected)


def marks_in(value: object) -> int:
    """The commas and opening brackets that JSON of a value has outside of texts."""
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(0, len(value) - 1) + sum(map(marks_in, inner))
    return 0


@given(st.recursive(values, lambda inner: st.lists(inner, max_size=4), max_leaves=6), st.integers(3, 40))
def test_values_are_counted_without_those_in_texts(value: object, step: int) -> None:
    marked = [value, 'a text: "{[,,]}" \\', "\\", '\\"', ",,,,,,,,,"]
    body = json.dumps(marked, ensure_ascii=False).encode(errors="surrogatepass")

    check_marks(body, marks_in(marked), step_bytes=step)
    with pytest.raises(TooLarge):
        check_marks(body, marks_in(marked) - 1, step_bytes=step)


def test_a_batch_of_the_most_values_is_taken() -> None:
    full = {
        "id": "x",
        "ip": "10.0.0.1",
        "request": {
            "method": "GET",
            "path": "/a,b,c,d,e,f,g,{id},h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z" + "," * 40,
        },
        "credits": 1,
        "records": 1,
        "status": 200,
        **dict.fromkeys(["application", "function", "user", "version", "module", "method"], "a, b"),
    }
    body = json.dumps([full] * MAX_EVENTS).encode()

    assert sum(map(body.count, MARKS)) > MAX_MARKS
    assert len(read_events(body, ndjson=False).events) == MAX_EVENTS


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"{}," * 300_000 + b"{}]",
        b"[" + b"1," * 600_000 + b"1]",
        b'{"a":[' + b"{}," * 300_000 + b"{}]}",
        b'["' + b'","' * 600_000 + b'"]',
    ],
    ids=["objects", "numbers", "in an object", "texts"],
)
def test_a_body_of_more_values_than_events_can_have_is_too_large(body: bytes) -> None:
    with pytest.raises(TooLarge, match="500,000 JSON values"):
        read_events(body, ndjson=False)


@pytest.mark.parametrize("line", [b"\n", b"\r", b"{}\n", b"{\r\n"])
def test_more_lines_than_events_are_too_large(line: bytes) -> None:
    with pytest.raises(TooLarge):
        read_events(line * 150_000, ndjson=True)


def test_a_message_shows_the_beginning_of_a_long_name() -> None:
    (refused,) = read_events(json.dumps([{"x" * 100_000: 1}]).encode(), ndjson=False).rejected

    assert len(refused.message) < 300
