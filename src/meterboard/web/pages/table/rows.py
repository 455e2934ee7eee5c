"""The table's rows: groups by the first column with their combinations, or combinations alone."""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from meterboard.domain.query import NOT, DimensionName, name_of, value_of
from meterboard.service.statistics.answers import TableAnswer
from meterboard.service.statistics.related import GroupedTable, TableGroup
from meterboard.web.formatting import number
from meterboard.web.page_state import PageState


class Cell(Struct, frozen=True):
    """
    The content of a column in a row: a value, or in a group with several values, `text` for how many.

    `url` filters by the value, or lists the values. `repeated`: the row above has the same value.
    """

    column: str
    name: str
    text: str
    url: str
    repeated: bool = False


class Toggle(Struct, frozen=True):
    """The link that opens or closes a group."""

    url: str
    is_open: bool
    text: str


class Line(Struct, frozen=True):
    """
    A row with its sums, and for each sum the link to the calls behind it, or "". `details` is the URL of its
    integration tasks and what they are of, or None.

    `more` is the link to the combinations after the last one shown, and its text; or None.
    """

    kind: Literal["group", "within", "flat"]
    cells: list[Cell]
    sums: Mapping[str, int]
    calls_urls: Mapping[str, str]
    share: float
    details: tuple[str, str] | None
    toggle: Toggle | None = None
    more: tuple[str, str] | None = None


def flat(answer: TableAnswer, state: PageState, columns: Sequence[DimensionName]) -> list[Line]:
    """Returns a row for each combination."""
    rows: list[Line] = []
    for row in answer.rows:
        names = {column: str(row[column]) for column in columns}
        sums = {name: int(value or 0) for name, value in row.items() if name not in columns}
        rows.append(_line("flat", names, sums, answer.total.calls, state))
    return rows


def grouped(table: GroupedTable, state: PageState, columns: Sequence[DimensionName]) -> list[Line]:
    """Returns a row for each value of the first column, followed by its combinations if it is open."""
    lines: list[Line] = []
    calls = table.total.calls
    for part in table.groups:
        lines.append(_group(part, state, columns, calls, alone=table.count == 1))
        for number_in_group, row in enumerate(part.rows, 1):
            names = {column: name_of(value) for column, value in zip(columns, row.values, strict=True)}
            sums = {
                "calls": row.calls,
                "credits": row.credits,
                "integration_tasks": row.integration_tasks,
                "estimated_calls": row.estimated,
            }
            is_last = number_in_group == len(part.rows) < part.combinations
            more = _all_of(part, state, columns[0]) if is_last else None
            lines.append(_line("within", names, sums, calls, state, more=more))
    return lines


def _group(
    part: TableGroup, state: PageState, columns: Sequence[DimensionName], calls: int, *, alone: bool
) -> Line:
    default, *others = columns
    value = value_of(part.name)
    cells = [_value(default, part.name, state)]
    for column in others:
        if column in part.only:
            cells.append(_value(column, part.only[column], state))
        else:
            order = [column, default, *(other for other in others if other != column)]
            url = state.change(columns=",".join(order), open=None, sort=None, **{default: value})
            noun = state.dimensions[column].plural.removeprefix("IP ")
            cells.append(Cell(column, "", f"{number(part.distinct[column])} {noun}", url))
    names = {default: part.name, **{column: part.only[column] for column in others if column in part.only}}
    toggle = None
    if part.combinations > 1 and not alone:
        text = f"{part.name}, {number(part.combinations)} combinations"
        toggle = Toggle(state.toggled("open", part.name), bool(part.rows), text)
    share = part.sums["calls"] / calls if calls else 0.0
    calls_urls = _calls_urls({default: part.name}, part.sums, state)
    return Line(
        "group", cells, part.sums, calls_urls, share, _details(columns, names, part.sums, state), toggle
    )


def _line(
    kind: Literal["within", "flat"],
    names: Mapping[DimensionName, str],
    sums: Mapping[str, int],
    calls: int,
    state: PageState,
    more: tuple[str, str] | None = None,
) -> Line:
    columns = list(names)
    cells = [
        _value(column, name, state, repeated=kind == "within" and column == columns[0])
        for column, name in names.items()
    ]
    share = sums["calls"] / calls if calls else 0.0
    calls_urls = _calls_urls(names, sums, state)
    return Line(kind, cells, sums, calls_urls, share, _details(columns, names, sums, state), None, more)


def _value(column: str, name: str, state: PageState, *, repeated: bool = False) -> Cell:
    return Cell(column, name, "", state.change(open=None, **{column: value_of(name)}), repeated)


def _all_of(part: TableGroup, state: PageState, default: str) -> tuple[str, str]:
    url = state.change(rows="flat", open=None, **{default: value_of(part.name)})
    return url, f"all {number(part.combinations)} combinations of {part.name}"


def _calls_urls(
    names: Mapping[DimensionName, str], sums: Mapping[str, int], state: PageState
) -> dict[str, str]:
    """Returns the links to the calls behind a row's numbers; those of integration tasks have a function."""
    filters: dict[str, str] = {column: value_of(name) for column, name in names.items()}
    tasks = state.calls(filters | {f"function{NOT}": ""}) if sums["integration_tasks"] else ""
    return {**dict.fromkeys(("calls", "credits"), state.calls(filters)), "integration_tasks": tasks}


def _details(
    columns: Sequence[str], names: Mapping[DimensionName, str], sums: Mapping[str, int], state: PageState
) -> tuple[str, str] | None:
    """Returns the link of the function where the table is by function or has no module column; else of the module."""
    if not sums["integration_tasks"]:
        return None
    preferred: list[DimensionName] = (
        ["function", "module"] if columns[0] == "function" else ["module", "function"]
    )
    for dimension in preferred:
        if dimension in names:
            of = f"{'in' if dimension == 'module' else 'of'} {names[dimension]}"
            return state.tasks(dimension, value_of(names[dimension])), of
    return None
