"""GET /metrics: Meterboard's own health as Prometheus reads it, for those who may."""

import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from meterboard import __version__
from tests.server import Server, command, command_here

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def operator(server: Server) -> str:
    """A provider-wide key."""
    return command_here("key", "create", "*", data=server.data).stdout.strip()


def scrape(server: Server, key: str, **headers: str) -> httpx.Response:
    answer = httpx.get(
        f"{server.url}/metrics", headers={"Authorization": f"Bearer {key}"} | headers, timeout=30
    )
    assert answer.status_code == 200, answer.text
    return answer


def samples(server: Server, key: str) -> Samples:
    families = text_string_to_metric_families(scrape(server, key).text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((f"meterboard_{name}", frozenset(labels.items())), 0.0)


def test_events_commits_and_requests_are_counted(server: Server, operator: str) -> None:
    before = samples(server, operator)
    server.post(json=[{"id": "a"}, {"id": "b"}, {"id": "a"}, {"ip": "x"}, {"status": 7}, {"nonsense": 1}])
    server.post(content=b"{")
    after = samples(server, operator)

    def rise(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert rise("events_total", outcome="accepted") == 2
    assert rise("events_total", outcome="duplicate") == 1
    assert rise("events_rejected_total", code="invalid_value") == 2
    assert rise("events_rejected_total", code="unknown_field") == 1
    assert rise("commit_seconds_count") == rise("commit_events_count") == 1
    assert rise("commit_events_sum") == 3
    assert rise("commits_failed_total") == 0
    assert rise("http_requests_total", status="2xx") == 2  # the events and the first look
    assert rise("http_requests_total", status="4xx") == 1


def test_the_state_of_queue_statistics_process_and_build(server: Server, operator: str) -> None:
    found = samples(server, operator)

    assert value(found, "queue_events") == 0
    assert value(found, "queue_limit_events") == 200_000
    assert time.time() - 3600 < value(found, "watermark_timestamp_seconds") <= time.time()
    assert 0 <= value(found, "refresh_age_seconds") < 3600
    assert value(found, "build_info", version=__version__) == 1
    assert value(found, "job_failures_total", job="refresh") == 0
    assert found["process_resident_memory_bytes", frozenset()] > 0


def test_nothing_tells_who_uses_what(server: Server, operator: str) -> None:
    server.post(json={"user": "maria", "application": "Sales desk", "module": "Leads"})
    text = scrape(server, operator).text

    for word in ("acme", "maria", "Sales", "Leads"):
        assert word not in text


def test_open_metrics_is_spoken_to_whoever_asks_for_it(server: Server, operator: str) -> None:
    answer = scrape(server, operator, Accept="application/openmetrics-text; version=1.0.0")

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert "meterboard_events" in {family.name for family in open_metrics(answer.text)}
    plain = scrape(server, operator)
    assert plain.headers["content-type"].startswith("text/plain")


def test_every_name_follows_the_conventions(server: Server, operator: str) -> None:
    units = ("_total", "_seconds", "_events", "_info", "_bucket", "_count", "_sum", "_created", "_bytes")
    for name, _ in samples(server, operator):
        if name.startswith("meterboard_"):
            assert name.endswith(units), name
    for family in text_string_to_metric_families(scrape(server, operator).text):
        assert family.documentation, family.name


def test_only_a_provider_wide_key_may_look(server: Server) -> None:
    for key, status in ((None, 401), ("nobody", 401), (server.key, 403)):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answer = httpx.get(f"{server.url}/metrics", headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_the_setting_lets_this_machine_look_or_nobody(tmp_path: Path) -> None:
    local = Server(tmp_path / "local", metrics="local").prepare().start()
    try:
        assert httpx.get(f"{local.url}/metrics").status_code == 200
        proxied = httpx.get(f"{local.url}/metrics", headers={"X-Forwarded-For": "127.0.0.1"})
        assert proxied.status_code == 403
    finally:
        local.stop()
    off = Server(tmp_path / "off", metrics="off").prepare().start()
    try:
        assert httpx.get(f"{off.url}/metrics").status_code == 404
    finally:
        off.stop()
    wrong = command("serve", "--port", "0", data=tmp_path / "off", metrics="everybody")
    assert "metrics is 'everybody': use one of off, local, key" in wrong.stderr


def test_instruments_of_two_servers_in_a_process_are_apart() -> None:
    from meterboard.clock import SystemClock
    from meterboard.service.jobs.health import Health

    one, other = Health("1", SystemClock()), Health("1", SystemClock())
    one.committed(3, 0.001)

    assert b"meterboard_commit_events_sum 3.0" in one.render("")[0]
    assert b"meterboard_commit_events_sum 0.0" in other.render("")[0]
