"""Taking usage events in: who may send what, what each call is and costs, then into the meter."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate

from msgspec import Struct

from meterboard.clock import Clock
from meterboard.domain.access import ApiKey
from meterboard.domain.event import (
    MAX_AHEAD,
    NO_ID,
    UNKNOWN,
    CallBatch,
    Combination,
    EventBatch,
    Rejection,
    UsageEvent,
    canonical_ip,
    identity,
)
from meterboard.domain.organization import Organization
from meterboard.domain.period import EPOCH, INSTANT, micros
from meterboard.domain.reason import GIVEN
from meterboard.domain.schedule import CreditSchedule
from meterboard.domain.wire import EXPECTED, Fault, Sent, shown
from meterboard.errors import Forbidden, NotFound
from meterboard.service.meter import Answer, Meter


class Receipt(Struct, frozen=True):
    """The answer to whoever sent events, given when the accepted ones are durable. All three together: all events."""

    accepted: int
    duplicates: int
    rejected: list[Rejection]


class Calls(Struct, frozen=True):
    """
    Calls as columns, many of which are alike but for their id and time.

    `kinds` are events without id and time. The one of `days` stands for the times of a kind's calls, all of one day of
    UTC: prices begin and end with days. `kind` is the place of each call among the kinds, `times` are microseconds since 1970 UTC.
    """

    kinds: Sequence[UsageEvent]
    days: Sequence[int]
    kind: Sequence[int]
    times: Sequence[int]
    ids: Sequence[str]


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
        organization: Callable[[str], Organization],
        answered: Callable[[Receipt], None] = lambda _: None,
    ) -> None:
        """`schedule` and `organization` find one by its name; the latter raises NotFound. `answered` hears of receipts."""
        self._meter = meter
        self._clock = clock
        self._retention = retention
        self._schedule = schedule
        self._organization = organization
        self._answered = answered

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

    def accept_calls(self, key: ApiKey, calls: Calls) -> Outcome:
        """
        Price and store the calls of a key's organisation, for a caller outside the event loop.

        Raises: Forbidden: the key may only read, or is of no organisation. StoreFailed: nothing counts.
        """
        if key.scope == "read" or key.organization is None:
            raise Forbidden("Calls are imported with a key of one organisation that may send.")
        organization, schedule = key.organization, self._schedule(key.organization.schedule)
        pricing = _Pricing(self._clock.now(), self._retention)
        faults = [
            pricing.fault_of_kind(kind, time, organization, schedule)
            for kind, time in zip(calls.kinds, calls.days, strict=True)
        ]
        refused = pricing.refused(calls, faults)
        if not refused:
            batch = CallBatch(pricing.batch, calls.kind, calls.times, _identities(organization.id, calls.ids))
        else:
            places = list(accumulate((fault is None for fault in faults), initial=0))
            kept = [number for number in range(len(calls.times)) if number not in refused]
            batch = CallBatch(
                pricing.batch,
                [places[calls.kind[number]] for number in kept],
                [calls.times[number] for number in kept],
                _identities(organization.id, [calls.ids[number] for number in kept]),
            )
        new = self._meter.store(batch).result() if len(batch) else []
        accepted = sum(new)
        first = refused[min(refused)] if refused else ""
        return Outcome(accepted, len(new) - accepted, len(refused), first)

    def price(self, key: ApiKey, sent: Sent) -> Priced:
        """
        Decide what each event is and costs, as of now.

        Raises: Forbidden: the key may only read.
        """
        if key.scope == "read":
            raise Forbidden("This key may only read. Send events with a key made with --scope ingest or all.")
        pricing = _Pricing(self._clock.now(), self._retention)
        rejected = list(sent.rejected)
        names: dict[str | None, tuple[Organization, CreditSchedule] | Fault] = {}
        for position, event in zip(sent.positions, sent.events, strict=True):
            name = event.organization
            if name not in names:
                names[name] = self._whose(key, name)
            found = names[name]
            try:
                if isinstance(found, Fault):
                    raise Fault(found.code, str(found))
                pricing.add(event, *found)
            except Fault as fault:
                rejected.append(Rejection(position, fault.code, str(fault)))
        return Priced(pricing.batch, sorted(rejected, key=lambda rejection: rejection.index))

    def _whose(self, key: ApiKey, name: str | None) -> tuple[Organization, CreditSchedule] | Fault:
        """The organisation that an event is of and what prices its calls, or why it can't be."""
        if key.organization is not None:
            if name not in (None, key.organization.name):
                return Fault(
                    "wrong_organization",
                    f"organization is {shown(name)}: this key sends events of {shown(key.organization.name)} alone. "
                    "Leave the field out.",
                )
            return key.organization, self._schedule(key.organization.schedule)
        if name is None:
            return Fault(
                "missing_field", "organization is missing: a provider-wide key needs it in every event."
            )
        try:
            organization = self._organization(name)
        except NotFound:
            return Fault(
                "unknown_organization",
                f"organization is {shown(name)}: there is no organisation of that name.",
            )
        return organization, self._schedule(organization.schedule)


