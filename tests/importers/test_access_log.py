"""Access logs of Apache and nginx are read whole, whatever stands in them, and count nothing twice."""

from datetime import UTC, datetime
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterboard.domain.event import MAX_TEXT, Request, UsageEvent
from meterboard.importers.reading.lines import CHUNK, MAX_LINE
from tests.importers.lines_read import Reading, read_all

COMMON = b'203.0.113.7 - maria [03/Nov/2026:10:45:00 +0530] "GET /crm/v8/Leads/12 HTTP/1.1" 200 512'
COMBINED = COMMON + b' "-" "curl/8.1"'


def log(
    *,
    host: str = "203.0.113.7",
    user: str = "-",
    time: str = "03/Nov/2026:10:45:00 +0530",
    request: str = "GET /v8/Leads HTTP/1.1",
    status: str = "200",
    size: str = "512",
    agent: str = "curl/8.1",
) -> bytes:
    return f'{host} - {user} [{time}] "{request}" {status} {size} "-" "{agent}"\n'.encode()


def read(data: bytes) -> tuple[Reading, list[UsageEvent]]:
    reading = read_all(data, "combined")
    return reading, reading.events


def only(data: bytes) -> UsageEvent:
    reader, events = read(data)
    assert reader.unreadable == 0, reader.unreadable_lines
    (event,) = events
    return event


def ids(data: bytes, *, remembered: int = 100_000, size: int = CHUNK) -> list[str | None]:
    return [event.id for event in read_all(data, "combined", remembered=remembered, size=size).events]


@cache
def ids_of_all(data: bytes) -> list[str | None]:
    """`ids` of a log that many examples compare with."""
    return ids(data)


