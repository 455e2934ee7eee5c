"""
The usage store's contract: events, the 15-minute rollup, the watermark.

One writer, any number of readers. A reader works on a snapshot: everything it reads is of one moment.
All times are aware UTC. The same test suite, `tests/contract`, runs against every store.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from msgspec import Struct

from meterboard.domain.cursor import Cursor
from meterboard.domain.event import CallBatch, EventBatch
from meterboard.domain.query import Breakdown, DimensionName, Order, Scope


class Usage(NamedTuple):
    """Calls and the credits that they cost."""

    calls: int
    credits: int


class Named(Struct, frozen=True):
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


class Bucket(NamedTuple):
    """The usage of a stretch of time; `refused` are those of its calls that were (status 429)."""

    calls: int
    credits: int
    refused: int


class Sums(NamedTuple):
    """
    Usage by the places that its values have among those named of each column.

    All other values of a column are one, whose place is behind the last.
    """

    columns: Sequence[Named]
    usage: dict[tuple[int, ...], Bucket]


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


class Listed(NamedTuple):
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

    rows: list[Listed]
    newer: Cursor | None
    older: Cursor | None


class Section(NamedTuple):
    """
    A value of the default column with the sums of all its combinations, and how many those are.

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


class Sections(Struct, frozen=True):
    """A page of sections; the other numbers are of all sections, on whatever page."""

    rows: list[Section]
    count: int
    combinations: int
    integration_tasks: int
    total: Usage


class Connected(Struct, frozen=True):
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
    """The usage of one moment."""

    @property
    def watermark(self) -> datetime:
        """Statistics cover exactly the events received, and happened, before this moment."""
        ...

    def total(self, scope: Scope) -> Totals:
        """Sums over the rollup."""
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
        The combinations of `columns` that occurred, with their sums; `tasks_only` leaves out direct calls.

        `in_full`: every page will be asked for, so the answer is worked out once and kept on disk if it is long.
        `search`: those alone whose first name has it within, whatever the case.
        """
        ...

    def sections(
        self,
        scope: Scope,
        columns: Sequence[DimensionName],
        *,
        order: Sequence[Order],
        limit: int | None,
        offset: int,
        in_full: bool = False,
    ) -> Sections:
        """
        The values of the first of `columns`, each for all its combinations.

        In order by another column, those come first that occur with the fewest values of it.
        """
        ...

    def within(
        self, scope: Scope, columns: Sequence[DimensionName], *, order: Sequence[Order], limit: int
    ) -> list[Group]:
        """The combinations of `columns`, of each value of the first the first `limit`."""
        ...

    def connected(
        self, scope: Scope, columns: Sequence[DimensionName], *, limit: int
    ) -> dict[DimensionName, Connected]:
        """The values of each of `columns`, each column for itself."""
        ...

    def last_tasks(self, scope: Scope, tasks: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The number of the last bucket with an integration task, of each function and module of `tasks`."""
        ...

    def estimated(self, scope: Scope) -> int:
        """How many calls have an estimated price."""
        ...

    def callers_named(self, scope: Scope, callers: Sequence[tuple[str, str]]) -> list[Group]:
        """Those of `callers` that there are, each given by name and kind, in no order."""
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
        """Applications and functions together: values are (name, kind). An integration task is its function's."""
        ...

    def sums(
        self,
        scope: Scope,
        columns: Sequence[Breakdown] = (),
        *,
        limit: int = 0,
        grain: int | None = None,
        tasks_only: bool = False,
    ) -> Sums:
        """
        Sums of what there is any of, by the `limit` values of each column that have the most calls.

        With `grain` the keys begin with a bucket number: of the first of each `grain` buckets, counted from the
        period's first. `tasks_only` names what has an integration task alone; direct calls are among the others.
        """
        ...

    def events(self, scope: Scope, *, limit: int, cursor: Cursor | None = None) -> Listing:
        """
        The events behind the sums of a scope: exactly those that the rollup counts, newest first.

        Whoever goes on from cursor to cursor meets each event that was there at the start, and still is, once, whatever
        is added, refreshed, merged or forgotten meanwhile.
        """
        ...

    def window(self, organization: int, *, after: datetime, until: datetime) -> Usage:
        """Calls and charged credits of the events themselves whose time is in (after, until], refreshed or not."""
        ...

    def window_buckets(self, organization: int, *, after: datetime, until: datetime) -> dict[int, Usage]:
        """As `window`, by bucket number."""
        ...

    def difference(self, organization: int) -> Difference:
        """Recompute the statistics from the events and compare, bucket by bucket and combination by combination."""
        ...


class UsageStore(Protocol):
    """Everything that is written is durable when the call returns. Writing calls come from one thread."""

    def latest(self) -> datetime:
        """The latest receipt or watermark stored; no later one may be earlier than this."""
        ...

    def receipt_hours(self) -> list[datetime]:
        """The beginnings of the hours in which the stored events were received, in order."""
        ...

    def expect_events(self) -> None:
        """Get ready for `append`, which else does so when it is first called: seconds, at ten million events."""

    def append(self, batch: EventBatch, *, received_at: datetime) -> list[bool]:
        """
        Store the events of a batch whose ids are new; one flag per event says which were.

        `received_at` is later than in every call before, so that a watermark means the same to every panel and a batch that
        failed can be found by it. An event that is more than MAX_AHEAD later than its receipt is stored with that time.
        Raises: StoreFailed: nothing of the batch counts. OutcomeUnknown: that can't be said until the store works again,
        and then nothing of it counts, unless the process ends before.
        """
        ...

    def append_calls(self, batch: CallBatch, *, received_at: datetime) -> list[bool]:
        """`append` for calls of which many are alike: the same promises at a fraction of the work."""
        ...

    def refresh(self, watermark: datetime) -> None:
        """Bring the rollup up to the watermark in one transaction, at a cost in proportion to what is new."""
        ...

    def take_back_watermark(self, moment: datetime) -> bool:
        """
        Move a watermark that is later than `moment` back to it, unless an event was received or happened since.

        Statistics cover the same events as before. Returns whether it was moved.
        """
        ...

    def forget(self, before: datetime) -> int:
        """Delete the events and statistics of the buckets before `before`; answers how many events went."""
        ...

    def merge(self) -> bool:
        """
        Join the pieces that refreshes have left in one of the days that they added to; is there another such day?

        Changes no answer.
        """
        ...

    def tidy(self) -> None:
        """Fold the store's log into its file when it has grown long. Changes no answer."""
        ...

    def checkpoint(self) -> None:
        """Fold the log into the file now, so that the space of what was deleted is used again."""
        ...

    def rest(self) -> None:
        """Give back memory that nobody uses at the moment. Changes no answer."""
        ...

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """A consistent view, to be closed soon: it holds back the reuse of deleted space."""
        ...

    def interrupt(self, thread: int) -> None:
        """Ends the snapshots that a thread has open: the statement that one of them executes, and all later ones, fail."""
        ...

    def close(self) -> None:
        """Leave the store whole and free."""
        ...
