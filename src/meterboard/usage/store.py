"""
The contract of usage stores: events, statistics by 15 minutes and by day, and the watermark.

There is one writer and any number of readers. A reader uses a snapshot: everything that it reads is of one moment.
All times are aware datetimes in UTC. The test suite `tests/contract` runs against every store.
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
    """Calls and their credits."""

    calls: int
    credits: int


class TopValues(Struct, frozen=True):
    """
    The values of a column with the most calls, in descending order; `count` is the number of all its values.

    They have the form of `Group.values`: (value,), or for callers (name, kind).
    """

    by: Breakdown
    values: Sequence[tuple[str, ...]]
    count: int


class Totals(NamedTuple):
    """Calls, their credits, and the credits that count against the allowance."""

    calls: int
    credits: int
    charged: int


class Amount(NamedTuple):
    """Calls and their credits; `refused` is the number of calls with status 429."""

    calls: int
    credits: int
    refused: int


class BreakdownSums(NamedTuple):
    """
    Amounts by the index of a value among the top values of each column.

    All other values of a column are one, whose index is after the last.
    """

    columns: Sequence[TopValues]
    amounts: dict[tuple[int, ...], Amount]


class Group(NamedTuple):
    """
    A combination of values that occurred, in the order of the requested columns, with its sums.

    `estimated` is the number of calls with an estimated price.
    """

    values: tuple[str, ...]
    calls: int
    credits: int
    integration_tasks: int
    estimated: int


class Groups(Struct, frozen=True):
    """A page of groups; `count` and `total` are of all pages."""

    rows: list[Group]
    count: int
    total: Usage


class EventRow(NamedTuple):
    """
    A stored event. `time` is in microseconds since 1970 UTC, `values` are those of all dimensions, `records` is -1
    where unknown, `reason` is empty where it was not stored.
    """

    time: int
    values: tuple[str, ...]
    credits: int
    charged: int
    estimated: bool
    records: int
    reason: str


class Listing(NamedTuple):
    """A page of events, newest first, with cursors to the pages before and after it; None: there is no such page."""

    rows: list[EventRow]
    newer: Cursor | None
    older: Cursor | None


class GroupSummary(NamedTuple):
    """
    A value of the column that a table is grouped by, with the sums and the number of its combinations.

    `distinct` and `first` are of each other column, in order: the number of its values in the group, and the first by
    name.
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
    """A page of summaries; the other numbers are of all pages."""

    rows: list[GroupSummary]
    count: int
    combinations: int
    integration_tasks: int
    total: Usage


class RelatedValues(Struct, frozen=True):
    """The values of a column with the most calls; `count` is the number of all values, `total` their sums."""

    rows: list[tuple[str, Usage]]
    count: int
    total: Usage


class Difference(NamedTuple):
    """The difference between the statistics and the events they are derived from: zero, unless the store is damaged."""

    events: int
    calls: int
    credits: int
    estimated: int
    charged: int


