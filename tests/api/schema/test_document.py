"""GET /schema: the API's description is valid, complete, and true of the server."""

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from meterboard.api.schema.sending import REJECTIONS
from meterboard.domain.dimensions import Dimensions
from tests.server import Server, command_here, sign_in

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
STATISTICS = (
    "summary",
    "breakdown",
    "series",
    "table",
    "flows",
    "integration-tasks",
    "related",
    "values",
)
READS = (
    *(f"/v1/statistics/{name}" for name in STATISTICS),
    "/v1/events",
    "/v1/credits",
    "/v1/credits/returns",
    "/v1/verify",
)
EXAMPLES = "4"
"""Requests of Schemathesis for each operation, beside those at the edges of each parameter."""
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
EVENTS = [
    {"application": "Sync", "user": "maria", "module": "Leads", "method": "records.get", "ip": "10.0.0.1"},
    {"application": "Sync", "user": "arjun", "module": "Deals", "method": "records.get", "status": 200},
    {"function": "Assign", "module": "Leads", "method": "records.update", "credits": 3},
]


@pytest.fixture(scope="module")
def document(server: Server) -> Any:
    assert server.post(json=EVENTS).json()["accepted"] == len(EVENTS)
    return server.get("/schema").json()


@pytest.fixture(scope="module")
def credentials(server: Server) -> dict[str, dict[str, str]]:
    """The headers of everybody who may ask, keys of another organisation than the one whose events are counted here."""
    assert command_here("org", "create", "globex", data=server.data).returncode == 0
    found: dict[str, dict[str, str]] = {"nobody": {}}
    for organization, scope in (("globex", "all"), ("globex", "read"), ("globex", "ingest"), ("*", "ingest")):
        made = command_here("key", "create", organization, "--scope", scope, data=server.data).stdout.strip()
        found[f"{organization} {scope}"] = {"Authorization": f"Bearer {made}"}
    with httpx.Client(verify=False) as browser:
        sign_in(browser, server.sign_in_link())
        found["session"] = {"Cookie": f"meterboard_session={browser.cookies['meterboard_session']}"}
    return found


def test_requests_made_from_the_description_are_answered_as_described(
    server: Server, credentials: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    settings = {
        "PYTHONPATH": str(ROOT),
        "AUTHORIZATION": credentials["globex all"]["Authorization"],
        "PROVIDER_AUTHORIZATION": credentials["* ingest"]["Authorization"],
        "CREDENTIALS": json.dumps(list(credentials.values())),
        "SCHEMATHESIS_HOOKS": "tests.api.schema.schemathesis_hooks",
    }
    config = ["--config-file", str(HERE / "schemathesis.toml")]
    options = ["--seed", "1", "--max-examples", EXAMPLES, "--continue-on-failure", "--no-color"]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *config, "run", f"{server.url}/schema", *options],
        cwd=tmp_path,  # it leaves a folder with its cache
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=500,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "15 passed" in done.stdout


def test_the_description_has_two_addresses(server: Server, document: Any) -> None:
    assert server.get("/schema/openapi.json").json() == document


def test_the_description_is_valid(document: Any) -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


