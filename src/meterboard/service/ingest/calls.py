"""Ingestion of the calls that are read from files: many at a time, most with the same values."""

from array import array
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from meterboard.clock import Clock
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.event import UsageEvent
from meterboard.domain.organization import Organization
from meterboard.domain.period import EPOCH, INSTANT
from meterboard.domain.query import DimensionName, value_of
from meterboard.errors import InvalidParameter
from meterboard.formats.json_events import Fault
from meterboard.schedule.credit_schedule import CreditSchedule
from meterboard.service.ingest.meter import Meter
from meterboard.service.ingest.pricing import Acceptance, add_priced
from meterboard.usage.batch import EncodedBatch, EventBatch, id_halves, identity


class CallKind(NamedTuple):
    """
    A kind of calls: an event without id, time, application, user and address; and the time of one of them, in
    microseconds since 1970 UTC.
    """

    event: UsageEvent
    time: int


class Calls(Struct, frozen=True):
    """
    Calls as columns, with kinds, callers and origins encoded as in EncodedBatch, since each has few values.

    All calls of a kind are between two changes of prices. `callers` are applications with users and the values of the own
    dimensions that `own_names` names; `origins` are IP addresses. `kind`, `caller` and `origin` are the indexes of each
    call in `kinds`, `callers` and `origins`. `times` are microseconds since 1970 UTC. `id_lows` and `id_highs` are as in
    EncodedBatch; `ids` returns the ids that they are digests of.
    """

    kinds: Sequence[CallKind]
    callers: Sequence[tuple[str | None, ...]]
    origins: Sequence[str | None]
    kind: "array[int]"
    caller: "array[int]"
    origin: "array[int]"
    times: "array[int]"
    id_lows: "array[int]"
    id_highs: "array[int]"
    ids: Callable[[], list[str]]
    own_names: Sequence[DimensionName] = ()

    def events(self) -> list[UsageEvent]:
        """Returns each call as an event with its id and time."""
        events: list[UsageEvent] = []
        callers = self.caller_fields()
        codes = zip(self.kind, self.caller, self.origin, strict=True)
        for (kind, caller, origin), time, name in zip(codes, self.times, self.ids(), strict=True):
            own = {"id": name, "time": EPOCH + INSTANT * time, "ip": self.origins[origin]}
            events.append(replace(self.kinds[kind].event, **callers[caller], **own))
        return events

    def caller_fields(self) -> list[dict[str, Any]]:
        """Returns each caller as fields of an event."""
        return [self._caller_fields(*caller) for caller in self.callers]

    def _caller_fields(
        self, application: str | None, user: str | None, *values: str | None
    ) -> dict[str, Any]:
        own = {name: value for name, value in zip(self.own_names, values, strict=True) if value}
        return {"application": application, "user": user, "dimensions": own or None}


def halves_of_id(organization: int, event_id: str) -> tuple[int, int]:
    """Returns the members of `id_lows` and `id_highs` for an id."""
    return id_halves(identity(organization, event_id))


class Outcome(Struct, frozen=True):
    """How many calls were accepted and are durable, and how many were not. `first_refusal` is the first reason."""

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    first_refusal: str = ""

    def and_then(self, later: "Outcome") -> "Outcome":
        """Returns the sums of both outcomes, with the first refusal of either."""
        return Outcome(
            self.accepted + later.accepted,
            self.duplicates + later.duplicates,
            self.refused + later.refused,
            self.first_refusal or later.first_refusal,
        )


class CallIntake:
    """Prices and stores the calls of one organisation. Each kind of calls is priced once."""

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
        Prices and stores calls, and returns when they are durable. Must not be called in the event loop.

        Raises: StoreFailed: none of them was stored.
        """
        accepted_times, refusal = self._accepted_times(calls.times)
        columns = (calls.kind, calls.caller, calls.origin, calls.times, calls.id_lows, calls.id_highs)
        if refusal:
            kind, caller, origin, times, lows, highs = (_select(column, accepted_times) for column in columns)
        else:
            kind, caller, origin, times, lows, highs = columns
        batch = EncodedBatch(
            kinds=self._priced(calls.kinds),
            callers=self._callers(calls),
            origins=[ip or "" for ip in calls.origins],
            kind=kind,
            caller=caller,
            origin=origin,
            times=times,
            id_lows=lows,
            id_highs=highs,
        )
        new = self._meter.submit(batch).result() if len(batch) else []
        accepted = sum(new)
        return Outcome(accepted, len(new) - accepted, len(calls.times) - len(accepted_times), refusal)

    def _callers(self, calls: Calls) -> list[tuple[str, ...]]:
        """
        Returns the callers, with a value for each own dimension of the installation.

        Raises: InvalidParameter: the calls have a dimension that the installation doesn't have.
        """
        unknown = [name for name in calls.own_names if name not in self._dimensions.own_names]
        if unknown:
            raise InvalidParameter("dimensions", f"There is no dimension {unknown[0]!r} here.")
        indexes = [
            calls.own_names.index(name) + 2 if name in calls.own_names else None
            for name in self._dimensions.own_names
        ]
        return [
            (
                value_of(caller[0] or ""),
                value_of(caller[1] or ""),
                *("" if index is None else value_of(caller[index] or "") for index in indexes),
            )
            for caller in calls.callers
        ]

    def _priced(self, kinds: Sequence[CallKind]) -> EventBatch:
        batch = EventBatch()
        for event, time in kinds:
            add_priced(batch, time, event, self._organization, self._schedule, self._dimensions)
        return batch

    def _accepted_times(self, times: "array[int]") -> tuple[Sequence[int], str]:
        """Returns the indexes of the calls whose times are accepted, and why the first of the others is not."""
        acceptance = Acceptance(self._clock.now(), self._retention)
        oldest, newest = acceptance.oldest, acceptance.newest
        if not times or (oldest <= min(times) and max(times) <= newest):
            return range(len(times)), ""
        try:
            for time in times:
                acceptance.check(EPOCH + INSTANT * time)
        except Fault as fault:
            refusal = str(fault)
        return [index for index, time in enumerate(times) if oldest <= time <= newest], refusal


def _select(column: "array[int]", indexes: Sequence[int]) -> "array[int]":
    return array(column.typecode, map(column.__getitem__, indexes))
