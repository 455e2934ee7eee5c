"""The table of dimensions, and what settings may add to it."""

from pathlib import Path

import duckdb
import pytest

from meterboard.client import event as client
from meterboard.domain.dimensions import (
    BUILT_IN,
    CALLER,
    MAX_OWN,
    RESERVED,
    Dimensions,
    parse_dimensions,
    parse_sources,
)
from meterboard.domain.event import Combination, UsageEvent
from meterboard.errors import SettingError
from meterboard.service.statistics.events import Event
from meterboard.settings import Settings, read_settings
from meterboard.usage.duckdb.statements import SCHEMA
from meterboard.web.page_state import FILTER_FORM, RANGE_FIELDS, SWITCHES


def test_own_dimensions_follow_those_built_in_with_their_labels() -> None:
    found = parse_dimensions(" environment , region:Sales region,sla_tier:SLA tier, city ")

    assert found.own_names == ("environment", "region", "sla_tier", "city")
    assert found.names == (*Dimensions().names, *found.own_names)
    assert found.breakdowns == (*found.names, "caller")
    assert {"region", "region!"} < set(found.filters)
    assert [(each.label, each.noun, each.plural, each.absent) for each in found.own] == [
        ("Environment", "environment", "environments", "no environment"),
        ("Sales region", "sales region", "sales regions", "no sales region"),
        ("SLA tier", "SLA tier", "SLA tiers", "no SLA tier"),
        ("City", "city", "cities", "no city"),
    ]


@pytest.mark.parametrize("text", ["", "  "])
def test_there_are_none_unless_they_are_set(text: str) -> None:
    assert parse_dimensions(text).names == Dimensions().names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Region", "name 'Region': use lower-case letters"),
        ("1st", "name '1st'"),
        ("a-b", "name 'a-b'"),
        ("a" * 41, "at most 40"),
        ("region,", "name ''"),
        ("user", "'user', which is reserved"),
        ("calls", "'calls', which is reserved"),
        ("caller", "'caller', which is reserved"),
        ("user_count", "'user_count', which is reserved"),
        ("region,region", "'region' twice"),
        ("region:", "label ''"),
        ("region:" + "x" * 41, "1 to 40 characters"),
        ("region:a\u202eb", "label"),
        (",".join("abcdefg"), f"at most {MAX_OWN}"),
    ],
)
def test_what_can_not_be_a_dimension_is_named(text: str, message: str) -> None:
    with pytest.raises(SettingError, match=r"^dimensions has ") as refused:
        parse_dimensions(text)
    assert message in str(refused.value)


def test_the_settings_are_checked_at_the_start(tmp_path: Path) -> None:
    asked = {"METERBOARD_DIMENSIONS": "region", "METERBOARD_DIMENSION_FIELDS": "plan=p"}
    with pytest.raises(SettingError, match=r"dimension_fields names 'plan'.* use one of region"):
        read_settings(tmp_path, asked)
    (tmp_path / "meterboard.toml").write_text('dimensions = "User"')
    with pytest.raises(SettingError, match="dimensions has the name 'User'"):
        read_settings(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("region", "has 'region': write name=source"),
        ("region=", "has 'region='"),
        ("user=u", "names 'user'"),
        ("region=a,region=b", "'region' twice"),
    ],
)
def test_what_can_not_be_a_source_is_named(text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        parse_sources("dimension_attributes", text, parse_dimensions("region"))


def test_sources_may_have_dots() -> None:
    dimensions = parse_dimensions("region,plan")
    text = "region=cloud.region, plan = customer.plan"
    assert parse_sources("dimension_attributes", text, dimensions) == {
        "region": "cloud.region",
        "plan": "customer.plan",
    }


def test_everything_that_names_dimensions_names_those_of_the_table() -> None:
    names = [dimension.name for dimension in BUILT_IN]
    fields = [*UsageEvent.__struct_fields__]

    assert [*Combination._fields] == ["organization", *names, "own"]
    assert set(names) <= set(fields)
    assert set(names) <= set(Event.__struct_fields__)
    assert set(client.UsageEvent.__annotations__) == set(fields)
    assert set(client._ENCODERS) == set(fields)
    assert client.MAX_DIMENSIONS == MAX_OWN
    assert all({*dimension.columns} <= {*names} for dimension in (*BUILT_IN, CALLER))


def test_no_dimension_can_be_called_what_means_something_else() -> None:
    with duckdb.connect() as connection:
        connection.execute(SCHEMA)
        found = connection.execute("select column_name from duckdb_columns() where not internal").fetchall()
        columns = {name for (name,) in found}
    taken = {*RESERVED, *(dimension.name for dimension in BUILT_IN)}

    assert columns - {"version"} <= taken
    assert {*FILTER_FORM, *RANGE_FIELDS, *UsageEvent.__struct_fields__} <= taken
    assert {name for name in SWITCHES if name in ("measure", "stack", "compare")} <= taken
    assert all(each in taken for each in ("period", "cursor", "columns", "sort", "rows", "page", "page_size"))
    assert Settings().dimensions == ""
