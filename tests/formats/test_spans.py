"""Which spans are calls, and what each attribute becomes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meterboard.formats.json_events import Fault, each
from meterboard.formats.otlp import PROTOBUF, read_spans
from meterboard.formats.spans import SpanCalls

GET = {"http.request.method": "GET"}


def pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=value_of(value)) for name, value in attributes.items()]


def value_of(value: Any) -> AnyValue:
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[value_of(each) for each in value]))
    kind = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}[type(value)]
    return AnyValue(**{kind: value})


def request(
    attributes: dict[str, Any], resource: dict[str, Any] | None = None, **span: Any
) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    group = made.resource_spans.add()
    group.resource.attributes.extend(pairs(resource or {}))
    given = {"trace_id": b"\x01" * 16, "span_id": b"\x02" * 8, "kind": Span.SPAN_KIND_SERVER} | span
    group.scope_spans.add().spans.add(attributes=pairs(attributes), **given)
    return made


def calls(made: ExportTraceServiceRequest) -> SpanCalls:
    return read_spans(made.SerializeToString(), PROTOBUF)


def event(attributes: dict[str, Any], **more: Any) -> dict[str, object]:
    """The fields that a span's event has, but for its id."""
    (found,) = calls(request(attributes, **more)).events
    assert isinstance(found, dict), str(found)
    return {name: value for name, value in found.items() if name != "id"}


def test_a_span_of_the_stable_conventions() -> None:
    attributes = {
        "http.request.method": "GET",
        "url.path": "/crm/v8/Leads",
        "url.query": "page=2",
        "url.scheme": "https",
        "http.route": "/crm/{version}/{module}",
        "http.response.status_code": 200,
        "client.address": "203.0.113.7",
        "network.peer.address": "10.0.0.1",
        "user_agent.original": "zoho-sdk/4.0 (linux)",
        "enduser.id": "maria",
    }

    assert event(attributes, start_time_unix_nano=1_795_500_000_123_456_789) == {
        "time": datetime(2026, 11, 24, 6, 0, 0, 123456, tzinfo=UTC),
        "request": {"method": "GET", "path": "/crm/v8/Leads?page=2"},
        "status": 200,
        "ip": "203.0.113.7",
        "application": "zoho-sdk",
        "user": "maria",
    }


@pytest.mark.parametrize(
    ("gateway", "attributes"),
    [
        (
            "Envoy",
            {
                "http.method": "GET",
                "http.url": "https://api.example.com/v2/orders?page=2",
                "http.status_code": "200",
                "user_agent": "curl/8.1",
                "peer.address": "203.0.113.7",
                "upstream_cluster": "orders",
            },
        ),
        (
            "Kong",
            {
                "http.method": "GET",
                "http.url": "https://api.example.com/v2/orders?page=2",
                "http.status_code": 200,
                "http.client_ip": "203.0.113.7",
                "net.peer.ip": "10.0.0.1",
                "http.route": "/v2",
                "kong.consumer": "curl",
            },
        ),
        (
            "Traefik",
            {
                "http.request.method": "GET",
                "url.path": "/v2/orders",
                "url.query": "page=2",
                "http.response.status_code": 200,
                "client.address": "203.0.113.7",
                "user_agent.original": "curl/8.1",
            },
        ),
        (
            "NGINX",
            {
                "http.method": "GET",
                "http.target": "/v2/orders?page=2",
                "http.route": "/",
                "http.status_code": 200,
                "http.user_agent": "curl/8.1",
                "net.sock.peer.addr": "203.0.113.7",
            },
        ),
    ],
)
def test_what_each_gateway_writes_is_one_event(gateway: str, attributes: dict[str, Any]) -> None:
    assert event(attributes) == {
        "request": {"method": "GET", "path": "/v2/orders?page=2"},
        "status": 200,
        "ip": "203.0.113.7",
        "application": "curl",
    }


