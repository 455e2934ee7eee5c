"""Parameters and errors that many operations of the OpenAPI document share."""

from collections.abc import Sequence
from typing import Any

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.event import MAX_TEXT, UNKNOWN
from meterboard.domain.query import MEASURES, NOT

Json = dict[str, Any]
Parameter = dict[str, Any]

DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME = rf"{DAY}T[0-9]{{2}}:[0-9]{{2}}([+-][0-9]{{2}}:[0-9]{{2}})?"
"""A day and a local time in patterns of periods."""
CURSOR_PATTERN = r"^[on][0-9]{1,17}\.[0-9]{1,9}$"

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER: Json = {
    "Retry-After": {
        "description": "Seconds to wait before the request is sent again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    }
}
WWW_AUTHENTICATE: Json = {
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "required": True,
        "schema": {"type": "string"},
    }
}
PROBLEM: Json = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:meterboard:InvalidParameter"]},
        "title": {"type": "string", "description": "The phrase of the HTTP status."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What is wrong, with which value, and what is accepted."},
        "parameter": {"type": "string", "description": "The name of the query parameter that is wrong."},
    },
}


def list_pattern(sign: str, names: Sequence[str], *, once: bool = False, count: str = "*") -> str:
    """Returns a pattern of names separated by commas. `count` is how often a name follows the first."""
    name = f"{sign}({'|'.join(names)})"
    twice = r"(?!.*\b([a-z0-9_]+)\b.*\b\1\b)" if once else ""
    return f"^{twice}{name}(,{name}){count}$"


def _problem(description: str, headers: Json | None = None) -> Json:
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": description, "content": content} | ({"headers": headers} if headers else {})


_BY_STATUS = {
    400: ("BadRequest", _problem("A parameter or the body is wrong; the detail says what is accepted.")),
    401: ("Unauthenticated", _problem("The key or session is missing or unknown.", WWW_AUTHENTICATE)),
    403: ("Forbidden", _problem("The key or person may not do this.")),
    404: ("NotFound", _problem("The path doesn't exist.")),
    408: ("Timeout", _problem("The body did not arrive in time. Nothing was stored.")),
    413: ("TooLarge", _problem("More bytes or events than a request may have. Nothing was stored.")),
    429: ("TooManyRequests", _problem("Too many requests. Try again later.", RETRY_AFTER)),
    503: ("Unavailable", _problem("The server is busy, or a write failed. Nothing was stored.", RETRY_AFTER)),
}
PROBLEMS: Json = dict(_BY_STATUS.values())
"""The errors as members of `components/responses`."""


def problems(*statuses: int) -> Json:
    """Returns references to the errors of an operation by their status."""
    return {str(status): {"$ref": f"#/components/responses/{_BY_STATUS[status][0]}"} for status in statuses}


def address_schema() -> Json:
    """Returns a new schema of an IP address in a filter. A document may change its own."""
    return {
        "anyOf": [
            {"type": "string", "format": "ipv4"},
            {"type": "string", "format": "ipv6"},
            {"type": "string", "enum": ["", UNKNOWN]},
        ]
    }


def described_parameter(parameter: Parameter) -> Parameter:
    """Returns a parameter that the framework derived, without null, which an address can't express."""
    schema = dict(parameter["schema"])
    for either in schema.pop("oneOf", ()):
        if either != {"type": "null"}:
            schema = either | schema
    if isinstance(schema.get("type"), list):
        (schema["type"],) = [name for name in schema["type"] if name != "null"]
    if "enum" in schema:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    for bound in ("minimum", "maximum"):
        if bound in schema:
            schema[bound] = int(schema[bound])
    description = schema.pop("description", None)
    described = {"name": parameter["name"], "in": parameter["in"], "required": parameter["required"]}
    return described | ({"description": description} if description else {}) | {"schema": schema}


FILTERED = "Includes only usage with this value. May be repeated. Empty: usage of events without a value."


def filters(dimensions: Dimensions) -> list[Parameter]:
    """Returns the filters that include usage with a value, one for each dimension."""
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": FILTERED,
            "schema": {"items": address_schema() if name == "ip" else {"type": "string"}, "type": "array"},
        }
        for name in dimensions.names
    ]


NEEDED = {("GetBreakdown", "by"), ("GetValues", "column")}
"""Required parameters that name a dimension. Their handlers report a missing one."""


def naming_dimensions(operation: str, parameter: Parameter, dimensions: Dimensions) -> Parameter:
    """Returns a parameter with the names of dimensions that it accepts, if it accepts any."""
    names, name = dimensions.names, parameter["name"]
    accepted: Json = {}
    if name == "by":
        accepted = {"enum": list(dimensions.breakdowns)}
    elif name == "column":
        accepted = {"enum": list(names)}
    elif name == "columns":
        count = "{1,2}" if operation == "GetFlows" else "*"
        accepted = {"pattern": list_pattern("", names, once=True, count=count)}
    elif name == "sort" and operation == "GetTable":
        accepted = {"pattern": list_pattern("-?", (*names, *MEASURES))}
    schema = parameter["schema"] | accepted
    if (operation, name) in NEEDED:
        return parameter | {
            "required": True,
            "schema": {key: schema[key] for key in schema if key != "default"},
        }
    return parameter | {"schema": schema}


def own_values(dimensions: Dimensions) -> Json:
    """Returns the schema of an event's values of own dimensions."""
    members = {
        dimension.name: {"type": "string", "maxLength": MAX_TEXT, "description": dimension.label}
        for dimension in dimensions.own
    }
    return {"type": "object", "additionalProperties": False, "properties": members}


def excluding(dimensions: Dimensions) -> Parameter:
    """
    Returns the filters `application!=Sync`, `user!=maria` … as one parameter: an object whose members are query parameters.

    Client generators derive names of variables from names of parameters, where `application!` would be `application`.
    """
    text: Json = {"type": "array", "items": {"type": "string"}}
    members = {f"{name}{NOT}": text for name in dimensions.names}
    members[f"ip{NOT}"] = {"type": "array", "items": address_schema()}
    return {
        "name": "exclude",
        "in": "query",
        "required": False,
        "style": "form",
        "explode": True,
        "description": "Excludes usage with these values. Each member is a query parameter, such as `user!=maria`, "
        "and may be repeated. Empty: excludes usage of events without a value.",
        "schema": {"type": "object", "additionalProperties": False, "properties": members},
    }
