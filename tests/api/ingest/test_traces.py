"""POST /v1/traces, as OpenTelemetry's own SDK sends it and as the protocol's specification says."""

import asyncio
import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind

from meterboard.api.ingest.body import Bodies
from meterboard.api.ingest.traces import TracesApp
from meterboard.domain.event import MAX_EVENTS
from meterboard.domain.organization import Organization
from meterboard.services import Services
from tests.formats.test_spans import request
from tests.server import Server, command_here

PROTOBUF, JSON = "application/x-protobuf", "application/json"


def now_nanos() -> int:
    return int(datetime.now(UTC).timestamp()) * 10**9


def send(server: Server, body: bytes, content_type: str, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}/v1/traces",
        content=body,
        headers=server.headers() | {"Content-Type": content_type} | headers,
        timeout=30,
    )


def span(number: int, **more: Any) -> dict[str, Any]:
    """A call as OTLP's JSON writes it: ids in hexadecimal, 64-bit numbers as text."""
    return {
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": f"{number:016X}",
        "parentSpanId": "eee19b7ec3c1b173",
        "name": "GET /v2/orders",
        "kind": 2,
        "startTimeUnixNano": str(now_nanos()),
        "endTimeUnixNano": str(now_nanos() + 10**6),
        "attributes": [
            {"key": "http.request.method", "value": {"stringValue": "GET"}},
            {"key": "url.path", "value": {"stringValue": "/v2/orders"}},
            {"key": "http.response.status_code", "value": {"intValue": "200"}},
        ],
        "aFieldOfTheFuture": {"x": 1},
    } | more


def spans(*each: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(each)}]}]}).encode()


def calls(server: Server, **filters: str) -> int:
    return int(server.get("/v1/statistics/summary", params=filters).json()["calls"])


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_the_real_sdk_reports_a_call(
    server: Server, compression: Compression, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = f"sdk {compression.value}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"Authorization=Bearer%20{server.key}")
    provider = TracerProvider(resource=Resource({"service.name": "crm"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(compression=compression)))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span(
        "GET /crm",
        kind=SpanKind.SERVER,
        attributes={
            "http.request.method": "GET",
            "url.path": "/crm/v8/Leads",
            "http.response.status_code": 200,
            "client.address": "203.0.113.7",
            "user_agent.original": "zoho-sdk/4.0",
            "enduser.id": user,
        },
    ):
        tracer.start_span("SELECT", kind=SpanKind.CLIENT).end()
    provider.shutdown()

    assert calls(server, user=user) == 1
    columns = "user,ip,application,version,module,method,status"
    (row,) = server.get("/v1/statistics/table", params={"columns": columns, "user": user}).json()["rows"]
    assert {name: row[name] for name in columns.split(",")} == {
        "user": user,
        "ip": "203.0.113.7",
        "application": "zoho-sdk",
        "version": "v8",
        "module": "Leads",
        "method": "get",
        "status": "200",
    }


def test_an_answer_is_in_the_encoding_of_its_request(server: Server) -> None:
    in_json = send(server, spans(span(1)), JSON + "; charset=utf-8")
    in_protobuf = send(server, request({"http.request.method": "GET"}).SerializeToString(), PROTOBUF)

    assert (in_json.status_code, in_json.headers["content-type"], in_json.json()) == (200, JSON, {})
    assert (in_protobuf.status_code, in_protobuf.headers["content-type"]) == (200, PROTOBUF)
    assert not ExportTraceServiceResponse.FromString(in_protobuf.content).HasField("partial_success")


def test_a_span_that_is_sent_again_counts_once_in_either_encoding(server: Server) -> None:
    attributes = {"http.request.method": "GET", "enduser.id": "again"}
    trace_id, span_id = bytes(range(1, 17)), bytes(range(1, 9))
    own = [{"key": name, "value": {"stringValue": value}} for name, value in attributes.items()]
    in_json = spans(span(1, traceId=trace_id.hex(), spanId=span_id.hex(), attributes=own))
    in_protobuf = request(attributes, trace_id=trace_id, span_id=span_id).SerializeToString()

    for body, content_type in ((in_json, JSON), (in_protobuf, PROTOBUF), (in_json, JSON)):
        assert send(server, body, content_type).status_code == 200

    assert calls(server, user="again") == 1


def test_enums_by_name_numbers_as_numbers_and_gzip(server: Server) -> None:
    own = [
        {"key": "http.method", "value": {"stringValue": "GET"}},
        {"key": "http.status_code", "value": {"intValue": 204}},
        {"key": "enduser.id", "value": {"stringValue": "by name"}},
    ]
    body = spans(span(2, kind="SPAN_KIND_SERVER", startTimeUnixNano=now_nanos(), attributes=own))

    answer = send(server, gzip.compress(body), JSON, **{"Content-Encoding": "gzip"})

    assert (answer.status_code, answer.json()) == (200, {})
    assert calls(server, user="by name", status="204") == 1


def test_refused_spans_are_told_and_cost_no_other(server: Server) -> None:
    old = int((datetime.now(UTC) - timedelta(days=40)).timestamp()) * 10**9
    body = spans(
        span(10, startTimeUnixNano=str(old)),
        span(11),
        span(12, kind=3),
        span(13, spanId="0" * 16),
    )

    answer = send(server, body, JSON)

    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "2"
    assert partial["errorMessage"].startswith(
        "2 of 3 HTTP server spans were refused; the first, span 000000000000000a: time is "
    )


def test_the_example_of_the_documentation_is_taken(server: Server) -> None:
    page = (Path(__file__).parents[3] / "docs" / "opentelemetry.md").read_text()
    body = page.partition(" -d '")[2].partition("'")[0]

    assert send(server, body.encode(), JSON).json() == {}
    assert calls(server, module="Leads", method="get", version="v8", status="200") >= 1


def test_nothing_to_count_is_a_success(server: Server) -> None:
    for body, content_type in ((b"", PROTOBUF), (b"{}", JSON), (spans(span(20, kind=1)), JSON)):
        answer = send(server, body, content_type)
        assert answer.status_code == 200
        assert answer.content in (b"", b"{}")


def test_more_spans_than_a_request_of_events_may_carry(server: Server) -> None:
    made = request({})
    group = made.resource_spans[0].scope_spans[0]
    del group.spans[:]
    for number in range(MAX_EVENTS + 5):
        call = group.spans.add(kind=2, trace_id=b"\x07" * 16, span_id=(number + 1).to_bytes(8, "big"))
        call.attributes.add(key="http.request.method").value.string_value = "GET"
        call.attributes.add(key="enduser.id").value.string_value = "many"

    answer = send(server, made.SerializeToString(), PROTOBUF)

    assert (answer.status_code, answer.content) == (200, b"")
    assert calls(server, user="many") == MAX_EVENTS + 5


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\xff\xff\xff", PROTOBUF),
        (b"{", JSON),
        (b"[]", JSON),
        (b"7", JSON),
        (b"\xff", JSON),
        (b'{"resourceSpans": 7}', JSON),
        (spans(span(1, traceId="not hexadecimal")), JSON),
        (spans(span(1, attributes=[{"key": 7}])), JSON),
        (b'{"resourceSpans":' + b"[" * 100_000, JSON),
    ],
)
def test_a_body_that_can_t_be_read_is_a_status_of_grpc(
    server: Server, body: bytes, content_type: str
) -> None:
    answer = send(server, body, content_type)

    assert (answer.status_code, answer.headers["content-type"]) == (400, content_type)
    status = (
        Status.FromString(answer.content)
        if content_type == PROTOBUF
        else Status(code=answer.json()["code"], message=answer.json()["message"])
    )
    assert status.code == 3
    assert "can't be read as an ExportTraceServiceRequest" in status.message