class _Pricing:
    """One request's events as they become rows of the store."""

    def __init__(self, now: datetime, retention: timedelta) -> None:
        self.batch = EventBatch()
        self._now = now
        self._oldest = now - retention
        self._newest = now + MAX_AHEAD
        self._now_micros = micros(now)

    def add(self, event: UsageEvent, organization: Organization, schedule: CreditSchedule) -> None:
        """Raises: Fault: the event can't be accepted."""
        time = self._now_micros if event.time is None else self._checked(event.time)
        self._add_at(time, event, organization, schedule)

    def _add_at(
        self, time: int, event: UsageEvent, organization: Organization, schedule: CreditSchedule
    ) -> None:
        version, module, method = event.version, event.module, event.method
        records, tariff, address = event.records, None, ""
        if event.request is not None:
            address = event.request.path
            found, tariff = schedule.read(event.request.method, address)
            if version is None and module is None and method is None:
                version, module, method, certain = found
            else:  # what is given explicitly wins, and what it is decides what it costs
                version = found.version if version is None else version
                module = found.module if module is None else module
                method = found.method if method is None else method
                certain, tariff = found.records, None
            records = certain if records is None else records
        combination = Combination(
            organization.id,
            event.application or "",
            event.function or "",
            module or "",
            method or "",
            version or "",
            "" if not event.ip else _checked_ip(event.ip),
            event.user or "",
            _STATUS[event.status],
        )
        if UNKNOWN in combination:
            combination = _without_unknown(combination)
        credits, estimated, reason = event.credits, False, GIVEN
        if credits is None:
            if tariff is None:
                _, _, _, module, method, version, *_ = combination
                tariff = schedule.tariff(version, module, method)
            credits, _, _, estimated, reason = tariff.price(records, event.status, address, time)
        batch = self.batch
        batch.times.append(time)
        batch.ids.append(NO_ID if event.id is None else identity(organization.id, event.id))
        batch.combinations.append(combination)
        batch.credits.append(credits)
        batch.charged.append(credits if organization.charges_tasks or not event.function else 0)
        batch.estimated.append(int(estimated))
        batch.records.append(-1 if records is None else records)
        batch.reasons.append(reason)

    def fault_of_kind(
        self, kind: UsageEvent, time: int, organization: Organization, schedule: CreditSchedule
    ) -> Fault | None:
        """Add what calls have in common; why it can't be accepted. Whose times can be is not for a kind to say."""
        try:
            self._add_at(time, kind, organization, schedule)
        except Fault as fault:
            return fault
        return None

    def refused(self, calls: Calls, faults: Sequence[Fault | None]) -> dict[int, str]:
        """The calls that can't be accepted, by their number, and why."""
        oldest, newest = micros(self._oldest), micros(self._newest)
        times = calls.times
        if not any(faults) and (not times or (min(times) >= oldest and max(times) <= newest)):
            return {}
        found: dict[int, str] = {}
        for number, (kind, time) in enumerate(zip(calls.kind, times, strict=True)):
            fault = faults[kind]
            if fault is None and not oldest <= time <= newest:
                fault = self._untimely(EPOCH + INSTANT * time)
            if fault is not None:
                found[number] = str(fault)
        return found

    def _checked(self, time: datetime) -> int:
        fault = self._untimely(time)
        if fault is not None:
            raise fault
        return micros(time)

    def _untimely(self, time: datetime) -> Fault | None:
        if time < self._oldest:
            return Fault(
                "too_old",
                f"time is {time.isoformat()}: usage is kept for {(self._now - self._oldest).days} days, "
                f"so events before {self._oldest.isoformat(timespec='seconds')} are not accepted.",
            )
        if time > self._newest:
            return Fault(
                "in_future",
                f"time is {time.isoformat()}: it may be at most 5 minutes ahead of the server, where it is "
                f"{self._now.isoformat(timespec='seconds')}. Check the sender's clock.",
            )
        return None


_STATUS: dict[int | None, str] = {None: "", **{status: str(status) for status in range(100, 600)}}


def _identities(organization: int, ids: Sequence[str]) -> list[bytes]:
    return [identity(organization, name) for name in ids]


def _checked_ip(text: str) -> str:
    try:
        return canonical_ip(text)
    except ValueError:
        raise Fault("invalid_value", f"ip is {shown(text)}: expected {EXPECTED['ip']}.") from None


@lru_cache(maxsize=1_024)
def _without_unknown(combination: Combination) -> Combination:
    """Statistics call what was not said "(unknown)"; whoever says just that has not said it either."""
    organization, *values = combination
    return Combination(organization, *("" if value == UNKNOWN else value for value in values))
