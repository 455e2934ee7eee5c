"""The pages: each a question to the statistics and a template."""

from typing import Any

from litestar import Request, Response, get

from meterboard.domain.access import Viewer
from meterboard.domain.period import Period
from meterboard.domain.query import (
    DIMENSIONS,
    MEASURES,
    Dimension,
    Filters,
    parse_columns,
    parse_filters,
    parse_order,
)
from meterboard.errors import InvalidParameter
from meterboard.service.answers import Summary, TableAnswer
from meterboard.service.credits import LiveCredits
from meterboard.service.statistics import Reading, Statistics
from meterboard.service.verify import Verify
from meterboard.web import panels, words
from meterboard.web.address import DASHBOARD, PANELS, SWITCHES, TABLE, TASKS, Address, chips
from meterboard.web.render import page
from meterboard.web.returns import coming
from meterboard.web.states import first_call, nothing

DEFAULT_COLUMNS = "user,ip,application"
DEFAULT_SORT = "-calls"
PAGE_SIZE = 50
KNOWN = {
    DASHBOARD: {"period", *DIMENSIONS, *SWITCHES},
    TABLE: {"period", *DIMENSIONS, "columns", "sort", "page"},
    TASKS: {"period", *DIMENSIONS},
}


@get("/", include_in_schema=False, sync_to_thread=True)
def dashboard(
    request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics, live_credits: LiveCredits
) -> Response[str]:
    """Where the credits went, and how many are left."""
    address = _address(request, DASHBOARD)
    forms = {panel: address.shows(panel) for panel in PANELS}
    measure = address.shows("measure")
    filters = parse_filters(address.pairs())
    with statistics.read(viewer.organization) as reading:
        credits = live_credits.now(viewer.organization)
        returns = live_credits.returns(viewer.organization)
        period = reading.period(address.period)
        summary = reading.summary(period, filters)
        shown = _panels(reading, period, filters, address, forms) if summary.calls else {}
        values = {
            **_frame(viewer, address, reading, summary, filters),
            "nothing": nothing(reading, period, summary, address, counted=credits.calls),
        }
    return page(
        "dashboard.html",
        **values,
        panels=shown,
        forms=forms,
        measure=measure,
        unit=period.unit,
        counter=words.counter(credits),
        coming=coming(returns),
        zone=viewer.organization.zone.key,
        is_new=not (summary.average_over_days or summary.calls or credits.calls or filters),
        example=first_call(f"{request.url.scheme}://{request.headers.get('host', '')}", viewer),
    )


def _panels(
    reading: Reading, period: Period, filters: Filters, address: Address, forms: dict[str, str]
) -> dict[str, object]:
    """Every panel of the dashboard. The list of the modules' panel is one of methods."""
    by: Dimension = "method" if forms["modules"] == "list" else "module"
    steps = panels.steps(reading.series(period, filters), address)
    return {
        "applications": panels.applications(reading, period, filters, address),
        "steps": steps,
        "peak": panels.peak(steps, address.shows("measure")),
        "modules": panels.top(reading, period, filters, address, by),
        "ips": panels.top(reading, period, filters, address, "ip"),
        "users": panels.top(reading, period, filters, address, "user", limit=panels.TOP_USERS),
    }


@get("/table", include_in_schema=False, sync_to_thread=True)
def table(request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics) -> Response[str]:
    """The combinations behind every graph."""
    address = _address(request, TABLE)
    filters = parse_filters(address.pairs())
    columns = parse_columns(",".join(address.all("columns")) or DEFAULT_COLUMNS)
    sort = address.get("sort", DEFAULT_SORT)
    order = parse_order(sort, allowed=(*columns, *MEASURES))
    number = _page_number(address.get("page", "1"))
    with statistics.read(viewer.organization) as reading:
        period = reading.period(address.period)
        answer = reading.table(
            period, filters, columns=columns, order=order, page=number, page_size=PAGE_SIZE
        )
        summary = reading.summary(period, filters)
        values = {
            **_frame(viewer, address, reading, summary, filters),
            "nothing": nothing(reading, period, summary, address),
        }
    return page(
        "table.html",
        **values,
        **_turning(answer, number, address),
        answer=answer,
        columns=columns,
        measures=MEASURES,
        order=order[0],
        heads={name: _head(address, name, sort, columns) for name in (*columns, *MEASURES)},
        value_of=words.value_of,
        export=lambda form: address.export(form, columns, sort),
    )


@get("/tasks", include_in_schema=False, sync_to_thread=True)
def tasks(request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics) -> Response[str]:
    """What the integration tasks in a module cost, by function. In a dialog, or as a page of its own."""
    address = _address(request, TASKS)
    filters = parse_filters(address.pairs())
    with statistics.read(viewer.organization) as reading:
        answer = reading.integration_tasks(reading.period(address.period), filters)
    whole = "hx-request" not in request.headers
    return page(
        "tasks_page.html" if whole else "tasks.html",
        answer=answer,
        address=address,
        module=filters.get("module", ()),
        period_name=words.period_name(address.period),
        value_of=words.value_of,
    )


@get("/verify", include_in_schema=False, sync_to_thread=True)
def verification(request: Request[Any, Any, Any], viewer: Viewer, verify: Verify) -> Response[str]:
    """The footer's proof: the statistics recomputed from the events. In the footer, or as a page of its own."""
    whole = "hx-request" not in request.headers
    return page("verify_page.html" if whole else "verify.html", checked=verify.check(viewer.organization))


def _address(request: Request[Any, Any, Any], path: str) -> Address:
    given = list(request.query_params.multi_items())
    for name, _ in given:
        if name not in KNOWN[path]:
            known = ", ".join(sorted(KNOWN[path]))
            raise InvalidParameter(name, f"There is no parameter {name!r} on this page. Use {known}.")
    return Address(path, given)


def _frame(
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
        "summary": summary,
        "freshness": words.freshness(summary, reading.is_live),
        "covered": words.covered(summary),
    }


def _page_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 11 and 1 <= int(text) <= 10**9):
        raise InvalidParameter("page", f"page is {text!r}: use a whole number, 1 or more.")
    return int(text)


def _turning(answer: TableAnswer, number: int, address: Address) -> dict[str, object]:
    """Which rows are on screen, and the links to those before and behind; past the end, back to the last."""
    last = max(1, -(-answer.total_rows // PAGE_SIZE))
    return {
        "first": (number - 1) * PAGE_SIZE + 1,
        "last": min(number * PAGE_SIZE, answer.total_rows),
        "previous": address.change(page=str(min(number - 1, last))) if number > 1 else "",
        "next": address.change(page=str(number + 1)) if number < last else "",
    }


def _head(address: Address, name: str, sort: str, columns: tuple[str, ...]) -> dict[str, str]:
    """A column heading: how the table is sorted by it now, where its links lead, and that in words."""
    now = {name: "ascending", f"-{name}": "descending"}.get(sort.split(",")[0], "none")
    is_name = name in columns
    following = f"-{name}" if now == "ascending" or (now == "none" and not is_name) else name
    words_for = {True: ("A to Z", "Z to A"), False: ("fewest first", "most first")}[is_name]
    rest = [column for column in columns if column != name]
    return {
        "sorted": now,
        "url": address.change(sort=following),
        "words": words_for[following.startswith("-")],
        "now": "" if now == "none" else words_for[now == "descending"],
        "first_url": address.change(columns=",".join([name, *rest])) if is_name else "",
    }
