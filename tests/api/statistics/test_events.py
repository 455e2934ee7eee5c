"""GET /v1/events: the events behind a number over HTTP."""

import csv
import io
import re
from typing import Any

import httpx
import pyarrow.parquet
import pytest

from tests.server import Server, command_here

EVENTS = [
    {
        "application": "Sync",
        "user": "maria",
        "ip": "10.0.0.1",
        "request": {"method": "POST", "path": "/crm/v8/Leads?x=1"},
        "records": 25,
        "status": 201,
    },
    {"function": "Assign", "module": "Leads", "method": "records.update", "version": "v8", "status": 200},
    {"application": "Desk", "user": "arjun", "credits": 40},
    {"application": "Sync", "request": {"method": "PUT", "path": "/crm/v8/Leads/4150868000000224005"}},
    {},
]


@pytest.fixture(scope="module", autouse=True)
def filled(server: Server) -> None:
    used = command_here("schedule", "use", "acme", "zoho-crm", data=server.data)
    assert used.returncode == 0, used.stderr
    for minute, event in enumerate(EVENTS):  # the last one is the newest
        answer = server.post(json=[event])
        assert answer.json()["accepted"] == 1, (minute, answer.text)


def ask(server: Server, question: str = "") -> dict[str, Any]:
    answer = server.get(f"/v1/events{question}")
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_events_come_newest_first_with_all_that_they_said(server: Server) -> None:
    answer = ask(server)

    assert list(answer) == ["as_of", "events", "next", "previous"]
    assert [event["application"] for event in answer["events"]] == [None, "Sync", "Desk", None, "Sync"]
    first = answer["events"][-1]
    assert first.pop("time").endswith("+05:30")
    assert first == {
        "application": "Sync",
        "function": None,
        "user": "maria",
        "ip": "10.0.0.1",
        "version": "v8",
        "module": "Leads",
        "method": "records.create",
        "status": 201,
        "dimensions": {},
        "records": 25,
        "credits": 3,
        "charged": 3,
        "estimated": False,
        "why": {
            "schedule": "zoho-crm",
            "rule": "method records.create or records.update or records.upsert",
            "formula": "1 credit for every 10 records begun, at most 10",
            "result": "25 records: 3 credits",
            "source": "API limits of vertical solutions; __apis of v7",
            "note": None,
        },
    }


def test_each_says_why_it_cost_that(server: Server) -> None:
    found = {
        (event["application"], event["module"]): event["why"]["result"] for event in ask(server)["events"]
    }

    assert found[None, "Leads"] == "an unknown number of records: 1 credit, estimated: from 1 to 10"
    assert found["Desk", None] == "40 credits"
    assert found["Sync", "Leads"] in ("1 record: 1 credit", "25 records: 3 credits")
    assert [event["records"] for event in ask(server, "?application=Sync")["events"]] == [1, 25]


def test_a_later_price_list_changes_no_reason(server: Server) -> None:
    before = ask(server)["events"]
    for schedule in ("one-per-call", "zoho-crm"):
        assert command_here("schedule", "use", "acme", schedule, data=server.data).returncode == 0
        assert ask(server)["events"] == before


def test_pages_follow_each_other_by_cursors(server: Server) -> None:
    whole = ask(server)["events"]
    pages = [ask(server, "?limit=2")]
    while pages[-1]["next"]:
        pages.append(ask(server, f"?limit=2&cursor={pages[-1]['next']}"))

    assert whole == [event for page in pages for event in page["events"]]
    assert [len(page["events"]) for page in pages] == [2, 2, 1]
    assert ask(server, f"?limit=2&cursor={pages[2]['previous']}")["events"] == pages[1]["events"]


def test_filters_and_kept_out_values_hold(server: Server) -> None:
    assert len(ask(server, "?application=Sync")["events"]) == 2
    assert len(ask(server, "?application!=Sync")["events"]) == 3
    assert len(ask(server, "?user=&function=")["events"]) == 2
    assert ask(server, "?period=yesterday")["events"] == []


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_files_say_what_json_says_and_link_to_the_rest(server: Server, form: str) -> None:
    wanted = ask(server, "?limit=2")
    answer = server.get(f"/v1/events?limit=2&format={form}")
    if form == "csv":
        rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(answer.text)))
        assert [row["estimated"] for row in rows] == ["false", "false"]
    else:
        rows = pyarrow.parquet.read_table(io.BytesIO(answer.content)).to_pylist()
        assert [row["estimated"] for row in rows] == [False, False]

    assert [int(row["credits"]) for row in rows] == [event["credits"] for event in wanted["events"]]
    assert [row["formula"] for row in rows] == [event["why"]["formula"] for event in wanted["events"]]
    link = re.fullmatch(r'<(/v1/events\?.*)>; rel="next"', answer.headers["link"])
    assert link
    assert server.get(link[1]).status_code == 200
    assert f"cursor={wanted['next']}" in link[1]


@pytest.mark.parametrize(
    ("question", "parameter"),
    [
        ("cursor=", "cursor"),
        ("cursor=7", "cursor"),
        ("cursor=o1.99999999999999999999", "cursor"),
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("period=sometimes", "period"),
        ("sort=-time", "sort"),
        ("format=xml", "format"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_value(server: Server, question: str, parameter: str) -> None:
    answer = server.get(f"/v1/events?{question}")

    assert (400, parameter) == (answer.status_code, answer.json().get("parameter"))
    assert answer.headers["content-type"] == "application/problem+json"
    assert parameter in answer.json()["detail"]


def test_who_may_only_send_may_not_list(server: Server) -> None:
    key = command_here("key", "create", "acme", "--scope", "ingest", data=server.data).stdout.strip()

    for headers, status in (({}, 401), ({"Authorization": f"Bearer {key}"}, 403)):
        answer = httpx.get(f"{server.url}/v1/events", headers=headers)
        assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"])


def test_another_organisation_lists_nothing_of_this_one(server: Server) -> None:
    assert command_here("org", "create", "globex", data=server.data).returncode == 0
    key = command_here("key", "create", "globex", data=server.data).stdout.strip()
    for question in ("", "?application=Sync", "?application!=Desk"):
        answer = httpx.get(f"{server.url}/v1/events{question}", headers={"Authorization": f"Bearer {key}"})
        assert answer.json()["events"] == []


def test_nothing_but_get_and_post_is_answered(server: Server) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        answer = httpx.request(method, f"{server.url}/v1/events", headers=server.headers())
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def test_the_description_has_both(server: Server) -> None:
    document = server.get("/schema").json()
    path = document["paths"]["/v1/events"]

    assert path.keys() >= {"get", "post"}
    assert {"period", "cursor", "limit", "application", "format"} <= {
        parameter["name"] for parameter in path["get"]["parameters"]
    }
    assert "why" in document["components"]["schemas"]["Event"]["properties"]
