"""Taking calls in that files tell of: many at a time, most of them alike."""

from array import array
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

from msgspec import Struct

from meterboard.clock import Clock
from meterboard.domain.event import CallBatch, EventBatch, UsageEvent
from meterboard.domain.organization import Organization
from meterboard.domain.period import EPOCH, INSTANT
from meterboard.domain.schedule import CreditSchedule
from meterboard.domain.wire import Fault
from meterboard.service.meter import Meter
from meterboard.service.pricing import Acceptance, add_priced


class Kind(NamedTuple):
    """What calls have in common: an event without id and time, and the time of one, in microseconds since 1970 UTC."""

    event: UsageEvent
    time: int


class Calls(Struct, frozen=True):
    """
    Calls as columns, many of which are alike but for their id and time.

    `kinds` is one list for chunk after chunk, which new ones are added to; another list begins anew. All calls of a
    kind are between two changes of prices. `kind` is the place of each call among the kinds, `times` are microseconds
    since 1970 UTC, `id_lows` and `id_highs` as in CallBatch; `ids` works out what those are of.
    """

    kinds: list[Kind]
    kind: "array[int]"
    times: "array[int]"
    id_lows: "array[int]"
    id_highs: "array[int]"
    ids: Callable[[], list[str]]


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
    """Prices and stores the calls of one organisation, each kind of call once."""

    def __init__(
        self,
        meter: Meter,
        clock: Clock,
        organization: Organization,
        schedule: CreditSchedule,
        *,
        retention: timedelta,
    ) -> None:
        self._meter = meter
        self._clock = clock
        self._organization = organization
        self._schedule = schedule
        self._retention = retention
        self._kinds: list[Kind] = []
        self._priced = EventBatch()

    def accept(self, calls: Calls) -> Outcome:
        """
        Price and store calls, for a caller outside the event loop; answers when they are durable.

        Raises: StoreFailed: nothing of them counts.
        """
        self._price(calls.kinds)
        batch = CallBatch(self._priced, calls.kind, calls.times, calls.id_lows, calls.id_highs)
        timely, refusal = self._timely(calls.times)
        if refusal or len(batch) < len(self._priced):
            batch = _only(batch, timely)
        new = self._meter.store(batch).result() if len(batch) else []
        accepted = sum(new)
        return Outcome(accepted, len(new) - accepted, len(calls.times) - len(timely), refusal)

    def _price(self, kinds: list[Kind]) -> None:
        """Price what is new among the kinds."""
        if kinds is not self._kinds:
            self._kinds, self._priced = kinds, EventBatch()
        for event, time in kinds[len(self._priced) :]:
            add_priced(self._priced, time, event, self._organization, self._schedule)

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


def _only(batch: CallBatch, places: Sequence[int]) -> CallBatch:
    """Calls by their places, with the kinds that they are of alone."""
    used = sorted({batch.kind[place] for place in places})
    number = {kind: place for place, kind in enumerate(used)}
    return CallBatch(
        batch.kinds.only(used),
        array("i", (number[batch.kind[place]] for place in places)),
        *(
            array(column.typecode, map(column.__getitem__, places))
            for column in (batch.times, batch.id_lows, batch.id_highs)
        ),
    )
