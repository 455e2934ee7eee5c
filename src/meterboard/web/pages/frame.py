"""The parts that all pages have: organisation, period, filters and the age of the statistics."""

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
from meterboard.web import formatting
from meterboard.web.page_state import FILTER_FORM, FLOWS, PageState, chips
from meterboard.web.pages.dashboard.calendar import calendar
from meterboard.web.pages.picker import picker
from meterboard.web.preferences import remembered


def parse_page_state(
    request: Request[Any, Any, Any], dimensions: Dimensions, more: Set[str] = frozenset()
) -> PageState:
    """
    Returns the state of the requested page: period, filters and the parameters named in `more`.

    Raises: InvalidParameter: an unknown parameter, since a typo must not silently show more than was asked for.
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
    return PageState(request.url.path, given, dimensions, remembered=remembered(request, dimensions))


def frame(
    viewer: Viewer, state: PageState, reading: Reading, summary: Summary, filters: Filters
) -> dict[str, object]:
    """Returns the template values that all pages need."""
    return {
        "viewer": viewer,
        "state": state,
        "path": state.path,
        "flows_url": state.filtered_link("application,user,module", [], path=FLOWS),
        "periods": formatting.PERIODS,
        "period": state.period,
        "period_name": formatting.period_name(state.period),
        "last_day": f"{reading.as_of:%Y-%m-%d}",
        "first_day": f"{reading.first_day:%Y-%m-%d}",
        "dimensions": state.dimensions.names,
        "labels": formatting.labels(state.dimensions),
        "nouns_of": formatting.nouns(state.dimensions),
        "chips": chips(filters, state),
        "picker": picker(reading, reading.period(state.period), filters, state),
        "summary": summary,
        "freshness": formatting.freshness(summary, reading.is_live, reading.delay),
        "covered": formatting.covered(summary),
        "calendar": calendar(reading, state, summary),
        "ends": _ends(reading, state, summary),
        "shares": _shares(state, summary),
    }


def _ends(reading: Reading, state: PageState, summary: Summary) -> dict[str, str]:
    """Returns the initial values of the range form: the period's own ends, as days or as times."""
    start, end = summary.period.start, summary.period.end
    last = (end - INSTANT).date() if end > start else start.date()
    has_times = "T" in state.period
    until = bucket_at_or_after(end).astimezone(end.tzinfo)
    return {
        "back_to": formatting.date_of(reading.first_day),
        "first": f"{start:%Y-%m-%d}",
        "last": f"{until if has_times else last:%Y-%m-%d}",
        "first_time": f"{start:%H:%M}" if has_times else "",
        "last_time": f"{until:%H:%M}" if has_times else "",
    }


def _shares(state: PageState, summary: Summary) -> list[tuple[str, str]]:
    """Returns the texts and URLs of links to share. A relative period has a second link, to its present range."""
    name = formatting.period_name(state.period)
    if state.period not in formatting.PERIODS:
        return [(name, state.change(period=state.period))]
    start, end = bucket_at_or_after(summary.period.start), bucket_at_or_after(summary.period.end)
    links = [(f"Relative link: {name}", state.change(period=state.period))]
    if start < end:
        zone = summary.period.start.tzinfo
        assert isinstance(zone, ZoneInfo)
        name = range_name(start, end, zone)
        links.append((f"Fixed link: {formatting.period_name(name)}", state.change(period=name)))
    return links
