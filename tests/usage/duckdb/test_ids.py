"""The filters of ids: whatever was added is found, where it was, until it is forgotten."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterboard.usage.duckdb import id_filter as ids
from meterboard.usage.duckdb.id_filter import IdFilter

START = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
keys = st.integers(1, 2**64 - 1)


@pytest.fixture(autouse=True)
def small_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "STRETCH", 20)


def filled(groups: list[list[int]]) -> IdFilter:
    """A group of keys a minute."""
    known = IdFilter()
    for minute, group in enumerate(groups):
        known.add(group, first=START + minute * MINUTE, last=START + minute * MINUTE)
    return known


@given(st.lists(st.lists(keys, max_size=30), max_size=20))
def test_what_was_added_is_possible_where_it_was_received(groups: list[list[int]]) -> None:
    known = filled(groups)

    for minute, group in enumerate(groups):
        received = START + minute * MINUTE
        for index in range(len(group)):
            assert any(
                index in stretch.indexes and stretch.first <= received <= stretch.last
                for stretch in known.possible(group)
            )


def test_a_new_id_is_nearly_always_certainly_new() -> None:
    known = filled([list(range(1, 21)) for _ in range(1)])

    assert sum(len(stretch.indexes) for stretch in known.possible(range(1_000, 101_000))) < 10


def test_a_retry_is_looked_for_where_it_may_be_alone() -> None:
    known = filled([[minute * 5 + key for key in range(1, 6)] for minute in range(100)])

    (stretch,) = known.possible([251])
    assert stretch.last - stretch.first == 3 * MINUTE


def test_filters_of_what_is_forgotten_are_dropped_and_no_others() -> None:
    groups = [[minute * 5 + key for key in range(1, 6)] for minute in range(40)]
    known = filled(groups)

    known.remove_before(START + 20 * MINUTE)

    assert not known.possible(groups[0])
    for group in groups[20:]:
        assert [stretch.indexes for stretch in known.possible(group)] == [[0, 1, 2, 3, 4]]
