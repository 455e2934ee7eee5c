"""GET /schema: the API described as OpenAPI 3.1."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin

from meterboard.api.ingest.events import PATH as EVENTS
from meterboard.api.ingest.traces import PATH as TRACES
from meterboard.api.metrics import PATH as METRICS
from meterboard.api.schema.parts import (
    PROBLEM,
    PROBLEMS,
    Json,
    Parameter,
    described_parameter,
    excluding,
    filters,
    naming_dimensions,
    own_values,
    problems,
)
from meterboard.api.schema.sending import events_operation, sending_components, traces_operation
from meterboard.api.statistics.responses import PARQUET
from meterboard.domain.access import SESSION_COOKIE
from meterboard.domain.dimensions import Dimensions

DESCRIPTION = """\
Meterboard counts API calls and the credits that they use.

**Authorization.** Send `Authorization: Bearer KEY`. Reads also accept the dashboard's session cookie.

**Errors** are `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, and `parameter` where a query
parameter is wrong. Only `/v1/traces` has errors of its own, as its protocol demands. An unknown path is 404; a method
that a path does not have is 405, with the header `Allow`.

**Unknown query parameters of statistics and of the list of events are refused** with 400, so that a misspelled filter
can't widen a result.

**Try again** after `Retry-After` seconds when the status is 429 or 503: nothing of the request was counted.
"""
SECURITY_SCHEMES: Json = {
    "key": {"type": "http", "scheme": "bearer", "description": "Made with: meterboard key create ORG"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "The session of a person who is signed in to the dashboard.",
    },
}
READ_BY: list[Json] = [{"key": []}, {"session": []}]
READ_PROBLEMS = (401, 403, 429, 503)
LINK: Json = {
    "description": "The addresses of the next and the previous page (RFC 8288), where there are any.",
    "schema": {"type": "string"},
}
METRICS_OPERATION: Json = {
    "tags": ["Operation"],
    "summary": "Metrics of the server",
    "description": "For Prometheus. The setting `metrics` decides who may read them: whoever has a provider-wide key, "
    "this machine, or nobody.",
    "operationId": "GetMetrics",
    "security": [{}, {"key": []}],
    "responses": {
        "200": {
            "description": "The metrics, in the text format that the header Accept asks for.",
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                "application/openmetrics-text": {"schema": {"type": "string"}},
            },
        },
        **problems(401, 403, 404),
    },
}


class EventSchema(JsonRenderPlugin):
    """Completes what the framework derives from the handlers, once: the document is the same for every request."""

    def __init__(self, dimensions: Dimensions, *, paths: Sequence[str]) -> None:
        super().__init__(path=paths)
        self._dimensions = dimensions
        self._document: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: Json) -> bytes:
        """The whole document as JSON."""
        if self._document is None:
            self._document = super().render(request, complete(openapi_schema, self._dimensions))
        return self._document


def complete(derived: Json, dimensions: Dimensions) -> Json:
    """The framework's document with errors, files, security, dimensions, and what the framework does not route."""
    document = deepcopy(derived)
    document["info"]["description"] = DESCRIPTION
    components = document["components"]
    components["schemas"] |= {"Problem": PROBLEM} | sending_components(dimensions)
    components["schemas"]["Event"]["properties"]["dimensions"] |= {
        "properties": own_values(dimensions)["properties"]
    }
    components["responses"] = PROBLEMS
    components["securitySchemes"] = SECURITY_SCHEMES
    document["security"] = [{"key": []}]
    paths = document["paths"]
    for item in paths.values():
        _complete_read(item["get"], dimensions)
    paths[EVENTS]["get"]["responses"]["200"]["headers"] = {"Link": LINK}
    paths[EVENTS]["post"] = events_operation()
    paths[TRACES] = {"post": traces_operation()}
    paths[METRICS] = {"get": METRICS_OPERATION}
    return document


def _complete_read(operation: Json, dimensions: Dimensions) -> None:
    parameters: list[Parameter] = [
        naming_dimensions(operation["operationId"], described_parameter(each), dimensions)
        for each in operation.get("parameters", ())
    ]
    names = {parameter["name"] for parameter in parameters}
    if "period" in names:
        place = 1 + next(place for place, each in enumerate(parameters) if each["name"] == "period")
        parameters[place:place] = filters(dimensions)
        parameters.append(excluding(dimensions))
    operation["parameters"] = parameters
    operation["security"] = READ_BY
    found = operation["responses"]["200"]
    if "format" in names:
        found["content"] |= {
            "text/csv": {
                "schema": {"type": "string", "description": "The rows, with a header line (RFC 4180)."}
            },
            PARQUET: {"schema": {"type": "string", "format": "binary"}},
        }
    refused = (400, *READ_PROBLEMS) if parameters else READ_PROBLEMS
    operation["responses"] = {"200": found} | problems(*refused)
