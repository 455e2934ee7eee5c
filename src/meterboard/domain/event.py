"""The usage event: its shape on the wire, its limits, and why one is refused."""

from array import array
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b, md5
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

    def digest(self, own_names: Sequence[str] = ()) -> int:
        """
        64 bits of MD5 over the values, as DuckDB works it out: equal combinations have equal digests; unequal ones nearly
        never.

        Own dimensions count by their names, and only where the event says something of them. So a digest stays the same
        when dimensions are added, removed or named in another order.
        """
        values = "\0".join(map(str, self[:-1]))
        if own_names:
            said = sorted((name, value) for name, value in zip(own_names, self.own, strict=True) if value)
            values = "\0".join((values, *(text for pair in said for text in pair)))
        return int.from_bytes(md5(values.encode(), usedforsecurity=False).digest()[8:], "little")


class Rejection(Struct, frozen=True):
    """Why one event of a request was not accepted; `index` counts from 0 in the order sent."""

    index: int
    code: str
    message: str


class EventBatch:
    """
    Accepted events as parallel columns, ready for the store.

    `times` are microseconds since 1970 UTC. `ids` are 12-byte digests of organisation and id, `NO_ID` where the
    event had none. `charged` are the credits that count against the allowance. `estimated` is 1 where the price is an
    estimate, else 0. `records` is -1 where neither the event nor its request says. `reasons` are why they cost that,
    as `meterboard.schedule.reason` keeps it: few distinct texts.
    """

    __slots__ = ("charged", "combinations", "credits", "estimated", "ids", "reasons", "records", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.ids: list[bytes] = []
        self.combinations: list[Combination] = []
        self.credits: list[int] = []
        self.charged: list[int] = []
        self.estimated: list[int] = []
        self.records: list[int] = []
        self.reasons: list[str] = []

    def __len__(self) -> int:
        return len(self.times)

    def extend(self, other: "EventBatch") -> None:
        """Add another batch's events behind this one's."""
        for name in self.__slots__:
            getattr(self, name).extend(getattr(other, name))

    def only(self, places: Sequence[int]) -> "EventBatch":
        """The events at some places."""
        chosen = EventBatch()
        for name in self.__slots__:
            setattr(chosen, name, [getattr(self, name)[place] for place in places])
        return chosen


class CallBatch(Struct, frozen=True):
    """
    Accepted calls of one organisation as columns, ready for the store: a million of them are few deeds of few callers.

    `whats` says what calls are and cost; its ids and times are of no account, and who called from where is empty there.
    `whos` are applications with users and the values of own dimensions, `ips` addresses. `what`, `who` and `whence` are the places of each call among
    them. `times` are as in EventBatch; `id_lows` and `id_highs` are the first eight bytes and the last four of each id,
    as numbers, little-endian.
    """

    whats: EventBatch
    whos: Sequence[tuple[str, ...]]
    ips: Sequence[str]
    what: "array[int]"
    who: "array[int]"
    whence: "array[int]"
    times: "array[int]"
    id_lows: "array[int]"
    id_highs: "array[int]"

    def __len__(self) -> int:
        return len(self.times)


NO_ID = bytes(12)
OF_A_LINE = "log-"
"""How ids begin that an import makes of lines."""


def identity(organization: int, event_id: str) -> bytes:
    """
    What the store remembers of an id: 12 bytes of BLAKE2b over the organisation and the id, of MD5 where an import made
    the id: that is what DuckDB works out for a whole column.

    96 bits keep the chance of any accidental collision among 20 million ids below 1 in 10^14. MD5 keeps anyone from
    finding a second id for what another has or will have, which is all that is asked of it.
    """
    text = f"{organization}:{event_id}".encode()
    if event_id.startswith(OF_A_LINE):
        return md5(text, usedforsecurity=False).digest()[:12]
    return blake2b(text, digest_size=12).digest()
