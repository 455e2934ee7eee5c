"""
Why a call costs what it costs: kept when its event is accepted, so that a later price list can't change the story.

A reason is the same for all events that one row of a price list priced; what differs is in the event itself.
"""

import msgspec
from msgspec import Struct

from meterboard.schedule.earlier_names import price_with_current_names
from meterboard.schedule.price import FAILED, Price, PriceRule, price_by
from meterboard.wording import counted

NO_PRICE = "no matching price"
EVENT_CREDITS = "credits given by the event"


class Reason(Struct, frozen=True, omit_defaults=True):
    """The schedule and the row of it that was taken; no row: none fitted; no schedule: the event has its own credits."""

    schedule: str = ""
    rule: PriceRule | None = None

    def text(self) -> str:
        """How it is kept: equal reasons have equal texts."""
        return msgspec.json.encode(self).decode()


GIVEN = Reason().text()
"""The reason of an event with credits of its own."""


class Why(Struct, frozen=True):
    """
    Why a call costs what it costs, in words.

    `schedule` and `formula` are None where the event has its own credits itself. `source` says where the figure of the
    price list is from, and `note` what else is known of it, such as what other sources say.
    """

    schedule: str | None
    rule: str
    formula: str | None
    result: str
    source: str | None = None
    note: str | None = None


def explained(text: str, *, records: int | None, status: int | None, credits: int, estimated: bool) -> Why:
    """A reason as it was kept, with what its event said and cost."""
    reason = _decoded(text)
    rule = reason.rule
    if not reason.schedule:
        return Why(None, EVENT_CREDITS, None, counted(credits, "credit"))
    if rule is None:
        return Why(reason.schedule, NO_PRICE, "nothing", counted(credits, "credit"))
    result = counted(credits, "credit")
    if estimated:
        result += format_bounds(price_by(rule, records, status))
    facts = _facts(rule, records, status)
    return Why(
        reason.schedule,
        describe_conditions(rule),
        rule.describe(),
        f"{facts}: {result}" if facts else result,
        rule.source or None,
        rule.note or None,
    )


def _decoded(text: str) -> Reason:
    stored = msgspec.json.decode(text)
    if "rule" in stored:
        stored["rule"] = price_with_current_names(stored["rule"])
    return msgspec.convert(stored, Reason)


def _facts(rule: PriceRule, records: int | None, status: int | None) -> str:
    """What the formula was worked out from, as far as it depends on anything."""
    said: list[str] = []
    failed = rule.failed is not None and status is not None and status >= FAILED
    if rule.failed is not None:
        said.append("status unknown" if status is None else f"status {status}")
    if (rule.per_records or rule.steps) and not failed:
        said.append("an unknown number of records" if records is None else counted(records, "record"))
    if rule.estimated and not failed:
        said.append("what it depends on can't be known")
    return ", ".join(said)


def describe_conditions(rule: PriceRule) -> str:
    """Which calls a row of a price list is for."""
    given = {
        name: getattr(rule, name)
        for name in ("version", "module", "method", "status", "query", "since", "until")
    }
    said = [f"{name} {_one_of(value)}" for name, value in given.items() if value is not None]
    return ", ".join(said) or "every call"


def _one_of(value: object) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)


def format_bounds(price: Price) -> str:
    """Returns the range of an estimate; empty where the price is certain."""
    if not price.estimated:
        return ""
    most = "any number" if price.most is None else f"{price.most:,}"
    return f", estimated: from {price.least:,} to {most}"
