"""Queries of an organisation's usage. Every read of statistics goes through `Statistics.read`."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec.structs import replace

from meterboard.clock import Clock
from meterboard.domain.allowance import Allowance, allowed_in
from meterboard.domain.cursor import Cursor
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.organization import Organization
from meterboard.domain.period import DAY, EARLIEST, Period, midnight, parse_period
from meterboard.domain.query import (
    MOST_CALLS_FIRST,
    NOT,
    Breakdown,
    DimensionName,
    Filters,
    Order,
    Scope,
)
from meterboard.service.jobs.refresh import Delay, Refresh
from meterboard.service.statistics.answers import (
    BreakdownAnswer,
    DayOfCalls,
    FlowsAnswer,
    PeriodAnswer,
    Previous,
    PreviousSummary,
    SeriesAnswer,
    Summary,
    TableAnswer,
    TasksAnswer,
    Total,
)
from meterboard.service.statistics.breakdown import breakdown, groups, usage_of
from meterboard.service.statistics.cache import StatisticsCache
from meterboard.service.statistics.events import EventsAnswer, events_answer
from meterboard.service.statistics.flows import flows
from meterboard.service.statistics.related import (
    GroupedTable,
    RelatedAnswer,
    ValuesAnswer,
    grouped_table,
    related,
    values,
)
from meterboard.service.statistics.series import series
from meterboard.service.statistics.table import by_combinations, by_groups
from meterboard.service.statistics.tasks import tasks
from meterboard.usage.store import Snapshot, UsageStore

T = TypeVar("T")


class Statistics:
    """The statistics of all organisations. Each read is scoped to one of them."""

    def __init__(
        self,
        store: UsageStore,
        refresh: Refresh,
        clock: Clock,
        *,
        retention: timedelta,
        allowances: Callable[[int], Sequence[Allowance]],
        dimensions: Dimensions,
    ) -> None:
        self._store = store
        self._refresh = refresh
        self._clock = clock
        self._retention = retention
        self._allowances = allowances
        self._dimensions = dimensions
        self._cache = StatisticsCache()

    @contextmanager
    def read(self, organization: Organization) -> Iterator["Reading"]:
        """Opens one organisation's statistics at one watermark, so that all results of a reading agree."""
        self._refresh.before_read()
        with self._store.snapshot() as snapshot:
            now = self._clock.now()
            delay = self._refresh.delay(now, snapshot.watermark)
            # The watermark may be ahead of the clock by the microseconds by which times of receipt differ.
            set_back = delay is not None and delay.kind == "clock"
            next_refresh = self._refresh.next_after(now if set_back else max(now, snapshot.watermark))
            yield Reading(
                snapshot,
                organization,
                now=max(now, snapshot.watermark),
                next_refresh=next_refresh.astimezone(organization.zone),
                is_live=not self._refresh.interval,
                delay=delay,
                retention=self._retention,
                allowances=self._allowances(organization.id),
                dimensions=self._dimensions,
                cache=self._cache,
            )


