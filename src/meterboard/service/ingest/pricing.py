"""Pricing: events are classified, priced, and added to a batch for the store."""

from datetime import datetime, timedelta

from meterboard.domain.caller.ip import canonical_ip
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.event import (
    MAX_AHEAD,
    UNKNOWN,
    Combination,
    UsageEvent,
)
from meterboard.domain.organization import Organization
from meterboard.domain.period import EPOCH, INSTANT, micros
from meterboard.formats.json_events import EXPECTED, Fault, shown, unknown_field
from meterboard.schedule.credit_schedule import CreditSchedule
from meterboard.schedule.reason import GIVEN
from meterboard.usage.batch import NO_ID, EventBatch, identity


class Acceptance:
    """The times that an event may have at the moment."""

    def __init__(self, now: datetime, retention: timedelta) -> None:
        self.now = micros(now)
        self.oldest = micros(now - retention)
        self.newest = micros(now + MAX_AHEAD)
        """All three in microseconds since 1970 UTC."""
        self._retention = retention

    def check(self, time: datetime) -> int:
        """Returns a time as microseconds since 1970 UTC. Raises: Fault: the event can't be accepted."""
        moment = micros(time)
        if moment < self.oldest:
            raise Fault(
                "too_old",
                f"time is {time.isoformat()}: usage is kept for {self._retention.days} days, "
                f"so events before {_shown(self.oldest)} are not accepted.",
            )
        if moment > self.newest:
            raise Fault(
                "in_future",
                f"time is {time.isoformat()}: it may be at most 5 minutes ahead of the server, where it is "
                f"{_shown(self.now)}. Check the sender's clock.",
            )
        return moment


def _shown(moment: int) -> str:
    return (EPOCH + INSTANT * moment).isoformat(timespec="seconds")


def add_priced(
    batch: EventBatch,
    time: int,
    event: UsageEvent,
    organization: Organization,
    schedule: CreditSchedule,
    dimensions: Dimensions,
) -> None:
    """
    Classifies and prices an event, and adds it to a batch. `time` is in microseconds since 1970 UTC.

    Raises: Fault: the event can't be accepted.
    """
    version, module, method = event.version, event.module, event.method
    records, tariff, address = event.records, None, ""
    if event.request is not None:
        address = event.request.path
        found, tariff = schedule.read(event.request.method, address)
        if version is None and module is None and method is None:
            version, module, method, certain = found
        else:  # fields of the event win, and decide the price
            version = found.version if version is None else version
            module = found.module if module is None else module
            method = found.method if method is None else method
            certain, tariff = found.records, None
        records = certain if records is None else records
    combination = _combination(organization, event, version, module, method, dimensions)
    credits, estimated, reason = event.credits, False, GIVEN
    if credits is None:
        if tariff is None:
            tariff = schedule.tariff(combination.version, combination.module, combination.method)
        credits, _, _, estimated, reason = tariff.price(records, event.status, address, time)
    batch.times.append(time)
    batch.ids.append(NO_ID if event.id is None else identity(organization.id, event.id))
    batch.combinations.append(combination)
    batch.credits.append(credits)
    batch.charged.append(credits if organization.charges_tasks or not event.function else 0)
    batch.estimated.append(int(estimated))
    batch.records.append(-1 if records is None else records)
    batch.reasons.append(reason)


def _own_values(given: dict[str, str], dimensions: Dimensions) -> tuple[str, ...]:
    try:
        return dimensions.own_values(given)
    except KeyError as error:
        (name,) = error.args
        raise unknown_field(f"dimensions.{shown(name)[1:-1]}", dimensions.own_names) from None


def _combination(
    organization: Organization,
    event: UsageEvent,
    version: str | None,
    module: str | None,
    method: str | None,
    dimensions: Dimensions,
) -> Combination:
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
        _own_values(event.dimensions, dimensions) if event.dimensions else dimensions.no_values,
    )
    return _without_unknown(combination) if UNKNOWN in combination else combination


_STATUS: dict[int | None, str] = {None: "", **{status: str(status) for status in range(100, 600)}}


def _checked_ip(text: str) -> str:
    try:
        return canonical_ip(text)
    except ValueError:
        raise Fault("invalid_value", f"ip is {shown(text)}: expected {EXPECTED['ip']}.") from None


def _without_unknown(combination: Combination) -> Combination:
    """Returns a combination without the value "(unknown)", which statistics show where an event has none."""
    values = ("" if value == UNKNOWN else value for value in combination[1:-1])
    return Combination._make((combination.organization, *values, combination.own))