@pytest.mark.parametrize(
    ("attributes", "span"),
    [
        ({"http.request.method": "GET"}, {"kind": Span.SPAN_KIND_CLIENT}),
        ({"http.request.method": "GET"}, {"kind": Span.SPAN_KIND_INTERNAL}),
        ({"http.request.method": "GET"}, {"kind": Span.SPAN_KIND_UNSPECIFIED}),
        ({"rpc.system": "grpc"}, {}),
        ({}, {}),
    ],
)
def test_other_spans_are_no_calls(attributes: dict[str, Any], span: dict[str, Any]) -> None:
    assert calls(request(attributes, **span)).events == []


def test_the_id_is_of_trace_and_span_so_that_one_sent_again_is_the_same() -> None:
    (found,) = calls(request(GET)).events
    assert isinstance(found, dict)
    assert found["id"] == "01" * 16 + "-" + "02" * 8


@pytest.mark.parametrize(
    ("name", "value"), [("trace_id", b""), ("trace_id", bytes(16)), ("span_id", b"1"), ("span_id", bytes(8))]
)
def test_a_span_without_a_valid_id_is_refused(name: str, value: bytes) -> None:
    (found,) = calls(request(GET, {}, **{name: value})).events
    assert isinstance(found, Fault)
    assert f'{name} is "{value.hex()}"' in str(found)


def test_own_attributes_win_and_the_resource_s_hold_for_its_spans() -> None:
    given = {
        "meterboard.application": "Sales desk",
        "meterboard.function": "Assign owner",
        "meterboard.user": "arjun",
        "meterboard.version": "v8",
        "meterboard.module": "Leads",
        "meterboard.method": "records.get",
        "meterboard.records": "120",
        "meterboard.credits": 3,
    }
    found = event(
        GET | given | {"user_agent.original": "curl/8"},
        resource={"meterboard.organization": "acme", "meterboard.module": "Deals", "service.name": "crm"},
    )

    assert found == {
        "organization": "acme",
        "application": "Sales desk",
        "function": "Assign owner",
        "user": "arjun",
        "version": "v8",
        "module": "Leads",
        "method": "records.get",
        "records": 120,
        "credits": 3,
    }


def test_an_own_attribute_that_is_no_field_is_refused_by_its_name() -> None:
    for name, said in (
        ("modul", "unknown field modul"),
        ("id", "meterboard.id can't be given"),
        ("time", "meterboard.time can't be given"),
    ):
        found = calls(request(GET | {f"meterboard.{name}": "x"}))
        assert said in each(found.events).rejected[0].message


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"url.path": "/a", "http.target": "/b"}, "/a"),
        ({"http.target": "/b?x=1", "http.url": "http://h/c"}, "/b?x=1"),
        ({"url.full": "https://h.example/c?x=1#part"}, "/c?x=1"),
        ({"http.url": "https://h.example"}, "/"),
        ({"http.url": "http://[half/x"}, "/"),
        ({"http.route": "/users/{id}"}, "/users/{id}"),
        ({"url.path": "/" + "x" * 20_000}, "/" + "x" * 9_999),
    ],
)
def test_where_the_path_comes_from(attributes: dict[str, Any], path: str) -> None:
    assert event(GET | attributes)["request"] == {"method": "GET", "path": path}


def test_the_original_of_a_method_that_is_not_known() -> None:
    attributes = {"http.request.method": "_OTHER", "http.request.method_original": "PURGE", "url.path": "/"}
    assert event(attributes)["request"] == {"method": "PURGE", "path": "/"}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"client.address": "crm.example.com", "network.peer.address": "10.0.0.1"}, {"ip": "10.0.0.1"}),
        ({"client.address": "/run/socket"}, {}),
        ({"client.address": "fe80::1%eth0"}, {"ip": "fe80::1"}),
        ({"http.status_code": "0"}, {}),
        ({"enduser.id": "-", "user.id": "maria"}, {"user": "maria"}),
        ({"meterboard.user": ["maria"]}, {"user": "maria"}),
        ({"meterboard.records": ""}, {}),
        ({"meterboard.records": 5.0}, {"records": 5}),
        ({"user_agent.original": "Mozilla/5.0 (X11; Linux)"}, {"application": "Mozilla"}),
        ({"peer.service": "billing", "user_agent.original": "okhttp/4"}, {"application": "billing"}),
    ],
)
def test_values_as_senders_write_them(attributes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert event(GET | attributes) == expected
