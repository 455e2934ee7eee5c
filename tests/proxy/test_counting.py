"""What is counted of a call that passed through, and what is never kept."""

import gzip
import json
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from meterboard.proxy.fingerprints import Applications, fingerprint_secret
from tests.proxy.conftest import Proxy
from tests.proxy.upstream import Upstream
from tests.server import Server, command_here
from tests.waiting import eventually

TOKEN = "1000.4f6e2b0c9a8d7e6f5a4b3c2d1e0f9a8b.7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f"
JSON = {"Content-Type": "application/json"}


def events(server: Server, user: str, count: int = 1) -> list[dict[str, Any]]:
    """The events of a user, when there are so many."""

    def found() -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = server.get("/v1/events", params={"user": user}).json()["events"]
        return listed if len(listed) >= count else []

    listed: list[dict[str, Any]] = eventually(found)
    assert len(listed) == count
    return listed


def test_a_call_is_counted_with_who_from_where_what_and_how_it_ended(server: Server, proxy: Proxy) -> None:
    headers = {"Authorization": f"Zoho-oauthtoken {TOKEN}", "X-User": "maria"}
    proxy.get("/crm/v8/Leads/4150868000001234567?page=2&fields=Email", headers=headers)

    (event,) = events(server, "maria")
    assert re.fullmatch("token-[0-9a-f]{12}", event["application"])
    assert {name: event[name] for name in ("ip", "version", "module", "method", "status")} == {
        "ip": "127.0.0.1",
        "version": "v8",
        "module": "Leads",
        "method": "get",
        "status": 200,
    }


@pytest.mark.parametrize(
    ("user", "method", "path", "options", "records"),
    [
        ("r1", "GET", "/leads", {}, 7),
        ("r2", "GET", "/leads.gz", {}, 7),
        ("r3", "POST", "/x", {"json": {"data": [{}, {}, {}]}}, 3),
        ("r4", "PUT", "/x", {"json": [{}, {}]}, 2),
        ("r5", "POST", "/leads", {"json": {"select_query": "select Email from Leads"}}, 7),
        (
            "r6",
            "POST",
            "/x",
            {"content": gzip.compress(b'{"data": [1]}'), "headers": {"Content-Encoding": "gzip"}},
            1,
        ),
        ("r7", "POST", "/x", {"content": b'{"data": [1, 2'}, None),
        ("r8", "POST", "/x", {"content": b"not gzip", "headers": {"Content-Encoding": "gzip"}}, None),
        ("r9", "POST", "/x", {"content": b'{"data": []}'}, 0),
        ("r10", "POST", "/x", {"content": b'{"data": {"a": [1]}}'}, None),
        ("r11", "POST", "/echo", {"content": b'{"data": [' + b"1," * 2_500_000 + b"1]}"}, None),
        ("r12", "GET", "/status?204", {}, None),
    ],
)
def test_records_are_those_of_the_request_else_of_the_answer(
    server: Server,
    proxy: Proxy,
    user: str,
    method: str,
    path: str,
    options: dict[str, Any],
    records: int | None,
) -> None:
    headers = JSON | {"X-User": user} | options.pop("headers", {})
    assert proxy.request(method, path, headers=headers, **options).status_code in (200, 204)

    assert events(server, user)[0]["records"] == records


def test_a_large_body_is_counted_too(server: Server, proxy: Proxy) -> None:
    body = json.dumps({"data": [{"n": "x" * 100}] * 20_000}).encode()
    proxy.request("POST", "/x", content=body, headers=JSON | {"X-User": "large"})

    assert events(server, "large")[0]["records"] == 20_000


def test_an_array_elsewhere_and_names_by_options(server: Server, upstream: Upstream) -> None:
    secret = fingerprint_secret(server.data)
    known = Applications(secret, names={}).fingerprint(TOKEN)
    proxy = Proxy(
        server,
        upstream.url,
        *("--records", "result.items", "--alias", f"{known}=Backup", "--user-header", "x-user"),
        *("--application-header", "X-Client"),
    )
    try:
        sent = {"json": {"result": {"items": [1, 2]}, "data": [1]}}
        proxy.request("POST", "/x", **sent, headers={"Authorization": f"Bearer {TOKEN}", "X-User": "n1"})
        proxy.request("POST", "/x", **sent, headers={"X-Client": "Sales desk", "X-User": "n2"})
        proxy.request("POST", "/x", **sent, headers={"X-User": "n3"})
        named = [events(server, user)[0] for user in ("n1", "n2", "n3")]
    finally:
        proxy.stop()

    assert [event["application"] for event in named] == ["Backup", "Sales desk", None]
    assert [event["records"] for event in named] == [2, 2, 2]


