"""Every format is read as its server writes it, by name and by guess, and no line of any makes it raise."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.event import Request, UsageEvent
from meterboard.errors import InvalidParameter
from meterboard.importers.formats.named import NAMES, guess, read_format
from meterboard.importers.reading.fields import read_mapping
from tests.importers.lines_read import read_all

TIME = datetime(2026, 11, 3, 5, 15, tzinfo=UTC)
CALL = UsageEvent(
    time=TIME,
    ip="203.0.113.7",
    user="maria",
    application="curl",
    request=Request("GET", "/crm/v8/Leads?page="),
    status=200,
)
LINES = {
    "combined": '203.0.113.7 - maria [03/Nov/2026:10:45:00 +0530] "GET /crm/v8/Leads?page=2 HTTP/1.1" 200 512 "-" "curl/8.1"',
    "alb": (
        "https 2026-11-03T05:15:00.000000Z app/my-loadbalancer/50dc6c495c0c9188 203.0.113.7:2817 10.0.0.1:80 0.086 "
        '0.048 0.037 200 200 0 57 "GET https://api.acme.example:443/crm/v8/Leads?page=2 HTTP/1.1" "curl/8.1" '
        "ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/t/73e2 "
        '"Root=1-58337281-1d84f3d73c47ec4e58577259" "api.acme.example" "arn:aws:acm:us-east-2:1:certificate/1" 1 '
        '2026-11-03T05:15:00.000000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_123456'
    ),
    "envoy": (
        '[2026-11-03T05:15:00.000Z] "GET /crm/v8/Leads?page=2 HTTP/1.1" 200 - 0 135 4 3 "10.9.9.9, 203.0.113.7" '
        '"curl/8.1" "5d5a5b5e-0000-4000-8000-000000000000" "api.acme.example" "10.0.35.28:80"'
    ),
    "nginx-json": json.dumps(
        {
            "time_iso8601": "2026-11-03T10:45:00+05:30",
            "remote_addr": "203.0.113.7",
            "remote_user": "maria",
            "request": "GET /crm/v8/Leads?page=2 HTTP/1.1",
            "status": "200",
            "body_bytes_sent": "512",
            "http_user_agent": "curl/8.1",
        }
    ),
    "caddy-json": json.dumps(
        {
            "level": "info",
            "ts": 1793682900.0,
            "logger": "http.log.access.log0",
            "msg": "handled request",
            "request": {
                "remote_ip": "10.0.0.9",
                "remote_port": "41342",
                "client_ip": "203.0.113.7",
                "proto": "HTTP/2.0",
                "method": "GET",
                "host": "api.acme.example",
                "uri": "/crm/v8/Leads?page=2",
                "headers": {"User-Agent": ["curl/8.1"], "Accept": ["*/*"]},
            },
            "user_id": "maria",
            "duration": 0.000929675,
            "size": 10900,
            "status": 200,
        }
    ),
    "traefik-json": json.dumps(
        {
            "ClientAddr": "203.0.113.7:54321",
            "ClientHost": "203.0.113.7",
            "ClientUsername": "maria",
            "DownstreamStatus": 200,
            "Duration": 4712,
            "RequestMethod": "GET",
            "RequestPath": "/crm/v8/Leads?page=2",
            "StartUTC": "2026-11-03T05:15:00.000000001Z",
            "request_User-Agent": "curl/8.1",
            "level": "info",
            "msg": "",
            "time": "2026-11-03T05:15:01Z",
        }
    ),
    "ndjson": json.dumps(
        {
            "time": "2026-11-03T10:45:00+05:30",
            "ip": "203.0.113.7",
            "user": "maria",
            "application": "curl",
            "request": {"method": "GET", "path": "/crm/v8/Leads?page=2"},
            "status": 200,
        }
    ),
    "csv": "time,ip,user,agent,http,path,status\n"
    '2026-11-03T10:45:00+05:30,203.0.113.7,maria,curl/8.1,GET,"/crm/v8/Leads?page=2",200',
}
SILENT = {"alb": {"user"}, "envoy": {"user"}}
"""What a format does not say."""


def mapping_of(*options: str) -> dict[str, str]:
    return read_mapping(options, Dimensions())


def without_id(event: UsageEvent) -> dict[str, object]:
    return {name: getattr(event, name) for name in UsageEvent.__struct_fields__ if name != "id"}


@pytest.mark.parametrize("form", LINES)
def test_a_line_of_every_format_is_the_same_call(form: str) -> None:
    reading = read_all(LINES[form].encode() + b"\n", form)

    expected = without_id(CALL) | dict.fromkeys(SILENT.get(form, ()))
    if form == "alb":
        expected["request"] = Request("GET", "https://api.acme.example:443/crm/v8/Leads?page=")
    assert reading.unreadable == 0
    assert [without_id(event) for event in reading.events] == [expected]


@pytest.mark.parametrize("form", LINES)
def test_the_format_is_guessed(form: str) -> None:
    assert guess("access.log", LINES[form].encode()) == form


def test_names_of_files_say_what_their_lines_do_not() -> None:
    assert guess("usage.CSV.gz", b"") == "csv"
    assert guess("usage.bin", b"PAR1\x15") == "parquet"


def test_the_envoy_format_of_today_is_read_too() -> None:
    line = (
        '[2026-11-03T05:15:00.000Z] "GET /crm/v8/Leads?page=2 HTTP/1.1" 200 - via_upstream - "-" 0 135 4 3 '
        '"203.0.113.7" "curl/8.1" "5d5a" "api.acme.example" "10.0.35.28:80"\n'
    )

    (event,) = read_all(line.encode(), "envoy").events

    assert without_id(event) == without_id(CALL) | {"user": None}


@pytest.mark.parametrize(
    ("form", "line"),
    [
        (
            '$msec $remote_addr $remote_user "$request_method $request_uri" $status $request_time "$http_user_agent"',
            '1793682900.000 203.0.113.7 maria "GET /crm/v8/Leads?page=2" 200 0.003 "curl/8.1"',
        ),
        (
            "log_format api '[$time_iso8601] $remote_addr/$remote_user ' '\"$request\" $status \"${http_user_agent}\"';",
            '[2026-11-03T10:45:00+05:30] 203.0.113.7/maria "GET /crm/v8/Leads?page=2 HTTP/1.1" 200 "curl/8.1"',
        ),
        (
            r'LogFormat "%h %l %u %t \"%r\" %>s %O %D \"%{User-Agent}i\"" timed',
            '203.0.113.7 - maria [03/Nov/2026:10:45:00 +0530] "GET /crm/v8/Leads?page=2 HTTP/1.1" 200 512 31 "curl/8.1"',
        ),
        (
            '%t %a %u %m %U%q %s "%{User-agent}i"',
            '[03/Nov/2026:10:45:00 +0530] 203.0.113.7 maria GET /crm/v8/Leads?page=2 200 "curl/8.1"',
        ),
    ],
    ids=["nginx", "nginx's statement", "Apache's statement", "Apache"],
)
def test_a_format_of_ones_own_is_read_as_the_server_was_told_to_write_it(form: str, line: str) -> None:
    reading = read_all(line.encode() + b"\nsomething else\n", form)

    assert [without_id(event) for event in reading.events] == [without_id(CALL)]
    assert reading.unreadable_lines == [(2, b"something else")]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("apache", "There is no format 'apache'"),
        ("$remote_addr $status", "has no time"),
        ("[$time_local] $remote_addr$status", "Text is missing before $status"),
        ("100%", "has no variables"),
    ],
)
def test_a_format_that_can_not_be_read_is_refused(form: str, said: str) -> None:
    with pytest.raises(InvalidParameter, match=said.replace("$", r"\$")):
        read_format(form, {})


class TestFieldMapping:
    def test_a_column_of_another_name_is_a_field(self) -> None:
        data = b"when;who;Client IP;op\n2026-11-03 05:15:00;maria;203.0.113.7;leads.get\n"

        (event,) = read_all(
            data, "csv", mapping_of("time=when", "user=who", "ip=Client IP", "method=op")
        ).events

        assert (event.time, event.user, event.ip, event.method) == (TIME, "maria", "203.0.113.7", "leads.get")

    def test_a_member_of_a_member_is_a_field(self) -> None:
        line = {"at": 1793682900123, "client": {"ip": "203.0.113.7"}, "n": 3, "price": 2}

        (event,) = read_all(
            json.dumps(line).encode(),
            "ndjson",
            mapping_of("time=at", "ip=client.ip", "records=n", "credits=price"),
        ).events

        assert (event.ip, event.records, event.credits) == ("203.0.113.7", 3, 2)
        assert event.time == TIME.replace(microsecond=123_000)

    def test_a_variable_is_a_field(self) -> None:
        (event,) = read_all(
            b'2026-11-03T05:15:00Z 200 "acme-sync"\n',
            '$time_iso8601 $status "$http_x_app"',
            mapping_of("application=http_x_app"),
        ).events

        assert event.application == "acme-sync"

    @pytest.mark.parametrize("option", ["ip", "address=x", "ip="])
    def test_a_mapping_that_names_no_field_is_refused(self, option: str) -> None:
        with pytest.raises(InvalidParameter, match="is invalid"):
            mapping_of(option)


class TestTables:
    def test_values_in_quotes_may_hold_anything(self) -> None:
        data = b'time,user,application\n2026-11-03T05:15:00Z,"Silva, ""Maria""","two\nlines"\n2026-11-03T05:15:00Z,b,c\n'

        for size in (7, 1000):
            events = read_all(data, "csv", size=size).events
            assert [event.user for event in events] == ['Silva, "Maria"', "b"]
            assert events[0].application == "two\nlines"

    def test_a_record_that_does_not_fit_is_told_and_costs_no_other(self) -> None:
        reading = read_all(
            b"time,user\n2026-11-03T05:15:00Z,a\n2026-11-03T05:15:00Z,b,c,d\nsoon,c\n2026-11-03T05:15:00Z,e\n",
            "csv",
        )

        assert [event.user for event in reading.events] == ["a", "e"]
        assert [number for number, _ in reading.unreadable_lines] == [3, 4]

    @pytest.mark.parametrize("header", ["time,Time,user", "time,,user", "time,'\"x,user", "time;x\r;user"])
    def test_a_header_may_be_a_mess(self, header: str) -> None:
        reading = read_all(header.encode() + b"\n2026-11-03T05:15:00Z,1,maria\n", "csv")

        assert 1 <= len(reading.events) + reading.unreadable == reading.lines <= 2

    def test_an_id_of_ones_own_is_kept(self) -> None:
        (event,) = read_all(b'{"id": "7f1c", "time": "2026-11-03T05:15:00Z"}\n', "ndjson").events

        assert event.id == "7f1c"

    @pytest.mark.parametrize("value", ["-1", "many", "99999999999"])
    def test_a_count_that_is_none_makes_the_line_unreadable(self, value: str) -> None:
        assert read_all(f"time,records\n2026-11-03T05:15:00Z,{value}\n".encode(), "csv").unreadable == 1


