"""
The batches that a store appends: accepted events as columns, in one of two forms.

`EventBatch` is what requests send, with a combination of dimensions for each event. `EncodedBatch` is what an import
reads: the same columns, dictionary-encoded as kind, caller and origin, since each of these has few distinct values. A
store accepts either; one that gains nothing from the encoding stores what `decoded` returns.
"""

from array import array
from collections.abc import Sequence
from hashlib import blake2b, md5
from struct import Struct as Layout

from msgspec import Struct

from meterboard.domain.event import LINE_ID_PREFIX, Combination

NO_ID = bytes(12)
_HALVES = Layout("<QI")


class EventBatch:
    """
    Events, each with its combination.

    `times` are microseconds since 1970 UTC. `ids` are 12-byte digests of organisation and id, `NO_ID` where the event
    had none. `charged` are the credits that count against the allowance. `estimated` is 1 where the price is an
    estimate, else 0. `records` is -1 where neither the event nor its request has the number. `reasons` are the
    reasons for the cost, as `meterboard.schedule.reason` encodes them: few distinct texts.
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
        """Appends the events of another batch."""
        for name in self.__slots__:
            getattr(self, name).extend(getattr(other, name))

    def only(self, indexes: Sequence[int]) -> "EventBatch":
        """Returns the events at some indexes."""
        chosen = EventBatch()
        for name in self.__slots__:
            setattr(chosen, name, [getattr(self, name)[index] for index in indexes])
        return chosen

    @property
    def organizations(self) -> set[int]:
        """Returns the organisations of the events."""
        return {combination[0] for combination in self.combinations}


class EncodedBatch(Struct, frozen=True):
    """
    Events of one organisation, dictionary-encoded: a million calls have few kinds and few callers.

    `kinds` are what was called and what it cost; their ids and times are ignored, and caller and origin are empty.
    `callers` are applications with users and the values of own dimensions, `origins` are IP addresses. `kind`,
    `caller` and `origin` are each call's indexes into them. `times` are as in EventBatch; `id_lows` and `id_highs`
    are the first eight and the last four bytes of each id, as little-endian numbers.
    """

    kinds: EventBatch
    callers: Sequence[tuple[str, ...]]
    origins: Sequence[str]
    kind: "array[int]"
    caller: "array[int]"
    origin: "array[int]"
    times: "array[int]"
    id_lows: "array[int]"
    id_highs: "array[int]"

    def __len__(self) -> int:
        return len(self.times)

    @property
    def organizations(self) -> set[int]:
        """Returns the organisations of the events."""
        return self.kinds.organizations

    def decoded(self) -> EventBatch:
        """Returns the same events, each with its combination."""
        events = self.kinds.only(self.kind)
        events.times = list(self.times)
        events.ids = [_HALVES.pack(*halves) for halves in zip(self.id_lows, self.id_highs, strict=True)]
        codes = zip(events.combinations, self.caller, self.origin, strict=True)
        events.combinations = [
            self._combination(kind, self.callers[caller], self.origins[origin])
            for kind, caller, origin in codes
        ]
        return events

    def _combination(self, kind: Combination, caller: Sequence[str], ip: str) -> Combination:
        application, user, *own = caller
        return kind._replace(application=application, user=user, ip=ip, own=tuple(own))


Batch = EventBatch | EncodedBatch


def identity(organization: int, event_id: str) -> bytes:
    """
    Returns what a store keeps of an id: 12 bytes of BLAKE2b over the organisation and the id, or of MD5 if an import
    generated the id, since DuckDB computes that for a whole column.

    96 bits keep the chance of any accidental collision among 20 million ids below 1 in 10^14. MD5 prevents finding a
    second id for an existing or future one, which is all that is required of it.
    """
    text = f"{organization}:{event_id}".encode()
    if event_id.startswith(LINE_ID_PREFIX):
        return md5(text, usedforsecurity=False).digest()[:12]
    return blake2b(text, digest_size=12).digest()


def id_halves(digest: bytes) -> tuple[int, int]:
    """Returns an id's digest as the columns of an EncodedBatch hold it."""
    low, high = _HALVES.unpack(digest)
    return low, high
