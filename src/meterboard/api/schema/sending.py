"""The sending of events and traces in the API's description, which the framework does not route."""

import msgspec

from meterboard.api.ingest.events import NDJSON_TYPES
from meterboard.api.ingest.traces import MAX_BYTES
from meterboard.api.schema.parts import RETRY_AFTER, WWW_AUTHENTICATE, Json, Parameter, own_values, problems
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.event import MAX_BODY_BYTES, MAX_EVENTS, UsageEvent
from meterboard.formats.cloudevents import BATCHED, REQUIRED, STRUCTURED
from meterboard.formats.otlp import JSON, PROTOBUF
from meterboard.service.ingest.intake import Receipt

REJECTIONS = {
    "invalid_json": "the event is not JSON",
    "invalid_type": "the event is not an object",
    "invalid_value": "a field has a value that is not accepted",
    "unknown_field": "there is no such field",
    "missing_field": "a field is needed and missing",
    "too_old": "its time is before what is kept",
    "in_future": "its time is more than five minutes ahead",
    "wrong_organization": "the key sends events of another organisation",
    "unknown_organization": "there is no organisation of that name",
}
"""Why one event of a request is rejected."""
SENT_BY: list[Json] = [{"key": []}]
SEND_PROBLEMS = (401, 403, 408, 413, 429, 503)
EVENT: Json = {"$ref": "#/components/schemas/UsageEvent"}
CLOUD_EVENT: Json = {"$ref": "#/components/schemas/CloudEvent"}


def sending_components(dimensions: Dimensions) -> Json:
    """Schemas of what is sent and of its answers, from the very types that are decoded."""
    _, components = msgspec.json.schema_components(
        [UsageEvent, Receipt], ref_template="#/components/schemas/{name}"
    )
    address = [{"type": "string", "format": name} for name in ("ipv4", "ipv6")]
    components["UsageEvent"]["properties"]["ip"] = {
        "anyOf": [*address, {"const": ""}, {"type": "null"}],
        "default": None,
    }
    components["UsageEvent"]["properties"]["dimensions"] = {
        "anyOf": [own_values(dimensions), {"type": "null"}],
        "default": None,
    }
    codes = "; ".join(f"`{code}`: {meaning}" for code, meaning in REJECTIONS.items())
    components["Rejection"]["properties"]["code"]["description"] = f"{codes}. Later versions may add others."
    return components | {
        "CloudEvent": _cloud_event(),
        "TracesRequest": _traces_request(),
        "TracesResponse": TRACES_RESPONSE,
        "RpcStatus": RPC_STATUS,
    }


def _cloud_event() -> Json:
    return {
        "type": "object",
        "description": "A CloudEvent 1.0. Its id and source together are the event's id, and its time the event's "
        "time, unless the data has its own. Other attributes are ignored.",
        "required": [*REQUIRED],
        "anyOf": [{"required": ["data"]}, {"required": ["data_base64"]}],
        "properties": {name: {"type": "string", "minLength": 1} for name in REQUIRED}
        | {
            "specversion": {"type": "string", "enum": ["1.0"]},
            "time": {"description": "RFC 3339; used where the data has no time."},
            "data": EVENT,
            "data_base64": {"description": "The usage event as JSON in base64, where there is no data."},
        },
    }


def _many(item: Json) -> Json:
    return {"type": "array", "maxItems": MAX_EVENTS, "items": item}


BINARY_MODE: list[Parameter] = [
    {
        "name": f"ce-{name}",
        "in": "header",
        "required": False,
        "description": "An attribute of a CloudEvent in binary mode, percent-encoded."
        + (" With it the body is the CloudEvent's data: one usage event." if name == "specversion" else ""),
        "schema": {"type": "string"} | ({"enum": ["1.0"]} if name == "specversion" else {}),
    }
    for name in (*REQUIRED, "time")
]


