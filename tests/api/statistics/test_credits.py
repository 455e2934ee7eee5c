"""Zoho CRM's prices over HTTP; when credits come back; shadow tasks; refused calls."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.server import Server, command_here


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("zoho") / "data")
    running.prepare("--plan", "zoho-crm/standard", "--licenses", "10").start()
    yield running
    assert running.stop() == 0


def used(server: Server) -> int:
    return int(server.get("/v1/credits").json()["used"])


def cost(server: Server, **event: Any) -> int:
    before = used(server)
    assert server.post(json=event).json()["accepted"] == 1
    return used(server) - before


def request(method: str, path: str) -> dict[str, str]:
    return {"method": method, "path": path}


def test_a_plan_gives_the_allowance_and_the_schedule(server: Server) -> None:
    assert server.get("/v1/credits").json()["allowance"] == 52_500


@pytest.mark.parametrize(
    ("event", "credits"),
    [
        ({"request": request("GET", "/crm/v8/Leads/554023000000527002")}, 1),
        ({"request": request("GET", "/crm/v2/Leads?cvid=554023")}, 3),
        ({"request": request("POST", "/crm/v8/Leads"), "records": 25}, 3),
        ({"request": request("POST", "/crm/v8/Leads/upsert"), "records": 100}, 10),
        ({"request": request("POST", "/crm/v8/Leads/554023/actions/convert")}, 5),
        ({"request": request("POST", "/crm/v2.1/coql"), "records": 1_500}, 3),
        ({"request": request("POST", "/crm/bulk/v8/read")}, 50),
        ({"request": request("POST", "/crm/bulk/v8/write")}, 500),
        ({"request": request("POST", "/crm/v8/Leads"), "records": 25, "status": 429}, 0),
        ({"request": request("GET", "/crm/private/json/Leads/getRecords"), "records": 200}, 1),
        ({"request": request("POST", "/crm/v8/Leads"), "credits": 7, "status": 429}, 7),
        ({"method": "leads.convert", "module": "Leads", "version": "v8"}, 5),
    ],
)
def test_a_call_costs_what_the_schedule_says(server: Server, event: dict[str, Any], credits: int) -> None:
    assert cost(server, **event) == credits


def test_an_estimated_price_is_marked_in_table_and_export(server: Server) -> None:
    server.post(json={"request": request("POST", "/crm/v8/Vendors"), "user": "estimated"})
    server.post(json={"request": request("POST", "/crm/v8/Vendors"), "user": "known", "records": 3})
    question = "/v1/statistics/table?columns=user&module=Vendors&sort=user"

    rows = server.get(question).json()["rows"]
    assert [(row["user"], row.get("estimated_calls")) for row in rows] == [("estimated", 1), ("known", None)]
    exported = server.get(f"{question}&format=csv").text.splitlines()
    assert exported == [
        "user,calls,credits,integration_tasks,estimated_calls",
        "estimated,1,1,0,1",
        "known,1,1,0,0",
    ]


def test_used_credits_come_back_in_the_next_24_hours(server: Server) -> None:
    answer = server.get("/v1/credits/returns").json()
    points = answer["points"]

    assert sum(point["credits"] for point in points) == answer["used"] == used(server)
    assert len(points) in (24, 25)
    starts = [datetime.fromisoformat(point["start"]) for point in points]
    assert starts == sorted(starts)
    assert starts[-1] < datetime.now(UTC) + timedelta(hours=24)


def test_shadow_tasks_are_in_statistics_but_not_charged(server: Server) -> None:
    task = {"function": "Assign", "module": "Leads", "credits": 11}
    assert cost(server, **task) == 11
    changed = command_here("org", "update", "acme", "--no-charge-tasks", data=server.data)
    assert "not charged, only counted in statistics" in changed.stdout
    wait_until_keys_are_asked_for_again(server)

    assert cost(server, **task) == 0
    tasks = server.get("/v1/statistics/integration-tasks?function=Assign").json()
    assert tasks["total"] == {"tasks": 2, "credits": 22}
    left = [server.get(f"/v1/{question}").json() for question in ("credits", "statistics/summary")]
    assert left[0]["unused"] == left[1]["credits_unused"]
    assert server.get("/v1/verify").json()["difference"] == 0
    command_here("org", "update", "acme", "--charge-tasks", data=server.data)
    wait_until_keys_are_asked_for_again(server)
    assert cost(server, **task) == 11


def wait_until_keys_are_asked_for_again(server: Server) -> None:
    """A new key is not remembered yet, so that nobody has to wait for the old one to be forgotten."""
    server.key = command_here("key", "create", "acme", data=server.data).stdout.strip()


def test_an_own_schedule_prices_what_comes_after(server: Server, tmp_path: Any) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'name = "own"\nversion = "v1"\nid = "[0-9]+"\n'
        'request = [\n  { path = "/{version}/{module}/{rest}", method = "{rest}" },\n]\n'
        'price = [\n  { module = "maps", credits = 40 },\n  { credits = 2 },\n]\n'
    )
    before = used(server)
    assert "priced by own" in command_here("schedule", "use", "acme", str(own), data=server.data).stdout
    wait_until_keys_are_asked_for_again(server)

    assert used(server) == before
    assert cost(server, request=request("GET", "/v1/maps/tile/77")) == 40
    assert cost(server, request=request("GET", "/v1/routes")) == 2
    command_here("schedule", "use", "acme", "zoho-crm", data=server.data)
    wait_until_keys_are_asked_for_again(server)
    assert cost(server, request=request("GET", "/crm/v8/Leads")) == 1


def test_refused_calls_are_told_apart(server: Server) -> None:
    server.post(json=[{"status": 429, "user": "eager"}, {"status": 200, "user": "eager"}])

    rows = server.get("/v1/statistics/breakdown?by=status&user=eager").json()["rows"]
    assert sorted(row["name"] for row in rows) == ["200", "429"]
    assert server.get("/v1/statistics/summary?user=eager&status=429").json()["credits_used"] == 0
