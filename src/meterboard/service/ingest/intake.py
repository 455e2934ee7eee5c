"""Ingestion of usage events: permissions are checked, events are classified and priced, and handed to the meter."""

from collections.abc import Callable, Collection
from datetime import timedelta
from math import inf
from time import perf_counter

from msgspec import Struct

from meterboard.clock import Clock
from meterboard.domain.access import ApiKey
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.event import Rejection
from meterboard.domain.organization import Organization
from meterboard.errors import Forbidden
from meterboard.formats.json_events import Fault, Sent, shown
from meterboard.schedule.credit_schedule import CreditSchedule
from meterboard.service.ingest.calls import CallIntake
from meterboard.service.ingest.meter import IsNew, Meter
from meterboard.service.ingest.pricing import Acceptance, add_priced
from meterboard.usage.batch import EventBatch


class Receipt(Struct, frozen=True):
    """The response to a request that sent events, when the accepted ones are durable. The sum of all three is all events."""

    accepted: int
    duplicates: int
    rejected: list[Rejection]


class Priced(Struct, frozen=True):
    """Events to be stored, and the rejections of the others in the order sent."""

    batch: EventBatch
    rejected: list[Rejection]

    def receipt(self, new: IsNew) -> Receipt:
        """Returns the receipt, given which of the events were new."""
        accepted = sum(new)
        return Receipt(accepted, len(new) - accepted, self.rejected)


class Ingest:
    """Prices events and hands them to the meter."""

    def __init__(
        self,
        meter: Meter,
        clock: Clock,
        *,
        retention: timedelta,
        schedule: Callable[[str], CreditSchedule],
        organizations: Callable[[Collection[str]], dict[str, Organization]],
        dimensions: Dimensions,
        answered: Callable[[Receipt], None] = lambda _: None,
    ) -> None:
        """
        `schedule` returns a credit schedule by its name, `organizations` returns organisations by their names.

        `answered` is called with every receipt.
        """
        self._meter = meter
        self._clock = clock
        self._retention = retention
        self._schedule = schedule
        self._organizations = organizations
        self._dimensions = dimensions
        self._answered = answered
        self._compiled: set[str] = set()
        """Names of the schedules that have priced events."""

    def needs_no_database(self, key: ApiKey) -> bool:
        """Returns whether a key's events can be priced from memory. For a provider-wide key organisations are looked up."""
        return key.organization is not None and key.organization.schedule in self._compiled

    async def accept(self, key: ApiKey, sent: Sent) -> Receipt:
        """
        Prices and stores events, and returns when they are durable.

        Raises: Forbidden: the key may only read. Overloaded, StoreFailed: nothing was stored, send the events again.
        """
        return await self.store(self.price(key, sent))

    async def store(self, priced: Priced) -> Receipt:
        """Stores priced events, and returns when they are durable. Raises: Overloaded, StoreFailed: nothing was stored."""
        return self._receipt(priced, await self._meter.commit(priced.batch))

    def accept_and_wait(self, key: ApiKey, sent: Sent) -> Receipt:
        """Does the same as `accept`, for callers outside the event loop."""
        priced = self.price(key, sent)
        return self._receipt(priced, self._meter.submit(priced.batch).result())

    def _receipt(self, priced: Priced, new: IsNew) -> Receipt:
        receipt = priced.receipt(new)
        self._answered(receipt)
        return receipt

    def calls_of(self, key: ApiKey) -> CallIntake:
        """
        Returns what stores many calls of a key's organisation at a time.

        Raises: Forbidden: the key may only read, or is provider-wide.
        """
        if key.scope == "read" or key.organization is None:
            raise Forbidden("An import needs a key of one organisation, of scope ingest or all.")
        schedule = self._schedule(key.organization.schedule)
        return CallIntake(
            self._meter,
            self._clock,
            key.organization,
            schedule,
            retention=self._retention,
            dimensions=self._dimensions,
        )

    def price(self, key: ApiKey, sent: Sent) -> Priced:
        """
        Classifies and prices events, and rejects those that can't be accepted now.

        Raises: Forbidden: the key may only read.
        """
        return self.pricing(key, sent).price_all()

    def pricing(self, key: ApiKey, sent: Sent) -> "Pricing":
        """
        Returns a Pricing, which does the same as `price` in steps.

        The organisations of a provider-wide key's events are looked up in the database before it returns.

        Raises: Forbidden: the key may only read.
        """
        check_may_send(key)
        known: dict[str, Organization] = {}
        if key.organization is None:
            known = self._organizations({event.organization for event in sent.events if event.organization})
        return Pricing(
            sent,
            Acceptance(self._clock.now(), self._retention),
            lambda name: self._find(key, name, known),
            self._dimensions,
        )

    def _find(
        self, key: ApiKey, name: str | None, known: dict[str, Organization]
    ) -> tuple[Organization, CreditSchedule] | Fault:
        """Returns the organisation of an event and the schedule that prices it, or why the event is rejected."""
        if key.organization is not None:
            if name not in (None, key.organization.name):
                return Fault(
                    "wrong_organization",
                    f"organization is {shown(name)}: this key only sends events of {shown(key.organization.name)}. "
                    "Omit the field.",
                )
            schedule = self._schedule(key.organization.schedule)
            self._compiled.add(key.organization.schedule)
            return key.organization, schedule
        if name is None:
            return Fault(
                "missing_field", "organization is missing: a provider-wide key needs it in every event."
            )
        organization = known.get(name)
        if organization is None:
            return Fault(
                "unknown_organization",
                f"organization is {shown(name)}: there is no organisation of that name.",
            )
        return organization, self._schedule(organization.schedule)


