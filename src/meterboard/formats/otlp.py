"""
Reads the bodies of OpenTelemetry's protocol (OTLP): spans in protobuf or JSON.

A body is searched for its spans without decoding it as a whole, and each span is decoded separately, so that memory is
bounded by one span and the calls that were found.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meterboard.errors import TooLarge, UnreadableBody
from meterboard.formats.json_events import Fault, check_marks
from meterboard.formats.spans import NO_SOURCES, Sources, SpanCalls, calls_in

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MAX_SPANS = 100_000
"""
The limit for spans and the groups that they are in. The longest body has room for 200 bytes of each, and the
attributes of an HTTP request take more.
"""
MAX_SPAN_BYTES = 1_000_000
"""The longest span or resource: decoding makes objects of up to 40 times its size."""
MAX_MARKS = 1_500_000
"""The limit for commas and opening brackets of JSON: usual spans in the longest body have two thirds of it."""
SERVER = (Span.SPAN_KIND_SERVER, str(Span.SPAN_KIND_SERVER), "SPAN_KIND_SERVER")

_RESOURCE_SPANS = 1
_RESOURCE, _SCOPE_SPANS = 1, 2
_SPANS = 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Numbers of fields, and the types of wire, as in the protocol's definition."""


def read_spans(
    body: bytes, encoding: str, sources: Sources = NO_SOURCES, *, max_spans: int = MAX_SPANS
) -> SpanCalls:
    """
    Returns the calls among the spans of an ExportTraceServiceRequest.

    `sources` are the attributes that own dimensions are taken from.
    Raises: UnreadableBody: it is not one in that encoding. TooLarge: more spans or values than the limit of a request.
    """
    try:
        spans = (_in_protobuf if encoding == PROTOBUF else _in_json)(body, _Count(max_spans))
        return calls_in(spans, sources)
    except (
        DecodeError,
        json_format.ParseError,
        ValueError,  # msgspec's errors, too
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        what = " ".join(str(error).split())[:300] or type(error).__name__
        raise UnreadableBody(
            f"The body can't be read as an ExportTraceServiceRequest in {encoding}: {what}."
        ) from error


class _Count:
    """Counts spans and groups. Raises: TooLarge: there are too many."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most

    def add(self, number: int = 1) -> None:
        self._left -= number
        if self._left < 0:
            raise TooLarge(f"The request carries more than {self._most:,} spans: send smaller batches.")


def _check_resource(size: int) -> None:
    if size > MAX_SPAN_BYTES:
        raise TooLarge(f"A resource has {size:,} bytes: send at most {MAX_SPAN_BYTES:,}.")


def _too_long(size: int) -> Fault:
    """Returns the fault of a span that is too long, which doesn't affect other spans."""
    return Fault("invalid_value", f"The span has {size:,} bytes: expected at most {MAX_SPAN_BYTES:,}.")


# -- protobuf ---------------------------------------------------------------------------------------------------------------


class _Field(NamedTuple):
    """A field of a message whose value is bytes: its number and its position in the body."""

    number: int
    start: int
    end: int


def _in_protobuf(body: bytes, count: _Count) -> Iterator[tuple[Resource, Iterator[Span | Fault]]]:
    for group in _fields(body, 0, len(body), count):
        if group.number == _RESOURCE_SPANS and group.end > group.start:
            fields = list(_fields(body, group.start, group.end, count))
            resources = [field for field in fields if field.number == _RESOURCE]
            _check_resource(sum(field.end - field.start for field in resources))
            # A field that occurs twice is one message: its parts are concatenated.
            resource = Resource.FromString(b"".join(body[field.start : field.end] for field in resources))
            yield resource, _spans_of(body, fields, count)


def _spans_of(body: bytes, fields: list[_Field], count: _Count) -> Iterator[Span | Fault]:
    for scope in fields:
        if scope.number == _SCOPE_SPANS:
            for field in _fields(body, scope.start, scope.end, count):
                size = field.end - field.start
                if field.number == _SPANS and size:
                    long = size > MAX_SPAN_BYTES
                    yield _too_long(size) if long else Span.FromString(body[field.start : field.end])


def _fields(body: bytes, position: int, end: int, count: _Count) -> Iterator[_Field]:
    """Yields the fields of the message from `position` to `end` of a body. Raises: DecodeError. TooLarge."""
    while position < end:
        count.add()
        tag, position = _varint(body, position, end)
        kind = tag & 7
        if kind == _VARINT:
            _, position = _varint(body, position, end)
        elif kind == _BYTES:
            size, start = _varint(body, position, end)
            position = start + size
            if position <= end:
                yield _Field(tag >> 3, start, position)
        elif kind in (_FIXED64, _FIXED32):
            position += 8 if kind == _FIXED64 else 4
        else:
            raise DecodeError("a field is of an unknown type")
    if position > end:
        raise DecodeError("a field is cut off")


def _varint(body: bytes, position: int, end: int) -> tuple[int, int]:
    """Returns a number and the position after it."""
    value = 0
    for place in range(10):
        if position + place >= end:
            raise DecodeError("a number is cut off")
        byte = body[position + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, position + place + 1
    raise DecodeError("a number is too long")


# -- JSON -------------------------------------------------------------------------------------------------------------------


class _Scope(msgspec.Struct):
    """Spans under either name of the field: that of the protocol's JSON, or protobuf's own."""

    spans: list[msgspec.Raw] | None = None


class _Group(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"null")
    scopeSpans: list[_Scope | None] | None = None  # noqa: N815
    scope_spans: list[_Scope | None] | None = None


class _Request(msgspec.Struct):
    resourceSpans: list[_Group | None] | None = None  # noqa: N815
    resource_spans: list[_Group | None] | None = None


class _Kind(msgspec.Struct):
    kind: Any = None


_request = msgspec.json.Decoder(_Request)
_kind = msgspec.json.Decoder(_Kind)


def _in_json(body: bytes, count: _Count) -> Iterator[tuple[Resource, Iterator[Span | Fault]]]:
    check_marks(body, MAX_MARKS)
    request = _request.decode(body)
    for group in request.resourceSpans or request.resource_spans or []:
        count.add()
        if group is not None:
            text = bytes(group.resource)
            _check_resource(len(text))
            resource, value = Resource(), json.loads(text)
            if value is not None:
                json_format.ParseDict(value, resource, ignore_unknown_fields=True)
            yield resource, _spans_in_json(group, count)


def _spans_in_json(group: _Group, count: _Count) -> Iterator[Span | Fault]:
    for scope in group.scopeSpans or group.scope_spans or []:
        count.add()
        for raw in (scope and scope.spans) or []:
            count.add()
            if _kind.decode(raw).kind in SERVER:
                text = bytes(raw)
                yield _too_long(len(text)) if len(text) > MAX_SPAN_BYTES else _span_of(json.loads(text))


def _span_of(value: dict[str, Any]) -> Span:
    """Returns a span from OTLP's JSON, which has ids in hexadecimal, where protobuf's JSON has base64."""
    for name in ("traceId", "spanId", "parentSpanId"):
        text = value.get(name)
        if isinstance(text, str):
            value[name] = b64encode(bytes.fromhex(text)).decode()
    return json_format.ParseDict(value, Span(), ignore_unknown_fields=True)
