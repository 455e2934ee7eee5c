"""
OpenTelemetry spans as usage events, by the semantic conventions for HTTP.

A span of kind SERVER that names an HTTP request is a call; every other span is passed over. Both the stable names of
attributes and those before them are understood. See docs/opentelemetry.md for the whole mapping.
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
"""In front of a field of the usage event, as an attribute of the span or of its resource. It wins over all others."""
OWN_DIMENSION = "dimensions."
"""In front of a dimension of the installation's own, behind OWN: `meterboard.dimensions.environment`."""
DERIVED = ("id", "time", "request")
"""Fields that come from the span itself."""
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
"""Fields that a resource can give to its spans: more than there are."""
NUMBERS = ("records", "credits", "status")

Attributes = dict[str, Any]
Sources = Mapping[str, str]
"""A dimension of the installation's own -> the attribute that it is taken from."""
NO_SOURCES: Sources = MappingProxyType({})


class SpanCalls(NamedTuple):
    """The calls among the spans of a request: each the fields of a usage event, or why it can't be one."""

    spans: list[str]
    """Ids of the spans, as messages name them."""
    events: list[dict[str, object] | Fault]


def calls_in(
    groups: Iterable[tuple[Resource, Iterable[Span | Fault]]], sources: Sources = NO_SOURCES
) -> SpanCalls:
    """
    The HTTP requests that servers say they have answered, in the order sent; spans by the resource they are of.

    A fault stands for a span that can't be read. `sources` are the attributes that own dimensions are taken from.
    """
    found = SpanCalls([], [])
    named = {*sources.values()}
    for resource, spans in groups:
        attributes = _attributes(resource.attributes)
        own = ((name, value) for name, value in attributes.items() if name.startswith(OWN))
        # With more there is one among them that is no field, for which each of the spans is refused.
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
    """The fields of the usage event. Which values a field may have is checked where events are read."""
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
    if said := _said(dimensions):
        event["dimensions"] = said
    return _said(event)


def _said(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _attributes(pairs: Iterable[KeyValue]) -> Attributes:
    """Names and values; of a name that is there twice, the last."""
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
    """The text of the first of these attributes that says anything."""
    for name in names:
        value = attributes.get(name)
        if value not in (None, "", "-"):  # a dash is how gateways write down what is missing
            return str(value)
    return None


def _method(attributes: Attributes) -> str:
    method = _first(attributes, METHOD)
    if method == OTHER_METHOD:
        method = _first(attributes, ("http.request.method_original",)) or method
    return str(method)


def _path(attributes: Attributes) -> str | None:
    """Path and query of the request; the route it was found by is the last resort, for it may be a mere prefix."""
    path, query = _first(attributes, (PATH,)), _first(attributes, ("url.query",))
    if path is None:
        target = _first(attributes, TARGETS)
        if target is None:
            return None
        path, query = _split(target)
    return (f"{path}?{query}" if query else path)[:MAX_TEXT]


def _split(target: str) -> tuple[str, str]:
    """Path and query of a target or of a whole URL."""
    if target.startswith("/"):
        path, _, query = target.partition("?")
        return path, query
    try:
        parts = urlsplit(target)
    except ValueError:  # such as a host that is half an IPv6 address
        return "/", ""
    return parts.path or "/", parts.query


def _status(attributes: Attributes) -> object:
    """The status as a number; None where a client went away before there was one, which Envoy writes as 0."""
    value = _number(_first(attributes, STATUS))
    return None if value == 0 else value


def _number(value: object) -> object:
    """A whole number, also when it was written as text, as gateways do; else the value as it is."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _address(attributes: Attributes) -> str | None:
    """The first that is an IP address; names of hosts and sockets are none."""
    values = (attributes.get(name) for name in ADDRESSES)
    addresses = (ip_or_none(value) for value in values if isinstance(value, str))
    return next(filter(None, addresses), None)
