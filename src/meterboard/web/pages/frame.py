"""What every page carries around its content: whose it is, the period, the filters, how fresh the numbers are."""

from collections.abc import Set
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from litestar import Request

from meterboard.domain.access import Viewer
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.period import INSTANT, bucket_at_or_after, range_name
from meterboard.domain.query import Filters
from meterboard.errors import InvalidParameter
from meterboard.service.statistics.answers import Summary
from meterboard.service.statistics.statistics import Reading
from meterboard.web import formatting as words
from meterboard.web.page_state import FILTER_FORM, FLOWS, Address, chips
from meterboard.web.pages.dashboard.calendar import calendar
from meterboard.web.pages.picker import picker
from meterboard.web.preferences import remembered


def address_of(
    request: Request[Any, Any, Any], dimensions: Dimensions, more: Set[str] = frozenset()
) -> Address:
    """
    The state that a page is asked for: the period, the filters and the parameters named.

    Raises: InvalidParameter: there is another; a typo must not widen what is shown silently.
    """
    known = {"period", *dimensions.filters, *FILTER_FORM, *more}
    # Litestar's own parameters come in no order; those of an address keep theirs.
    given = parse_qsl(request.url.query, keep_blank_values=True)
    for name, _ in given:
        if name not in known:
            raise InvalidParameter(
                name,
                f"There is no parameter {name!r} on this page. Use {', '.join(sorted(known - {*FILTER_FORM}))}.",
            )
    return Address(request.url.path, given, dimensions, remembered=remembered(request, dimensions))


def frame(
    viewer: Viewer, address: Address, reading: Reading, summary: Summary, filters: Filters
) -> dict[str, object]:
    """What every page carries around its content."""
    return {
        "viewer": viewer,
        "address": address,
        "path": address.path,
        "flows_url": address.among("application,user,module", [], path=FLOWS),
        "periods": words.PERIODS,
        "period": address.period,
        "period_name": words.period_name(address.period),
        "last_day": f"{reading.as_of:%Y-%m-%d}",
        "first_day": f"{reading.first_day:%Y-%m-%d}",
        "dimensions": address.dimensions.names,
        "labels": words.labels(address.dimensions),
        "nouns_of": words.nouns(address.dimensions),
        "chips": chips(filters, address),
        "picker": picker(reading, reading.period(address.period), filters, address),
        "summary": summary,
        "freshness": words.freshness(summary, reading.is_live, reading.delay),
        "covered": words.covered(summary),
        "calendar": calendar(reading, address, summary),
        "ends": _ends(reading, address, summary),
        "shares": _shares(address, summary),
    }


def _ends(reading: Reading, address: Address, summary: Summary) -> dict[str, str]:
    """What the fields of the form that sets a range start with: the period's own ends, as days or as times."""
    start, end = summary.period.start, summary.period.end
    last = (end - INSTANT).date() if end > start else start.date()
    has_times = "T" in address.period
    until = bucket_at_or_after(end).astimezone(end.tzinfo)
    return {
        "back_to": words.date_of(reading.first_day),
        "first": f"{start:%Y-%m-%d}",
        "last": f"{until if has_times else last:%Y-%m-%d}",
        "first_time": f"{start:%H:%M}" if has_times else "",
        "last_time": f"{until:%H:%M}" if has_times else "",
    }


def _shares(address: Address, summary: Summary) -> list[tuple[str, str]]:
    """
    Links to hand on: what they show, and the address. A period such as "today" is also there as the time that it is now.
    """
    told = words.period_name(address.period)
    if address.period not in words.PERIODS:
        return [(told, address.change(period=address.period))]
    start, end = bucket_at_or_after(summary.period.start), bucket_at_or_after(summary.period.end)
    links = [(f"Relative link: {told}", address.change(period=address.period))]
    if start < end:
        zone = summary.period.start.tzinfo
        assert isinstance(zone, ZoneInfo)
        name = range_name(start, end, zone)
        links.append((f"Fixed link: {words.period_name(name)}", address.change(period=name)))
    return links
