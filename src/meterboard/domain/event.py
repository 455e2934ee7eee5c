"""The usage event: its shape on the wire, its limits, and why one is refused."""

from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

MAX_BODY_BYTES = 10_000_000
MAX_EVENTS = 10_000
MAX_CREDITS = 1_000_000
MAX_TEXT = 10_000
"""Characters in a name. Long enough for anything honest, short enough that a batch can't fill a page."""
MAX_RECORDS = 2**31 - 1
"""What the store's 32-bit column holds."""
MAX_AHEAD = timedelta(minutes=5)
"""How far a sender's clock may run ahead of ours."""

UNKNOWN = "(unknown)"
"""The name that statistics show where an event did not say; inside, it is the empty string."""

NOT_HTTP = "(not HTTP)"
"""The module and the method of what is not an HTTP request, such as TLS on a plain port. Only prices that name it apply."""

REFUSED = "429"
"""The HTTP status of a call that was refused because too much was used."""

Text = Annotated[str, Meta(max_length=MAX_TEXT)]


class Request(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The HTTP request behind an event; classified by the credit schedule, then forgotten."""

    method: Annotated[str, Meta(min_length=1, max_length=32)]
    path: Text


class UsageEvent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, gc=False):
    """One API call, or one integration task run by a function."""

    id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    time: Annotated[datetime, Meta(tz=True)] | None = None
    organization: Text | None = None
    application: Text | None = None
    function: Text | None = None
    user: Text | None = None
    ip: Annotated[str, Meta(max_length=64)] | None = None
    version: Text | None = None
    module: Text | None = None
    method: Text | None = None
    request: Request | None = None
    records: Annotated[int, Meta(ge=0, le=MAX_RECORDS)] | None = None
    credits: Annotated[int, Meta(ge=0, le=MAX_CREDITS)] | None = None
    status: Annotated[int, Meta(ge=100, le=599)] | None = None
    dimensions: dict[str, Text] | None = None
    """Values of the installation's own dimensions, by name."""


class Combination(NamedTuple):
    """
    The dimensions of an event: what statistics can be asked by.

    Every value is text; the empty string means that the event did not say. `own` are the values of the installation's own
    dimensions, in the order of its settings.
    Events that share a combination differ only in id, time, credits and records, so the store keeps each one once.
    """

    organization: int
    application: str
    function: str
    module: str
    method: str
    version: str
    ip: str
    user: str
    status: str
    own: tuple[str, ...] = ()


class Rejection(Struct, frozen=True):
    """Why one event of a request was not accepted; `index` counts from 0 in the order sent."""

    index: int
    code: str
    message: str


OF_A_LINE = "log-"
"""How ids begin that an import makes of lines."""
