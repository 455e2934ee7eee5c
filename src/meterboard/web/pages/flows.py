"""The page of flows: the usage that the values of two or three columns share, as a graph and as lists."""

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
from meterboard.web.page_state import CALLS, FLOWS, TABLE, PageState
from meterboard.web.pages.colours import colours_of
from meterboard.web.pages.empty_states import empty_state
from meterboard.web.pages.frame import frame, parse_page_state
from meterboard.web.render import page

DEFAULT_COLUMNS = "application,user,module"
TOP = 8
KNOWN = frozenset({"columns", "measure"})


class Node(Struct, frozen=True):
    """A value of a column, or all others as one; `colour` 0 is grey."""

    name: str
    calls: int
    credits: int
    colour: int
    url: str
    calls_url: str


class Column(Struct, frozen=True):
    """A column of the graph: the values with the most calls first, the others last."""

    by: str
    nodes: list[Node]


class Link(Struct, frozen=True):
    """
    The usage that a value of the column `depth` shares with one of the next column; `source` and `target` are node
    indexes.
    """

    depth: int
    source: int
    target: int
    calls: int
    credits: int
    url: str
    calls_url: str


@get("/connections", include_in_schema=False, sync_to_thread=False)
def earlier_url(request: Request[Any, Any, Any]) -> Redirect:
    """Redirects bookmarks of the page's earlier URL permanently."""
    query = request.url.query
    return Redirect(f"{FLOWS}?{query}" if query else FLOWS, status_code=301)


@get(FLOWS, include_in_schema=False)
@shared
def flows(
    request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics, dimensions: Dimensions
) -> Response[str]:
    """Shows the flows between the chosen columns."""
    state = parse_page_state(request, dimensions, KNOWN)
    measure = state.shows("measure")
    filters = dimensions.parse_filters(state.pairs())
    chosen = dimensions.parse_columns(",".join(state.all("columns")) or DEFAULT_COLUMNS)
    with statistics.read(viewer.organization) as reading:
        period = reading.period(state.period)
        answer = reading.flows(period, filters, chosen, limit=TOP)
        summary = reading.summary(period, filters)
        columns = _columns(reading, answer, state)
        values = {
            **frame(viewer, state, reading, summary, filters),
            "empty": empty_state(reading, period, summary, state),
        }
    links = _links(answer, columns, state)
    return page(
        "flows.html",
        **values,
        chosen=chosen,
        measure=measure,
        total=answer.total,
        columns=columns,
        links=links,
    )


def _filters(column: FlowColumn, index: int) -> list[tuple[str, str]]:
    """Returns the filters that match exactly the usage of a node."""
    if index < len(column.names):
        return [(column.by, value_of(column.names[index]))]
    return [(column.by + NOT, value_of(name)) for name in column.names]


def _urls(state: PageState, answer: FlowsAnswer, filters: list[tuple[str, str]]) -> tuple[str, str]:
    """Returns the links to the table and to the calls of some filters."""
    columns = ",".join(column.by for column in answer.columns)
    return state.filtered_link(columns, filters, path=TABLE), state.filtered_link("", filters, path=CALLS)


def _columns(reading: Reading, answer: FlowsAnswer, state: PageState) -> list[Column]:
    columns = []
    for depth, column in enumerate(answer.columns):
        sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for path in answer.paths:
            index = _index(column, path.names[depth])
            sums[index][0] += path.calls
            sums[index][1] += path.credits
        colours = _colours(reading, column.by)
        nodes = []
        for index, (calls, credits) in sorted(sums.items()):
            is_named = index < len(column.names)
            name = column.names[index] if is_named else plural(column.others, "other")
            colour = colours.get(name, 0) if is_named else 0
            urls = _urls(state, answer, _filters(column, index))
            nodes.append(Node(name, calls, credits, colour, *urls))
        columns.append(Column(column.by, nodes))
    return columns


def _colours(reading: Reading, by: str) -> dict[str, int]:
    """Returns colours by name; an application has the colour that it has on the dashboard."""
    shown = {name: colour for (_, name), colour in colours_of(reading, by).items()}
    if by == "application":
        shown |= {n: c for (kind, n), c in colours_of(reading, "caller").items() if kind == "application"}
    return shown


def _index(column: FlowColumn, name: str | None) -> int:
    return len(column.names) if name is None else column.names.index(name)


def _links(answer: FlowsAnswer, columns: list[Column], state: PageState) -> list[Link]:
    """Returns the flows between neighbouring columns, those with the most calls first."""
    links = []
    for depth in range(len(columns) - 1):
        left, right = answer.columns[depth], answer.columns[depth + 1]
        sums: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        for path in answer.paths:
            pair = _index(left, path.names[depth]), _index(right, path.names[depth + 1])
            sums[pair][0] += path.calls
            sums[pair][1] += path.credits
        for (source, target), (calls, credits) in sorted(
            sums.items(), key=lambda item: (-item[1][0], item[0])
        ):
            urls = _urls(state, answer, [*_filters(left, source), *_filters(right, target)])
            links.append(Link(depth, source, target, calls, credits, *urls))
    return links
