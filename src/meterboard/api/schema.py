"""GET /schema: the API described as OpenAPI 3.1."""

from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin

from meterboard.domain.event import UsageEvent


class EventSchema(JsonRenderPlugin):
    """Adds what the router can't know: the bodies of events, described from the very type that decodes them."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        (event,), components = msgspec.json.schema_components(
            [UsageEvent], ref_template="#/components/schemas/{name}"
        )
        openapi_schema["components"]["schemas"] |= components
        openapi_schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        openapi_schema["security"] = [{"key": []}]
        one_or_many = {"oneOf": [event, {"type": "array", "items": event}]}
        openapi_schema["paths"]["/v1/events"]["post"]["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {"schema": one_or_many},
                "application/x-ndjson": {"schema": event},
            },
        }
        return super().render(request, openapi_schema)
