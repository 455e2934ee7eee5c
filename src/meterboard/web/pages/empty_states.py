"""The text of a page without data, and links to where there is some."""

from shlex import quote

import msgspec
from msgspec import Struct

from meterboard.domain.access import Viewer
from meterboard.domain.event import UsageEvent
from meterboard.domain.period import INSTANT, Period
from meterboard.service.statistics.answers import Summary
from meterboard.service.statistics.statistics import Reading
from meterboard.web import formatting
from meterboard.web.page_state import PageState
from meterboard.web.translation import _


class EmptyState(Struct, frozen=True):
    """Why there are no calls to show, and links to other pages, each with its text."""

    message: str
    ways: list[tuple[str, str]]


def empty_state(
    reading: Reading, period: Period, summary: Summary, state: PageState, *, live_calls: int = 0
) -> EmptyState | None:
    """
    Returns what to show when a period has no calls; None when it has some.

    `live_calls` is the number of calls on the live counter, which may be ahead of the statistics.
    """
    if summary.calls:
        return None
    month = (_("Show the last 30 days"), state.change(period="last_30_days"))
    if state.has_filters:
        ways = [(_("Show without filters"), state.unfiltered()), month]
        return EmptyState(_("No calls in this period with these filters."), ways)
    if live_calls and not summary.average_over_days:
        text = _("The first calls are counted above. They show here from %(time)s on.")
        return EmptyState(text % {"time": formatting.time_of(summary.next_refresh)}, [])
    return EmptyState(_why_empty(reading, period, summary), [] if period.name == "last_30_days" else [month])


def _why_empty(reading: Reading, period: Period, summary: Summary) -> str:
    values = {
        "period": formatting.period_name(period.name),
        "time": formatting.time_of(summary.next_refresh),
        "date": formatting.date_of(reading.first_day),
    }
    start, end = summary.period.start, summary.period.end
    if start >= end:
        if start >= summary.next_refresh:
            return _("%(period)s has not begun yet.") % values
        return _("%(period)s began after the last refresh. Its calls show from %(time)s on.") % values
    if (end - INSTANT).date() < reading.first_day:
        return _("Nothing is left of %(period)s: statistics go back to %(date)s.") % values
    return _("No calls in this period.")


def first_call(server: str, viewer: Viewer) -> str:
    """Returns two shell commands that send an organisation's first event."""
    event = UsageEvent(application="my first app", module="Leads", method="records.get", user=viewer.email)
    body = msgspec.json.format(msgspec.json.encode(event), indent=0).decode()
    return (
        f"KEY=$(meterboard key create {quote(viewer.organization.name)})\n"
        f'curl {quote(f"{server}/v1/events")} -H "Authorization: Bearer $KEY" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {quote(body)}"
    )