def check_may_send(key: ApiKey) -> None:
    """Checks that a key may send events. Raises: Forbidden: the key may only read."""
    if key.scope == "read":
        raise Forbidden("This key may only read. Use a key of scope ingest or all.")


EVENTS_PER_CLOCK_READ = 32
"""Events that are priced between two reads of the clock: this takes usually 1 ms, and 50 ms at worst."""


class Pricing:
    """The pricing of the events of one request, which can be done in steps."""

    def __init__(
        self,
        sent: Sent,
        acceptance: Acceptance,
        find: Callable[[str | None], tuple[Organization, CreditSchedule] | Fault],
        dimensions: Dimensions,
    ) -> None:
        """`find` returns the organisation and the schedule for the organisation's name in an event."""
        self._remaining = zip(sent.positions, sent.events, strict=True)
        self._acceptance = acceptance
        self._find = find
        self._dimensions = dimensions
        self._names: dict[str | None, tuple[Organization, CreditSchedule] | Fault] = {}
        self._batch = EventBatch()
        self._rejected = list(sent.rejected)

    def price_for(self, seconds: float) -> bool:
        """Prices events for about this many seconds. Returns whether all are priced."""
        until = perf_counter() + seconds
        acceptance, batch, names, dimensions = self._acceptance, self._batch, self._names, self._dimensions
        for done, (position, event) in enumerate(self._remaining, 1):
            name = event.organization
            if name not in names:
                names[name] = self._find(name)
            found = names[name]
            try:
                if isinstance(found, Fault):
                    raise Fault(found.code, str(found))
                time = acceptance.now if event.time is None else acceptance.check(event.time)
                add_priced(batch, time, event, *found, dimensions)
            except Fault as fault:
                self._rejected.append(Rejection(position, fault.code, str(fault)))
            if not done % EVENTS_PER_CLOCK_READ and perf_counter() > until:
                return False
        return True

    def price_all(self) -> Priced:
        """Prices the remaining events, and returns the result for all."""
        self.price_for(inf)
        return self.result()

    def result(self) -> Priced:
        """Returns the priced events and the rejections. All events have to be priced."""
        return Priced(self._batch, sorted(self._rejected, key=lambda rejection: rejection.index))
