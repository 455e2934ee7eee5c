"""The usage event: its fields, its limits, and why one is rejected."""

from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

MAX_BODY_BYTES = 10_000_000
MAX_EVENTS = 10_000
MAX_CREDITS = 1_000_000
MAX_TEXT = 10_000
"""Characters in a name. Longer than any real name, and short enough that names can't fill a page."""
MAX_RECORDS = 2**31 - 1
"""The largest number of the store's 32-bit column."""
MAX_AHEAD = timedelta(minutes=5)
"""How far a sender's clock may be ahead of the server's."""

UNKNOWN = "(unknown)"
"""The value that statistics show where an event has none. It is stored as the empty string."""

NOT_HTTP = "(not HTTP)"
"""The module and method of requests that are not HTTP, such as TLS on a plain port. Only prices that name it apply."""

REFUSED = "429"
"""The HTTP status of a call that was refused because its caller had made too many."""

Text = Annotated[str, Meta(max_length=MAX_TEXT)]


class Request(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The HTTP request of an event. The credit schedule classifies it; it is not stored."""

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
    The dimensions of an event, by which statistics filter and group.

    Every value is text; the empty string means that the event has no value. `own` are the values of the installation's
    own dimensions, in the order of its settings.
    Events that share a combination differ only in id, time, credits and records, so each combination is stored once.
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


LINE_ID_PREFIX = "log-"
"""The prefix of the ids that an import derives from lines."""