# -- A generated client ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(
    server: Server, document: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, ModuleType]]:
    """What openapi-python-client printed, and the package that it made."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "schema.json").write_text(json.dumps(document))
    (folder / "config.json").write_text('{"post_hooks": []}')
    options = ["--path", "schema.json", "--output-path", "generated_client", "--meta", "none"]
    done = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", *options, "--config", "config.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    try:
        yield done.stdout + done.stderr, importlib.import_module("generated_client")
    finally:
        sys.path.remove(str(folder))


def test_a_generated_client_lacks_nothing_but_bodies_that_its_generator_can_t_send(
    client: tuple[str, ModuleType],
) -> None:
    printed, _ = client

    warnings = re.findall(r"^WARNING .*\n\n(.*)$", printed, re.MULTILINE)
    assert sorted(warnings) == [
        "Invalid content type",
        "Invalid content type",
        "Unsupported content type application/x-ndjson",
        "Unsupported content type application/x-protobuf",
    ]


CALLS: dict[str, tuple[dict[str, Any], str, Any]] = {
    "statistics.get_summary": ({"period": "last_24_hours", "user": ["maria"]}, "calls", 1),
    "statistics.get_breakdown": ({"by": "GetBreakdownBy.MODULE"}, "by", "module"),
    "statistics.get_series": ({}, "unit", "hour"),
    "statistics.get_table": ({"columns": "module,user"}, "total_rows", 3),
    "statistics.get_flows": ({"columns": "user,module"}, "total.calls", 3),
    "statistics.get_integration_tasks": ({}, "total.tasks", 1),
    "statistics.get_related": ({"ip": ["10.0.0.1"]}, "total.calls", 1),
    "statistics.get_values": ({"column": "GetValuesColumn.MODULE", "search": "lea"}, "value_count", 1),
    "statistics.get_verification": ({}, "difference", 0),
    "events.list_events": ({"application": ["Sync"]}, "next_", None),
    "credits_.get_credits": ({}, "calls", 3),
    "credits_.get_credits_returns": ({}, "used", 5),
}
"""Reads of the generated client: their arguments, and an attribute of the result with its value."""


def test_every_read_has_a_call(document: Any) -> None:
    assert set(document["paths"]) == {*READS, "/v1/traces", "/metrics"}
    assert len(CALLS) == len(READS)


@pytest.mark.parametrize("name", CALLS)
def test_a_generated_client_can_read(server: Server, client: tuple[str, ModuleType], name: str) -> None:
    _, package = client
    models = importlib.import_module("generated_client.models")
    arguments, attribute, expected = CALLS[name]
    given = {key: _enum(models, value) for key, value in arguments.items()}

    result = _call(package, name, server.url, server.key, **given)

    for part in attribute.split("."):
        result = getattr(result, part)
    assert result == expected


def _enum(models: ModuleType, value: object) -> object:
    """The member of a generated enum that a text such as GetValuesColumn.MODULE names."""
    if isinstance(value, str) and "." in value and value.startswith("Get"):
        enum, _, member = value.partition(".")
        return getattr(models, enum)[member]
    return value


def _call(package: ModuleType, name: str, url: str, key: str, **arguments: object) -> Any:
    module = importlib.import_module(f"generated_client.api.{name}")
    with package.AuthenticatedClient(url, token=key, verify_ssl=False) as client:
        return module.sync(client=client, **arguments)


def test_a_generated_client_excludes_values(server: Server, client: tuple[str, ModuleType]) -> None:
    _, package = client
    models = importlib.import_module("generated_client.models")
    exclude = models.GetSummaryExclude(user=["maria", "arjun"])

    result = _call(package, "statistics.get_summary", server.url, server.key, exclude=exclude)

    assert result.calls == 1


def test_a_generated_client_sends_events_and_traces(
    server: Server, client: tuple[str, ModuleType], credentials: dict[str, dict[str, str]]
) -> None:
    _, package = client
    models = importlib.import_module("generated_client.models")
    key = credentials["globex all"]["Authorization"].removeprefix("Bearer ")
    event = models.UsageEvent(id="sent by a generated client", time=datetime.now(UTC), credits_=2)
    spans = models.TracesRequest.from_dict({"resourceSpans": [{"scopeSpans": [{"spans": []}]}]})

    one = _call(package, "events.send_events", server.url, key, body=event)
    many = _call(package, "events.send_events", server.url, key, body=[event, models.UsageEvent(ip="x")])
    traces = _call(package, "events.send_traces", server.url, key, body=spans)

    assert (one.accepted, many.duplicates, many.rejected[0].code) == (1, 1, "invalid_value")
    assert isinstance(traces, models.TracesResponse)


def test_a_generated_client_reads_metrics_and_errors(
    server: Server, client: tuple[str, ModuleType], credentials: dict[str, dict[str, str]]
) -> None:
    _, package = client
    provider = credentials["* ingest"]["Authorization"].removeprefix("Bearer ")

    metrics = _call(package, "operation.get_metrics", server.url, provider)
    forbidden = _call(package, "operation.get_metrics", server.url, server.key)
    refused = _call(package, "statistics.get_summary", server.url, "wrong")

    assert "meterboard_events_total" in metrics
    assert (forbidden.status, forbidden.type_) == (403, "urn:meterboard:Forbidden")
    assert (refused.status, refused.title) == (401, "Unauthorized")


# -- What the description says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", READS)
def test_a_read_says_who_may_ask_and_what_goes_wrong(document: Any, path: str) -> None:
    read = document["paths"][path]["get"]

    assert read["security"] == [{"key": []}, {"session": []}]
    statuses = {"200", "401", "403", "429", "503"} | ({"400"} if read["parameters"] else set())
    assert set(read["responses"]) == statuses
    for status in statuses - {"200"}:
        name = read["responses"][status]["$ref"].rpartition("/")[2]
        assert document["components"]["responses"][name]["content"] == PROBLEM


@pytest.mark.parametrize("path", [path for path in READS if "statistics" in path or path == "/v1/events"])
def test_a_statistic_has_files_filters_and_patterns(document: Any, path: str) -> None:
    read = document["paths"][path]["get"]
    parameters = {parameter["name"]: parameter for parameter in read["parameters"]}

    assert set(read["responses"]["200"]["content"]) == {
        "application/json",
        "text/csv",
        "application/vnd.apache.parquet",
    }
    assert set(Dimensions().names) < set(parameters)
    assert set(parameters["exclude"]["schema"]["properties"]) == {f"{name}!" for name in Dimensions().names}
    assert not [name for name, parameter in parameters.items() if "null" in json.dumps(parameter)]
    for name in {"period", "sort", "columns", "cursor"} & parameters.keys():
        assert parameters[name]["schema"]["pattern"]


def test_errors_have_their_headers(document: Any) -> None:
    headers = {
        name: set(each.get("headers", ())) for name, each in document["components"]["responses"].items()
    }

    assert headers["Unauthenticated"] == {"WWW-Authenticate"}
    assert headers["Unavailable"] == headers["TooManyRequests"] == {"Retry-After"}


def test_a_list_of_events_begins_without_a_cursor(server: Server, document: Any) -> None:
    (cursor,) = [
        each for each in document["paths"]["/v1/events"]["get"]["parameters"] if each["name"] == "cursor"
    ]

    assert "default" not in cursor["schema"]
    assert server.get("/v1/events").status_code == 200
    assert server.get("/v1/events?cursor=").status_code == 400


def test_every_rejection_is_in_the_description(document: Any) -> None:
    """Every code that the source gives a `Fault`, and no other."""
    files = [file.read_text() for file in (ROOT / "src").rglob("*.py")]
    source = "".join(text for text in files if "Fault(" in text)
    given = set(re.findall(r'(?:(?<!yield )(?<!Row)Fault\(|return )\s*"([a-z]+_[a-z_]+)",\s*f?"', source))

    assert given == set(REJECTIONS)
    described = document["components"]["schemas"]["Rejection"]["properties"]["code"]["description"]
    assert all(f"`{code}`" in described for code in REJECTIONS)
