"""What servers write by default and by formats of their own: hosts in front, times, requests in parts."""

from datetime import UTC, datetime

import pytest

from meterboard.domain.event import UsageEvent
from meterboard.errors import InvalidParameter
from meterboard.importers.formats.named import guess, read_format
from meterboard.importers.formats.times import read_zone
from tests.importers.lines_read import read_all

BEHIND = '[25/Nov/2026:20:00:00 +0000] "GET /v1/a?b=1 HTTP/1.1" 200 5 "-" "acme-sync/1"'
TIME = datetime(2026, 11, 25, 20, tzinfo=UTC)


def events(lines: list[str], form: str, *, zone: str = "UTC") -> list[UsageEvent]:
    reading = read_all(("\n".join(lines) + "\n").encode(), form, zone=zone)
    assert reading.unreadable_lines == []
    return reading.events


class TestVirtualHosts:
    HOSTS = (
        "api.acme.example",
        "api.acme.example:443",
        "198.51.100.4",
        "198.51.100.4:443",
        "2001:db8::1",
        "[2001:db8::1]",
        "[2001:db8::1]:443",
        ":443",
        "-",
        "-:443",
    )

    def test_a_host_in_front_is_never_taken_for_the_caller(self) -> None:
        callers = [
            (host, address, user)
            for host in self.HOSTS
            for address in ("203.0.113.9", "2001:db8::9", "crawler.example.net")
            for user in ("-", "maria", "maria silva")
        ]

        found = events([f"{host} {address} - {user} {BEHIND}" for host, address, user in callers], "combined")

        assert [(event.ip, event.user, event.application) for event in found] == [
            (
                address if "." not in address or address[0].isdigit() else None,
                user if user != "-" else None,
                "acme-sync",
            )
            for _, address, user in callers
        ]

    def test_with_a_port_it_is_a_host_whatever_the_identity(self) -> None:
        (event,) = events([f"[2001:db8::1]:443 203.0.113.9 joe maria {BEHIND}"], "combined")

        assert (event.ip, event.user) == ("203.0.113.9", "maria")

    def test_without_a_host_the_identity_and_lighttpds_host_stand_behind_the_address(self) -> None:
        lines = [
            f"203.0.113.9 {between} {user} {BEHIND}"
            for between in ("-", "joe", "api.acme.example")
            for user in "-m"
        ]

        for form in ("combined", "lighttpd"):
            assert [(event.ip, event.user) for event in events(lines, form)] == [
                ("203.0.113.9", None),
                ("203.0.113.9", "m"),
            ] * 3
        assert guess("", lines[-1].encode()) == "lighttpd"
        assert guess("", lines[0].encode()) == "combined"

    def test_fields_between_the_size_and_the_agent_are_passed_over(self) -> None:
        common = BEHIND.partition(' "-"')[0]
        lines = [
            f"203.0.113.9 - - {common} {rest}"
            for rest in ('31 "-" "acme-sync/1"', '"-" 31 0.2 "acme-sync/1"', "3")
        ]

        assert [event.application for event in events(lines, "combined")] == ["acme-sync", "acme-sync", None]


