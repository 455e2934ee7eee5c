"""What many operations of the API's description have in common: parameters, and errors."""

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
    "description": "An error, as RFC 9457 has it.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:meterboard:InvalidParameter"]},
        "title": {"type": "string", "description": "The phrase of the HTTP status."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What was wrong, with which value, and what is right."},
        "parameter": {"type": "string", "description": "The name of the query parameter that is wrong."},
    },
}


def list_pattern(sign: str, names: Sequence[str], *, once: bool = False, count: str = "*") -> str:
    """A pattern of names separated by commas; `count` is that of the names behind the first."""
    name = f"{sign}({'|'.join(names)})"
    twice = r"(?!.*\b([a-z0-9_]+)\b.*\b\1\b)" if once else ""
    return f"^{twice}{name}(,{name}){count}$"


def _problem(description: str, headers: Json | None = None) -> Json:
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": description, "content": content} | ({"headers": headers} if headers else {})


_BY_STATUS = {
    400: ("BadRequest", _problem("A parameter or the body is wrong; the detail says what is right.")),
    401: ("Unauthenticated", _problem("There is no key or session, or it is not known.", WWW_AUTHENTICATE)),
    403: ("Forbidden", _problem("The key or person may not do this.")),
    404: ("NotFound", _problem("There is nothing at this address.")),
    408: ("Timeout", _problem("The body did not arrive in time; nothing of it counts.")),
    413: ("TooLarge", _problem("More bytes or events than one request may carry; nothing of it counts.")),
    429: ("TooManyRequests", _problem("Too many requests. Try again later.", RETRY_AFTER)),
    503: ("Unavailable", _problem("Busy, or a write failed; nothing of the request counts.", RETRY_AFTER)),
}
PROBLEMS: Json = dict(_BY_STATUS.values())
"""The errors, as `components/responses` has them."""


def problems(*statuses: int) -> Json:
    """References to the errors of an operation, by their status."""
    return {str(status): {"$ref": f"#/components/responses/{_BY_STATUS[status][0]}"} for status in statuses}


def address_schema() -> Json:
    """An IP address as a filter has it: a schema of its own each time, since documents may change theirs."""
    return {
        "anyOf": [
            {"type": "string", "format": "ipv4"},
            {"type": "string", "format": "ipv6"},
            {"type": "string", "enum": ["", UNKNOWN]},
        ]
    }


def described_parameter(parameter: Parameter) -> Parameter:
    """A parameter as the framework derived it, less what is not so: an address can't say null."""
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
    kept = {"name": parameter["name"], "in": parameter["in"], "required": parameter["required"]}
    return kept | ({"description": description} if description else {}) | {"schema": schema}


FILTERED = "Only usage with this value; may be repeated. Empty: where the event did not say."


def filters(dimensions: Dimensions) -> list[Parameter]:
    """The filters that let through the usage with a value, one for each dimension."""
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
"""Parameters that name a dimension and have to be given: their handlers say what is missing."""


def naming_dimensions(operation: str, parameter: Parameter, dimensions: Dimensions) -> Parameter:
    """A parameter with the names of dimensions that it accepts, if it is one of theirs."""
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
    """The values of an installation's own dimensions in an event that is sent."""
    members = {
        dimension.name: {"type": "string", "maxLength": MAX_TEXT, "description": dimension.label}
        for dimension in dimensions.own
    }
    return {"type": "object", "additionalProperties": False, "properties": members}


def excluding(dimensions: Dimensions) -> Parameter:
    """
    The filters `application!=Sync`, `user!=maria` … as one parameter, an object whose members are query parameters.

    Generators of clients derive names of variables from those of parameters, in which `application!` is `application`.
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
        "description": "Only usage without these values: each member is a query parameter of its own, such as "
        "`user!=maria`, and may be repeated. Empty: leaves out the usage where the event did not say.",
        "schema": {"type": "object", "additionalProperties": False, "properties": members},
    }
