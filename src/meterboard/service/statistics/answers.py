"""The results of statistics: the types behind JSON, CSV, the pages and the OpenAPI document."""

from datetime import date, datetime

from msgspec import Struct, field

from meterboard.domain.period import Unit


class Window(Struct, frozen=True):
    """The rolling window: after `start`, until `end` inclusive."""

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
    """Credits that are free again between `start` and the next point's start, when their calls are 24 hours old."""

    start: datetime
    calls: int
    credits: int


class Returns(Struct, frozen=True):
    """When used credits are free again: the next 24 hours by the hour, including empty ones. The points add up to `used`."""

    organization: str
    window: Window
    used: int
    points: list[ReturnPoint]


class PeriodAnswer(Struct, frozen=True):
    """The time that a result covers: [start, end) with the organisation's offset."""

    name: str
    start: datetime
    end: datetime
    time_zone: str


class Previous(Struct, frozen=True):
    """
    The previous period: that of the same length before.

    `complete` is whether all of its usage is still stored. If not, there is nothing to compare with.
    """

    period: PeriodAnswer
    complete: bool


class PreviousSummary(Previous, frozen=True):
    """Totals of the previous period. None: it is not complete."""

    calls: int | None
    credits_used: int | None


class Summary(Struct, frozen=True, omit_defaults=True):
    """
    Totals of a period. `credits_allowed` and `credits_unused` are None when unlimited.

    `previous` is only present in a comparison.
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
    """The sums of calls and credits."""

    calls: int
    credits: int


class Share(Struct, frozen=True, omit_defaults=True):
    """
    One name of a breakdown. `share` is calls / total calls; `kind` is only set in a breakdown by `caller`.

    `previous` is the name's usage in the previous period. It is only present in a comparison with a complete period.
    """

    name: str
    kind: str | None
    calls: int
    credits: int
    share: float
    previous: Total | None = None


class Others(Struct, frozen=True):
    """The sums of the names that have no row."""

    names: int
    calls: int
    credits: int


class BreakdownAnswer(Struct, frozen=True, omit_defaults=True):
    """Usage by one dimension, most calls first unless sorted otherwise. rows + others = total."""

    as_of: datetime
    by: str
    rows: list[Share]
    others: Others
    total: Total
    previous: Previous | None = None


class SeriesPart(Struct, frozen=True, omit_defaults=True):
    """The usage of one name in a step of time. `kind` is only set in a series by `caller`."""

    name: str
    kind: str | None
    calls: int
    credits: int
    refused: int = 0


class SeriesOthers(Struct, frozen=True, omit_defaults=True):
    """The usage of all other names in a step of time."""

    calls: int
    credits: int
    refused: int = 0


class SeriesPoint(Struct, frozen=True, omit_defaults=True):
    """
    The usage of one step of time, from `start` to the next point's start. `refused` counts calls with status 429.

    `parts` and `others` are only present in a series `by` a dimension; they add up to the point.
    """

    start: datetime
    calls: int
    credits: int
    refused: int = 0
    parts: list[SeriesPart] | None = None
    others: SeriesOthers | None = None


class SeriesAnswer(Struct, frozen=True, omit_defaults=True):
    """Usage over time: every step of the period in order, including empty ones, each with the same parts."""

    as_of: datetime
    unit: Unit
    points: list[SeriesPoint]
    by: str | None = None


class FlowColumn(Struct, frozen=True):
    """A column of flows: the most used names, most calls first, and the number of others."""

    by: str
    names: list[str]
    others: int


class FlowPath(Struct, frozen=True):
    """The usage that one name of each column shares, in the order of the columns. None stands for the others."""

    names: list[str | None]
    calls: int
    credits: int


class FlowsAnswer(Struct, frozen=True):
    """The usage that names of the columns share, most calls first. The paths add up to the total."""

    as_of: datetime
    columns: list[FlowColumn]
    paths: list[FlowPath]
    total: Total


class TableAnswer(Struct, frozen=True, omit_defaults=True):
    """
    The combinations that occurred: each row has the columns, `calls`, `credits` and `integration_tasks`.

    A row with estimated prices has their number as `estimated_calls`. With `rows=grouped` a row is a value of the first
    column, with the number of its `combinations`. For each other column it has the number of values, such as `ip_count`,
    and the value if there is only one. `counts` are the names of these members.
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

    `last_use` is the start of the 15 minutes in which the last of them ran, with the organisation's offset.
    """

    function: str
    module: str
    tasks: int
    credits: int
    last_use: datetime


class TaskTotal(Struct, frozen=True):
    """The sums of integration tasks and of their credits."""

    tasks: int
    credits: int


class TasksAnswer(Struct, frozen=True):
    """Integration tasks per function and module, most tasks first."""

    as_of: datetime
    rows: list[TaskRow]
    total: TaskTotal
