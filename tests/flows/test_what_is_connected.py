"""The linked table's questions, held against loops over a list: connections, sections, values, last uses."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from meterboard.clock import FixedClock
from meterboard.domain.access import ApiKey
from meterboard.domain.event import UNKNOWN
from meterboard.domain.organization import Organization
from meterboard.domain.query import MEASURES, DimensionName, parse_order
from meterboard.formats.json_events import Sent
from meterboard.service.statistics.statistics import Reading
from meterboard.services import Services
from tests.flows.model import DIMENSIONS, OWN, SETTINGS, Call, Model, by, event_of, parse_filters, period

NOW = datetime(2026, 11, 24, 10, 52, 30, 123456, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Kathmandu")
names = st.sampled_from(["", "a", "B", "b%", "b_", "\\b", "äb", "اسم", "(unknown) or not"])
values = st.fixed_dictionaries(
    {
        **dict.fromkeys(("application", "function", "module", "method", "user", *OWN), names),
        "version": st.sampled_from(["", "v2", "v8"]),
        "ip": st.sampled_from(["", "10.0.0.1", "2001:db8::1"]),
        "status": st.sampled_from(["", "200", "429"]),
    }
)
moments = st.one_of(
    st.timedeltas(timedelta(0), timedelta(days=29)),
    st.timedeltas(timedelta(0), timedelta(days=2)),
    st.integers(0, 300).map(lambda quarter: timedelta(minutes=15 * quarter)),
)
calls = st.lists(st.tuples(moments, st.integers(0, 7), values), max_size=40)
periods = st.sampled_from(["last_24_hours", "yesterday", "last_30_days", "2026-11-20..2026-11-23"])
filters = st.lists(
    st.tuples(
        st.sampled_from(["user", "user!", "application", "module!", "ip!", "order", "order!"]), st.just("")
    ),
    max_size=2,
)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Asked"]:
    services = Services(tmp_path_factory.mktemp("linked"), SETTINGS, FixedClock(NOW))
    yield Asked(services)
    services.close()


class Asked:
    """Usage of a new organisation each time, and what was sent."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._count = 0

    def with_calls(self, sent: list[tuple[timedelta, int, dict[str, str]]]) -> tuple[Organization, Model]:
        self._count += 1
        acme = self.services.accounts.organizations.create(
            f"acme {self._count}", allowance=None, time_zone=ZONE.key, schedule="one-per-call"
        )
        events = [event_of(of, time=NOW - ago, credits=credits) for ago, credits, of in sent]
        if events:
            self.services.ingest.accept_and_wait(ApiKey(acme, "all"), Sent(events, range(len(events)), []))
        return acme, Model([Call(NOW - ago, credits, of) for ago, credits, of in sent])


def within(reading: Reading, model: Model, text: str, chosen: dict[str, tuple[str, ...]]) -> list[Call]:
    start, end = period(text, ZONE, reading.as_of.astimezone(UTC))
    return model.within(start, end, chosen)


def ranked(counted: dict[str, tuple[int, int]]) -> list[tuple[str, int, int]]:
    ordered = sorted(counted.items(), key=lambda item: (-item[1][0], item[0]))
    return [(name, *sums) for name, sums in ordered]


quick = settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])


@quick
@given(calls, periods, filters, values, st.permutations(DIMENSIONS), st.integers(0, 2), st.data())
def test_what_a_value_is_connected_with_is_what_it_occurs_with(
    asked: Asked,
    sent: list[tuple[timedelta, int, dict[str, str]]],
    text: str,
    pairs: list[tuple[str, str]],
    pinned: dict[str, str],
    columns: list[DimensionName],
    pins: int,
    data: st.DataObject,
) -> None:
    acme, model = asked.with_calls(sent)
    if sent:
        pinned = data.draw(st.sampled_from([of for _, _, of in sent] + [pinned]), label="pinned")
    chosen = parse_filters(pairs) | {column: (pinned[column],) for column in columns[:pins]}
    limit = data.draw(st.sampled_from([1, 3, 100]), label="limit")
    with asked.services.statistics.read(acme) as reading:
        answer = reading.related(reading.period(text), chosen, columns[2:], limit=limit)
        expected = within(reading, model, text, chosen)

    for found in answer.columns:
        counted = ranked(by(expected, found.column))
        assert found.value_count == len(counted)
        assert [(v.name, v.calls, v.credits) for v in found.rows] == counted[:limit]
    assert (answer.total.calls, answer.total.credits) == (
        len(expected),
        sum(call.credits for call in expected),
    )


