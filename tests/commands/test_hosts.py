"""Commands find the server that holds their data folder, and take nothing else for it."""

import sqlite3
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from meterboard.accounts.database import FILE as ACCOUNTS_FILE
from meterboard.clock import SystemClock
from meterboard.commands.host.following import deliver_while_following
from meterboard.commands.host.host import open_host
from meterboard.commands.host.keys import KEY_LIFETIME
from meterboard.commands.proxy import FolderMeter
from meterboard.domain.access import ApiKey
from meterboard.domain.event import UsageEvent
from meterboard.domain.instance import PATH, proof
from meterboard.domain.organization import Organization
from meterboard.domain.period import micros
from meterboard.errors import ServerAway
from meterboard.importers.delivery import to_meter
from meterboard.importers.following import Following
from meterboard.network.running_server import Running, running_server, write_note
from meterboard.service.ingest.calls import CallKind, Calls, Outcome
from meterboard.services import Accounts, Services
from meterboard.settings import Settings
from tests.server import Server, command_here
from tests.waiting import eventually

SECRET = "the secret of a server that was killed"


class Listener:
    """Some other program on the port of a server: it answers everything with a proof that it saw go by."""

    def __init__(self, port: int = 0) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                listener.seen.append((self.path, dict(self.headers)))
                content = proof(SECRET, "an earlier challenge").encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815  # the base class names it so

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def saw_a_key(self) -> bool:
        return any("Authorization" in headers for _, headers in self.seen)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    running = Listener()
    yield running
    running.stop()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder that counts five calls and has no server."""
    services = Services(tmp_path / "data", Settings())
    acme = services.accounts.organizations.create(
        "acme", allowance=None, time_zone="UTC", schedule="one-per-call"
    )
    to_meter(services.ingest, ApiKey(acme, "all"))([UsageEvent(module="Leads")] * 5)
    services.refresh.now()
    services.close()
    return tmp_path / "data"


def behaves_as_without_a_server(data: Path) -> None:
    assert "acme: 5 events, difference 0" in command_here("verify", data=data).stdout
    exported = command_here("export", "acme", "--columns", "module", data=data).stdout
    assert "Leads,5,5,0" in exported
    examined = command_here("doctor", data=data)
    assert "ok    usage     opens; statistics as of" in examined.stdout


def test_another_program_on_the_port_gets_no_key(data: Path, listener: Listener) -> None:
    write_note(data, Running(listener.url, SECRET, 1))

    behaves_as_without_a_server(data)
    assert listener.seen
    assert not listener.saw_a_key()


def test_another_meterboard_on_the_port_is_not_asked(data: Path, server: Server) -> None:
    write_note(data, Running(server.url, SECRET, 1))

    behaves_as_without_a_server(data)


@pytest.mark.parametrize("note", ["", "{}", '{"address": "http://127.0.0.1:1"}', "\x00", '{"address": 5}'])
def test_a_note_that_says_nothing_is_no_server(data: Path, note: str) -> None:
    (data / "server.json").write_text(note)

    assert running_server(data) is None


def test_the_doctor_finds_the_server(server: Server) -> None:
    said = command_here("doctor", data=server.data).stdout

    assert f"held by the server at {server.url}, process {server.process.pid}" in said
    assert "ok    port      in use by the server" in said


def test_a_challenge_needs_no_key_and_has_a_length(server: Server) -> None:
    note = running_server(server.data)
    assert note is not None
    assert httpx.get(f"{server.url}{PATH}?challenge=abc").text == proof(note.secret, "abc")
    for challenge in ("", "x" * 129):
        assert httpx.get(f"{server.url}{PATH}", params={"challenge": challenge}).status_code == 400


def test_the_proxy_sends_to_its_own_server_alone_and_waits_for_it(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").prepare()
    meter = FolderMeter(server.data, server.key, spool=server.data / "proxy-spool" / "1")
    try:
        meter.record(module="before the server starts")
        assert not meter.flush(0.1)
        server.start()
        eventually(lambda: meter.flush(5))

        server.kill()
        impostor = Listener(server.port)
        try:
            meter.record(module="while another program has the port")
            eventually(lambda: len(impostor.seen) > 0)
            assert not meter.flush(0.1)
            assert not impostor.saw_a_key()
        finally:
            impostor.stop()
        server.start()
        eventually(lambda: meter.flush(5))
        assert server.get("/v1/statistics/summary").json()["calls"] == 2
    finally:
        meter.close()
        server.stop()


def one_call() -> Calls:
    zero = array("i", [0])
    now = micros(SystemClock().now())
    return Calls(
        [CallKind(UsageEvent(module="Leads"), now)], [(None, None)], [None], zero, zero, zero, array("q", [now]),
        array("Q", [1]), array("I", [1]), lambda: ["a call"],
    )  # fmt: skip


def acme_of(data: Path) -> Organization:
    accounts = Accounts(data)
    try:
        return accounts.organizations.named("acme")
    finally:
        accounts.close()


def test_a_host_is_the_folder_or_the_server_that_holds_it(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").prepare()
    acme = acme_of(server.data)
    with open_host(server.data, "test") as host:
        assert (host.holds_store, host.address) == (True, "http://127.0.0.1:8000")
        assert host.usage_status() == "no events yet"
        assert host.deliver(acme, one_call()) == Outcome(accepted=1)
        assert host.verify(acme).events == 1
    server.start()
    with open_host(server.data, "test") as host:
        assert (host.holds_store, host.address) == (False, server.url)
        assert host.deliver(acme, one_call()) == Outcome(duplicates=1)
        assert host.verify(acme).events == 1
    server.stop()


def test_a_server_that_is_killed_between_two_requests_is_not_mistaken_for_what_follows_it(
    tmp_path: Path,
) -> None:
    server = Server(tmp_path / "data").prepare().start()
    acme = acme_of(server.data)
    with open_host(server.data, "import") as host, host.bulk_import(acme) as delivery:
        assert delivery.calls(one_call()) == Outcome(accepted=1)
        server.kill()
        impostor = Listener(server.port)
        try:
            with pytest.raises(ServerAway, match="Run the import again; nothing is counted twice"):
                delivery.calls(one_call())
            with pytest.raises(ServerAway, match="no server runs on the folder"):
                host.verify(acme)
            assert len(impostor.seen) >= 2
            assert not impostor.saw_a_key()
        finally:
            impostor.stop()
        server.start()
        assert delivery.calls(one_call()) == Outcome(duplicates=1)
    server.stop()


def test_the_key_of_a_command_that_follows_a_log_expires_if_the_command_is_killed(server: Server) -> None:
    before = SystemClock().now()
    with deliver_while_following(server.data, acme_of(server.data), Following("access.log")) as delivery:
        assert delivery.calls(one_call()) == Outcome(accepted=1)
        with sqlite3.connect(server.data / ACCOUNTS_FILE) as accounts:
            query = "select expires_at from api_key where name = 'import' and revoked_at is null"
            ((expires_at,),) = accounts.execute(query).fetchall()

    assert datetime.fromisoformat(expires_at).replace(tzinfo=UTC) <= SystemClock().now() + KEY_LIFETIME
    assert datetime.fromisoformat(expires_at).replace(tzinfo=UTC) >= before + KEY_LIFETIME
