"""An installation's own dimensions from every way in to every way out, at a real server."""

import asyncio
import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meterboard.client import Meter
from meterboard.client.middleware.asgi import MeterMiddleware
from tests.proxy.conftest import Proxy
from tests.proxy.upstream import Upstream
from tests.server import Server, command_here, sign_in
from tests.waiting import eventually

SETTINGS = """
dimensions = "environment,region:Sales region,plan"
dimension_attributes = "environment=deployment.environment.name,region=cloud.region"
dimension_extensions = "environment=env,plan=plan"
dimension_fields = "environment=labels.env"
"""
CLOUD_EVENT: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/a", "type": "call"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("own") / "data"
    running = Server(data).prepare()
    (data / "meterboard.toml").write_text(SETTINGS)
    running.start()
    yield running
    assert running.stop() == 0


def ask(server: Server, question: str) -> Any:
    answer = server.get(f"/v1/{question}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def dimensions_of(server: Server, application: str) -> list[dict[str, str]]:
    events = ask(server, f"events?application={application}")["events"]
    return [event["dimensions"] for event in events]


@pytest.fixture(scope="module")
def sent(server: Server) -> Server:
    """With calls of an application Sync."""
    events: list[dict[str, Any]] = [
        {"user": "maria", "dimensions": {"environment": "production", "region": "EMEA"}},
        {"user": "maria", "dimensions": {"environment": "production"}},
        {"user": "arjun", "dimensions": {"environment": "test", "region": ""}},
        {"user": "arjun", "dimensions": {"environment": "(unknown)"}},
        {"user": "arjun"},
    ]
    answer = server.post(json=[event | {"application": "Sync", "module": "Leads"} for event in events])
    assert answer.json()["accepted"] == 5, answer.text
    return server


@pytest.mark.parametrize(
    ("dimensions", "code", "message"),
    [
        (
            {"env": "x"},
            "unknown_field",
            "unknown field dimensions.env. The fields are environment, region, plan.",
        ),
        ({"user": "x"}, "unknown_field", "unknown field dimensions.user"),
        ({"\ud800": "x"}, "unknown_field", "unknown field dimensions.\\ud800"),
        ({"environment": "x" * 10_001}, "invalid_value", "dimensions.environment is "),
        (
            {"region": "a", "environment": 3},
            "invalid_value",
            "dimensions.environment is 3: expected a string",
        ),
        ({"environment": "a\0"}, "invalid_value", 'dimensions.environment is "a\\u0000": it contains a NUL'),
        ({"environment": "\ud800"}, "invalid_value", "dimensions.environment is "),
        ("production", "invalid_value", 'dimensions is "production": expected an object of strings'),
    ],
    ids=str,
)
def test_what_can_not_be_accepted_is_refused_for_that_event_alone(
    server: Server, dimensions: Any, code: str, message: str
) -> None:
    good = {"application": "Alone", "dimensions": {"plan": "free"}}
    body = json.dumps([{"application": "Alone", "dimensions": dimensions}, good])
    receipt = server.post(content=body).json()

    assert receipt["accepted"] == 1
    (rejection,) = receipt["rejected"]
    assert (rejection["index"], rejection["code"]) == (0, code)
    assert message in rejection["message"]


def test_a_server_without_any_refuses_all(tmp_path: Path) -> None:
    plain = Server(tmp_path / "data").prepare().start()
    receipt = plain.post(json={"module": "Leads", "dimensions": {"environment": "x"}}).json()
    assert "No dimensions are set here." in receipt["rejected"][0]["message"]
    assert plain.post(json={"module": "Leads", "dimensions": {}}).json()["accepted"] == 1
    assert ask(plain, "events")["events"][0]["dimensions"] == {}
    assert plain.stop() == 0


def test_they_are_breakdowns_columns_filters_and_parts(sent: Server) -> None:
    rows = ask(sent, "statistics/breakdown?by=environment&application=Sync")["rows"]
    assert [(row["name"], row["calls"]) for row in rows] == [("(unknown)", 2), ("production", 2), ("test", 1)]

    table = ask(sent, "statistics/table?columns=region,environment&application=Sync&sort=region,-environment")
    assert [(row["region"], row["environment"], row["calls"]) for row in table["rows"]] == [
        ("(unknown)", "test", 1),
        ("(unknown)", "production", 1),
        ("(unknown)", "(unknown)", 2),
        ("EMEA", "production", 1),
    ]
    grouped = ask(sent, "statistics/table?columns=user,environment&rows=grouped&application=Sync")["rows"]
    assert [(row["user"], row["environment_count"]) for row in grouped] == [("arjun", 2), ("maria", 1)]

    for filters, calls in (
        ("environment=production", 2),
        ("environment=production&region=EMEA", 1),
        ("environment=", 2),
        ("environment!=production&environment!=test", 2),
        ("region!=", 1),
    ):
        assert ask(sent, f"statistics/summary?application=Sync&{filters}")["calls"] == calls

    series = ask(sent, "statistics/series?by=environment&application=Sync&period=last_24_hours&limit=1")
    assert sum(part["calls"] for point in series["points"] for part in point["parts"]) == 2
    flows = ask(sent, "statistics/flows?columns=environment,user&application=Sync")
    assert {tuple(path["names"]): path["calls"] for path in flows["paths"]} == {
        ("production", "maria"): 2,
        ("test", "arjun"): 1,
        ("(unknown)", "arjun"): 2,
    }
    related = ask(sent, "statistics/related?columns=environment,user&region=EMEA")
    assert [(column["column"], column["rows"][0]["name"]) for column in related["columns"]] == [
        ("environment", "production"),
        ("user", "maria"),
    ]
    found = ask(sent, "statistics/values?column=environment&search=PROD&application=Sync")
    assert [row["name"] for row in found["rows"]] == ["production"]


def test_a_name_that_is_not_set_is_told_those_that_are(sent: Server) -> None:
    for question, detail in (
        ("breakdown?by=env", "status, environment, region, plan, caller."),
        ("values?column=env", "status, environment, region, plan."),
        ("table?columns=env", "status, environment, region, plan, comma-separated, each once"),
        ("summary?env=x", "There is no parameter 'env' here."),
    ):
        answer = sent.get(f"/v1/statistics/{question}")
        assert answer.status_code == 400
        assert detail in answer.json()["detail"]


def test_events_and_files_have_them(sent: Server) -> None:
    assert dimensions_of(sent, "Sync") == [
        {},
        {},
        {"environment": "test"},
        {"environment": "production"},
        {"environment": "production", "region": "EMEA"},
    ]
    listed = sent.get("/v1/events?application=Sync&format=csv").text
    rows = list(csv.DictReader(io.StringIO(listed)))
    assert [row["environment"] for row in rows] == ["", "", "test", "production", "production"]
    assert [name for name in rows[0] if name in ("status", "environment", "region", "plan", "records")] == [
        *("status", "environment", "region", "plan", "records"),
    ]
    table = sent.get("/v1/statistics/table?application=Sync&columns=environment&format=csv").text
    assert table.splitlines()[0] == "environment,calls,credits,integration_tasks"


def test_the_description_names_them_and_is_valid(server: Server) -> None:
    document = server.get("/schema").json()
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []

    def parameters(path: str) -> dict[str, Any]:
        return {each["name"]: each for each in document["paths"][path]["get"]["parameters"]}

    breakdown = parameters("/v1/statistics/breakdown")
    assert {"environment", "region", "plan", "user"} < set(breakdown)
    assert "plan!" in breakdown["exclude"]["schema"]["properties"]
    assert breakdown["by"]["schema"]["enum"][-4:] == ["environment", "region", "plan", "caller"]
    table = parameters("/v1/statistics/table")
    assert re.fullmatch(table["columns"]["schema"]["pattern"], "plan,user,environment")
    assert not re.fullmatch(table["columns"]["schema"]["pattern"], "plan,plan")
    assert re.fullmatch(table["sort"]["schema"]["pattern"], "-plan,calls")
    schemas = document["components"]["schemas"]
    named = schemas["UsageEvent"]["properties"]["dimensions"]["anyOf"][0]
    assert set(named["properties"]) == set(schemas["Event"]["properties"]["dimensions"]["properties"])
    assert named["properties"]["region"]["description"] == "Sales region"


def test_pages_show_them(sent: Server) -> None:
    with httpx.Client(base_url=sent.url, verify=False, timeout=30) as browser:
        sign_in(browser, re.sub(r"^https?://[^/]*", "", sent.sign_in_link()))

        def page(address: str) -> str:
            answer = browser.get(address)
            assert answer.status_code == 200, answer.text
            return answer.text

        table = page("/table?columns=region,environment&environment!=test")
        assert "Usage by sales region" in table
        assert re.search(r'name="columns" value="plan">\s*Plan', table)
        assert "Environment is not" in table
        assert "EMEA" in table
        assert '"region":["sales region","sales regions"]' in table.replace("&#34;", '"')

        calls = page("/calls?application=Sync")
        assert '<th scope="col">Sales region</th>' in calls
        assert calls.count(">production<") == 2
        assert 'title="no environment"' in calls

        assert '<option value="environment" selected>environment</option>' in page("/?stack=environment")
        assert "production" in page("/?stack=environment")
        assert "2 environments" in page("/values?show=values&filter=environment&find=t")
        assert "Sales region" in page("/flows?columns=region,user")
        moved = browser.get("/table?filter=environment&value=test&mode=exclude")
        assert moved.headers["location"] == "/table?environment%21=test"


def test_cloudevents_give_them_by_extensions(server: Server) -> None:
    def data(application: str, **more: Any) -> dict[str, Any]:
        return {"application": application, "module": "Leads"} | more

    structured = CLOUD_EVENT | {"env": "production", "plan": 3, "data": data("structured")}
    own = data("both", dimensions={"environment": "own", "region": "EMEA"})
    for body, kind in (
        (structured, "application/cloudevents+json"),
        ([CLOUD_EVENT | {"id": "3", "env": "batch", "data": own}], "application/cloudevents-batch+json"),
    ):
        answer = server.post(content=json.dumps(body), headers={"Content-Type": kind})
        assert answer.json()["accepted"] == 1, answer.text
    headers = {
        f"ce-{name}": value for name, value in ({**CLOUD_EVENT, "id": "2", "env": "t%C3%A9st"}).items()
    }
    assert server.post(json=data("binary"), headers=headers).json()["accepted"] == 1

    assert dimensions_of(server, "structured") == [{"environment": "production", "plan": "3"}]
    assert dimensions_of(server, "both") == [{"environment": "own", "region": "EMEA"}]
    assert dimensions_of(server, "binary") == [{"environment": "tést"}]


def attributes(**values: str) -> list[KeyValue]:
    return [
        KeyValue(key=name.replace("__", "."), value=AnyValue(string_value=value))
        for name, value in values.items()
    ]


def test_spans_give_them_by_attributes(server: Server) -> None:
    made = ExportTraceServiceRequest()
    group = made.resource_spans.add()
    group.resource.attributes.extend(
        attributes(deployment__environment__name="production", cloud__region="eu")
    )
    spans = group.scope_spans.add().spans
    for number, more in enumerate(
        (
            {},
            {"cloud__region": "us"},
            {"meterboard__dimensions__plan": "free"},
            {"meterboard__dimensions__x": "y"},
        )
    ):
        said = {"http__request__method": "GET", "user_agent__original": "Traced/1"} | more
        spans.add(
            trace_id=b"\x01" * 16,
            span_id=bytes([number + 1]) * 8,
            kind=Span.SPAN_KIND_SERVER,
            attributes=attributes(**said),
        )
    headers = server.headers() | {"Content-Type": "application/x-protobuf"}
    answer = httpx.post(
        f"{server.url}/v1/traces", content=made.SerializeToString(), headers=headers, verify=False, timeout=30
    )
    assert b"unknown field dimensions.x" in answer.content

    wanted = [{"region": "eu"}, {"region": "us"}, {"plan": "free", "region": "eu"}]
    found = sorted(dimensions_of(server, "Traced"), key=str)
    assert found == sorted(({"environment": "production"} | each for each in wanted), key=str)


@pytest.fixture(params=[True, False], ids=["to the server", "to the folder"])
def running(server: Server, request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether the server runs during the test."""
    if not request.param:
        assert server.stop() == 0
    yield request.param
    if not request.param:
        server.start(port=server.port)


def test_imported_files_give_them(server: Server, tmp_path: Path, running: bool) -> None:
    name = "running" if running else "stopped"
    time = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds")
    lines = [
        {"time": time, "labels": {"env": "log"}},
        {"time": time, "dimensions": {"region": "EMEA", "plan": "free"}, "tier": "gold"},
        {"time": time, "dimensions": {"region": "-", "environment": "event"}},
    ]
    log = tmp_path / f"{name}.ndjson"
    log.write_text("".join(json.dumps({"application": name} | line) + "\n" for line in lines))
    options = ["--field", "plan=tier"]
    done = command_here("import", "acme", str(log), *options, data=server.data)
    assert "3 new" in done.stdout, done.stdout + done.stderr
    text = tmp_path / f"{name}.log"
    text.write_text(f'::1 {time} "GET /x" 200 {name}-text "a\\x22b"\n')
    form = '$remote_addr $time_iso8601 "$request" $status $app "$zone"'
    fields = ["--field", "application=app", "--field", "region=zone"]
    done = command_here("import", "acme", str(text), "--format", form, *fields, data=server.data)
    assert "1 new" in done.stdout, done.stdout + done.stderr

    exported = command_here(
        "export", "acme", "--columns", "application,environment,region,plan", data=server.data
    )
    found = [line.split(",")[:4] for line in exported.stdout.splitlines() if line.startswith(name)]
    assert sorted(found) == [
        [name, "(unknown)", "EMEA", "gold"],
        [name, "event", "(unknown)", "(unknown)"],
        [name, "log", "(unknown)", "(unknown)"],
        [f"{name}-text", "(unknown)", '"a""b"', "(unknown)"],
    ]
    if running:
        whole = command_here("export", "acme", data=server.data)
        assert whole.stdout.splitlines()[0].startswith(
            "application,function,module,method,version,ip,user,status,environment,region,plan,calls"
        )
        wrong = command_here("import", "acme", str(log), "--field", "env=x", data=server.data)
        assert "credits, id, environment, region, plan" in wrong.stderr.replace("\n", " ")
    verified = command_here("verify", data=server.data)
    assert "difference 0" in verified.stdout


def always(name: str) -> Callable[[Any], str]:
    return lambda _: name


def call_twice(app: Any) -> None:
    async def call() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as caller:
            await caller.get("/x", headers={"x-plan": "free"})
            await caller.get("/x")

    with ThreadPoolExecutor() as pool:  # this thread may have an event loop already
        pool.submit(asyncio.run, call()).result()


def test_the_client_and_its_middleware_give_them(server: Server, tmp_path: Path) -> None:
    async def api(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def plan(scope: Any) -> str:
        return str(dict(scope["headers"])[b"x-plan"].decode())

    with Meter(server.url, server.key, spool=tmp_path / "spool") as meter:
        meter.record(application="direct", dimensions={"environment": "dïrect" * 3_000, "region": None})
        meter.record(application="direct", dimensions={"Wrong name": "x"})
        meter.record(application="direct", dimensions={"environment": 3})  # type: ignore[dict-item]
        assert meter.stats.invalid == 2

        called: dict[str, Any] = {
            "fixed": {"environment": "production"},
            "called": {"environment": "production", "plan": plan},
            "whole": lambda scope: {"plan": plan(scope)},
        }
        for name, dimensions in called.items():
            wrapped = MeterMiddleware(api, meter, application=always(name), dimensions=dimensions)
            call_twice(wrapped)
        plain = MeterMiddleware(api, meter, dimensions={"region": "plain"})
        assert plain._is_plain
        call_twice(plain)
        with pytest.raises(TypeError, match="expected a string or a callable"):
            MeterMiddleware(api, meter, dimensions={"plan": 3})  # type: ignore[dict-item]
        with pytest.raises(ValueError, match="lower-case letters"):
            MeterMiddleware(api, meter, dimensions={"Plan": "x"})
        assert meter.flush()

    assert dimensions_of(server, "direct") == [{"environment": ("dïrect" * 3_000)[:10_000]}]
    assert dimensions_of(server, "fixed") == [{"environment": "production"}] * 2
    assert sorted(map(str, dimensions_of(server, "called"))) == sorted(
        ["{'environment': 'production', 'plan': 'free'}", "{'environment': 'production'}"]
    )
    assert sorted(map(str, dimensions_of(server, "whole"))) == ["{'plan': 'free'}", "{}"]
    assert len(ask(server, "events?region=plain")["events"]) == 2


def test_the_proxy_gives_them(server: Server) -> None:
    upstream = Upstream()
    options = ["--dimension", "environment=proxied", "--dimension", "plan=free"]
    proxy = Proxy(
        server, upstream.url, "--application", "Proxied", *options, "--dimension-header", "plan=X-Plan"
    )
    try:
        proxy.get("/x", headers={"X-Plan": "gold"})
        proxy.get("/x")
        eventually(lambda: len(dimensions_of(server, "Proxied")) == 2)
        assert dimensions_of(server, "Proxied") == [
            {"environment": "proxied", "plan": "free"},
            {"environment": "proxied", "plan": "gold"},
        ]
    finally:
        assert proxy.stop() == 0
        upstream.stop()
    wrong = command_here("proxy", "--upstream", "http://x", "--dimension", "plan", data=server.data)
    assert "--dimension is 'plan': use NAME=VALUE, such as environment=production." in wrong.stderr