@pytest.mark.parametrize("form", [name for name in NAMES if name != "parquet"])
@given(data=st.binary() | st.text().map(str.encode))
@settings(max_examples=15)
def test_no_bytes_make_any_format_raise(form: str, data: bytes) -> None:
    reading = read_all(data, form)

    assert len(reading.events) + reading.unreadable <= reading.lines


@pytest.mark.parametrize("form", LINES)
@given(
    damages=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 8), st.binary(max_size=12)), max_size=4)
)
@settings(max_examples=15)
def test_no_damage_to_a_good_line_makes_it_raise(form: str, damages: list[tuple[int, int, bytes]]) -> None:
    line = LINES[form].encode()
    for at, length, instead in damages:
        line = line[:at] + instead + line[at + length :]

    reading = read_all(line, form)

    assert len(reading.events) + reading.unreadable <= reading.lines


def test_parquet_is_read_whatever_its_columns_types(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from meterboard.importers.formats.table_files import parquet_lines
    from meterboard.importers.reading.fields import ParseOptions
    from meterboard.importers.reading.reading import Reader

    file = tmp_path / "usage.parquet"
    pq.write_table(
        pa.table(
            {"time": [TIME, TIME], "ip": ["203.0.113.7", None], "status": [200, 429], "records": [3, None]}
        ),
        file,
    )
    reader = Reader(read_format("parquet", {}), ParseOptions())

    (read,) = [reader.read(lines) for lines in parquet_lines(str(file))]

    events = read.calls.events()
    assert [(event.ip, event.status, event.records) for event in events] == [
        ("203.0.113.7", 200, 3),
        (None, 429, None),
    ]
    assert list(read.calls.times) == [1793682900000000] * 2
