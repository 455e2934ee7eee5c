"""One caller is one application: in an access log, in a span, and by the rule that both share."""

import json

import pytest

from meterboard.domain.caller.user_agent import MAX_USER_AGENT, application_of
from tests.formats.test_spans import GET, event
from tests.importers.lines_read import read_all

AGENTS = {
    "curl/8.1": "curl",
    "okhttp 4.9": "okhttp",
    "okhttp/4.9": "okhttp",
    "python-requests/2.32 (linux)": "python-requests",
    "Chef Client/10.18.2 (ruby-1.9.3)": "Chef Client",
    "Acme Sync v2": "Acme Sync",
    "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0": "Mozilla",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "Googlebot",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)": "Mozilla",
    "désk/1": "désk",
    " curl/8.1": "curl",
    "-": None,
    "": None,
    "(;)": None,
    "a" * (MAX_USER_AGENT + 1): "a" * MAX_USER_AGENT,
}


@pytest.mark.parametrize(("agent", "application"), AGENTS.items())
def test_it_is_the_product_that_calls(agent: str, application: str | None) -> None:
    assert application_of(agent) == application


@pytest.mark.parametrize("agent", AGENTS)
def test_logs_and_spans_name_a_caller_alike(agent: str) -> None:
    line = json.dumps({"time": "2026-11-24T10:00:00Z", "agent": agent, "http": "GET", "path": "/"})
    (call,) = read_all(line.encode() + b"\n", "ndjson").events
    assert call.application == event(GET | {"user_agent.original": agent}).get("application")
    assert call.application == application_of(agent)
