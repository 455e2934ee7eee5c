"""
Converts OpenTelemetry spans to usage events, by the semantic conventions for HTTP.

A span of kind SERVER with an HTTP request is a call; other spans are ignored. Both the stable names of attributes and
the earlier ones are supported. See docs/opentelemetry.md for the whole mapping.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meterboard.domain.caller.ip import ip_or_none
from meterboard.domain.caller.user_agent import application_of
from meterboard.domain.event import MAX_TEXT
from meterboard.domain.period import EPOCH
from meterboard.formats.json_events import Fault, shown

OWN = "meterboard."
"""The prefix of attributes that are fields of the usage event, which take precedence over all others."""
OWN_DIMENSION = "dimensions."
"""The prefix of own dimensions, after OWN: `meterboard.dimensions.environment`."""
DERIVED = ("id", "time", "request")
"""Fields that are derived from the span itself."""
METHOD = ("http.request.method", "http.method")
OTHER_METHOD = "_OTHER"
PATH = "url.path"
TARGETS = ("http.target", "url.full", "http.url", "http.route")
STATUS = ("http.response.status_code", "http.status_code")
ADDRESSES = (
    "client.address",
    "http.client_ip",
    "network.peer.address",
    "net.sock.peer.addr",
    "net.peer.ip",
    "peer.address",  # Envoy's
)
USERS = ("enduser.id", "user.id")
CLIENTS = ("kong.consumer", "peer.service")
AGENTS = ("user_agent.original", "http.user_agent", "user_agent")
MAX_SHARED = 20
"""The most fields that a resource can add to its spans: more than exist."""
NUMBERS = ("records", "credits", "status")

Attributes = dict[str, Any]
Sources = Mapping[str, str]
"""The attribute that each own dimension is taken from."""
NO_SOURCES: Sources = MappingProxyType({})


class SpanCalls(NamedTuple):
    """The calls among the spans of a request: each as the fields of a usage event, or as a fault."""

    spans: list[str]
    """Ids of the spans, as messages name them."""
    events: list[dict[str, object] | Fault]


def calls_in(
    groups: Iterable[tuple[Resource, Iterable[Span | Fault]]], sources: Sources = NO_SOURCES
) -> SpanCalls:
    """
    Returns the HTTP requests that servers have answered, in the order sent; spans are grouped by resource.

    An unreadable span is given as its fault. `sources` are the attributes that own dimensions are taken from.
    """
    found = SpanCalls([], [])
    named = {*sources.values()}
    for resource, spans in groups:
        attributes = _attributes(resource.attributes)
        own = ((name, value) for name, value in attributes.items() if name.startswith(OWN))
        # If there are more, one of them is not a field, so that each of the spans is rejected.
        shared = dict(islice(own, MAX_SHARED))
        shared |= {name: value for name, value in attributes.items() if name in named}
        for span in spans:
            if isinstance(span, Fault):
                found.spans.append("")
                found.events.append(span)
                continue
            if span.kind != Span.SPAN_KIND_SERVER:
                continue
            attributes = shared | _attributes(span.attributes)
            if _first(attributes, METHOD) is None:
                continue
            found.spans.append(span.span_id.hex())
            found.events.append(_event(span, attributes, sources))
    return found


def _event(span: Span, attributes: Attributes, sources: Sources) -> dict[str, object] | Fault:
    """Returns the fields of the usage event, whose values are checked when the event is read."""
    if len(span.trace_id) != 16 or not any(span.trace_id):
        return Fault(
            "invalid_value", f"trace_id is {shown(span.trace_id.hex())}: expected 16 bytes, not all 0."
        )
    if len(span.span_id) != 8 or not any(span.span_id):
        return Fault("invalid_value", f"span_id is {shown(span.span_id.hex())}: expected 8 bytes, not all 0.")
    event: dict[str, object] = {
        "id": f"{span.trace_id.hex()}-{span.span_id.hex()}",
        "application": _first(attributes, CLIENTS) or application_of(_first(attributes, AGENTS) or ""),
        "user": _first(attributes, USERS),
        "ip": _address(attributes),
        "status": _status(attributes),
    }
    if span.start_time_unix_nano:
        event["time"] = EPOCH + timedelta(microseconds=span.start_time_unix_nano // 1_000)
    path = _path(attributes)
    if path is not None:
        event["request"] = {"method": _method(attributes), "path": path}
    dimensions: dict[str, object] = {
        dimension: _first(attributes, (name,)) for dimension, name in sources.items()
    }
    for name, value in attributes.items():
        if name.startswith(OWN):
            field = name.removeprefix(OWN)
            if field in DERIVED:
                return Fault("unknown_field", f"{name} can't be given: it comes from the span itself.")
            if field.startswith(OWN_DIMENSION):
                dimensions[field.removeprefix(OWN_DIMENSION)] = value
            else:
                event[field] = _number(value) if field in NUMBERS else value
    if given := _with_values(dimensions):
        event["dimensions"] = given
    return _with_values(event)


def _with_values(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _attributes(pairs: Iterable[KeyValue]) -> Attributes:
    """Returns attributes by name; of a repeated name, the last."""
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":  # as headers are recorded
        values = value.array_value.values
        return _value(values[0]) if len(values) == 1 else None
    if kind in ("string_value", "int_value", "bool_value", "double_value"):
        return getattr(value, kind)
    return None


def _first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """Returns the text of the first of these attributes that has a value."""
    for name in names:
        value = attributes.get(name)
        if value not in (None, "", "-"):  # gateways write a dash for a missing value
            return str(value)
    return None


def _method(attributes: Attributes) -> str:
    method = _first(attributes, METHOD)
    if method == OTHER_METHOD:
        method = _first(attributes, ("http.request.method_original",)) or method
    return str(method)


def _path(attributes: Attributes) -> str | None:
    """Returns path and query of the request. The route is the last resort, since it may be a mere prefix."""
    path, query = _first(attributes, (PATH,)), _first(attributes, ("url.query",))
    if path is None:
        target = _first(attributes, TARGETS)
        if target is None:
            return None
        path, query = _split(target)
    return (f"{path}?{query}" if query else path)[:MAX_TEXT]


def _split(target: str) -> tuple[str, str]:
    """Returns path and query of a target or a URL."""
    if target.startswith("/"):
        path, _, query = target.partition("?")
        return path, query
    try:
        parts = urlsplit(target)
    except ValueError:  # such as an incomplete IPv6 address
        return "/", ""
    return parts.path or "/", parts.query


def _status(attributes: Attributes) -> object:
    """Returns the status as a number; None if the client left before there was one, which Envoy writes as 0."""
    value = _number(_first(attributes, STATUS))
    return None if value == 0 else value


def _number(value: object) -> object:
    """Returns a whole number, also from text, as gateways write it; other values unchanged."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _address(attributes: Attributes) -> str | None:
    """Returns the first value that is an IP address; names of hosts and sockets are ignored."""
    values = (attributes.get(name) for name in ADDRESSES)
    addresses = (ip_or_none(value) for value in values if isinstance(value, str))
    return next(filter(None, addresses), None)