def test_a_fingerprint_is_of_the_token_and_of_this_folder_alone(tmp_path: Path) -> None:
    one, again = fingerprint_secret(tmp_path), fingerprint_secret(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    here = Applications(one, names={})
    there = Applications(fingerprint_secret(other), names={})

    assert one == again
    assert (tmp_path / "proxy.secret").stat().st_mode & 0o777 == 0o600
    assert (
        here.fingerprint("a")
        == here.named({"authorization": "Bearer a"})
        == here.named({"authorization": "a"})
    )
    assert len({here.fingerprint("a"), here.fingerprint("b"), there.fingerprint("a")}) == 3
    assert here.named({}) is None


def test_a_call_that_never_reached_the_api_is_not_counted_one_without_answer_is(server: Server) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    reached = Proxy(
        server, f"http://127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.2", "--user-header", "u"
    )
    assert reached.get("/x", headers={"u": "reached"}).status_code == 504
    assert events(server, "reached")[0]["status"] is None
    reached.stop()
    silent.close()

    away = Proxy(server, "http://127.0.0.1:1", "--user-header", "u")
    assert away.get("/x", headers={"u": "away"}).status_code == 502
    assert away.stop() == 0  # what it counted is delivered
    assert server.get("/v1/events", params={"user": "away"}).json()["events"] == []


def test_a_call_that_is_cut_off_by_the_end_of_the_proxy_is_counted(
    server: Server, upstream: Upstream
) -> None:
    proxy = Proxy(server, upstream.url, "--user-header", "u")
    before = upstream.state()["waiting"]
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(proxy.get, "/wait", headers={"u": "cut off"})
        eventually(lambda: upstream.state()["waiting"] > before)
        assert proxy.stop() == 0
        assert call.result().status_code == 500

    assert events(server, "cut off")[0]["status"] is None


def test_no_token_is_ever_stored_or_said(tmp_path: Path, upstream: Upstream) -> None:
    server = Server(tmp_path / "data").prepare().start()
    proxy = Proxy(server, upstream.url)
    server.kill()  # so that events are kept on the way
    headers = {"Authorization": f"Zoho-oauthtoken {TOKEN}", "Cookie": f"session={TOKEN}", "X-API-Key": TOKEN}
    for path in (f"/x?authtoken={TOKEN}", f"/x?{TOKEN}", "/cut", f"/wait?key={TOKEN}"):
        try:
            proxy.request("POST", path, headers=headers | JSON, content=f'{{"token": "{TOKEN}"}}', timeout=1)
        except httpx.TransportError:  # cut off, or given up
            continue
    kept = eventually(lambda: [file for file in (server.data / "proxy-spool").rglob("*") if file.is_file()])
    eventually(lambda: b"token-" in b"".join(file.read_bytes() for file in kept))
    everything = [file.read_bytes() for file in server.data.rglob("*") if file.is_file()]
    server.start(port=server.port)
    try:
        eventually(lambda: server.get("/v1/statistics/summary").json()["calls"] == 4)
        everything += [file.read_bytes() for file in server.data.rglob("*") if file.is_file()]
    finally:
        proxy.stop()
        server.stop()

    assert not [content for content in everything if TOKEN.encode() in content]
    assert TOKEN not in "".join(proxy.said)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_a_meterboard_that_is_away_fails_no_call(
    tmp_path: Path, upstream: Upstream, fault: signal.Signals
) -> None:
    server = Server(tmp_path / "data").prepare().start()
    proxy = Proxy(server, upstream.url)
    try:
        proxy.get("/leads")
        server.process.send_signal(fault)
        for _ in range(100):  # a call that waited for Meterboard would not be answered
            assert proxy.get("/leads").status_code == 200
        if fault == signal.SIGKILL:
            server.process.wait()
            server.start(port=server.port)
        else:
            server.process.send_signal(signal.SIGCONT)
        eventually(lambda: server.get("/v1/statistics/summary").json()["calls"] == 101)
    finally:
        proxy.stop()
        server.stop()


def test_a_proxy_that_starts_before_the_server_and_is_killed_loses_no_call(
    tmp_path: Path, upstream: Upstream
) -> None:
    server = Server(tmp_path / "data").prepare().start()
    server.stop()
    proxy = Proxy(server, upstream.url)
    for _ in range(20):
        proxy.get("/leads")
    eventually(
        lambda: (
            b"".join(f.read_bytes() for f in server.data.rglob("proxy-spool/**/*") if f.is_file()).count(
                b'"time"'
            )
            == 20
        )
    )
    proxy.process.kill()
    proxy.process.wait()
    server.start(port=server.port)
    again = Proxy(server, upstream.url)
    try:
        again.get("/leads")
        eventually(lambda: server.get("/v1/statistics/summary").json()["calls"] == 21)
    finally:
        again.stop()
        server.stop()


def test_another_server_by_its_address_and_key(server: Server, upstream: Upstream, tmp_path: Path) -> None:
    elsewhere = Server(tmp_path / "data")
    elsewhere.port = server.port
    options = ("--server", server.url, "--key", server.key, "--application", "Nightly", "--user-header", "u")
    proxy = Proxy(elsewhere, upstream.url, *options)
    proxy.get("/leads", headers={"u": "elsewhere"})
    assert proxy.stop() == 0

    assert events(server, "elsewhere")[0]["application"] == "Nightly"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--upstream", "ftp://x", "--org", "acme"], "The upstream is 'ftp://x'"),
        (["--upstream", "http://u:p@x", "--org", "acme"], "callers send their own credentials"),
        (["--upstream", "http://x:y", "--org", "acme"], "The upstream is 'http://x:y'"),
        (["--upstream", "http://x"], "Name the organisation to charge with --org"),
        (["--upstream", "http://x", "--org", "nobody"], "There is no organisation 'nobody'"),
        (["--upstream", "http://x", "--org", "acme", "--alias", "x"], "--alias is 'x'"),
        (["--upstream", "http://x", "--server", "http://m"], "--server needs the key"),
        (["--upstream", "http://x", "--server", "m", "--key", "k"], "The server can't be used: url is 'm'"),
    ],
)
def test_what_is_wrong_with_the_options_is_told_in_one_line(
    server: Server, options: list[str], said: str
) -> None:
    done = command_here("proxy", "--port", "0", *options, data=server.data)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1), done.stderr
    assert said in done.stderr
