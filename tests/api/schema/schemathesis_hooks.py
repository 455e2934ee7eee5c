"""What Schemathesis can't know from the API's description. It loads this file as the variable SCHEMATHESIS_HOOKS says."""

import json
import os
from datetime import date, datetime, timedelta
from typing import Any

import schemathesis
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.event import UNKNOWN
from meterboard.domain.period import NAMED_PERIODS

WITH_FILTERS = "/v1/statistics/summary"
NDJSON = "application/x-ndjson"
CREDENTIALS: list[dict[str, str]] = json.loads(os.environ["CREDENTIALS"])
"""Headers of everybody else who may ask."""
tried: set[str] = set()
days = st.dates(date(1971, 1, 1), date(9990, 12, 30))


@st.composite
def periods(draw: st.DrawFn) -> str:
    """Periods that exist: JSON Schema can't say that a date exists, or that a range ends after its start."""
    first, last = sorted([draw(days), draw(days)])
    start = datetime(first.year, first.month, first.day) + draw(st.integers(0, 95)) * timedelta(minutes=15)  # noqa: DTZ001
    end = start + timedelta(days=1 + (last - first).days)
    times = "..".join(moment.isoformat(timespec="minutes") for moment in (start, end))
    return draw(st.sampled_from([*NAMED_PERIODS, f"{first}", f"{first}..{last}", times]))


def spans(names: list[str]) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for name in names:
        scope.spans.add(name=name)
    return request.SerializeToString()


schemathesis.openapi.format("period", periods())
schemathesis.openapi.format("filtered-address", st.ip_addresses().map(str) | st.sampled_from(["", UNKNOWN]))
schemathesis.openapi.media_type("application/x-protobuf", st.lists(st.text(), max_size=3).map(spans))


@schemathesis.serializer(NDJSON)
def lines(_: Any, value: Any) -> bytes:
    items = value if isinstance(value, list) else [value]
    return b"\n".join(json.dumps(item).encode() for item in items)


@schemathesis.hook
def before_load_schema(_: HookContext, raw_schema: dict[str, Any]) -> None:
    """What is declared alike in many places is tried in one: filters with one statistic, fields with one event alone."""
    for path, item in raw_schema["paths"].items():
        for operation in item.values():
            operation["parameters"] = [
                parameter
                for parameter in operation.get("parameters", ())
                if path == WITH_FILTERS or parameter["name"] not in (*Dimensions().filters, "exclude")
            ]
    parameters = {each["name"]: each for each in raw_schema["paths"][WITH_FILTERS]["get"]["parameters"]}
    # Of alternatives Schemathesis takes a value that is wrong by one for wrong, though it is right by another.
    parameters["ip"]["schema"]["items"] = {"type": "string", "format": "filtered-address"}
    parameters["exclude"]["schema"]["properties"]["ip!"] = parameters["ip"]["schema"]
    schemas = raw_schema["components"]["schemas"]
    fields = schemas["UsageEvent"]["properties"]
    brief = schemas["UsageEvent"] | {
        "properties": {"application": fields["application"], "credits": fields["credits"]}
    }
    schemas["CloudEvent"]["properties"]["data"] = brief
    content = raw_schema["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    content[NDJSON]["schema"] = {"type": "array", "items": brief}
    content["application/json"]["schema"]["oneOf"][1] = {"type": "array", "items": brief}
    batch = next(each for each in content if each.endswith("batch+json"))
    del content[batch]["schema"]["maxItems"]  # making thousands of events takes seconds


@schemathesis.check
def wrong_events_are_rejected(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """In place of negative_data_rejection for events: one that is wrong is rejected alone, in a receipt of status 202."""
    if case.method != "POST" or case.path != "/v1/events":
        return
    if case.media_type == NDJSON and not isinstance(case.body, list):
        return  # one line of NDJSON is the same as its value alone
    headers: Any = case.headers or {}
    if "cloudevents" in str(case.media_type).lower() and "ce-specversion" in headers:
        return  # headers of the binary mode have no meaning beside a CloudEvent in the body
    if response.status_code == 413 or (response.status_code == 202 and response.json()["rejected"]):
        return
    negative_data_rejection(ctx, response, case)


@schemathesis.check
def right_requests_are_accepted(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """In place of positive_data_acceptance where one parameter decides what another may be."""
    query: dict[str, Any] = case.query or {}
    headers: Any = case.headers or {}
    if case.path == "/v1/statistics/table" and "sort" in query:
        return  # the table is sorted by its columns
    if case.path == "/v1/statistics/breakdown" and "kind" in str(query.get("sort")):
        return  # only callers have a kind
    if case.media_type == NDJSON and "ce-specversion" in headers:
        return  # a CloudEvent in binary mode is one event
    positive_data_acceptance(ctx, response, case)


@schemathesis.check
def every_credential_is_answered_as_described(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """The first request of each operation, sent with every other credential."""
    if case.operation.label in tried or response.status_code >= 300:
        return
    tried.add(case.operation.label)
    checks = [
        status_code_conformance,
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
    ]
    for headers in CREDENTIALS:
        case.validate_response(case.call(headers=headers), checks=checks, headers=headers)
