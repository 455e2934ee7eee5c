"""Requests of OpenTelemetry's protocol, read without making objects of all that is in them."""

import json
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meterboard.errors import TooLarge, UnreadableBody
from meterboard.formats.json_events import Fault
from meterboard.formats.otlp import JSON, MAX_SPAN_BYTES, PROTOBUF, read_spans
from meterboard.formats.spans import SpanCalls, calls_in
from tests.formats.test_spans import request

attributes = st.dictionaries(
    st.sampled_from(["http.request.method", "url.path", "meterboard.user", "other"]),
    st.text(max_size=5) | st.integers(-5, 5) | st.booleans(),
    max_size=3,
)


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(0, 3))):
        one = request(
            draw(attributes),
            draw(attributes),
            kind=draw(
                st.sampled_from([Span.SPAN_KIND_SERVER, Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, 0])
            ),
            start_time_unix_nano=draw(st.sampled_from([0, 1_795_500_000_123_456_789])),
            name="name",
        ).resource_spans[0]
        one.schema_url = draw(st.sampled_from(["", "https://x"]))
        one.scope_spans[0].scope.name = draw(st.sampled_from(["", "scope"]))
        for _ in range(draw(st.integers(0, 2))):
            one.scope_spans.add().spans.add().CopyFrom(one.scope_spans[0].spans[0])
        made.resource_spans.append(one)
    return made


def told(calls: SpanCalls) -> list[object]:
    return [(span, str(event)) for span, event in zip(calls.spans, calls.events, strict=True)]


def as_json(made: ExportTraceServiceRequest, *, own_names: bool = False) -> bytes:
    value = MessageToDict(made, preserving_proto_field_name=own_names)
    for group in value.get("resource_spans" if own_names else "resourceSpans", []):
        for scope in group.get("scope_spans" if own_names else "scopeSpans", []):
            for span in scope.get("spans", []):
                for name in ("traceId", "spanId"):
                    if name in span:
                        span[name] = (b"\x01" * 16 if name == "traceId" else b"\x02" * 8).hex()
    return json.dumps(value).encode()


@given(requests())
def test_what_is_read_is_what_protobuf_s_own_decoder_reads(made: ExportTraceServiceRequest) -> None:
    groups = [
        (group.resource, [span for scope in group.scope_spans for span in scope.spans])
        for group in made.resource_spans
    ]
    expected = told(calls_in(groups))

    assert told(read_spans(made.SerializeToString(), PROTOBUF)) == expected
    assert told(read_spans(as_json(made), JSON)) == expected
    assert told(read_spans(as_json(made, own_names=True), JSON)) == expected


@given(requests(), st.data())
def test_a_body_that_is_cut_off_or_changed_never_raises_anything_else(
    made: ExportTraceServiceRequest, data: st.DataObject
) -> None:
    body = bytearray(made.SerializeToString())
    for _ in range(data.draw(st.integers(0, 3))):
        if body:
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    changed = bytes(body[: data.draw(st.integers(0, len(body)))])
    with suppress(UnreadableBody, TooLarge):
        read_spans(changed, PROTOBUF)


def json_body(*spans: Any, **resource: Any) -> bytes:
    return json.dumps(
        {"resourceSpans": [None, {"resource": resource or None, "scopeSpans": [None, {"spans": spans}]}]}
    ).encode()


CALL = {
    "traceId": "01" * 16,
    "spanId": "02" * 8,
    "attributes": [{"key": "http.method", "value": {"stringValue": "GET"}}],
}


@pytest.mark.parametrize("kind", [2, "2", "SPAN_KIND_SERVER"])
def test_every_spelling_of_a_server_s_span_is_a_call(kind: object) -> None:
    assert len(read_spans(json_body(CALL | {"kind": kind}, CALL | {"kind": 3}, {}, CALL), JSON).events) == 1


def test_more_spans_than_a_request_may_carry_are_too_large() -> None:
    group = ExportTraceServiceRequest()
    spans = group.resource_spans.add().scope_spans.add().spans
    spans.extend(Span(name="x") for _ in range(1_000))
    with pytest.raises(TooLarge, match="1,000 spans"):
        read_spans(group.SerializeToString(), PROTOBUF, max_spans=1_000)
    with pytest.raises(TooLarge, match="1,000 spans"):
        read_spans(json_body(*[{}] * 1_000), JSON, max_spans=1_000)
    del spans[990:]
    assert read_spans(group.SerializeToString(), PROTOBUF, max_spans=1_000).events == []
    assert read_spans(json_body(*[{}] * 990), JSON, max_spans=1_000).events == []


def test_a_span_that_is_too_long_costs_no_other() -> None:
    long = request({"http.method": "GET", "x": "x" * MAX_SPAN_BYTES})
    spans = long.resource_spans[0].scope_spans[0].spans
    spans.add().CopyFrom(request({"http.method": "GET"}).resource_spans[0].scope_spans[0].spans[0])

    for body, encoding in ((long.SerializeToString(), PROTOBUF), (as_json(long), JSON)):
        fault, event = read_spans(body, encoding).events
        assert isinstance(fault, Fault)
        assert "expected at most 1,000,000" in str(fault)
        assert isinstance(event, dict)


def test_a_resource_that_is_too_long_is_too_large() -> None:
    made = request({"http.method": "GET"}, resource={"x": "x" * MAX_SPAN_BYTES})
    for body, encoding in ((made.SerializeToString(), PROTOBUF), (as_json(made), JSON)):
        with pytest.raises(TooLarge, match="resource"):
            read_spans(body, encoding)


def test_fields_of_a_resource_without_end_are_refused_for_each_span() -> None:
    many = {f"meterboard.field{number}": "x" for number in range(1_000)}
    (event,) = read_spans(request({"http.method": "GET"}, resource=many).SerializeToString(), PROTOBUF).events

    assert isinstance(event, dict)
    assert 20 <= len(event) < 30
