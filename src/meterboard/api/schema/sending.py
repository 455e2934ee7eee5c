"""The operations that send events and traces, which the framework doesn't route, in the OpenAPI document."""

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
    "missing_field": "a required field is missing",
    "too_old": "its time is before the retention",
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
    """Returns schemas of the requests that send usage and of their responses, derived from the types that are decoded."""
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
        "description": "A CloudEvent 1.0. Its id and source together are the event's id, and its time is the event's "
        "time, unless the data has them. Other attributes are ignored.",
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
    """Returns the description of POST /v1/events."""
    receipt = {"application/json": {"schema": {"$ref": "#/components/schemas/Receipt"}}}
    return {
        "tags": ["Events"],
        "summary": "Send usage events",
        "description": "One usage event, an array of events, one event per line (NDJSON), or CloudEvents 1.0 in "
        f"structured, batched or binary mode: at most {MAX_EVENTS:,} events and {MAX_BODY_BYTES:,} bytes, before and "
        "after decompression. `Content-Encoding` may be gzip or zstd. The response is sent when the accepted events are "
        "durable on disk. A wrong event is rejected without the others: the response is 202 even if every event is "
        f"rejected. NDJSON may also be sent as {', '.join(NDJSON_TYPES[1:])}; a body of any other type is read as JSON.",
        "operationId": "SendEvents",
        "security": SENT_BY,
        "parameters": BINARY_MODE,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"oneOf": [EVENT, _many(EVENT)]}},
                NDJSON_TYPES[0]: {"schema": _many(EVENT) | {"description": "Each line is an item as JSON."}},
                _mixed_case(STRUCTURED): {"schema": CLOUD_EVENT},
                _mixed_case(BATCHED): {"schema": _many(CLOUD_EVENT)},
            },
        },
        "responses": {
            "202": {"description": "The accepted events are durable on disk.", "content": receipt},
            **problems(400, *SEND_PROBLEMS),
        },
    }


def _mixed_case(media_type: str) -> str:
    """
    Returns the same media type in a spelling that openapi-python-client ignores.

    Its clients choose between bodies in JSON by isinstance, which raises TypeError for lists: with CloudEvents among
    them they could not send anything. Case makes no difference in media types.
    """
    return media_type.replace("cloudevents", "CloudEvents")


TRACES_RESPONSE: Json = {
    "type": "object",
    "description": "ExportTraceServiceResponse; `partialSuccess` has the number of rejected spans and the first reason, if there are any.",
    "properties": {
        "partialSuccess": {
            "type": "object",
            "properties": {
                "rejectedSpans": {"type": "string", "description": "A 64-bit number in ProtoJSON."},
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
    """Returns the description of POST /v1/traces."""
    refused = {
        "400": "The body can't be read.",
        "401": "The key is missing or unknown.",
        "403": "The key may only read.",
        "408": "The body did not arrive in time. Nothing was stored.",
        "413": f"More than {MAX_BYTES:,} bytes. Nothing was stored.",
        "415": f"Content-Type is neither {PROTOBUF} nor {JSON}.",
        "429": "Too many requests. Try again later.",
        "503": "The server is busy, or a write failed. Send the request again: duplicates don't count.",
    }
    headers = {"401": WWW_AUTHENTICATE, "429": RETRY_AFTER, "503": RETRY_AFTER}
    return {
        "tags": ["Events"],
        "summary": "Send OpenTelemetry spans",
        "description": "OpenTelemetry's protocol over HTTP (OTLP/HTTP). Responses, including errors, have the encoding "
        f"of the request, or JSON if that is neither {PROTOBUF} nor {JSON}.",
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
                "description": "The accepted calls are durable on disk.",
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
