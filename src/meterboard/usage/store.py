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

from meterboard.domain.event import CallBatch, EventBatch
from meterboard.domain.query import Dimension, Order, Scope


class Usage(NamedTuple):
    """Calls and the credits that they cost."""

    calls: int
    credits: int


class Bucket(NamedTuple):
    """The usage of a bucket; `refused` are those of its calls that were (status 429)."""

    calls: int
    credits: int
    refused: int


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


class Difference(NamedTuple):
    """What the statistics differ by from the events that they are made of: zero, or the store is damaged."""

    events: int
    calls: int
    credits: int
    estimated: int


class Snapshot(Protocol):
    """The usage of one moment."""

    @property
    def watermark(self) -> datetime:
        """Statistics cover exactly the events received, and happened, before this moment."""
        ...

    def total(self, scope: Scope) -> Usage:
        """Sums over the rollup."""
        ...

    def groups(
        self,
        scope: Scope,
        columns: Sequence[Dimension],
        *,
        order: Sequence[Order],
        limit: int | None,
        offset: int = 0,
        tasks_only: bool = False,
    ) -> Groups:
        """The combinations of `columns` that occurred, with their sums; `tasks_only` leaves out direct calls."""
        ...

    def callers(self, scope: Scope, *, order: Sequence[Order], limit: int | None, offset: int = 0) -> Groups:
        """Applications and functions together: values are (name, kind). An integration task is its function's."""
        ...

    def buckets(self, scope: Scope) -> dict[int, Bucket]:
        """Sums by bucket number, of the buckets that have any."""
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

    def append(self, batch: EventBatch, *, received_at: datetime) -> list[bool]:
        """
        Store the events of a batch whose ids are new; one flag per event says which were.

        `received_at` never goes back from one call to the next, so that a watermark means the same to every panel.
        Raises: StoreFailed: nothing of the batch counts.
        """
        ...

    def append_calls(self, calls: CallBatch, *, received_at: datetime) -> list[bool]:
        """`append` for calls of which many are alike: the same promises at a fraction of the work."""
        ...

    def refresh(self, watermark: datetime) -> None:
        """Bring the rollup up to the watermark in one transaction, at a cost in proportion to what is new."""
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

    def close(self) -> None:
        """Leave the store whole and free."""
        ...