def test_who_may_not_send_hears_so_in_the_same_encoding(server: Server) -> None:
    reader = command_here("key", "create", "acme", "--scope", "read", data=server.data).stdout.strip()
    for header, status in (("", 401), ("Bearer nobody", 401), (f"Bearer {reader}", 403)):
        answer = send(server, spans(span(1)), JSON, Authorization=header)
        assert (answer.status_code, answer.headers["content-type"]) == (status, JSON)
        assert answer.json()["message"]


def test_another_type_method_or_size_is_refused(server: Server) -> None:
    other = send(server, b"", "text/plain")
    assert (other.status_code, other.json()["code"]) == (415, 3)
    get = server.get("/v1/traces")
    assert (get.status_code, get.headers["allow"]) == (405, "POST")
    huge = send(server, gzip.compress(bytes(21 * 2**20)), PROTOBUF, **{"Content-Encoding": "gzip"})
    assert huge.status_code == 413
    assert "longer than 20,971,520 bytes" in Status.FromString(huge.content).message


def test_whoever_has_to_wait_is_told_how_long(services: Services, acme: Organization) -> None:
    key = services.accounts.keys.create(acme, name="otlp", scope="ingest")
    services.meter.close()  # as while the server stops: nothing more is taken

    async def post() -> httpx.Response:
        app = TracesApp(services.access, services.ingest, Bodies())
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # two names for ASGI's types
        async with httpx.AsyncClient(transport=transport, base_url="http://meterboard") as client:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": PROTOBUF}
            body = request({"http.request.method": "GET"}).SerializeToString()
            return await client.post("/v1/traces", content=body, headers=headers)

    with ThreadPoolExecutor(1) as pool:  # the browser's event loop may be running in this thread
        answer = pool.submit(asyncio.run, post()).result()

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "Try again" in Status.FromString(answer.content).message
