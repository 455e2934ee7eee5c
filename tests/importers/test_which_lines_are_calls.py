"""Servers write more to their logs than calls: messages, a second line of one failure, what is no HTTP at all."""

import json

import pytest

from meterboard.domain.event import NOT_HTTP
from meterboard.importers.formats.named import guess
from meterboard.schedule.builtin import builtin_schedule, builtin_text
from meterboard.schedule.credit_schedule import read_schedule
from tests.importers.lines_read import read_all

CADDY_MESSAGE = {"level": "info", "ts": 1795637611.01, "msg": "using provided configuration"}
CADDY_REQUEST = {
    "remote_ip": "203.0.113.7",
    "method": "GET",
    "uri": "/v1/a",
    "headers": {"User-Agent": ["curl/8"]},
}
CADDY_CALL = {
    "level": "error",
    "ts": 1795637611.5,
    "logger": "http.log.access.log0",
    "msg": "handled request",
    "request": CADDY_REQUEST,
    "status": 502,
}
CADDY_FAILURE = CADDY_CALL | {"logger": "http.log.error.log0", "msg": "dial tcp: connection refused"}
TRAEFIK_MESSAGE = {"level": "info", "msg": "Configuration loaded", "time": "2026-11-25T20:00:00Z"}
TRAEFIK_CALL = {
    "ClientHost": "203.0.113.7",
    "RequestMethod": "GET",
    "RequestPath": "/v1/a",
    "DownstreamStatus": 502,
    "StartUTC": "2026-11-25T20:00:00Z",
}
NGINX_MESSAGE = {"time": "2026-11-25T20:00:00+00:00", "msg": "reopening logs"}
NGINX_CALL = {
    "time_iso8601": "2026-11-25T20:00:00+00:00",
    "remote_addr": "203.0.113.7",
    "request": "GET /v1/a HTTP/1.1",
    "status": "502",
}
CLF = '203.0.113.7 - - [25/Nov/2026:20:00:00 +0000] "{}" {} 5 "-" "curl/8"'
CALL = CLF.format("GET /v1/a HTTP/1.1", 502)
ERRORS = (
    "2026/11/25 20:00:00 [error] 7#7: *1 connect() failed (111: Connection refused)",
    "[Wed Nov 25 20:00:00.123456 2026] [proxy:error] [pid 1:tid 2] AH00957: attempt to connect failed",
)
CONSOLE = (
    '2026/11/25 20:00:00.123\tINFO\tusing provided configuration\t{"file": "Caddyfile"}',
    '2026/11/25 20:00:00.500\tERROR\thttp.log.error.log0\tdial tcp\t{"request": {"remote_ip": "203.0.113.7"}, "status": 502}',
    '2026/11/25 20:00:00.500\tERROR\thttp.log.access.log0\thandled request\t{"request": {"remote_ip": "203.0.113.7", '
    '"method": "GET", "uri": "/v1/a", "headers": {"User-Agent": ["curl/8"]}}, "status": 502}',
)
HAPROXY = (
    "Nov 25 20:00:00 web haproxy[12]: Proxy api started.",
    "Nov 25 20:00:00 web haproxy[12]: 203.0.113.7:40312 [25/Nov/2026:20:00:00.123] https/1: SSL handshake failure",
    "Nov 25 20:00:00 web haproxy[12]: 203.0.113.7:40312 [25/Nov/2026:20:00:00.123] db db/one 1/0/5 212 -- 1/1/1/1/0 0/0",
    "Nov 25 20:00:00 web haproxy[12]: 203.0.113.7:40312 [25/Nov/2026:20:00:00.123] api~ api/one 1/0/5/6/12 502 9 - - ---- "
    '1/1/1/1/0 0/0 "GET /v1/a HTTP/1.1"',
)
IIS = (
    "#Software: Microsoft Internet Information Services 10.0",
    "#Fields: date time c-ip cs-method cs-uri-stem cs-uri-query sc-status",
    "2026-11-25 20:00:00 203.0.113.7 GET /v1/a - 502",
)
STREAMS = {
    "caddy-json": [json.dumps(line) for line in (CADDY_MESSAGE, CADDY_FAILURE, CADDY_CALL, CADDY_MESSAGE)],
    "caddy-console": CONSOLE,
    "traefik-json": [json.dumps(line) for line in (TRAEFIK_MESSAGE, TRAEFIK_MESSAGE, TRAEFIK_CALL)],
    "nginx-json": [json.dumps(line) for line in (NGINX_MESSAGE, NGINX_CALL)],
    "combined": [*ERRORS, CALL],
    "haproxy": HAPROXY,
    "iis": IIS,
}
"""What servers write, with one call among it: messages come first."""


@pytest.mark.parametrize("form", STREAMS)
def test_only_the_access_line_counts_and_the_format_is_guessed_all_the_same(form: str) -> None:
    lines = STREAMS[form]
    data = ("\n".join(lines) + "\n").encode()

    assert guess("-", data) == form
    reading = read_all(data, form)
    (event,) = reading.events
    assert (event.ip, event.status) == ("203.0.113.7", 502)
    assert event.request is not None
    assert (event.request.method, event.request.path) == ("GET", "/v1/a")
    assert (reading.messages, reading.unreadable_lines, reading.lines) == (len(lines) - 1, [], len(lines))