class Reading:
    """A consistent view of one organisation's statistics. Times are in the organisation's zone."""

    def __init__(
        self,
        snapshot: Snapshot,
        organization: Organization,
        *,
        now: datetime,
        next_refresh: datetime,
        is_live: bool,
        delay: Delay | None,
        retention: timedelta,
        allowances: Sequence[Allowance],
        dimensions: Dimensions,
        cache: StatisticsCache,
    ) -> None:
        self._cache = cache
        self._snapshot = snapshot
        self._organization = organization
        self._now = now
        self._retention = retention
        self._allowances = allowances
        self._dimensions = dimensions
        self.as_of = snapshot.watermark.astimezone(organization.zone)
        self.next_refresh = next_refresh
        self.is_live = is_live
        self.delay = replace(delay, due=delay.due.astimezone(organization.zone)) if delay else None
        self.today = now.astimezone(organization.zone).date()
        self.first_day = (now - retention).astimezone(organization.zone).date()
        # A day earlier than the retention: results include usage that is not deleted yet.
        oldest = (snapshot.watermark - retention - DAY).astimezone(organization.zone).date()
        self._first = midnight(max(oldest, EARLIEST), organization.zone)

    def period(self, text: str) -> Period:
        """
        Returns the period that `text` names, from the retention on. Raises: InvalidParameter: `text` is not a period.

        Without that bound, the series of a period of centuries would have a step for each of their days.
        """
        as_of = self._snapshot.watermark
        period = parse_period(text, zone=self._organization.zone, now=self._now, as_of=as_of)
        return period.within(self._first, max(DAY, as_of - self._first))

    def cached(self, name: str, compute: Callable[[], T]) -> T:
        """Returns the result of `compute`, which is called once for an organisation until the next refresh."""
        return self._cache.get(self._organization.id, self._snapshot.watermark, name, compute)

    def _scope(self, period: Period, filters: Filters) -> Scope:
        """Returns the scope of a query. Every query is scoped to the organisation here."""
        return Scope(self._organization.id, period, filters, self._snapshot.watermark)

    def summary(self, period: Period, filters: Filters) -> Summary:
        """Returns totals and the average calls per day."""
        total = self._snapshot.total(self._scope(period, filters))
        # Unused credits are those of the whole organisation, with any filters.
        unfiltered = self._snapshot.total(self._scope(period, {})) if filters else total
        allowed = allowed_in(self._allowances, period)
        if period.unit == "day" or period.days > 1:
            calls, days = total.calls, period.days
        else:
            with_calls = [day.calls for day in self.days(filters) if day.calls]
            calls, days = sum(with_calls), len(with_calls)
        return Summary(
            as_of=self.as_of,
            next_refresh=self.next_refresh,
            period=self._to_result(period),
            calls=total.calls,
            credits_used=total.credits,
            credits_allowed=allowed,
            credits_unused=None if allowed is None else max(0, allowed - unfiltered.charged),
            average_calls_per_day=calls / days if days else 0.0,
            average_over_days=days,
        )

    def _to_result(self, period: Period) -> PeriodAnswer:
        zone = self._organization.zone
        return PeriodAnswer(period.name, period.start.astimezone(zone), period.end.astimezone(zone), zone.key)

    def days(self, filters: Filters) -> list[DayOfCalls]:
        """Returns the retained days of the organisation's calendar, oldest first, with their calls."""
        return self.cached("days", lambda: self._days({})) if not filters else self._days(filters)

    def _days(self, filters: Filters) -> list[DayOfCalls]:
        retained = Period(
            "retained", self._first, self._snapshot.watermark, self._organization.zone, "day", 1
        )
        return [
            DayOfCalls(point.start.date(), point.calls) for point in self.series(retained, filters).points
        ]

    def before(self, period: Period) -> Previous:
        """Returns the previous period, and whether all of its usage is still stored."""
        previous = period.previous()
        return Previous(self._to_result(previous), self._is_retained(previous))

    def _is_retained(self, period: Period) -> bool:
        return period.start >= self._now - self._retention

    def summary_before(self, period: Period, filters: Filters) -> PreviousSummary:
        """Returns totals of the previous period, to compare with."""
        previous = period.previous()
        if not self._is_retained(previous):
            return PreviousSummary(self._to_result(previous), False, None, None)
        total = self._snapshot.total(self._scope(previous, filters))
        return PreviousSummary(self._to_result(previous), True, total.calls, total.credits)

    def compared(self, answer: BreakdownAnswer, period: Period, filters: Filters) -> BreakdownAnswer:
        """Returns a breakdown with the usage of its names in the previous period, if that is complete."""
        previous = period.previous()
        before = self.before(period)
        if not before.complete:
            return replace(answer, previous=before)
        usage = usage_of(self._snapshot, self._scope(previous, filters), answer)
        rows = [replace(row, previous=usage.get((row.name, row.kind), Total(0, 0))) for row in answer.rows]
        return replace(answer, rows=rows, previous=before)

    def breakdown(
        self,
        period: Period,
        filters: Filters,
        by: Breakdown,
        *,
        limit: int | None = None,
        offset: int = 0,
        order: Sequence[Order] = MOST_CALLS_FIRST,
        in_full: bool = False,
    ) -> BreakdownAnswer:
        """Returns usage by one dimension, or by caller. `function` counts only integration tasks."""
        scope = self._scope(period, filters)
        found = groups(self._snapshot, scope, by, order=order, limit=limit, offset=offset, in_full=in_full)
        return breakdown(found, by, as_of=self.as_of)

    def series(
        self, period: Period, filters: Filters, by: Breakdown | None = None, *, limit: int = 5
    ) -> SeriesAnswer:
        """Returns usage over time. With `by`, each step has that of the `limit` most used names and of the others."""
        return series(self._snapshot, self._scope(period, filters), as_of=self.as_of, by=by, limit=limit)

    def flows(
        self, period: Period, filters: Filters, columns: Sequence[DimensionName], *, limit: int
    ) -> FlowsAnswer:
        """Returns the usage that the `limit` most used names of each column share, with all others as one."""
        return flows(self._snapshot, self._scope(period, filters), columns, as_of=self.as_of, limit=limit)

    def table(
        self,
        period: Period,
        filters: Filters,
        *,
        columns: Sequence[DimensionName],
        order: Sequence[Order] = MOST_CALLS_FIRST,
        page: int = 1,
        page_size: int | None = 50,
        in_full: bool = False,
    ) -> TableAnswer:
        """Returns the combinations of `columns` that occurred. `page` counts from 1; `page_size` None: all on one page."""
        offset = 0 if page_size is None else (page - 1) * page_size
        found = self._snapshot.groups(
            self._scope(period, filters),
            columns,
            order=order,
            limit=page_size,
            offset=offset,
            in_full=in_full,
        )
        return by_combinations(found, columns, as_of=self.as_of, page=page, page_size=page_size)

    def grouped(
        self,
        period: Period,
        filters: Filters,
        *,
        columns: Sequence[DimensionName],
        order: Sequence[Order] = MOST_CALLS_FIRST,
        page: int = 1,
        page_size: int | None = 50,
        in_full: bool = False,
    ) -> TableAnswer:
        """Returns `table` grouped by its first column: a row for each of its values."""
        found = self.grouped_table(
            period, filters, columns=columns, order=order, page=page, page_size=page_size, in_full=in_full
        )
        return by_groups(found, columns, as_of=self.as_of, page=page, page_size=page_size)

    def events(
        self, period: Period, filters: Filters, *, limit: int, cursor: Cursor | None = None
    ) -> EventsAnswer:
        """Returns the events that match, newest first, from `cursor` on."""
        listing = self._snapshot.events(self._scope(period, filters), limit=limit, cursor=cursor)
        return events_answer(listing, self._dimensions, as_of=self.as_of, zone=self._organization.zone)

    def grouped_table(
        self,
        period: Period,
        filters: Filters,
        *,
        columns: Sequence[DimensionName],
        order: Sequence[Order] = MOST_CALLS_FIRST,
        page: int = 1,
        page_size: int | None = 50,
        open_groups: Collection[str] = (),
        rows_per_group: int = 50,
        in_full: bool = False,
    ) -> GroupedTable:
        """
        Returns the table grouped by its first column.

        The groups named in `open_groups` have their first `rows_per_group` combinations.
        """
        return grouped_table(
            self._snapshot,
            self._scope(period, filters),
            columns,
            order=order,
            limit=page_size,
            offset=(page - 1) * (page_size or 0),
            open_groups=open_groups,
            rows_per_group=rows_per_group,
            in_full=in_full,
        )

    def related(
        self, period: Period, filters: Filters, columns: Sequence[DimensionName], *, limit: int
    ) -> RelatedAnswer:
        """Returns the `limit` values of each column with the most calls in the filtered usage."""
        scope = self._scope(period, filters)
        return related(self._snapshot, scope, columns, as_of=self.as_of, limit=limit)

    def values(
        self, period: Period, filters: Filters, column: DimensionName, *, search: str = "", limit: int
    ) -> ValuesAnswer:
        """Returns the values of a column, most calls first, under the filters of the other columns."""
        others = {name: values for name, values in filters.items() if name.removesuffix(NOT) != column}
        scope = self._scope(period, others)
        return values(self._snapshot, scope, column, as_of=self.as_of, search=search, limit=limit)

    def has_estimates(self, period: Period, filters: Filters) -> bool:
        """Returns whether the price of any call is an estimate."""
        return self._snapshot.estimated(self._scope(period, filters)) > 0

    def integration_tasks(
        self,
        period: Period,
        filters: Filters,
        *,
        limit: int | None = None,
        offset: int = 0,
        in_full: bool = False,
    ) -> TasksAnswer:
        """Returns integration tasks per function and module, and when the last one ran."""
        return tasks(
            self._snapshot,
            self._scope(period, filters),
            as_of=self.as_of,
            zone=self._organization.zone,
            limit=limit,
            offset=offset,
            in_full=in_full,
        )
