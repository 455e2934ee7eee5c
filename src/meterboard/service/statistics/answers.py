"""What the statistics answer: the one set of shapes behind the JSON, the CSV, the pages and the OpenAPI document."""

from datetime import date, datetime

from msgspec import Struct, field

from meterboard.domain.period import Unit


class Window(Struct, frozen=True):
    """The rolling window: after `start`, up to and with `end`."""

    start: datetime
    end: datetime


class Credits(Struct, frozen=True):
    """The live counter. `allowance` and `unused` are None when unlimited; `unused` is 0 when over the allowance."""

    organization: str
    window: Window
    allowance: int | None
    used: int
    unused: int | None
    calls: int


class ReturnPoint(Struct, frozen=True):
    """Credits that come back from `start` to before the next point's start, since their calls are 24 hours old then."""

    start: datetime
    calls: int
    credits: int


class Returns(Struct, frozen=True):
    """When what was used comes back: the next 24 hours by the hour, empty ones included. The points add up to `used`."""

    organization: str
    window: Window
    used: int
    points: list[ReturnPoint]


class PeriodAnswer(Struct, frozen=True):
    """The time that an answer covers: [start, end) with the organisation's offset."""

    name: str
    start: datetime
    end: datetime
    time_zone: str


class Previous(Struct, frozen=True):
    """
    The period of the same length before the one asked about.

    `complete`: all of it is still kept. Else there is nothing to compare with, since part of its usage is deleted.
    """

    period: PeriodAnswer
    complete: bool


class PreviousSummary(Previous, frozen=True):
    """Totals of the period before; None when it is not complete."""

    calls: int | None
    credits_used: int | None


class Summary(Struct, frozen=True, omit_defaults=True):
    """
    Totals of a period. `credits_allowed` and `credits_unused` are None when unlimited.

    `previous` is there when it was asked to compare.
    """

    as_of: datetime
    next_refresh: datetime
    period: PeriodAnswer
    calls: int
    credits_used: int
    credits_allowed: int | None
    credits_unused: int | None
    average_calls_per_day: float
    average_over_days: int
    previous: PreviousSummary | None = None


class DayOfCalls(Struct, frozen=True):
    """A day of the organisation's calendar and its calls."""

    day: date
    calls: int


class Total(Struct, frozen=True):
    """Calls and credits of everything asked about."""

    calls: int
    credits: int


class Share(Struct, frozen=True, omit_defaults=True):
    """
    One name of a breakdown. `share` is calls / total calls; `kind` is set by `caller` alone.

    `previous` is the name's usage in the period before, when it was asked to compare and all of that is kept.
    """

    name: str
    kind: str | None
    calls: int
    credits: int
    share: float
    previous: Total | None = None


class Others(Struct, frozen=True):
    """The names that are not among the rows, added up."""

    names: int
    calls: int
    credits: int


class BreakdownAnswer(Struct, frozen=True, omit_defaults=True):
    """Usage by one dimension, most calls first unless asked otherwise. rows + others = total."""

    as_of: datetime
    by: str
    rows: list[Share]
    others: Others
    total: Total
    previous: Previous | None = None


class SeriesPart(Struct, frozen=True, omit_defaults=True):
    """What one name had in a step of time. `kind` is set by `caller` alone."""

    name: str
    kind: str | None
    calls: int
    credits: int
    refused: int = 0


class SeriesOthers(Struct, frozen=True, omit_defaults=True):
    """What all names had in a step of time that are not among its parts."""

    calls: int
    credits: int
    refused: int = 0


class SeriesPoint(Struct, frozen=True, omit_defaults=True):
    """
    The usage of one step of time, from `start` to the next point's start; `refused` where calls were (status 429).

    `parts` and `others` are there when it was asked `by` something; they add up to the point.
    """

    start: datetime
    calls: int
    credits: int
    refused: int = 0
    parts: list[SeriesPart] | None = None
    others: SeriesOthers | None = None


class SeriesAnswer(Struct, frozen=True, omit_defaults=True):
    """Usage over time, every step of the period in order, empty ones included; the same parts in each of them."""

    as_of: datetime
    unit: Unit
    points: list[SeriesPoint]
    by: str | None = None


class FlowColumn(Struct, frozen=True):
    """A column of the flows: the most used names, most calls first, and how many others there are."""

    by: str
    names: list[str]
    others: int


class FlowPath(Struct, frozen=True):
    """The usage that one name of each column has in common, in the order of the columns; None: any of the others."""

    names: list[str | None]
    calls: int
    credits: int


class FlowsAnswer(Struct, frozen=True):
    """How the columns' names are connected, most calls first. The paths add up to the total."""

    as_of: datetime
    columns: list[FlowColumn]
    paths: list[FlowPath]
    total: Total


class TableAnswer(Struct, frozen=True, omit_defaults=True):
    """
    The combinations that occurred: each row an object of the columns, `calls`, `credits`, `integration_tasks`.

    A row some of whose calls have an estimated price says of how many, as `estimated_calls`. With `rows=grouped` a row
    is a value of the first column with its `combinations`; of each other column it says how many values occur with it,
    such as `ip_count`, and the value where that is one. `counts` are the names of these.
    """

    as_of: datetime
    columns: list[str]
    rows: list[dict[str, str | int | None]]
    page: int
    page_size: int
    total_rows: int
    total: Total
    counts: list[str] = field(default_factory=list)


class TaskRow(Struct, frozen=True):
    """
    The integration tasks of one function in one module.

    `last_use` is the start of the quarter of an hour in which the last of them ran, with the organisation's offset.
    """

    function: str
    module: str
    tasks: int
    credits: int
    last_use: datetime


class TaskTotal(Struct, frozen=True):
    """Integration tasks and their credits, added up."""

    tasks: int
    credits: int


class TasksAnswer(Struct, frozen=True):
    """Integration tasks per function and module, most tasks first."""

    as_of: datetime
    rows: list[TaskRow]
    total: TaskTotal
