"""What every page carries around its content: whose it is, the period, the filters, how fresh the numbers are."""

from collections.abc import Set
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request

from meterboard.domain.access import Viewer
from meterboard.domain.query import DIMENSIONS, FILTERS, Filters
from meterboard.errors import InvalidParameter
from meterboard.service.answers import Summary
from meterboard.service.statistics import Reading
from meterboard.web import words
from meterboard.web.address import FINDING, Address, chips
from meterboard.web.pages.picker import picker


def address_of(request: Request[Any, Any, Any], more: Set[str] = frozenset()) -> Address:
    """
    The state that a page is asked for: the period, the filters and the parameters named.

    Raises: InvalidParameter: there is another; a typo must not widen what is shown silently.
    """
    known = {"period", *FILTERS, *FINDING, *more}
    # Litestar's own parameters come in no order; those of an address keep theirs.
    given = parse_qsl(request.url.query, keep_blank_values=True)
    for name, _ in given:
        if name not in known:
            raise InvalidParameter(
                name,
                f"There is no parameter {name!r} on this page. Use {', '.join(sorted(known - {*FINDING}))}.",
            )
    return Address(request.url.path, given)


def frame(
    viewer: Viewer, address: Address, reading: Reading, summary: Summary, filters: Filters
) -> dict[str, object]:
    """What every page carries around its content."""
    return {
        "viewer": viewer,
        "address": address,
        "path": address.path,
        "periods": words.PERIODS,
        "period": address.period,
        "period_name": words.period_name(address.period),
        "last_day": f"{reading.as_of:%Y-%m-%d}",
        "first_day": f"{reading.first_day:%Y-%m-%d}",
        "dimensions": DIMENSIONS,
        "chips": chips(filters, address),
        "picker": picker(reading, reading.period(address.period), filters, address),
        "summary": summary,
        "freshness": words.freshness(summary, reading.is_live),
        "covered": words.covered(summary),
    }