class TestTimes:
    @pytest.mark.parametrize(
        ("form", "written", "time"),
        [
            ("%t", "[25/Nov/2026:20:00:00 +0100]", TIME.replace(hour=19)),
            ("%{end}t", "[25/Nov/2026:20:00:00 +0000]", TIME),
            ("%{%Y-%m-%dT%H:%M:%S%z}t", "2026-11-25T20:00:00+0530", TIME.replace(hour=14, minute=30)),
            ("%{begin:%FT%T%z}t", "2026-11-25T20:00:00+0000", TIME),
            ("%{end:%a %b %e %H:%M:%S %Y}t", "Wed Nov 25 20:00:00 2026", TIME.replace(hour=19)),
            (
                "%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t",
                "25/Nov/2026 20:00:00.123 +0000",
                TIME.replace(microsecond=123_000),
            ),
            (
                "%{%F %T}t.%{usec_frac}t",
                "2026-07-25 20:00:00.000123",
                datetime(2026, 7, 25, 18, 0, 0, 123, UTC),
            ),
            ("%{sec}t", "1795636800", TIME),
            ("%{%s}t", "1795636800", TIME),
            ("%{begin:msec}t", "1795636800123", TIME.replace(microsecond=123_000)),
            ("%{usec}t", "1795636800123456", TIME.replace(microsecond=123_456)),
            ("%{sec}t.%{msec_frac}t", "1795636800.123", TIME.replace(microsecond=123_000)),
        ],
    )
    def test_apaches_times_are_read_as_they_were_told_to_be_written(
        self, form: str, written: str, time: datetime
    ) -> None:
        (event,) = events(
            [f'203.0.113.9 {written} "GET /v1/a HTTP/1.1" 200'], f'%h {form} "%r" %>s', zone="Europe/Berlin"
        )

        assert (event.time, event.ip, event.status) == (time, "203.0.113.9", 200)

    @pytest.mark.parametrize("form", ['%h %m "%U%q" %>s', "%h %{%H:%M}t", "%h %{%Y-%Q}t"])
    def test_a_format_that_says_no_time_is_refused_in_its_own_words(self, form: str) -> None:
        with pytest.raises(InvalidParameter) as refused:
            read_format(form, {})

        assert form in str(refused.value) or "'%Y-%Q' has %Q" in str(refused.value)

    def test_a_clock_without_an_offset_is_that_of_the_zone(self) -> None:
        line = '203.0.113.9:1 [{}.655] a a/b 1/0/0/0/1 200 9 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"'
        clocks = (
            "29/Mar/2026:01:59:59",
            "29/Mar/2026:02:30:00",
            "25/Oct/2026:01:59:59",
            "25/Oct/2026:02:30:00",
        )

        found = events([line.format(clock) for clock in clocks], "haproxy", zone="Europe/Berlin")

        # The second is one that the clock skips, the fourth one that it shows twice.
        assert [event.time.strftime("%d %H:%M:%S.%f") for event in found if event.time] == [
            "29 00:59:59.655000",
            "29 01:30:00.655000",
            "24 23:59:59.655000",
            "25 01:30:00.655000",
        ]

    def test_the_zone_is_this_machines_or_one_that_there_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TZ", "Asia/Kolkata")
        assert read_zone(None) == "Asia/Kolkata"
        assert read_zone("Europe/Berlin") == "Europe/Berlin"
        for name in ("Berlin", "../etc/passwd", ""):
            with pytest.raises(InvalidParameter, match="There is no time zone"):
                read_zone(name)


@pytest.mark.parametrize(
    ("form", "line"),
    [
        (
            '$remote_addr [$time_local] "$request_method $scheme://$host$request_uri $server_protocol" $status "$http_user_agent"',
            '203.0.113.9 [25/Nov/2026:20:00:00 +0000] "GET https://[2001:db8::1]:443/v1/a?b=1 HTTP/1.1" 200 "acme-sync/1"',
        ),
        (
            "log_format main '$remote_addr [$time_local] ' \"$request_method $host$uri$is_args$args $status '$http_user_agent'\";",
            "203.0.113.9 [25/Nov/2026:20:00:00 +0000] GET api.acme.example/v1/a?b=1 200 'acme-sync/1'",
        ),
        (
            '%h %t "%m %U%q %H" %>s "%{User-Agent}i"',
            '203.0.113.9 [25/Nov/2026:20:00:00 +0000] "GET /v1/a?b=1 HTTP/1.1" 200 "acme-sync/1"',
        ),
        (
            '%h:%{remote}p %t "%m %U%q %H" %>s "%{User-Agent}i"',
            '203.0.113.9:4711 [25/Nov/2026:20:00:00 +0000] "GET /v1/a?b=1 HTTP/1.1" 200 "acme-sync/1"',
        ),
    ],
)
def test_a_request_may_be_written_in_parts(form: str, line: str) -> None:
    (event,) = events([line], form)

    assert event.request is not None
    assert (event.request.method, event.request.path) == ("GET", "/v1/a?b=")
    assert (event.ip, event.time, event.status, event.application) == ("203.0.113.9", TIME, 200, "acme-sync")


