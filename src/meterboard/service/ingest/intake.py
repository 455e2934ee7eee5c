"""Taking usage events in: who may send what, what each call is and costs, then into the meter."""

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
from meterboard.service.ingest.meter import Answer, Meter
from meterboard.service.ingest.pricing import Acceptance, add_priced
from meterboard.usage.batch import EventBatch


class Receipt(Struct, frozen=True):
    """The answer to whoever sent events, given when the accepted ones are durable. All three together: all events."""

    accepted: int
    duplicates: int
    rejected: list[Rejection]


class Priced(Struct, frozen=True):
    """Events that may be stored, and the rejections of the rest in the order sent."""

    batch: EventBatch
    rejected: list[Rejection]

    def receipt(self, new: Answer) -> Receipt:
        """The answer, once the store has said which were new."""
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
        """`schedule` finds one by its name, `organizations` those that have one of many. `answered` hears of receipts."""
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
        """Is all in memory that prices a key's events? For a provider-wide key organisations are looked up."""
        return key.organization is not None and key.organization.schedule in self._compiled

    async def accept(self, key: ApiKey, sent: Sent) -> Receipt:
        """
        Price and store what was sent; answers when it is durable.

        Raises: Forbidden: the key may only read. Overloaded, StoreFailed: nothing counts, send it again later.
        """
        return await self.store(self.price(key, sent))

    async def store(self, priced: Priced) -> Receipt:
        """Store what was priced; answers when it is durable. Raises: Overloaded, StoreFailed: nothing counts."""
        return self._answer(priced, await self._meter.commit(priced.batch))

    def accept_and_wait(self, key: ApiKey, sent: Sent) -> Receipt:
        """`accept` for a caller outside the event loop."""
        priced = self.price(key, sent)
        return self._answer(priced, self._meter.submit(priced.batch).result())

    def _answer(self, priced: Priced, new: Answer) -> Receipt:
        receipt = priced.receipt(new)
        self._answered(receipt)
        return receipt

    def calls_of(self, key: ApiKey) -> CallIntake:
        """
        What takes the calls of a key's organisation, many at a time.

        Raises: Forbidden: the key may only read, or is of no organisation.
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
        Decide what each event is and costs, as of now.

        Raises: Forbidden: the key may only read.
        """
        return self.pricing(key, sent).finished()

    def pricing(self, key: ApiKey, sent: Sent) -> "Pricing":
        """
        `price` in pieces. A provider-wide key's organisations are looked up in the database at once.

        Raises: Forbidden: the key may only read.
        """
        check_may_send(key)
        known: dict[str, Organization] = {}
        if key.organization is None:
            known = self._organizations({event.organization for event in sent.events if event.organization})
        return Pricing(
            sent,
            Acceptance(self._clock.now(), self._retention),
            lambda name: self._whose(key, name, known),
            self._dimensions,
        )

    def _whose(
        self, key: ApiKey, name: str | None, known: dict[str, Organization]
    ) -> tuple[Organization, CreditSchedule] | Fault:
        """The organisation that an event is of and what prices its calls, or why it can't be."""
        if key.organization is not None:
            if name not in (None, key.organization.name):
                return Fault(
                    "wrong_organization",
                    f"organization is {shown(name)}: this key sends events of {shown(key.organization.name)} alone. "
                    "Leave the field out.",
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
    """Raises: Forbidden: the key may only read."""
    if key.scope == "read":
        raise Forbidden("This key may only read. Use a key of scope ingest or all.")


EVENTS_BETWEEN_LOOKS = 32
"""Events that are priced between two looks at the clock: 1 ms usually, and 50 ms were they the worst that there are."""


class Pricing:
    """The pricing of what one request sent, which can be done in pieces."""

    def __init__(
        self,
        sent: Sent,
        acceptance: Acceptance,
        whose: Callable[[str | None], tuple[Organization, CreditSchedule] | Fault],
        dimensions: Dimensions,
    ) -> None:
        """`whose` finds the organisation and the schedule of the events that name it."""
        self._left = zip(sent.positions, sent.events, strict=True)
        self._acceptance = acceptance
        self._whose = whose
        self._dimensions = dimensions
        self._names: dict[str | None, tuple[Organization, CreditSchedule] | Fault] = {}
        self._batch = EventBatch()
        self._rejected = list(sent.rejected)

    def go_on(self, seconds: float = inf) -> bool:
        """Price events for about so many seconds. Returns whether all are priced."""
        until = perf_counter() + seconds
        acceptance, batch, names, dimensions = self._acceptance, self._batch, self._names, self._dimensions
        for done, (position, event) in enumerate(self._left, 1):
            name = event.organization
            if name not in names:
                names[name] = self._whose(name)
            found = names[name]
            try:
                if isinstance(found, Fault):
                    raise Fault(found.code, str(found))
                time = acceptance.now if event.time is None else acceptance.checked(event.time)
                add_priced(batch, time, event, *found, dimensions)
            except Fault as fault:
                self._rejected.append(Rejection(position, fault.code, str(fault)))
            if not done % EVENTS_BETWEEN_LOOKS and perf_counter() > until:
                return False
        return True

    def finished(self) -> Priced:
        """Price what is left. Returns what was decided of all events."""
        self.go_on()
        return self.priced()

    def priced(self) -> Priced:
        """What was decided, when all events are priced."""
        return Priced(self._batch, sorted(self._rejected, key=lambda rejection: rejection.index))