class Snapshot(Protocol):
    """
    The usage of one moment. Every query has a scope, whose watermark is that of the snapshot or an earlier one.

    `meterboard.usage.snapshot.SqlSnapshot` implements most queries for a store that reads SQL.
    """

    @property
    def watermark(self) -> datetime:
        """Returns the watermark: statistics cover exactly the events received, and happened, before it."""
        ...

    def total(self, scope: Scope) -> Totals:
        """Returns the sums of all usage in the scope."""
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
        Returns the combinations of `columns` that occurred, with their sums; `tasks_only` excludes direct calls.

        `in_full`: all pages will be requested, so the result is computed once, and cached on disk if it is long.
        `search`: only those whose first value contains it, ignoring case.
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
        Returns the values of the first of `columns`, each with the sums of its combinations.

        Sorted by another column, the values that occur with the fewest values of it come first.
        """
        ...

    def top_rows_per_group(
        self, scope: Scope, columns: Sequence[DimensionName], *, order: Sequence[Order], limit: int
    ) -> list[Group]:
        """Returns the first `limit` combinations of `columns` for each value of the first column."""
        ...

    def related_values(
        self, scope: Scope, columns: Sequence[DimensionName], *, limit: int
    ) -> dict[DimensionName, RelatedValues]:
        """Returns the `limit` values with the most calls for each of `columns`."""
        ...

    def last_tasks(self, scope: Scope, tasks: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Returns the number of the last bucket with an integration task, for each function and module of `tasks`."""
        ...

    def estimated(self, scope: Scope) -> int:
        """Returns the number of calls with an estimated price."""
        ...

    def callers_named(self, scope: Scope, callers: Sequence[tuple[str, str]]) -> list[Group]:
        """Returns those of `callers` that exist, each given by name and kind, in any order."""
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
        """Returns applications and functions together, as (name, kind). An integration task belongs to its function."""
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
        Returns the sums by the `limit` values of each column with the most calls; combinations without calls are left
        out.

        With `grain` the keys begin with a bucket number: the first of each `grain` buckets, counted from the period's
        first. `tasks_only` ranks values by their integration tasks only; direct calls are among the others.
        """
        ...

    def events(self, scope: Scope, *, limit: int, cursor: Cursor | None = None) -> Listing:
        """
        Returns the events behind the sums of a scope: exactly those that the rollup counts, newest first.

        Following cursors returns each event that exists from the first page to the last exactly once, whatever is
        added, refreshed, compacted or deleted meanwhile.
        """
        ...

    def window(self, organization: int, *, after: datetime, until: datetime) -> Usage:
        """
        Returns calls and charged credits of the events with a time in (after, until], whether or not statistics cover
        them.
        """
        ...

    def window_buckets(self, organization: int, *, after: datetime, until: datetime) -> dict[int, Usage]:
        """Returns the usage of `window` by bucket number."""
        ...

    def difference(self, organization: int) -> Difference:
        """Recomputes the statistics from the events, and compares them by bucket and combination."""
        ...


class UsageStore(Protocol):
    """
    A store of usage. Everything that is written is durable when the call returns.

    One thread makes all calls except `snapshot` and `interrupt`, which any thread may call. How a store lays out its
    data, releases memory or shortens its log is internal; it does so in `maintain`.
    """

    def warm_up(self) -> None:
        """Prepares for `append`, whose first call otherwise does so: seconds, at ten million events."""
        ...

    def append(self, batch: Batch, *, received_at: datetime) -> list[bool]:
        """
        Stores the events of a batch whose ids are new. Returns which were new, one flag per event.

        `received_at` is later than in every earlier call, so that a watermark has the same meaning for all queries
        and a failed batch can be found by it. The time of an event that is more than MAX_AHEAD after its receipt is
        limited to that.
        Raises: StoreFailed: nothing of the batch is stored. OutcomeUnknown: the outcome is unknown until the store
        works again, and then nothing of it is stored, unless the process ends before.
        """
        ...

    def refresh(self, watermark: datetime) -> None:
        """
        Updates the statistics to the watermark, all of them or none, at a cost in proportion to the new events.

        A watermark earlier than the last has no effect.
        """
        ...

    def delete_before(self, moment: datetime) -> int:
        """
        Deletes the events and statistics of the buckets before that of `moment`. Returns how many events were deleted.
        """
        ...

    def maintain(self) -> bool:
        """
        Performs a short step of housekeeping that changes no result. Returns whether there is more to do.

        Called each minute, and until there is nothing more to do.
        """
        ...

    def last_timestamp(self) -> datetime:
        """Returns the latest stored receipt or watermark; later ones must not be earlier."""
        ...

    def receipt_hours(self) -> list[datetime]:
        """Returns the starts of the hours in which stored events were received, in order."""
        ...

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Returns a snapshot of the present moment. Close it soon: it may delay the reuse of deleted space."""
        ...

    def interrupt(self, thread: int) -> None:
        """Ends the snapshots that a thread has open: their running statement and all later ones fail."""
        ...

    def close(self) -> None:
        """Closes the store, with everything written to its files."""
        ...
