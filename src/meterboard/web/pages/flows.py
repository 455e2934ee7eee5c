"""Flows between the names of two or three columns, as a graph and as a list."""

from collections import defaultdict
from typing import Any

from litestar import Request, Response, get
from litestar.response import Redirect
from msgspec import Struct

from meterboard.domain.access import Viewer
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.query import NOT, value_of
from meterboard.service.reads import shared
from meterboard.service.statistics.answers import FlowColumn, FlowsAnswer
from meterboard.service.statistics.statistics import Reading, Statistics
from meterboard.web.formatting import plural
from meterboard.web.page_state import CALLS, FLOWS, TABLE, Address
from meterboard.web.pages.colours import colours_of
from meterboard.web.pages.empty_states import nothing
from meterboard.web.pages.frame import address_of, frame
from meterboard.web.render import page

DEFAULT_COLUMNS = "application,user,module"
TOP = 8
KNOWN = frozenset({"columns", "measure"})


class Node(Struct, frozen=True):
    """A name of a column, or its others as one; `colour` 0 is grey."""

    name: str
    calls: int
    credits: int
    colour: int
    url: str
    calls_url: str


class Column(Struct, frozen=True):
    """A column of the picture, most calls first, the others last."""

    by: str
    nodes: list[Node]


class Link(Struct, frozen=True):
    """What a name of the column `depth` has in common with one of the next: places of nodes, and their usage."""

    depth: int
    source: int
    target: int
    calls: int
    credits: int
    url: str
    calls_url: str


@get("/connections", include_in_schema=False, sync_to_thread=False)
def earlier_address(request: Request[Any, Any, Any]) -> Redirect:
    """Redirects bookmarks of the page's earlier address for good."""
    query = request.url.query
    return Redirect(f"{FLOWS}?{query}" if query else FLOWS, status_code=301)


@get(FLOWS, include_in_schema=False)
@shared
def flows(
    request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics, dimensions: Dimensions
) -> Response[str]:
    """Which names of the columns chosen are connected, and by how much."""
    address = address_of(request, dimensions, KNOWN)
    measure = address.shows("measure")
    filters = dimensions.parse_filters(address.pairs())
    chosen = dimensions.parse_columns(",".join(address.all("columns")) or DEFAULT_COLUMNS)
    with statistics.read(viewer.organization) as reading:
        period = reading.period(address.period)
        answer = reading.flows(period, filters, chosen, limit=TOP)
        summary = reading.summary(period, filters)
        columns = _columns(reading, answer, address)
        values = {
            **frame(viewer, address, reading, summary, filters),
            "nothing": nothing(reading, period, summary, address),
        }
    links = _links(answer, columns, address)
    return page(
        "flows.html",
        **values,
        chosen=chosen,
        measure=measure,
        total=answer.total,
        columns=columns,
        links=links,
    )


def _filters(column: FlowColumn, place: int) -> list[tuple[str, str]]:
    """What lets through exactly the rows that a node stands for."""
    if place < len(column.names):
        return [(column.by, value_of(column.names[place]))]
    return [(column.by + NOT, value_of(name)) for name in column.names]


def _doors(address: Address, answer: FlowsAnswer, filters: list[tuple[str, str]]) -> tuple[str, str]:
    """The table of some rows, and their calls."""
    columns = ",".join(column.by for column in answer.columns)
    return address.among(columns, filters, path=TABLE), address.among("", filters, path=CALLS)


def _columns(reading: Reading, answer: FlowsAnswer, address: Address) -> list[Column]:
    columns = []
    for depth, column in enumerate(answer.columns):
        sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for path in answer.paths:
            place = _place(column, path.names[depth])
            sums[place][0] += path.calls
            sums[place][1] += path.credits
        colours = _colours(reading, column.by)
        nodes = []
        for place, (calls, credits) in sorted(sums.items()):
            is_named = place < len(column.names)
            name = column.names[place] if is_named else plural(column.others, "other")
            colour = colours.get(name, 0) if is_named else 0
            doors = _doors(address, answer, _filters(column, place))
            nodes.append(Node(name, calls, credits, colour, *doors))
        columns.append(Column(column.by, nodes))
    return columns


def _colours(reading: Reading, by: str) -> dict[str, int]:
    """An application has the colour that it has on the dashboard."""
    shown = {name: colour for (_, name), colour in colours_of(reading, by).items()}
    if by == "application":
        shown |= {n: c for (kind, n), c in colours_of(reading, "caller").items() if kind == "application"}
    return shown


def _place(column: FlowColumn, name: str | None) -> int:
    return len(column.names) if name is None else column.names.index(name)


def _links(answer: FlowsAnswer, columns: list[Column], address: Address) -> list[Link]:
    """The most calls first, column by column."""
    links = []
    for depth in range(len(columns) - 1):
        left, right = answer.columns[depth], answer.columns[depth + 1]
        sums: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        for path in answer.paths:
            pair = _place(left, path.names[depth]), _place(right, path.names[depth + 1])
            sums[pair][0] += path.calls
            sums[pair][1] += path.credits
        for (source, target), (calls, credits) in sorted(
            sums.items(), key=lambda item: (-item[1][0], item[0])
        ):
            doors = _doors(address, answer, [*_filters(left, source), *_filters(right, target)])
            links.append(Link(depth, source, target, calls, credits, *doors))
    return links
