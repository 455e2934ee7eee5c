"""
The reason for the cost of a call, stored when its event is accepted, so that later price lists don't change it.

The reason is the same for all events that one row of a price list priced; the event has all that differs.
"""

import msgspec
from msgspec import Struct

from meterboard.schedule.earlier_names import price_with_current_names
from meterboard.schedule.price import FAILED, Price, PriceRule, price_by
from meterboard.wording import counted

NO_PRICE = "no matching price"
EVENT_CREDITS = "credits given by the event"


class Reason(Struct, frozen=True, omit_defaults=True):
    """The schedule and the row that was used. No row: none matched; no schedule: the event has its own credits."""

    schedule: str = ""
    rule: PriceRule | None = None

    def text(self) -> str:
        """Returns the text that is stored: equal reasons have equal texts."""
        return msgspec.json.encode(self).decode()


GIVEN = Reason().text()
"""The reason of an event with credits of its own."""


class Why(Struct, frozen=True):
    """
    The reason for the cost of a call as text.

    `schedule` and `formula` are None where the event has its own credits. `source` is the source of the figure in the
    price list, and `note` a remark on it, such as what other sources say.
    """

    schedule: str | None
    rule: str
    formula: str | None
    result: str
    source: str | None = None
    note: str | None = None


def explained(text: str, *, records: int | None, status: int | None, credits: int, estimated: bool) -> Why:
    """Returns a stored reason as text, with the values and the cost of its event."""
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
    """Returns the values that the formula used, if it depends on any."""
    parts: list[str] = []
    failed = rule.failed is not None and status is not None and status >= FAILED
    if rule.failed is not None:
        parts.append("status unknown" if status is None else f"status {status}")
    if (rule.per_records or rule.steps) and not failed:
        parts.append("an unknown number of records" if records is None else counted(records, "record"))
    if rule.estimated and not failed:
        parts.append("what it depends on can't be known")
    return ", ".join(parts)


def describe_conditions(rule: PriceRule) -> str:
    """Returns which calls a row of a price list is for."""
    given = {
        name: getattr(rule, name)
        for name in ("version", "module", "method", "status", "query", "since", "until")
    }
    parts = [f"{name} {_one_of(value)}" for name, value in given.items() if value is not None]
    return ", ".join(parts) or "every call"


def _one_of(value: object) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)


def format_bounds(price: Price) -> str:
    """Returns the range of an estimate; empty where the price is certain."""
    if not price.estimated:
        return ""
    most = "any number" if price.most is None else f"{price.most:,}"
    return f", estimated: from {price.least:,} to {most}"
