"""Taking calls in that files tell of: many at a time, most of them alike."""

from array import array
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from meterboard.clock import Clock
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.event import UNKNOWN, UsageEvent
from meterboard.domain.organization import Organization
from meterboard.domain.period import EPOCH, INSTANT
from meterboard.domain.query import DimensionName
from meterboard.errors import InvalidParameter
from meterboard.formats.json_events import Fault
from meterboard.schedule.credit_schedule import CreditSchedule
from meterboard.service.ingest.meter import Meter
from meterboard.service.ingest.pricing import Acceptance, add_priced
from meterboard.usage.batch import EncodedBatch, EventBatch, id_halves, identity


class What(NamedTuple):
    """
    What calls did: an event without id and time, application, user and address; and the time of one, in microseconds
    since 1970 UTC.
    """

    event: UsageEvent
    time: int


class Calls(Struct, frozen=True):
    """
    Calls as columns. What they did is apart from who did it and from where, since each alone has few values.

    All calls of a What are between two changes of prices. `whos` are applications with users and the values of the own
    dimensions that `own_names` names. `what`, `who` and `whence`
    are the places of each call among `whats`, `whos` and `ips`; `times` are microseconds since 1970 UTC, `id_lows` and
    `id_highs` as in EncodedBatch; `ids` works out what those are of.
    """

    whats: Sequence[What]
    whos: Sequence[tuple[str | None, ...]]
    ips: Sequence[str | None]
    what: "array[int]"
    who: "array[int]"
    whence: "array[int]"
    times: "array[int]"
    id_lows: "array[int]"
    id_highs: "array[int]"
    ids: Callable[[], list[str]]
    own_names: Sequence[DimensionName] = ()

    def events(self) -> list[UsageEvent]:
        """Each call by itself, with its id and time."""
        made: list[UsageEvent] = []
        callers = self.callers()
        codes = zip(self.what, self.who, self.whence, strict=True)
        for (what, who, whence), time, name in zip(codes, self.times, self.ids(), strict=True):
            own = {"id": name, "time": EPOCH + INSTANT * time, "ip": self.ips[whence]}
            made.append(replace(self.whats[what].event, **callers[who], **own))
        return made

    def callers(self) -> list[dict[str, Any]]:
        """Who called, as fields of an event."""
        return [self._caller(*who) for who in self.whos]

    def _caller(self, application: str | None, user: str | None, *values: str | None) -> dict[str, Any]:
        said = {name: value for name, value in zip(self.own_names, values, strict=True) if value}
        return {"application": application, "user": user, "dimensions": said or None}


def halves_of_id(organization: int, event_id: str) -> tuple[int, int]:
    """Returns an id as `id_lows` and `id_highs` of Calls have it."""
    return id_halves(identity(organization, event_id))


class Outcome(Struct, frozen=True):
    """What became of calls, when the accepted ones are durable; `first_refusal` says why in words."""

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    first_refusal: str = ""

    def and_then(self, later: "Outcome") -> "Outcome":
        """Both together."""
        return Outcome(
            self.accepted + later.accepted,
            self.duplicates + later.duplicates,
            self.refused + later.refused,
            self.first_refusal or later.first_refusal,
        )


class CallIntake:
    """Prices and stores the calls of one organisation: what many did alike, once."""

    def __init__(
        self,
        meter: Meter,
        clock: Clock,
        organization: Organization,
        schedule: CreditSchedule,
        *,
        retention: timedelta,
        dimensions: Dimensions,
    ) -> None:
        self._meter = meter
        self._clock = clock
        self._organization = organization
        self._schedule = schedule
        self._retention = retention
        self._dimensions = dimensions

    def accept(self, calls: Calls) -> Outcome:
        """
        Price and store calls, for a caller outside the event loop; answers when they are durable.

        Raises: StoreFailed: nothing of them counts.
        """
        timely, refusal = self._timely(calls.times)
        own = (calls.what, calls.who, calls.whence, calls.times, calls.id_lows, calls.id_highs)
        what, who, whence, times, lows, highs = (_only(column, timely) for column in own) if refusal else own
        batch = EncodedBatch(
            kinds=self._priced(calls.whats),
            callers=self._whos(calls),
            origins=[ip or "" for ip in calls.ips],
            kind=what,
            caller=who,
            origin=whence,
            times=times,
            id_lows=lows,
            id_highs=highs,
        )
        new = self._meter.submit(batch).result() if len(batch) else []
        accepted = sum(new)
        return Outcome(accepted, len(new) - accepted, len(calls.times) - len(timely), refusal)

    def _whos(self, calls: Calls) -> list[tuple[str, ...]]:
        """
        The callers, with a value for each own dimension of the installation.

        Raises: InvalidParameter: the calls have a dimension that the installation has not.
        """
        unknown = [name for name in calls.own_names if name not in self._dimensions.own_names]
        if unknown:
            raise InvalidParameter("dimensions", f"There is no dimension {unknown[0]!r} here.")
        places = [
            calls.own_names.index(name) + 2 if name in calls.own_names else None
            for name in self._dimensions.own_names
        ]
        return [
            (
                _said(who[0]),
                _said(who[1]),
                *("" if place is None else _said(who[place]) for place in places),
            )
            for who in calls.whos
        ]

    def _priced(self, whats: Sequence[What]) -> EventBatch:
        batch = EventBatch()
        for event, time in whats:
            add_priced(batch, time, event, self._organization, self._schedule, self._dimensions)
        return batch

    def _timely(self, times: "array[int]") -> tuple[Sequence[int], str]:
        """The places of the calls whose times can be accepted, and why the first of the others can't be."""
        acceptance = Acceptance(self._clock.now(), self._retention)
        oldest, newest = acceptance.oldest, acceptance.newest
        if not times or (oldest <= min(times) and max(times) <= newest):
            return range(len(times)), ""
        try:
            for time in times:
                acceptance.checked(EPOCH + INSTANT * time)
        except Fault as fault:
            refusal = str(fault)
        return [place for place, time in enumerate(times) if oldest <= time <= newest], refusal


def _said(name: str | None) -> str:
    return "" if name is None or name == UNKNOWN else name


def _only(column: "array[int]", places: Sequence[int]) -> "array[int]":
    return array(column.typecode, map(column.__getitem__, places))
