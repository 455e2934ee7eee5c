"""The table's rows as they are shown: groups by the default column, the combinations within, or combinations alone."""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from meterboard.domain.query import NOT, DimensionName, name_of, value_of
from meterboard.service.statistics.answers import TableAnswer
from meterboard.service.statistics.related import GroupedTable, TableGroup
from meterboard.web.formatting import number
from meterboard.web.page_state import Address


class Cell(Struct, frozen=True):
    """
    What a row has in a column: a value, or where there are several, `words` for how many.

    `url` filters by the value, or lists the several. `repeated`: the row above says it already.
    """

    column: str
    name: str
    words: str
    url: str
    repeated: bool = False


class Toggle(Struct, frozen=True):
    """Opens or closes a group."""

    url: str
    is_open: bool
    words: str


class Line(Struct, frozen=True):
    """
    A row with its sums, and for each of them the link to the calls behind it, or "". `details` is the address of its integration tasks, and what they are of; or None.

    `more` is the link to the combinations behind the last that is shown, and its words; or None.
    """

    kind: Literal["group", "within", "flat"]
    cells: list[Cell]
    sums: Mapping[str, int]
    doors: Mapping[str, str]
    share: float
    details: tuple[str, str] | None
    toggle: Toggle | None = None
    more: tuple[str, str] | None = None


def flat(answer: TableAnswer, address: Address, columns: Sequence[DimensionName]) -> list[Line]:
    """Every combination, a row for itself."""
    rows: list[Line] = []
    for row in answer.rows:
        names = {column: str(row[column]) for column in columns}
        sums = {name: int(value or 0) for name, value in row.items() if name not in columns}
        rows.append(_line("flat", names, sums, answer.total.calls, address))
    return rows


def grouped(table: GroupedTable, address: Address, columns: Sequence[DimensionName]) -> list[Line]:
    """A row for each value of the default column, and behind those that are open their combinations."""
    lines: list[Line] = []
    calls = table.total.calls
    for part in table.groups:
        lines.append(_group(part, address, columns, calls, alone=table.count == 1))
        for at, row in enumerate(part.rows, 1):
            names = {column: name_of(value) for column, value in zip(columns, row.values, strict=True)}
            sums = {
                "calls": row.calls,
                "credits": row.credits,
                "integration_tasks": row.integration_tasks,
                "estimated_calls": row.estimated,
            }
            is_last = at == len(part.rows) < part.combinations
            more = _all_of(part, address, columns[0]) if is_last else None
            lines.append(_line("within", names, sums, calls, address, more=more))
    return lines


def _group(
    part: TableGroup, address: Address, columns: Sequence[DimensionName], calls: int, *, alone: bool
) -> Line:
    default, *others = columns
    value = value_of(part.name)
    cells = [_value(default, part.name, address)]
    for column in others:
        if column in part.only:
            cells.append(_value(column, part.only[column], address))
        else:
            order = [column, default, *(other for other in others if other != column)]
            url = address.change(columns=",".join(order), open=None, sort=None, **{default: value})
            noun = address.dimensions[column].plural.removeprefix("IP ")
            cells.append(Cell(column, "", f"{number(part.distinct[column])} {noun}", url))
    names = {default: part.name, **{column: part.only[column] for column in others if column in part.only}}
    toggle = None
    if part.combinations > 1 and not alone:
        words = f"{part.name}, {number(part.combinations)} combinations"
        toggle = Toggle(address.toggled("open", part.name), bool(part.rows), words)
    share = part.sums["calls"] / calls if calls else 0.0
    doors = _doors({default: part.name}, part.sums, address)
    return Line("group", cells, part.sums, doors, share, _details(columns, names, part.sums, address), toggle)


def _line(
    kind: Literal["within", "flat"],
    names: Mapping[DimensionName, str],
    sums: Mapping[str, int],
    calls: int,
    address: Address,
    more: tuple[str, str] | None = None,
) -> Line:
    columns = list(names)
    cells = [
        _value(column, name, address, repeated=kind == "within" and column == columns[0])
        for column, name in names.items()
    ]
    share = sums["calls"] / calls if calls else 0.0
    doors = _doors(names, sums, address)
    return Line(kind, cells, sums, doors, share, _details(columns, names, sums, address), None, more)


def _value(column: str, name: str, address: Address, *, repeated: bool = False) -> Cell:
    return Cell(column, name, "", address.change(open=None, **{column: value_of(name)}), repeated)


def _all_of(part: TableGroup, address: Address, default: str) -> tuple[str, str]:
    url = address.change(rows="flat", open=None, **{default: value_of(part.name)})
    return url, f"all {number(part.combinations)} combinations of {part.name}"


def _doors(names: Mapping[DimensionName, str], sums: Mapping[str, int], address: Address) -> dict[str, str]:
    """The links to the calls behind a row's numbers; those of integration tasks are of functions alone."""
    filters: dict[str, str] = {column: value_of(name) for column, name in names.items()}
    tasks = address.calls(filters | {f"function{NOT}": ""}) if sums["integration_tasks"] else ""
    return {**dict.fromkeys(("calls", "credits"), address.calls(filters)), "integration_tasks": tasks}


def _details(
    columns: Sequence[str], names: Mapping[DimensionName, str], sums: Mapping[str, int], address: Address
) -> tuple[str, str] | None:
    """Of the function where the table is by function or no module is told; else of the module."""
    if not sums["integration_tasks"]:
        return None
    preferred: list[DimensionName] = (
        ["function", "module"] if columns[0] == "function" else ["module", "function"]
    )
    for dimension in preferred:
        if dimension in names:
            of = f"{'in' if dimension == 'module' else 'of'} {names[dimension]}"
            return address.tasks(dimension, value_of(names[dimension])), of
    return None