class TestALine:
    def test_every_field_of_a_combined_line_finds_its_place(self) -> None:
        event = only(COMBINED + b"\n")

        assert event == UsageEvent(
            id=event.id,
            time=datetime(2026, 11, 3, 5, 15, tzinfo=UTC),
            application="curl",
            user="maria",
            ip="203.0.113.7",
            request=Request("GET", "/crm/v8/Leads/12"),
            status=200,
        )

    def test_a_common_line_lacks_the_application_alone(self) -> None:
        common, combined = only(COMMON + b"\n"), only(COMBINED + b"\n")

        assert common == msgspec.structs.replace(combined, id=common.id, application=None)

    def test_windows_line_ends_are_read(self) -> None:
        assert only(COMBINED + b"\r\n") == only(COMBINED + b"\n")

    def test_fields_behind_the_combined_ones_are_passed_over(self) -> None:
        assert only(COMBINED + b' "198.51.100.1, 10.0.0.1" 0.042\n') == only(COMBINED + b"\n")

    def test_a_virtual_host_in_front_is_passed_over(self) -> None:
        event = only(b"api.acme.example:443 " + COMBINED + b"\n")

        assert (event.ip, event.user) == ("203.0.113.7", "maria")

    def test_a_user_agent_that_was_cut_off_does_not_lose_the_call(self) -> None:
        event = only(COMMON + b' "-" "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.goo\n')

        assert (event.status, event.application) == (200, None)

    @pytest.mark.parametrize(
        ("host", "ip"),
        [
            ("198.51.100.4", "198.51.100.4"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("::ffff:198.51.100.4", "198.51.100.4"),
            ("fe80::1%eth0", "fe80::1"),
            ("crawler.example.net", None),
            ("a" * 5_000, None),
            ("-", None),
        ],
    )
    def test_an_address_is_kept_in_one_spelling_while_a_host_name_is_not(
        self, host: str, ip: str | None
    ) -> None:
        event = only(log(host=host))

        assert event.ip == ip
        assert ip or host == "-" or host.encode() not in msgspec.json.encode(event)

    @pytest.mark.parametrize(
        ("written", "user"),
        [
            ("-", None),
            ('""', None),
            ("Maria Silva", "Maria Silva"),
            (r"mar\xc3\xada", "maría"),
            ("مريم", "مريم"),
            ("u" * (MAX_TEXT + 1), "u" * MAX_TEXT),
        ],
        ids=["none", "empty", "with a space", "escaped", "arabic", "too long"],
    )
    def test_the_third_field_is_the_user(self, written: str, user: str | None) -> None:
        assert only(log(user=written)).user == user


class TestTime:
    @pytest.mark.parametrize(
        ("written", "time"),
        [
            ("10/Oct/2000:13:55:36 -0700", datetime(2000, 10, 10, 20, 55, 36, tzinfo=UTC)),
            ("01/Jan/2026:00:15:00 +0545", datetime(2025, 12, 31, 18, 30, tzinfo=UTC)),
            ("31/Dec/2025:23:59:59 -0330", datetime(2026, 1, 1, 3, 29, 59, tzinfo=UTC)),
            ("29/Feb/2024:12:00:00 +0000", datetime(2024, 2, 29, 12, tzinfo=UTC)),
            ("31/Dec/2016:23:59:60 +0000", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ],
        ids=["west", "next day", "last year", "leap day", "leap second"],
    )
    def test_local_time_becomes_utc(self, written: str, time: datetime) -> None:
        assert only(log(time=written)).time == time

    def test_every_month_has_its_english_name(self) -> None:
        names = (b"JanFebMarAprMayJunJulAugSepOctNovDec"[n : n + 3].decode() for n in range(0, 36, 3))

        _, events = read(b"".join(log(time=f"01/{name}/2026:00:00:00 +0000") for name in names))

        assert [event.time.month for event in events if event.time] == list(range(1, 13))

    @pytest.mark.parametrize(
        "written",
        [
            "29/Feb/2025:12:00:00 +0000",
            "10/Okt/2026:12:00:00 +0000",
            "10/Oct/2026:24:00:00 +0000",
            "10/Oct/2026:12:60:00 +0000",
            "10/Oct/2026:12:00:61 +0000",
            "10/Oct/2026:12:00:00 +9900",
            "10/Oct/0000:12:00:00 +0000",
            "01/Jan/0001:00:00:00 +0100",
            "2026-10-10T12:00:00+00:00",
        ],
    )
    def test_a_time_that_is_none_makes_the_line_unreadable(self, written: str) -> None:
        reader, events = read(log(time=written))

        assert (reader.unreadable, events) == (1, [])


class TestRequest:
    @pytest.mark.parametrize("line", ["POST /v8 HTTP/2.0", "VERSION-CONTROL /v8 HTTP/1.1", "GET /v8"])
    def test_a_request_line_is_method_then_path(self, line: str) -> None:
        assert only(log(request=line)).request == Request(line.split()[0], "/v8")

    @pytest.mark.parametrize(
        ("written", "path"),
        [
            pytest.param("/v8/Leads?trigger=1", "/v8/Leads?trigger=", id="query"),
            pytest.param("https://acme.example/v8", "https://acme.example/v8", id="whole address"),
            pytest.param(r"/v8/\"Leads\"", '/v8/"Leads"', id="apache's quote"),
            pytest.param(r"/v8/\xe2\x82\xac\x22", '/v8/€"', id="nginx's bytes"),
            pytest.param(r"/v8/\\x41", r"/v8/\x41", id="a backslash"),
            pytest.param(r"/v8/a\x00b", "/v8/ab", id="NUL"),
            pytest.param(r"/v8/\xff", "/v8/\N{REPLACEMENT CHARACTER}", id="no UTF-8"),
            pytest.param(f"/v8?q={'x' * MAX_TEXT}", "/v8?q=", id="too long a query"),
        ],
    )
    def test_a_path_is_what_was_sent(self, written: str, path: str) -> None:
        assert only(log(request=f"GET {written} HTTP/1.1")).request == Request("GET", path)

    @pytest.mark.parametrize(
        "line",
        ["-", "", r"\x16\x03\x01", "\x16\x03\x01", "hello", "GET", r"GET\t/\tx", f"GET /{'x' * MAX_TEXT}"],
    )
    def test_what_is_no_request_is_still_a_call(self, line: str) -> None:
        event = only(log(request=line, status="400", size="0"))

        assert (event.status, event.request) == (400, None)

    @pytest.mark.parametrize(("written", "status"), [("499", 499), ("000", None), ("999", None)])
    def test_a_status_outside_http_is_left_out(self, written: str, status: int | None) -> None:
        assert only(log(status=written)).status == status

    def test_a_response_without_a_body_is_a_call(self) -> None:
        assert only(log(status="304", size="-")).status == 304


class TestApplication:
    @pytest.mark.parametrize(
        ("agent", "application"),
        [
            ("curl/8.1", "curl"),
            ("Apache-HttpClient/4.5.13 (Java/11.0.2)", "Apache-HttpClient"),
            ("Chef Client/10.18.2 (ruby-1.9.3-p327; +http://opscode.com)", "Chef Client"),
            ("Feedbin - 1 subscribers", "Feedbin"),
            ("Faraday v2.9.0", "Faraday"),
            ("Feedfetcher-Google; (+http://www.google.com/feedfetcher.html)", "Feedfetcher-Google"),
            ("مزامنة العملاء/3.1", "مزامنة العملاء"),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot"),
            ("DoCoMo/2.0 N905i(c100) (compatible; Googlebot-Mobile/2.1; +http://g.com)", "Googlebot-Mobile"),
            ("Mozilla/5.0 (KHTML, like Gecko; compatible; bingbot/2.0; +http://b.com) Chrome/1", "bingbot"),
            ("Mozilla/5.0 (compatible; archive.org_bot +http://www.archive.org/)", "archive.org_bot"),
            ("Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/)", "Yahoo! Slurp"),
            ("Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0 Safari/537.36", "Mozilla"),
            ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)", "Mozilla"),
            ("Mozilla/5.0 (compatible; Linux x86_64; Mail.RU_Bot/2.0; +http://go.mail.ru/)", "Mozilla"),
            (r"Acme D\xc3\xa9sk/2", "Acme Désk"),
            ("-", None),
            ("", None),
            ("  ", None),
            ("(just a comment)", "just a comment"),
        ],
    )
    def test_the_user_agents_product_is_the_application(self, agent: str, application: str | None) -> None:
        assert only(log(agent=agent)).application == application


class TestWhatCanNotBeRead:
    def test_the_first_unreadable_line_is_told_with_its_number(self) -> None:
        reader, events = read(COMBINED + b"\n\n" + b"not a \x1blog\n" + COMBINED + b"\nnor this\n")

        assert (reader.lines, reader.unreadable, len(events)) == (5, 2, 2)
        assert reader.unreadable_lines == [(3, b"not a \x1blog"), (5, b"nor this")]

    def test_an_empty_file_has_no_lines(self) -> None:
        reader, events = read(b"")

        assert (reader.lines, reader.unreadable, events) == (0, 0, [])

    @pytest.mark.parametrize("longer", [0, 1], ids=["64 KiB", "one byte more"])
    def test_a_line_may_have_64_kib(self, longer: int) -> None:
        padding = b"x" * (MAX_LINE + longer - len(COMMON) - len(b' "" "curl/8.1"'))
        line = COMMON + b' "' + padding + b'" "curl/8.1"'

        reader, events = read(line + b"\n" + COMBINED + b"\n")

        assert len(line) == MAX_LINE + longer
        assert (reader.lines, reader.unreadable, len(events)) == (2, longer, 2 - longer)

    @pytest.mark.parametrize(
        "length", [MAX_LINE + n for n in range(-1, 4)] + [2 * MAX_LINE + n for n in range(5)]
    )
    def test_the_line_after_a_long_one_is_read(self, length: int) -> None:
        reader, events = read(b"x" * length + b"\n" + COMBINED + b"\n")

        assert (reader.lines, reader.unreadable, len(events)) == (2, 1, 1)

    @given(st.binary())
    @settings(max_examples=25)
    def test_no_bytes_make_it_raise(self, data: bytes) -> None:
        reader, events = read(data)

        assert len(events) + reader.unreadable <= reader.lines

    @given(st.lists(st.tuples(st.integers(0, len(COMBINED)), st.integers(0, 8), st.binary(max_size=12))))
    @settings(max_examples=30)
    def test_no_damage_to_a_good_line_makes_it_raise(self, damages: list[tuple[int, int, bytes]]) -> None:
        line = COMBINED
        for at, length, instead in damages:
            line = line[:at] + instead + line[at + length :]

        reader, events = read(line + b"\n")

        assert len(events) + reader.unreadable <= reader.lines
        for event in events:
            assert msgspec.json.decode(msgspec.json.encode(event), type=UsageEvent) == event

    @pytest.mark.parametrize("piece", [b"a [", b'\\"', b"\\", b'" "', b"1:1 ", b"(compatible; A", b"[" * 3])
    def test_a_hostile_line_takes_no_longer_than_its_length(self, piece: bytes) -> None:
        line = COMMON + b' "' + piece * (60_000 // len(piece)) + b"\n"

        reader, _ = read(line * 50)  # quadratic time would be minutes

        assert reader.lines == 50


class TestCountingOnce:
    LINES = tuple(log(time=f"03/Nov/2026:10:45:{n // 3:02} +0530", user=f"u{n % 2}") for n in range(60))

    def test_reading_a_log_again_finds_the_same_calls(self) -> None:
        data = b"".join(self.LINES)

        assert ids(data) == ids(data)

    def test_equal_lines_are_calls_of_their_own(self) -> None:
        assert len(set(ids(log() * 3))) == 3

    def test_different_lines_never_share_an_id(self) -> None:
        assert len(set(ids(b"".join(self.LINES)))) == 60

    @given(st.integers(0, 60))
    @settings(max_examples=20)
    def test_a_log_that_has_grown_repeats_its_calls_then_adds_the_new_ones(self, before: int) -> None:
        assert ids_of_all(b"".join(self.LINES))[:before] == ids(b"".join(self.LINES[:before]))

    @pytest.mark.parametrize("line", [COMMON, COMBINED], ids=["common", "combined"])
    @given(kept=st.integers(1, 2 * len(COMBINED)))
    @settings(max_examples=30)
    def test_a_log_read_while_it_is_being_written_counts_no_call_twice(self, line: bytes, kept: int) -> None:
        data = (line + b"\n") * 2

        assert set(ids(data[:kept])) <= set(ids_of_all(data))

    def test_a_last_line_without_its_end_counts_when_it_is_whole(self) -> None:
        assert ids(COMBINED) == ids(COMBINED + b"\n")

    def test_a_last_common_line_without_its_end_is_told_as_unreadable(self) -> None:
        reader, events = read(COMMON)

        assert (reader.unreadable, events) == (1, [])

    @pytest.mark.parametrize("apart", range(10))
    def test_repetitions_are_counted_across_as_many_lines_as_promised(self, apart: int) -> None:
        others = [log(user=f"other{n}") for n in range(35)]

        for start in range(10):  # wherever the generations change
            lines = [*others[:start], log(), *others[start : start + apart], log()]
            *once, again = ids(b"".join(lines), remembered=10)
            assert [found for found in [*once, again] if found and found.endswith("-1")] == [again]

    @given(lines=st.lists(st.integers(0, 5), min_size=1, max_size=60), data=st.data())
    @settings(max_examples=25)
    def test_how_lines_are_cut_does_not_change_their_numbers(
        self, lines: list[int], data: st.DataObject
    ) -> None:
        text = b"".join(log(user=f"user{n}") for n in lines)
        size = data.draw(st.integers(1, len(text)))

        assert ids(text, remembered=10, size=size) == ids(text, remembered=10)