def test_apache_writes_a_path_without_its_escapes() -> None:
    line = '203.0.113.9 [25/Nov/2026:20:00:00 +0000] "GET /v1/a b HTTP/1.1" 200 maria "acme-sync/1"'

    (event,) = events([line], '%h %t "%m %U%q %H" %>s %u "%{User-Agent}i"')

    assert event.request is not None
    assert (event.request.path, event.user, event.application) == ("/v1/a b", "maria", "acme-sync")


class TestHaproxy:
    CALL = "203.0.113.9:33317 [25/Nov/2026:20:00:00.000] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "
    PREFIXES = (
        "",
        "Nov 25 20:00:00 localhost haproxy[14389]: ",
        "2026-11-25T20:00:00.123456+00:00 localhost haproxy[14389]: ",
        "<134>Nov 25 20:00:00 haproxy[14389]: ",
        "<134>1 2026-11-25T20:00:00+00:00 localhost haproxy 14389 - - ",
    )

    def test_the_default_is_read_behind_every_prefix_of_syslog(self) -> None:
        lines = [
            prefix + self.CALL + captured + '"GET /v1/a?b=1 HTTP/1.1"'
            for prefix in self.PREFIXES
            for captured in ("", "{api.acme.example|curl} {} ")
        ]

        found = events(lines, "haproxy")

        assert {guess("", line.encode()) for line in lines} == {"haproxy"}
        assert len(found) == len(lines)
        for event in found:
            assert event.request is not None
            assert (event.ip, event.time, event.status, event.request.path) == (
                "203.0.113.9",
                TIME,
                200,
                "/v1/a?b=",
            )

    def test_what_is_cut_off_aborted_or_of_ipv6_is_a_call(self) -> None:
        cut, aborted, six, logasap = events(
            [
                self.CALL + '"GET /v1/aaaaaa',
                self.CALL.replace(" 200 ", " -1 ") + '"<BADREQ>"',
                self.CALL.replace("203.0.113.9", "2001:db8::9") + '"GET / HTTP/1.1"',
                self.CALL.replace("109 200 2750", "+109 200 +2750") + '"GET / HTTP/1.1"',
            ],
            "haproxy",
        )

        assert cut.request is not None
        assert cut.request.path == "/v1/aaaaaa"
        assert (aborted.method, aborted.status) == ("(not HTTP)", None)
        assert (six.ip, logasap.status) == ("2001:db8::9", 200)

    def test_its_clf_is_read(self) -> None:
        line = (
            self.PREFIXES[1]
            + '203.0.113.9 - - [25/Nov/2026:20:00:00 +0000] "GET / HTTP/1.1" 200 107 "" "" 54996 451 "a"'
        )

        (event,) = events([line], guess("", line.encode()))

        assert (event.ip, event.user, event.time, event.status) == ("203.0.113.9", None, TIME, 200)


def test_iis_names_its_columns_anew_wherever_they_change() -> None:
    data = (
        b"#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n#Date: 2026-11-25 00:00:02\r\n"
        b"#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) "
        b"sc-status sc-substatus sc-win32-status time-taken\r\n"
        b"2026-11-25 20:00:00 10.0.0.1 GET /v1/a b=1 443 ACME\\bob 203.0.113.9 Acme+Sync/2.3+(linux) - 200 0 0 15\r\n"
        b"#Fields: date time c-ip cs-method cs-uri-stem sc-status\r\n"
        b"2026-11-25 20:00:00 2001:db8::9 POST /v1/a 404\r\n"
        b"2026-11-25 20:00:00 2001:db8::9 POST /v1/a 404 one more\r\n"
    )

    for size in (100, 10_000):  # the columns hold in the chunks behind, too
        reading = read_all(data, "iis", size=size)
        first, second = reading.events
        assert first.request is not None
        assert second.request is not None
        assert (first.time, first.ip, first.user, first.application, first.status, first.request.path) == (
            TIME,
            "203.0.113.9",
            "ACME\\bob",
            "Acme Sync",
            200,
            "/v1/a?b=",
        )
        assert (second.ip, second.user, second.status, second.request.method) == (
            "2001:db8::9",
            None,
            404,
            "POST",
        )
        assert (reading.messages, [number for number, _ in reading.unreadable_lines]) == (5, [8])


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            # The examples of AWS's documentation.
            "http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.000 "
            '0.001 0.000 200 200 34 366 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - - arn:aws:x "Root=1" "-" '
            '"-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-"',
            ("192.168.131.39", 200, "curl"),
        ),
        (
            'wss 2018-07-02T22:23:00.186641Z app/l/5 [2001:db8::9]:2817 - -1 -1 -1 502 - 34 366 "GET https://a:443/ HTTP/1.1" '
            '"-" - - arn:aws:x "Root=1" "-" "-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-" "-" "-" "-" "-"',
            ("2001:db8::9", 502, None),
        ),
        (
            '[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" '
            '"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "tcp://10.0.2.1:80"',
            ("10.0.35.28", 204, "nsq2http"),
        ),
        (
            '[2016-04-15T20:17:00.310Z] "GET /v1/a HTTP/1.1" 0 DC 0 0 5 - "-" "curl/8" "c" "a" "-"',
            (None, None, "curl"),
        ),
    ],
    ids=["ALB", "ALB, no target", "Envoy", "Envoy, disconnected"],
)
def test_examples_of_load_balancers_are_read(line: str, found: tuple[object, ...]) -> None:
    (event,) = events([line], guess("", line.encode()))

    assert (event.ip, event.status, event.application) == found


