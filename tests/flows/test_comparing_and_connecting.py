"""Stacked time charts, comparisons and connections of random events, held against loops over a list."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from meterboard.clock import FixedClock
from meterboard.domain.access import ApiKey
from meterboard.formats.json_events import Sent
from meterboard.service.statistics.statistics import Reading
from meterboard.services import Services
from tests.flows.model import DIMENSIONS, SETTINGS, Call, Model, parse_filters
from tests.flows.test_statistics_equal_a_plain_count import MOMENTS, ZONES, calls, event_at

REFUSED = "429"
BREAKDOWNS = (*DIMENSIONS, "caller")


def caller(call: Call) -> tuple[str, str | None]:
    function = call.values["function"]
    return (function, "function") if function else (call.values["application"] or "(unknown)", "application")


def key(call: Call, by: str) -> tuple[str, str | None]:
    return caller(call) if by == "caller" else (call.values[by] or "(unknown)", None)


@settings(max_examples=60, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(calls, max_size=60), st.sampled_from(ZONES), st.sampled_from(MOMENTS), st.data())
def test_parts_comparisons_and_connections_equal_a_plain_count(
    sent: list[dict],  # type: ignore[type-arg]
    zone_name: str,
    now: datetime,
    data: st.DataObject,
) -> None:
    model = Model(
        [
            Call(now - call["ago"], 1 if call["credits"] is None else call["credits"], call["values"])
            for call in sent
        ]
    )
    clock = FixedClock(now)
    with TemporaryDirectory() as folder:
        services = Services(Path(folder), SETTINGS, clock)
        try:
            acme = services.accounts.organizations.create(
                "acme", allowance=100, time_zone=zone_name, schedule="one-per-call"
            )
            events = [event_at(call | {"id": None}, now) for call in sent]
            services.ingest.accept_and_wait(ApiKey(acme, "all"), Sent(events, range(len(events)), []))
            clock.advance(timedelta(minutes=data.draw(st.integers(6, 600), label="later")))
            day = (
                (clock.now() - timedelta(days=data.draw(st.integers(0, 12))))
                .astimezone(ZoneInfo(zone_name))
                .date()
            )
            text = data.draw(
                st.sampled_from(
                    [
                        "last_24_hours",
                        "today",
                        "yesterday",
                        "last_30_days",
                        f"{day}",
                        f"{day - timedelta(days=3)}..{day}",
                        f"{day}T09:15..{day}T11:00",
                        f"{day}T00:30..{day}T16:45",
                    ]
                ),
                label="period",
            )
            pairs = data.draw(
                st.sampled_from(
                    [
                        [],
                        [("user", "a")],
                        [("module!", ""), ("user", "a"), ("user", "")],
                        [("order", "a"), ("environment!", "")],
                    ]
                )
            )
            with services.statistics.read(acme) as reading:
                check_parts(reading, model, text, pairs, data)
                check_comparison(reading, model, text, pairs, data)
                check_connections(reading, model, text, pairs, data)
        finally:
            services.close()


def check_parts(
    reading: Reading, model: Model, text: str, pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    filters, period = parse_filters(pairs), reading.period(text)
    by = data.draw(st.sampled_from(BREAKDOWNS), label="by")
    limit = data.draw(st.integers(1, 3), label="limit")
    series = reading.series(period, filters, by, limit=limit)
    plain = reading.series(period, filters)
    top = [(row.name, row.kind) for row in reading.breakdown(period, filters, by, limit=limit).rows]

    assert [(p.start, p.calls, p.credits, p.refused) for p in plain.points] == [
        (p.start, p.calls, p.credits, p.refused) for p in series.points
    ]
    edges = [point.start.astimezone(UTC) for point in series.points] + [period.end]
    for point, left, right in zip(series.points, edges, edges[1:], strict=False):
        within = model.within(left, right, filters)
        assert point.parts is not None
        assert point.others is not None
        assert [(part.name, part.kind) for part in point.parts] == top
        for part in point.parts:
            own = [call for call in within if key(call, by) == (part.name, part.kind)]
            refused = sum(call.values["status"] == REFUSED for call in own)
            assert (part.calls, part.credits, part.refused) == (
                len(own),
                sum(c.credits for c in own),
                refused,
            )
        rest = [call for call in within if key(call, by) not in top]
        assert (point.others.calls, point.others.credits) == (len(rest), sum(call.credits for call in rest))
        assert point.calls == len(within)


def check_comparison(
    reading: Reading, model: Model, text: str, pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    filters, period = parse_filters(pairs), reading.period(text)
    previous = period.previous()
    earlier = model.within(previous.start, previous.end, filters)
    is_kept = previous.start >= reading.as_of - timedelta(days=30)

    summary = reading.summary_before(period, filters)
    assert summary.complete == is_kept
    if is_kept:
        assert (summary.calls, summary.credits_used) == (len(earlier), sum(call.credits for call in earlier))
    else:
        assert (summary.calls, summary.credits_used) == (None, None)

    by = data.draw(st.sampled_from(BREAKDOWNS), label="compared by")
    answer = reading.breakdown(period, filters, by, limit=data.draw(st.sampled_from([1, 3, None])))
    compared = reading.compared(answer, period, filters)
    for row, plain in zip(compared.rows, answer.rows, strict=True):
        own = [call for call in earlier if key(call, by) == (row.name, row.kind)]
        expected = (len(own), sum(call.credits for call in own)) if is_kept else None
        assert (row.previous and (row.previous.calls, row.previous.credits)) == expected
        assert (row.name, row.calls, row.credits) == (plain.name, plain.calls, plain.credits)


def check_connections(
    reading: Reading, model: Model, text: str, pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    filters, period = parse_filters(pairs), reading.period(text)
    columns = data.draw(
        st.lists(st.sampled_from(DIMENSIONS), min_size=2, max_size=3, unique=True), label="columns"
    )
    flows = reading.flows(period, filters, columns, limit=data.draw(st.integers(1, 4), label="most"))
    within = model.within(period.start, period.end, filters)
    named = [set(column.names) for column in flows.columns]

    counted: dict[tuple[str | None, ...], tuple[int, int]] = {}
    for call in within:
        values = [call.values[column] or "(unknown)" for column in columns]
        path = tuple(value if value in names else None for value, names in zip(values, named, strict=True))
        calls_so_far, credits = counted.get(path, (0, 0))
        counted[path] = calls_so_far + 1, credits + call.credits
    assert counted == {tuple(path.names): (path.calls, path.credits) for path in flows.paths}
    assert (
        sum(path.calls for path in flows.paths) == reading.summary(period, filters).calls == flows.total.calls
    )
    for column, names in zip(flows.columns, named, strict=True):
        assert column.others == len({call.values[column.by] or "(unknown)" for call in within} - names)
