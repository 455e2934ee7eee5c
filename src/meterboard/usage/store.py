"""
The usage store's contract: events, the statistics by 15 minutes and by day, the watermark.

One writer, any number of readers. A reader works on a snapshot: everything it reads is of one moment.
All times are aware UTC. The same test suite, `tests/contract`, runs against every store.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from msgspec import Struct

from meterboard.domain.cursor import Cursor
from meterboard.domain.query import Breakdown, DimensionName, Order, Scope
from meterboard.usage.batch import Batch


class Usage(NamedTuple):
    """Calls and the credits that they cost."""

    calls: int
    credits: int


class TopValues(Struct, frozen=True):
    """
    The values of a column that have the most calls, those with more first; `count` is how many it has in all.

    They are in the shape of `Group.values`: (value,), or for callers (name, kind).
    """

    by: Breakdown
    values: Sequence[tuple[str, ...]]
    count: int


class Totals(NamedTuple):
    """Calls, the credits that they cost, and those of the credits that count against the allowance."""

    calls: int
    credits: int
    charged: int


class Amount(NamedTuple):
    """Calls and their credits; `refused` are those of the calls that were (status 429)."""

    calls: int
    credits: int
    refused: int


class BreakdownSums(NamedTuple):
    """
    Amounts by the index that a value has among the top values of each column.

    All other values of a column are one, whose index is behind the last.
    """

    columns: Sequence[TopValues]
    amounts: dict[tuple[int, ...], Amount]


class Group(NamedTuple):
    """
    A combination of values that occurred, in the order of the columns asked for, with its sums.

    `estimated` is how many of the calls have a price that is an estimate.
    """

    values: tuple[str, ...]
    calls: int
    credits: int
    integration_tasks: int
    estimated: int


class Groups(Struct, frozen=True):
    """A page of groups; `count` and `total` are of all groups, on whatever page."""

    rows: list[Group]
    count: int
    total: Usage


class EventRow(NamedTuple):
    """
    An event as it is kept. `time` in microseconds since 1970 UTC, `values` those of all dimensions, `records` -1 where
    nothing says how many, `reason` empty where it was not kept.
    """

    time: int
    values: tuple[str, ...]
    credits: int
    charged: int
    estimated: bool
    records: int
    reason: str


class Listing(NamedTuple):
    """A page of events, newest first, and the places before and behind it; None: there is nothing there."""

    rows: list[EventRow]
    newer: Cursor | None
    older: Cursor | None


class GroupSummary(NamedTuple):
    """
    A value of the column that a table is grouped by, with the sums of all its combinations, and how many those are.

    `distinct` and `first` are of each other column, in order: how many values occur with it, and the first by name.
    """

    value: str
    calls: int
    credits: int
    integration_tasks: int
    estimated: int
    combinations: int
    distinct: tuple[int, ...]
    first: tuple[str, ...]


class GroupSummaries(Struct, frozen=True):
    """A page of summaries; the other numbers are of all, on whatever page."""

    rows: list[GroupSummary]
    count: int
    combinations: int
    integration_tasks: int
    total: Usage


class RelatedValues(Struct, frozen=True):
    """The values of a column, most calls first, as many as were asked for; `count` is of all, `total` their sums."""

    rows: list[tuple[str, Usage]]
    count: int
    total: Usage


class Difference(NamedTuple):
    """What the statistics differ by from the events that they are made of: zero, or the store is damaged."""

    events: int
    calls: int
    credits: int
    estimated: int
    charged: int


class Snapshot(Protocol):
    """
    The usage of one moment. Every question is of a scope, whose watermark is this one's or an earlier one.

    `meterboard.usage.snapshot.SqlSnapshot` answers all of them for a store that reads SQL.
    """

    @property
    def watermark(self) -> datetime:
        """Statistics cover exactly the events received, and happened, before this moment."""
        ...

    def total(self, scope: Scope) -> Totals:
        """Returns the sums of everything in the scope."""
        ...

    def groups(
        self,
        scope: Scope,
        columns: Sequence[DimensionName],
        *,
        order: Sequence[Order],
        limit: int | None,
        offset: int = 0,
        tasks_only: bool = False,
        search: str = "",
        in_full: bool = False,
    ) -> Groups:
        """
        Returns the combinations of `columns` that occurred, with their sums; `tasks_only` leaves out direct calls.

        `in_full`: every page will be asked for, so the answer is worked out once and kept on disk if it is long.
        `search`: those alone whose first name has it within, whatever the case.
        """
        ...

    def summaries(
        self,
        scope: Scope,
        columns: Sequence[DimensionName],
        *,
        order: Sequence[Order],
        limit: int | None,
        offset: int,
        in_full: bool = False,
    ) -> GroupSummaries:
        """
        Returns the values of the first of `columns`, each for all its combinations.

        In order by another column, those come first that occur with the fewest values of it.
        """
        ...

    def top_rows_per_group(
        self, scope: Scope, columns: Sequence[DimensionName], *, order: Sequence[Order], limit: int
    ) -> list[Group]:
        """Returns the combinations of `columns`: of each value of the first column the first `limit`."""
        ...

    def related_values(
        self, scope: Scope, columns: Sequence[DimensionName], *, limit: int
    ) -> dict[DimensionName, RelatedValues]:
        """Returns the values of each of `columns`, most calls first, `limit` of each."""
        ...

    def last_tasks(self, scope: Scope, tasks: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Returns the number of the last bucket with an integration task, of each function and module of `tasks`."""
        ...

    def estimated(self, scope: Scope) -> int:
        """Returns how many calls have an estimated price."""
        ...

    def callers_named(self, scope: Scope, callers: Sequence[tuple[str, str]]) -> list[Group]:
        """Returns those of `callers` that there are, each given by name and kind, in no order."""
        ...

    def callers(
        self,
        scope: Scope,
        *,
        order: Sequence[Order],
        limit: int | None,
        offset: int = 0,
        in_full: bool = False,
    ) -> Groups:
        """Returns applications and functions together, as (name, kind). An integration task is its function's."""
        ...

    def sums(
        self,
        scope: Scope,
        columns: Sequence[Breakdown] = (),
        *,
        limit: int = 0,
        grain: int | None = None,
        tasks_only: bool = False,
    ) -> BreakdownSums:
        """
        Returns the sums by the `limit` values of each column that have the most calls; what has no calls is left out.

        With `grain` the keys begin with a bucket number: of the first of each `grain` buckets, counted from the
        period's first. `tasks_only` names what has an integration task alone; direct calls are among the others.
        """
        ...

    def events(self, scope: Scope, *, limit: int, cursor: Cursor | None = None) -> Listing:
        """
        Returns the events behind the sums of a scope: exactly those that the rollup counts, newest first.

        From cursor to cursor each event that was there at the start, and still is, is met once, whatever is added,
        refreshed, compacted or deleted meanwhile.
        """
        ...

    def window(self, organization: int, *, after: datetime, until: datetime) -> Usage:
        """Returns calls and charged credits of the events whose time is in (after, until], refreshed or not."""
        ...

    def window_buckets(self, organization: int, *, after: datetime, until: datetime) -> dict[int, Usage]:
        """Returns the same as `window`, by bucket number."""
        ...

    def difference(self, organization: int) -> Difference:
        """Recomputes the statistics from the events, and compares them by bucket and combination."""
        ...


