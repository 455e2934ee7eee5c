"""
CloudEvents 1.0 around usage events: structured, batched and binary mode over HTTP; `data` is the usage event.

The usage event's own `id` and `time` take precedence over the envelope's. An envelope's id is unique within its
source only, so both together make the id. See the CloudEvents specification 1.0.2, its JSON format and its HTTP
protocol binding.
"""

from base64 import b64decode
from collections.abc import Mapping
from hashlib import blake2b
from types import MappingProxyType

from meterboard.errors import TooLarge, UnreadableBody
from meterboard.formats.json_events import Fault, Sent, check_count, each, shown, value_in

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
OTHER_FORMATS = "application/cloudevents"
"""The prefix of the media types of other formats, such as Avro, which are not supported."""
PREFIX = "ce-"
"""The prefix of the headers that have the attributes in binary mode."""
Sources = Mapping[str, str]
"""The extension that each own dimension is taken from; the data takes precedence."""
NO_SOURCES: Sources = MappingProxyType({})
REQUIRED = ("specversion", "id", "source", "type")
LONGEST_ID = 128


def read_structured(body: bytes, sources: Sources = NO_SOURCES) -> Sent:
    """Returns the usage event of one CloudEvent. Raises: UnreadableBody: the body is not a JSON object."""
    envelope = value_in(body)
    if not isinstance(envelope, dict):
        raise UnreadableBody("The body is not a CloudEvent: send one JSON object, or a batch as " + BATCHED)
    return each([_event(envelope, sources)])


def read_batch(body: bytes, sources: Sources = NO_SOURCES) -> Sent:
    """
    Returns the usage events of an array of CloudEvents. Raises: UnreadableBody: it is none. TooLarge: more events
    than the limit.
    """
    envelopes = value_in(body)
    if not isinstance(envelopes, list):
        raise UnreadableBody("The body is not a batch of CloudEvents: send a JSON array of them.")
    check_count(len(envelopes))
    return each(_event(envelope, sources) for envelope in envelopes)


def read_binary(body: bytes, attributes: Mapping[str, str], sources: Sources = NO_SOURCES) -> Sent:
    """
    Returns one usage event, with the attributes of its envelope in headers; an empty body is an envelope without data.

    Raises: UnreadableBody: the body is not JSON.
    """
    data = value_in(body) if body.strip() else None
    return each([_event({**attributes, "data": data}, sources)])


def _event(envelope: object, sources: Sources) -> object:
    """Returns the usage event of an envelope, or the fault of the envelope."""
    if not isinstance(envelope, dict):
        return Fault("invalid_type", f"The CloudEvent is {shown(envelope)}: send an object.")
    for name in REQUIRED:
        value = envelope.get(name)
        if not isinstance(value, str) or not value:
            return Fault("missing_field", f"{name} is {shown(value)}: a CloudEvent needs it, as a string.")
    if envelope["specversion"] != "1.0":
        return Fault("invalid_value", f"specversion is {shown(envelope['specversion'])}: expected 1.0.")
    data = envelope.get("data")
    if data is None and envelope.get("data_base64") is not None:
        data = _from_base64(envelope["data_base64"])
    if not isinstance(data, dict):
        return Fault("invalid_value", f"data is {shown(data)}: expected a usage event, a JSON object.")
    own: dict[str, object] = {"id": _id(envelope["source"], envelope["id"])}
    if envelope.get("time") is not None:
        own["time"] = envelope["time"]
    taken = {name: _text(envelope[source]) for name, source in sources.items() if source in envelope}
    if taken:
        given = data.get("dimensions")
        own["dimensions"] = taken
        if isinstance(given, dict):
            data = data | {"dimensions": taken | given}
    return own | data


def _text(value: object) -> object:
    """Returns an extension's value as text: it may also be a boolean or a number."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


def _from_base64(text: object) -> object:
    """Returns the JSON that an SDK encoded because it was given bytes; other values unchanged."""
    try:
        return value_in(b64decode(text, validate=True)) if isinstance(text, str) else text
    except (ValueError, UnreadableBody, TooLarge):
        return text


def _id(source: str, event_id: str) -> str:
    whole = f"{source} {event_id}"
    if len(whole) <= LONGEST_ID:
        return whole
    return blake2b(whole.encode(errors="surrogatepass"), digest_size=32).hexdigest()