def events_operation() -> Json:
    """POST /v1/events."""
    receipt = {"application/json": {"schema": {"$ref": "#/components/schemas/Receipt"}}}
    return {
        "tags": ["Events"],
        "summary": "Send usage events",
        "description": "One usage event, an array of them, one a line (NDJSON), or CloudEvents 1.0 in structured, "
        f"batched or binary mode: at most {MAX_EVENTS:,} events and {MAX_BODY_BYTES:,} bytes, before and after "
        "decompression. `Content-Encoding` may be gzip or zstd. The answer comes when what was accepted is "
        "durable on disk. An event that is wrong is rejected alone: the answer is 202 even when every event is "
        f"rejected. NDJSON may also be sent as {', '.join(NDJSON_TYPES[1:])}; a body of any other type is read as JSON.",
        "operationId": "SendEvents",
        "security": SENT_BY,
        "parameters": BINARY_MODE,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"oneOf": [EVENT, _many(EVENT)]}},
                NDJSON_TYPES[0]: {
                    "schema": _many(EVENT) | {"description": "Each item is a line of its own, as JSON."}
                },
                _mixed_case(STRUCTURED): {"schema": CLOUD_EVENT},
                _mixed_case(BATCHED): {"schema": _many(CLOUD_EVENT)},
            },
        },
        "responses": {
            "202": {"description": "What was accepted is durable on disk.", "content": receipt},
            **problems(400, *SEND_PROBLEMS),
        },
    }


def _mixed_case(media_type: str) -> str:
    """
    The same media type, spelled so that openapi-python-client passes it over.

    Its clients choose between bodies in JSON by isinstance, which raises TypeError for lists: with the CloudEvents
    among them they could send nothing at all. Case makes no difference in media types.
    """
    return media_type.replace("cloudevents", "CloudEvents")


TRACES_RESPONSE: Json = {
    "type": "object",
    "description": "ExportTraceServiceResponse; `partialSuccess` says how many spans were rejected and why, if any.",
    "properties": {
        "partialSuccess": {
            "type": "object",
            "properties": {
                "rejectedSpans": {"type": "string", "description": "A 64-bit number as ProtoJSON has it."},
                "errorMessage": {"type": "string"},
            },
        }
    },
}
RPC_STATUS: Json = {
    "type": "object",
    "description": "google.rpc.Status: the errors of OTLP.",
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
}


def _traces_request() -> Json:
    def listed(name: str, item: Json) -> Json:
        return {name: {"type": ["array", "null"], "items": {"type": "object", "properties": item}}}

    span: Json = {
        "name": {"type": ["string", "null"]},
        "attributes": {"type": ["array", "null"], "items": {"type": "object"}},
    }
    return {
        "type": "object",
        "description": "ExportTraceServiceRequest of OpenTelemetry's protocol 1.x, in its JSON encoding. HTTP server "
        "spans count as calls, others are ignored; unknown fields are ignored.",
        "properties": listed("resourceSpans", listed("scopeSpans", listed("spans", span))),
    }


def traces_operation() -> Json:
    """POST /v1/traces."""
    refused = {
        "400": "The body can't be read.",
        "401": "There is no key, or it is not known.",
        "403": "The key may only read.",
        "408": "The body did not arrive in time; nothing of it counts.",
        "413": f"More than {MAX_BYTES:,} bytes; nothing of it counts.",
        "415": f"Content-Type is neither {PROTOBUF} nor {JSON}.",
        "429": "Too many requests. Try again later.",
        "503": "Busy, or a write failed. Send the request again: no span counts twice.",
    }
    headers = {"401": WWW_AUTHENTICATE, "429": RETRY_AFTER, "503": RETRY_AFTER}
    return {
        "tags": ["Events"],
        "summary": "Send OpenTelemetry spans",
        "description": "OpenTelemetry's protocol over HTTP (OTLP/HTTP). The answer, errors included, has the encoding "
        f"of the request, JSON where that is neither {PROTOBUF} nor {JSON}.",
        "operationId": "SendTraces",
        "security": SENT_BY,
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"$ref": "#/components/schemas/TracesRequest"}},
                PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
            },
        },
        "responses": {
            "200": {
                "description": "What was accepted is durable on disk.",
                "content": _either("TracesResponse"),
            }
        }
        | {
            status: {"description": description, "content": _either("RpcStatus")}
            | ({"headers": headers[status]} if status in headers else {})
            for status, description in refused.items()
        },
    }


def _either(schema: str) -> Json:
    return {
        JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}},
        PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
    }