class UsageStore(Protocol):
    """
    Everything that is written is durable when the call returns.

    Writing calls come from one thread, but for `snapshot` and `interrupt`, which any thread may call. How a store lays its
    data out, gives memory back or shortens its log is its own business, which it does in `maintain`.
    """

    def warm_up(self) -> None:
        """Gets ready for `append`, which else does so when it is first called: seconds, at ten million events."""
        ...

    def append(self, batch: Batch, *, received_at: datetime) -> list[bool]:
        """
        Stores the events of a batch whose ids are new. Returns which were, one flag per event.

        `received_at` is later than in every call before, so that a watermark means the same to every panel and a batch that
        failed can be found by it. An event that is more than MAX_AHEAD later than its receipt is stored with that time.
        Raises: StoreFailed: nothing of the batch counts. OutcomeUnknown: that can't be said until the store works again,
        and then nothing of it counts, unless the process ends before.
        """
        ...

    def refresh(self, watermark: datetime) -> None:
        """
        Brings the statistics up to the watermark, all of them or none, at a cost in proportion to what is new.

        An earlier watermark than the last changes nothing.
        """
        ...

    def delete_before(self, moment: datetime) -> int:
        """Deletes the events and statistics of the buckets before the one of `moment`. Returns how many events went."""
        ...

    def maintain(self) -> bool:
        """
        Does a step of housekeeping, which is short and changes no answer. Returns whether there is more to do.

        Called each minute, and until there is nothing more to do.
        """
        ...

    def last_timestamp(self) -> datetime:
        """Returns the latest receipt or watermark stored; no later one may be earlier than this."""
        ...

    def receipt_hours(self) -> list[datetime]:
        """Returns the beginnings of the hours in which the stored events were received, in order."""
        ...

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Returns a view of one moment, to be closed soon: it may hold back the reuse of deleted space."""
        ...

    def interrupt(self, thread: int) -> None:
        """Ends the snapshots that a thread has open: the statement that one of them executes, and all later ones, fail."""
        ...

    def close(self) -> None:
        """Leaves the store whole and free."""
        ...
