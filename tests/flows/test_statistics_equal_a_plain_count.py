"""Random events through ingest and statistics, held against loops over a list."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from meterboard.clock import FixedClock
from meterboard.domain.access import ApiKey
from meterboard.domain.event import UsageEvent
from meterboard.formats.json_events import Sent
from meterboard.services import Services
from tests.flows.model import (
    DIMENSIONS,
    SETTINGS,
    Call,
    Model,
    by,
    by_local_day,
    event_of,
    parse_filters,
    period,
)

ZONES = [
    "UTC",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/New_York",
    "America/Sao_Paulo",
    "Pacific/Apia",
]
# Around the changes of the clocks: New York 1 Nov 2026 and 8 Mar 2026, Lord Howe 5 Apr and 4 Oct 2026.
MOMENTS = [
    datetime(2026, 11, 24, 10, 52, 30, 123456, tzinfo=UTC),
    datetime(2026, 11, 2, 0, 0, tzinfo=UTC),
    datetime(2026, 3, 9, 4, 15, tzinfo=UTC),
    datetime(2026, 4, 6, 12, 7, tzinfo=UTC),
    datetime(2026, 10, 5, 13, 59, 59, 999999, tzinfo=UTC),
]
names = st.sampled_from(["", "a", "b", "ä", "اسم"])
calls = st.fixed_dictionaries(
    {
        "ago": st.one_of(
            st.timedeltas(timedelta(0), timedelta(days=30)),
            st.timedeltas(timedelta(hours=23, minutes=44), timedelta(hours=24, minutes=1)),
            st.timedeltas(-timedelta(minutes=5), timedelta(minutes=20)),
            st.integers(0, 2879).map(lambda quarter: timedelta(minutes=15 * quarter)),
        ),
        "id": st.one_of(st.none(), st.integers(0, 30).map(str)),
        "credits": st.one_of(st.none(), st.integers(0, 7)),
        "values": st.fixed_dictionaries(
            {
                "application": names,
                "function": names,
                "module": names,
                "method": names,
                "version": st.sampled_from(["", "v2", "v8"]),
                "ip": st.sampled_from(["", "10.0.0.1", "2001:db8::1"]),
                "user": names,
                "status": st.sampled_from(["", "200", "429"]),
                "environment": names,
                "order": names,
            }
        ),
    }
)


def event_at(call: dict, now: datetime) -> UsageEvent:  # type: ignore[type-arg]
    return event_of(call["values"], id=call["id"], time=now - call["ago"], credits=call["credits"])


@settings(max_examples=100, phases=[Phase.explicit, Phase.reuse, Phase.generate])  # shrinking takes minutes
@given(
    st.lists(st.lists(calls, max_size=25), min_size=1, max_size=4),
    st.sampled_from(ZONES),
    st.sampled_from(MOMENTS),
    st.data(),
)
def test_every_answer_equals_a_plain_count(
    batches: list[list[dict]],  # type: ignore[type-arg]
    zone_name: str,
    now: datetime,
    data: st.DataObject,
) -> None:
    zone = ZoneInfo(zone_name)
    clock = FixedClock(now)
    model = Model([])
    known: set[str] = set()
    with TemporaryDirectory() as folder:
        services = Services(Path(folder), SETTINGS, clock)
        try:
            acme = services.accounts.organizations.create(
                "acme", allowance=100, time_zone=zone_name, schedule="one-per-call"
            )
            for batch in batches:
                events = [event_at(call, now) for call in batch]
                receipt = services.ingest.accept_and_wait(
                    ApiKey(acme, "all"), Sent(events, range(len(events)), [])
                )
                accepted = 0
                for call in batch:
                    if call["id"] is None or call["id"] not in known:
                        accepted += 1
                        cost = 1 if call["credits"] is None else call["credits"]
                        model.calls.append(Call(now - call["ago"], cost, call["values"]))
                    if call["id"] is not None:
                        known.add(call["id"])
                assert (accepted, len(batch) - accepted, []) == (
                    receipt.accepted,
                    receipt.duplicates,
                    receipt.rejected,
                )
            clock.advance(data.draw(st.timedeltas(timedelta(seconds=1), timedelta(hours=30)), label="later"))
            check_all(services, acme, model, zone, clock.now(), data)
        finally:
            services.close()


def first_kept(zone: ZoneInfo, as_of: datetime) -> datetime:
    """The first midnight of the days that retention may not have deleted yet."""
    oldest = (as_of.astimezone(UTC) - timedelta(days=31)).astimezone(zone).date()
    return datetime.combine(oldest, time(), zone).astimezone(UTC)


def check_all(services, acme, model: Model, zone: ZoneInfo, now: datetime, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    live = services.live_credits.now(acme)
    assert model.window(now) == (live.calls, live.used)
    assert max(0, 100 - live.used) == live.unused

    day = (now - timedelta(days=data.draw(st.integers(0, 29), label="day"))).astimezone(zone).date()
    text = data.draw(
        st.sampled_from(
            [
                "last_24_hours",
                "today",
                "yesterday",
                "last_30_days",
                f"{day}",
                f"{day - timedelta(days=3)}..{day}",
                f"{day}T{data.draw(st.sampled_from(['00:00', '01:30', '10:15']), label='from')}"
                f"..{day}T{data.draw(st.sampled_from(['11:00', '12:45', '23:45']), label='to')}",
                f"{day - timedelta(days=3)}T09:45..{day}T01:30",
            ]
        ),
        label="period",
    )
    dimension = data.draw(st.sampled_from(DIMENSIONS), label="filter")
    value = data.draw(st.sampled_from(["", "a", "10.0.0.1", "200", "v8"]), label="value")
    if dimension == "ip" and value not in ("", "10.0.0.1"):
        value = ""
    name = dimension + data.draw(st.sampled_from(["", "!"]), label="kept out")
    pairs = data.draw(st.sampled_from([[], [(name, value)], [(name, value), (name, "b")]]))
    if dimension == "ip":
        pairs = pairs[:1]
    filters = parse_filters(pairs)
    with services.statistics.read(acme) as reading:
        start, end = period(text, zone, reading.as_of.astimezone(UTC))
        start = max(start, first_kept(zone, reading.as_of))  # earlier days have nothing to say
        within = model.within(start, end, filters)
        asked = reading.period(text)
        assert (start, end) == (asked.start, asked.end)
        total = (len(within), sum(call.credits for call in within))

        summary = reading.summary(asked, filters)
        assert total == (summary.calls, summary.credits_used)

        for dimension in DIMENSIONS:
            answer = reading.breakdown(asked, filters, dimension)
            counted = by(
                [call for call in within if call.values["function"] or dimension != "function"], dimension
            )
            assert counted == {row.name: (row.calls, row.credits) for row in answer.rows}
            ranked = sorted(counted.items(), key=lambda item: (-item[1][0], item[0]))
            assert [name for name, _ in ranked] == [row.name for row in answer.rows]
            cut = reading.breakdown(asked, filters, dimension, limit=1)
            assert answer.total == cut.total
            assert cut.others.calls == answer.total.calls - sum(row.calls for row in cut.rows)
            assert cut.others.names == max(0, len(counted) - 1)

        callers = reading.breakdown(asked, filters, "caller")
        assert total == (callers.total.calls, callers.total.credits)
        assert total[0] == sum(row.calls for row in callers.rows)
        functions = by([call for call in within if call.values["function"]], "function")
        assert functions == {r.name: (r.calls, r.credits) for r in callers.rows if r.kind == "function"}

        series = reading.series(asked, filters)
        assert total == (sum(p.calls for p in series.points), sum(p.credits for p in series.points))
        if series.unit == "day":
            days = by_local_day(within, zone)
            assert dict(days) == {p.start.date(): p.calls for p in series.points if p.calls}
        edges = [p.start.astimezone(UTC) for p in series.points] + [end]
        for point, left, right in zip(series.points, edges, edges[1:], strict=False):
            assert point.calls == sum(left <= call.time < right for call in within)
            longest = {
                "day": timedelta(hours=25),
                "hour": timedelta(hours=1),
                "quarter_hour": timedelta(minutes=15),
            }
            assert right - left <= longest[series.unit]

        table = reading.table(asked, filters, columns=("user", "ip", "module"), page_size=None)
        assert total == (sum(int(r["calls"]) for r in table.rows), sum(int(r["credits"]) for r in table.rows))
        combinations = {tuple(c.values[d] or "(unknown)" for d in ("user", "ip", "module")) for c in within}
        assert combinations == {(r["user"], r["ip"], r["module"]) for r in table.rows}
        assert len(combinations) == table.total_rows == len(table.rows)

        tasks = reading.integration_tasks(asked, filters)
        assert tasks.total.tasks == sum(1 for call in within if call.values["function"])
    assert services.verify.check(acme).difference == 0