@quick
@given(calls, periods, filters, st.permutations(DIMENSIONS), st.integers(1, 4), st.data())
def test_sections_carry_the_sums_of_all_their_combinations(
    asked: Asked,
    sent: list[tuple[timedelta, int, dict[str, str]]],
    text: str,
    pairs: list[tuple[str, str]],
    order: list[DimensionName],
    width: int,
    data: st.DataObject,
) -> None:
    acme, model = asked.with_calls(sent)
    columns, chosen = order[:width], parse_filters(pairs)
    default, *others = columns
    sort = data.draw(
        st.sampled_from(
            ["-calls", "credits", default, f"-{default}", *others, *(f"-{other}" for other in others)]
        ),
        label="sort",
    )
    page = data.draw(st.integers(1, 3), label="page")
    with asked.services.statistics.read(acme) as reading:
        expected = within(reading, model, text, chosen)
        counted = by(expected, default)
        opened = data.draw(st.sets(st.sampled_from([*counted, "nobody"]), max_size=3), label="open")
        answer = reading.grouped_table(
            reading.period(text),
            chosen,
            columns=columns,
            order=parse_order(sort, allowed=(*columns, *MEASURES)),
            page=page,
            page_size=2,
            open_groups=opened,
            rows_per_group=2,
        )

    groups: dict[str, dict[tuple[str, ...], list[int]]] = {}
    for call in expected:
        names = tuple(call.values[column] or UNKNOWN for column in columns)
        sums = groups.setdefault(names[0], defaultdict(lambda: [0, 0, 0])).setdefault(names, [0, 0, 0])
        sums[0] += 1
        sums[1] += call.credits
        sums[2] += bool(call.values["function"])
    distinct = {
        name: [len({of[place] for of in group}) for place in range(width)] for name, group in groups.items()
    }

    def rank(name: str) -> tuple[int, str]:
        key = sort.removeprefix("-")
        numbers: dict[str, int] = {
            "calls": counted[name][0],
            "credits": counted[name][1],
            **{column: distinct[name][place] for place, column in enumerate(others, 1)},
        }
        number = numbers.get(key, 0)
        return (-number if sort.startswith("-") else number), name

    wanted = sorted(counted, key=rank, reverse=sort == f"-{default}")
    assert [part.name for part in answer.groups] == wanted[2 * page - 2 : 2 * page]
    assert answer.count == len(counted)
    assert answer.combinations == sum(len(group) for group in groups.values())
    assert answer.integration_tasks == sum(bool(call.values["function"]) for call in expected)
    assert (answer.total.calls, answer.total.credits) == (len(expected), sum(c.credits for c in expected))
    for part in answer.groups:
        group = groups[part.name]
        assert part.combinations == len(group)
        assert tuple(part.sums[measure] for measure in MEASURES) == tuple(
            map(sum, zip(*group.values(), strict=True))
        )
        assert [part.distinct[column] for column in others] == distinct[part.name][1:]
        for place, column in enumerate(others, 1):
            only = {of[place] for of in group}
            assert part.only.get(column) == (only.pop() if len(only) == 1 else None)
        shown = len(group) > 1 and (answer.count == 1 or part.name in opened)
        assert len(part.rows) == (min(2, len(group)) if shown else 0)
        for row in part.rows:
            names = tuple(value or UNKNOWN for value in row.values)
            assert [row.calls, row.credits, row.integration_tasks] == group[names]


@quick
@given(
    calls,
    periods,
    filters,
    st.sampled_from(DIMENSIONS),
    st.sampled_from(["", "B", "b", "%", "_", "\\", "Ä", "UNK"]),
)
def test_values_to_choose_from_are_those_with_the_text_within(
    asked: Asked,
    sent: list[tuple[timedelta, int, dict[str, str]]],
    text: str,
    pairs: list[tuple[str, str]],
    column: DimensionName,
    search: str,
) -> None:
    acme, model = asked.with_calls(sent)
    chosen = parse_filters(pairs)
    with asked.services.statistics.read(acme) as reading:
        answer = reading.values(reading.period(text), chosen, column, search=search, limit=3)
        others = {name: of for name, of in chosen.items() if name.rstrip("!") != column}
        counted = by(within(reading, model, text, others), column)

    fitting = {name: sums for name, sums in counted.items() if search.lower() in name.lower()}
    assert [(row.name, row.calls, row.credits) for row in answer.rows] == ranked(fitting)[:3]
    assert answer.value_count == len(fitting)


@quick
@given(calls, periods)
def test_a_last_use_is_the_quarter_of_an_hour_of_the_last_task(
    asked: Asked, sent: list[tuple[timedelta, int, dict[str, str]]], text: str
) -> None:
    acme, model = asked.with_calls(sent)
    with asked.services.statistics.read(acme) as reading:
        answer = reading.integration_tasks(reading.period(text), {})
        expected = [call for call in within(reading, model, text, {}) if call.values["function"]]

    last: dict[tuple[str, str], datetime] = {}
    for call in expected:
        pair = (call.values["function"], call.values["module"] or UNKNOWN)
        last[pair] = max(call.time, last.get(pair, call.time))
    assert {(row.function, row.module) for row in answer.rows} == set(last)
    for row in answer.rows:
        assert row.last_use <= last[row.function, row.module] < row.last_use + timedelta(minutes=15)
        assert row.last_use.utcoffset() == timedelta(hours=5, minutes=45)
