"""GET /schema: the API described as OpenAPI 3.1."""

from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin

from meterboard.api.ingest import PATH
from meterboard.domain.event import UsageEvent
from meterboard.service.ingest import Receipt


class EventSchema(JsonRenderPlugin):
    """Adds what the router does not know: the sending of events, described from the very types that are decoded."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        (event, receipt), components = msgspec.json.schema_components(
            [UsageEvent, Receipt], ref_template="#/components/schemas/{name}"
        )
        openapi_schema["components"]["schemas"] |= components
        openapi_schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        openapi_schema["security"] = [{"key": []}]
        openapi_schema["paths"][PATH]["post"] = _sending(event, receipt)
        return super().render(request, openapi_schema)


def _sending(event: dict[str, Any], receipt: dict[str, Any]) -> dict[str, Any]:
    one_or_many = {"oneOf": [event, {"type": "array", "items": event}]}
    problems = {
        "400": "The body can't be read.",
        "401": "There is no key, or it is not known.",
        "403": "The key may only read.",
        "413": "More than 10 MB or 10,000 events.",
        "503": "Try again after Retry-After seconds; nothing of this request counts.",
    }
    return {
        "tags": ["Events"],
        "summary": "Send usage events",
        "description": "One event, an array of them, or NDJSON. Answered when what was accepted is durable on disk.",
        "operationId": "SendEvents",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": one_or_many},
                "application/x-ndjson": {"schema": event},
            },
        },
        "responses": {
            "202": {
                "description": "What was accepted is durable on disk.",
                "content": {"application/json": {"schema": receipt}},
            },
            **{status: {"description": description} for status, description in problems.items()},
        },
    }
