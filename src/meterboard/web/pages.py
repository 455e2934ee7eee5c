"""The pages: each a question to the statistics and a template."""

from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Request, Response, get
from msgspec import json

from meterboard import __version__
from meterboard.domain.access import Viewer
from meterboard.domain.query import DIMENSIONS, MEASURES, parse_columns, parse_filters, parse_order
from meterboard.errors import InvalidParameter
from meterboard.service.credits import LiveCredits
from meterboard.service.statistics import Reading, Statistics
from meterboard.service.verify import Verify
from meterboard.web import panels, words
from meterboard.web.address import DASHBOARD, SWITCHES, TABLE, Address, chips

DEFAULT_COLUMNS = "user,ip,application"
DEFAULT_SORT = "-calls"
PAGE_SIZE = 50
KNOWN = {
    DASHBOARD: {"period", *DIMENSIONS, *SWITCHES},
    TABLE: {"period", *DIMENSIONS, "columns", "sort", "page"},
}


@lru_cache(maxsize=1)
def templates() -> Environment:
    """The templates, with everything escaped that is not marked safe."""
    environment = Environment(
        loader=PackageLoader("meterboard.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": words.number,
        "percent": words.percent,
        "plural": words.plural,
        "data": lambda value: json.encode(value).decode().replace("<", "\\u003c"),
    }
    environment.globals |= {"version": __version__, "labels": words.LABELS, "name_of": words.name_of}
    return environment


def page(template: str, **values: object) -> Response[str]:
    """A template as a response."""
    return Response(templates().get_template(template).render(values), media_type=MediaType.HTML)


@get("/", include_in_schema=False, sync_to_thread=True)
def dashboard(
    request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics, live_credits: LiveCredits
) -> Response[str]:
    """Where the credits went, and how many are left."""
    address = _address(request, DASHBOARD)
    filters = parse_filters(address.pairs())
    with statistics.read(viewer.organization) as reading:
        credits = live_credits.now(viewer.organization)
        period = reading.period(address.period)
        summary = reading.summary(period, filters)
        by = "method" if address.get("modules") == "list" else "module"
        shown = {
            "applications": panels.applications(reading, period, filters, address),
            "steps": panels.steps(reading.series(period, filters), address),
            "modules": panels.top(
                reading, period, filters, address, "method" if by == "method" else "module"
            ),
            "ips": panels.top(reading, period, filters, address, "ip"),
            "users": panels.top(reading, period, filters, address, "user", limit=panels.TOP_USERS),
        }
        frame = _frame(request, viewer, address, reading)
    empty = not (summary.average_over_days or summary.calls or credits.calls or filters)
    return page(
        "dashboard.html",
        **frame,
        **shown,
        chips=chips(filters, address),
        summary=summary,
        credits=credits,
        counter=words.counter(credits),
        freshness=words.freshness(summary, reading.is_live),
        covered=words.covered(summary),
        average=_average(summary.average_calls_per_day, summary.average_over_days),
        unit=period.unit,
        measure="credits" if address.get("measure") == "credits" else "calls",
        empty=empty,
        behind=period.start >= period.end,
        server=f"{request.url.scheme}://{request.headers.get('host', '')}",
    )


@get("/table", include_in_schema=False, sync_to_thread=True)
def table(request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics) -> Response[str]:
    """The combinations behind every graph."""
    address = _address(request, TABLE)
    filters = parse_filters(address.pairs())
    chosen = [value for name, value in request.query_params.multi_items() if name == "columns" and value]
    columns = parse_columns(",".join(chosen) or DEFAULT_COLUMNS)
    sort = address.get("sort", DEFAULT_SORT)
    order = parse_order(sort, allowed=(*columns, *MEASURES))
    number = _page_number(address.get("page", "1"))
    with statistics.read(viewer.organization) as reading:
        period = reading.period(address.period)
        answer = reading.table(
            period, filters, columns=columns, order=order, page=number, page_size=PAGE_SIZE
        )
        summary = reading.summary(period, filters)
        frame = _frame(request, viewer, address, reading)
    pages = max(1, -(-answer.total_rows // PAGE_SIZE))
    return page(
        "table.html",
        **frame,
        chips=chips(filters, address),
        columns=columns,
        dimensions=DIMENSIONS,
        measures=MEASURES,
        rows=answer.rows,
        answer=answer,
        order=order[0],
        heads={name: _head(address, name, sort, columns) for name in (*columns, *MEASURES)},
        value_of=words.value_of,
        summary=summary,
        freshness=words.freshness(summary, reading.is_live),
        covered=words.covered(summary),
        number=number,
        pages=pages,
        first=min((number - 1) * PAGE_SIZE + 1, answer.total_rows),
        last=min(number * PAGE_SIZE, answer.total_rows),
        turn=lambda to: address.change(page=str(to)),
        export=lambda form: address.export(form, columns, sort),
    )


@get("/verify", include_in_schema=False, sync_to_thread=True)
def verification(viewer: Viewer, verify: Verify) -> Response[str]:
    """The footer's proof: the statistics recomputed from the events."""
    return page("verify.html", checked=verify.check(viewer.organization))


def _address(request: Request[Any, Any, Any], path: str) -> Address:
    given = list(request.query_params.multi_items())
    for name, _ in given:
        if name not in KNOWN[path]:
            raise InvalidParameter(name, f"There is no parameter {name!r} on this page.")
    return Address(path, given)


def _frame(
    request: Request[Any, Any, Any], viewer: Viewer, address: Address, reading: Reading
) -> dict[str, object]:
    """What every page carries around its content."""
    as_of = reading.as_of
    return {
        "viewer": viewer,
        "address": address,
        "path": address.path,
        "periods": words.PERIODS,
        "period": address.period,
        "last_day": f"{as_of:%Y-%m-%d}",
        "first_day": f"{reading.first_day:%Y-%m-%d}",
    }


def _page_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:12]) <= 10**9):
        raise InvalidParameter("page", f"page is {text!r}: use a whole number, 1 or more.")
    return int(text)


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


def _average(calls: float, days: int) -> str:
    over = f"over {words.plural(days, 'day')}" if days else "no calls yet"
    return f"average {calls:,.0f} calls a day ({over})"