class TestBytesThatAreNotUtf8:
    def test_lose_no_call_of_any_format(self) -> None:
        lines = {
            "nginx-json": b'{"time_iso8601":"2026-11-25T20:00:00+00:00","remote_addr":"203.0.113.9","request":"GET /x '
            b'HTTP/1.1","status":"200","http_user_agent":"%s/1"}',
            "caddy-console": b'2026/11/25 20:00:00.000\tINFO\thttp.log.access\thandled request\t{"request": {"remote_ip": '
            b'"203.0.113.9", "method": "GET", "uri": "/x", "headers": {"User-Agent": ["%s/1"]}}, "status": 200}',
            "combined": b'203.0.113.9 - - [25/Nov/2026:20:00:00 +0000] "GET /x HTTP/1.1" 200 5 "-" "%s/1"',
            "iis": b"#Fields: date time c-ip cs-method cs-uri-stem sc-status cs(User-Agent)\n"
            b"2026-11-25 20:00:00 203.0.113.9 GET /x 200 %s/1",
        }
        for form, line in lines.items():
            reading = read_all(line % b"caf\xe9" + b"\n", form)
            (event,) = reading.events
            assert (event.ip, event.status, reading.unreadable) == ("203.0.113.9", 200, 0), form
            assert event.application
            assert event.application.startswith("caf")

    def test_are_latin_1_in_json_and_an_escaped_backslash_stays(self) -> None:
        line = (
            rb'{"time":"2026-11-25T20:00:00+00:00","user":"caf\\\\xe9 \xe9\xe8\\\\\\\xe9","request":"GET /x"}'
            + b"\n"
        )
        raw = line.replace(rb"\xe9\xe8", b"\xe9\xe8")

        (event,) = read_all(raw.replace(rb"\\\\\\\xe9", b"\\\\" + b"\xe9"), "nginx-json").events

        assert event.user == "caf\\\\xe9 éè\\é"


class TestHostileLines:
    """Time that grew with the square of a line's length would be minutes."""

    @pytest.mark.parametrize(
        "piece", ["[25/Nov/2026:20:00:00", '"request":{"ts"', "haproxy[1]: ", "a:1 [", "a ", "\t", ","]
    )
    def test_are_guessed_in_no_time(self, piece: str) -> None:
        assert guess("", (piece * (64 * 1024 // len(piece))).encode()) in ("combined", "haproxy")

    @pytest.mark.parametrize("form", ["haproxy", "iis", "lighttpd", "caddy-console"])
    @pytest.mark.parametrize("piece", ["a:1 [", "haproxy[1]: ", '"{', "\\x", "#Fields: a "])
    def test_are_read_in_no_time(self, form: str, piece: str) -> None:
        line = piece * (60_000 // len(piece)) + "\n"

        assert read_all((line * 5).encode(), form).events == []
