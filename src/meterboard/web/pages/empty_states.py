"""What a page says where there is nothing to show, and the way on from there."""

from shlex import quote

import msgspec
from msgspec import Struct

from meterboard.domain.access import Viewer
from meterboard.domain.event import UsageEvent
from meterboard.domain.period import INSTANT, Period
from meterboard.service.statistics.answers import Summary
from meterboard.service.statistics.statistics import Reading
from meterboard.web import formatting as words
from meterboard.web.page_state import Address


class Nothing(Struct, frozen=True):
    """Why there are no calls to show, and where to go instead: words and addresses."""

    message: str
    ways: list[tuple[str, str]]


def nothing(
    reading: Reading, period: Period, summary: Summary, address: Address, *, counted: int = 0
) -> Nothing | None:
    """
    What to say when a period has no calls; None when it has some.

    `counted`: calls on the live counter, which may be ahead of the statistics.
    """
    if summary.calls:
        return None
    month = ("Show the last 30 days", address.change(period="last_30_days"))
    if address.has_filters:
        ways = [("Show it without filters", address.unfiltered()), month]
        return Nothing("No calls in this period with these filters.", ways)
    if counted and not summary.average_over_days:
        following = f"{summary.next_refresh:%H:%M}"
        return Nothing(f"The first calls are counted above. They show here from {following} on.", [])
    return Nothing(_why_empty(reading, period, summary), [] if period.name == "last_30_days" else [month])


def _why_empty(reading: Reading, period: Period, summary: Summary) -> str:
    name = words.period_name(period.name)
    start, end = summary.period.start, summary.period.end
    if start >= end:
        if start > summary.next_refresh:
            return f"{name} has not begun yet."
        return f"{name} began after the last refresh. Its calls show from {summary.next_refresh:%H:%M} on."
    if (end - INSTANT).date() < reading.first_day:
        return f"Nothing is left of {name}: statistics go back to {words.date_of(reading.first_day)}."
    return "No calls in this period."


def first_call(server: str, viewer: Viewer) -> str:
    """Two commands that send an organisation's first event, ready for a shell."""
    event = UsageEvent(application="my first app", module="Leads", method="records.get", user=viewer.email)
    body = msgspec.json.format(msgspec.json.encode(event), indent=0).decode()
    return (
        f"KEY=$(meterboard key create {quote(viewer.organization.name)})\n"
        f'curl {quote(f"{server}/v1/events")} -H "Authorization: Bearer $KEY" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {quote(body)}"
    )