@pytest.mark.parametrize(
    ("message", "form"), [(CADDY_MESSAGE, "caddy-json"), (TRAEFIK_MESSAGE, "traefik-json")]
)
def test_a_log_of_messages_alone_has_no_calls(message: dict[str, object], form: str) -> None:
    data = json.dumps(message).encode() + b"\n"

    assert guess("-", data) == form
    assert (read_all(data, form).events, read_all(data, form).messages) == ([], 1)


def test_a_line_that_is_neither_a_call_nor_a_message_can_not_be_read() -> None:
    for form, lines in STREAMS.items():
        reading = read_all(("\n".join([*lines, "something else"]) + "\n").encode(), form)

        assert reading.unreadable_lines == [(len(lines) + 1, b"something else")], form


def test_objects_of_ones_own_are_not_taken_for_messages() -> None:
    line = b'{"time": "2026-11-25T20:00:00Z", "level": "info", "msg": "x", "path": "/v1/a", "http": "GET"}\n'

    assert guess("-", line) == "ndjson"
    assert len(read_all(line, "ndjson").events) == 1
    assert len(read_all(b'{"time": "2026-11-25T20:00:00Z"}\n', "ndjson").events) == 1


class TestNotHttp:
    JUNK = (
        r"\x16\x03\x01\x02",
        "-",
        "",
        "hello",
        "SSH-2.0-Go",
        "EHLO example.com",
        "OPTIONS / RTSP/1.0",
        "<BADREQ>",
    )
    REQUESTS = (
        "GET /v1/a HTTP/1.1",
        "GET /v1/a b HTTP/1.1",
        "GET /v1/a",
        "get /v1/a HTTP/1.0",
        "M-SEARCH * HTTP/1.1",
    )

    def test_a_refused_line_without_a_request_is_not_http_and_nothing_else_is(self) -> None:
        lines = [
            CLF.format(request, status) for request in self.JUNK + self.REQUESTS for status in (400, 408, 200)
        ]

        events = read_all(("\n".join(lines) + "\n").encode(), "combined").events

        junk = 3 * len(self.JUNK)
        assert [event.method for event in events] == [NOT_HTTP, NOT_HTTP, None] * len(self.JUNK) + [None] * (
            len(events) - junk
        )
        assert [event.module for event in events] == [event.method for event in events]
        assert all(event.request is None for event in events[:junk])
        assert all(event.request is not None for event in events[junk:])

    def test_a_request_in_parts_is_not_http_where_its_method_is_none(self) -> None:
        form = '$remote_addr [$time_local] "$request_method $scheme://$host$request_uri $server_protocol" $status'
        lines = [
            f'203.0.113.7 [25/Nov/2026:20:00:00 +0000] "{request}" 400'
            for request in ("- http://_- HTTP/1.0", "- http://- -", "GET http://[::1]:80/v1/a?b=c HTTP/1.1")
        ]

        *junk, call = read_all(("\n".join(lines) + "\n").encode(), form).events

        assert [event.method for event in junk] == [NOT_HTTP] * 2
        assert call.request is not None
        assert call.request.path == "/v1/a?b="

    def test_envoy_and_alb_write_a_dash_for_each_part(self) -> None:
        envoy = b'[2026-11-25T20:00:00.000Z] "- - HTTP/1.1" 400 DPE 0 11 0 - "-" "-" "-" "-" "-"\n'
        alb = (
            b"http 2026-11-25T20:00:00.000000Z app/lb/1 203.0.113.7:2817 - -1 -1 -1 400 - 0 122 "
            b'"- http://api.acme.example:80- -" "-" - - - "-" "-" "-" - 2026-11-25T20:00:00.0Z "-" "-" "-" "-" "-" "-" "-"\n'
        )

        for form, line in (("envoy", envoy), ("alb", alb)):
            (event,) = read_all(line, form).events
            assert (event.module, event.method, event.status) == (NOT_HTTP, NOT_HTTP, 400)

    def test_columns_of_ones_own_are_not_judged(self) -> None:
        (event,) = read_all(b"time,request,status\n2026-11-25T20:00:00Z,getLeads,400\n", "csv").events

        assert (event.module, event.method) == (None, None)

    @pytest.mark.parametrize("schedule", ["one-per-call", "zoho-crm"])
    @pytest.mark.parametrize("method", ["\x16\x03\x01", "GET /", "", "é"])
    def test_what_is_no_method_of_http_costs_nothing(self, schedule: str, method: str) -> None:
        chosen = builtin_schedule(schedule)

        found = chosen.classify(method, "/crm/v8/Leads")

        assert found[:3] == ("", NOT_HTTP, NOT_HTTP)
        assert chosen.tariff(*found[:3]).price(None, 400, "/crm/v8/Leads", 0).credits == 0

    def test_a_price_that_names_it_applies(self) -> None:
        text = builtin_text("one-per-call")
        named = f'{{ module = "{NOT_HTTP}", credits = 7 }},'

        schedule = read_schedule(text.replace("price = [", f"price = [\n{named}"))

        assert schedule.tariff("", NOT_HTTP, NOT_HTTP).price(None, 400, "", 0).credits == 7
        assert schedule.tariff("", "leads", "get").price(None, 400, "", 0).credits == 1
