"""
The pages of the ways in, each command tried as it is written. Only what exists nowhere else is replaced: addresses,
keys, folders and times. What is a gateway's configuration is not tried here.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.proxy.upstream import Upstream
from tests.server import Server, free_port
from tests.waiting import eventually

DOCS = Path(__file__).parent.parent / "docs"
NOW = datetime.now(UTC)
COMMAND = re.compile(r"(meterboard|curl|journalctl|OTEL_\w+=)")


def examples(page: str) -> list[str]:
    """The indented blocks of a page that a shell understands."""
    blocks = re.findall(r"(?:^    .*\n)+", (DOCS / page).read_text(), re.MULTILINE)
    return [text for block in blocks if COMMAND.match(text := re.sub("^    ", "", block, flags=re.MULTILINE))]


def example(page: str, *parts: str) -> str:
    (found,) = [block for block in examples(page) if all(part in block for part in parts)]
    return found


def line(page: str, part: str) -> str:
    (found,) = [text for block in examples(page) for text in block.splitlines() if part in text]
    return found


@pytest.mark.parametrize(
    ("page", "count"),
    [("importing.md", 1 + 4), ("sending-events.md", 1), ("proxy.md", 5), ("opentelemetry.md", 3 + 1)],
)
def test_there_is_no_command_that_is_not_tried(page: str, count: int) -> None:
    """Of importing, the first is none but what every command looks like."""
    commands = [text for block in examples(page) for text in block.splitlines() if COMMAND.match(text)]
    assert len(commands) == count


PAGES = {file.name: file.read_text() for file in (*DOCS.glob("*.md"), DOCS.parent / "README.md")}


@pytest.mark.parametrize("page", PAGES)
def test_the_command_has_one_name(page: str) -> None:
    """Its folder is named once, where it is put on the path, and where a service is described."""
    assert not re.findall(r"\.venv/bin/meterboard", PAGES[page])
    elsewhere = re.findall(r"\S+/bin/meterboard\b(?! serve| org create)", PAGES[page])
    assert not elsewhere or page == "operating.md"


@pytest.mark.parametrize("page", PAGES)
def test_the_example_organisation_has_one_spelling(page: str) -> None:
    named = re.findall(
        r"meterboard (?:(?:org|key|user) \w+|import|export|schedule use) (\S+?)[`\s)]|--org (\w+)",
        PAGES[page],
    )
    examples = {name for found in named for name in found if name}
    assert examples <= {"acme", "bolt", "ORG", "NAME", "'*'"}, examples


@pytest.mark.parametrize("page", PAGES)
def test_an_address_with_a_question_mark_is_quoted(page: str) -> None:
    commands = re.findall(r"^    .*\bcurl .*$", PAGES[page], re.MULTILINE)
    assert not [text for text in commands if re.search(r"""\s(?!["'])\S*https?://\S*\?""", text)]


def test_the_first_event_of_the_readme(tmp_path: Path) -> None:
    text = PAGES["README.md"].partition("## Send the first event")[2].partition("\n## ")[0]
    lines = re.findall(r"^    (.*)$", text, re.MULTILINE)
    server = Server(tmp_path / "meterboard-data")
    server.port = free_port()
    server.url = f"http://127.0.0.1:{server.port}"
    (tmp_path / "access.log").write_text(log_line("203.0.113.1"))
    settings = {"METERBOARD_PORT": str(server.port), "METERBOARD_REFRESH_INTERVAL": "0s"}
    shell = Shell(tmp_path, server.data, **settings)
    try:
        for made in ("meterboard org create", "meterboard user create"):
            (found,) = [line for line in lines if line.startswith(made)]
            shell.run(found)
        (serve,) = [line for line in lines if line == "meterboard serve"]
        serving = shell.start(f"exec {serve}")
        assert serving.stdout is not None
        assert serving.stdout.readline() == f"Listening on {server.url}\n"
        first = next(at for at, line in enumerate(lines) if line.startswith("KEY="))
        last = next(at for at, line in enumerate(lines) if line.startswith('{"accepted"'))
        send = "\n".join(lines[first:last]).replace("http://127.0.0.1:8000", server.url)
        said = shell.run(f'{send}\necho "key $KEY"')
        assert said.startswith(lines[last])
        server.key = said.partition("key ")[2].strip()
        assert calls(server, application="Sales desk") == 1
        (imports,) = [line for line in lines if line.startswith("meterboard import")]
        shell.run(imports.replace("/var/log/nginx/access.log", "access.log"))
        assert calls(server, ip="203.0.113.1") == 1
    finally:
        shell.close()


class Shell:
    """A shell in a folder of its own, whose commands are about a data folder."""

    def __init__(self, folder: Path, data: Path, **variables: str) -> None:
        self.folder = folder
        commands = folder / "bin"
        commands.mkdir()
        (commands / "journalctl").write_text("#!/bin/sh\ncat caddy.json\n")
        (commands / "journalctl").chmod(0o755)
        path = f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = os.environ | {"PATH": path, "METERBOARD_DATA": str(data)} | variables
        self._started: list[subprocess.Popen[str]] = []

    def run(self, text: str) -> str:
        """What commands say, of which the last succeeds."""
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, text: str) -> "subprocess.Popen[str]":
        """Commands that go on until they are told to stop."""
        started = subprocess.Popen(
            ["bash", "-c", text],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._started.append(started)
        return started

    def close(self) -> None:
        for started in self._started:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGTERM)
            started.communicate(timeout=30)


@pytest.fixture
def shell(tmp_path: Path, server: Server) -> Iterator[Shell]:
    opened = Shell(tmp_path, server.data, KEY=server.key)
    yield opened
    opened.close()


def calls(server: Server, **filters: str) -> int:
    return int(server.get("/v1/statistics/summary", params=filters).json()["calls"])


def log_line(ip: str) -> str:
    return (
        f'{ip} - maria [{NOW:%d/%b/%Y:%H:%M:%S +0000}] "GET /crm/v8/Leads HTTP/1.1" 200 512 "-" "curl/8.1"\n'
    )


class TestImporting:
    def test_access_logs_by_a_pattern_and_one_that_grows(
        self, shell: Shell, server: Server, tmp_path: Path
    ) -> None:
        logs = tmp_path / "nginx"
        logs.mkdir()
        (logs / "access.log").write_text(log_line("203.0.113.1") + log_line("203.0.113.2"))
        (logs / "access.log.1").write_text(log_line("203.0.113.3"))
        pattern, follow = (
            line("importing.md", part).replace("/var/log/nginx", str(logs))
            for part in ("access.log*'", "access.log --follow")
        )

        assert "3 lines: 3 new" in shell.run(pattern)

        following = shell.start(f"exec {follow}")
        with (logs / "access.log").open("a") as grows:
            grows.write(log_line("203.0.113.4"))
        eventually(lambda: calls(server, ip="203.0.113.4") == 1)
        following.send_signal(signal.SIGINT)
        assert "3 lines: 1 new, 2 duplicates" in following.communicate(timeout=30)[0]

    def test_what_another_command_says(self, shell: Shell, server: Server, tmp_path: Path) -> None:
        call = {
            "ts": NOW.timestamp(),
            "request": {"client_ip": "203.0.113.5", "method": "GET", "uri": "/crm/v8/Leads"},
        }
        (tmp_path / "caddy.json").write_text(json.dumps(call | {"status": 200}) + "\n")

        assert "1 lines: 1 new" in shell.run(line("importing.md", "journalctl"))
        assert calls(server, ip="203.0.113.5") == 1

    def test_columns_with_names_of_their_own(self, shell: Shell, server: Server, tmp_path: Path) -> None:
        (tmp_path / "calls.csv").write_text(
            f"when,Client IP,operation\n{NOW.isoformat()},203.0.113.6,records.read\n"
        )

        assert "1 lines: 1 new" in shell.run(line("importing.md", "calls.csv"))
        assert calls(server, ip="203.0.113.6", method="records.read") == 1


def test_sending_events(shell: Shell, server: Server) -> None:
    text = example("sending-events.md", "curl").replace("http://127.0.0.1:8000", server.url)

    assert json.loads(shell.run(text)) == {"accepted": 2, "duplicates": 0, "rejected": []}
    assert json.loads(shell.run(text)) == {"accepted": 0, "duplicates": 2, "rejected": []}
    assert calls(server, application="Sales desk", user="maria@acme.example") == 1
    assert calls(server, function="Assign lead owner", method="records.update") == 1


class TestOpenTelemetry:
    def test_a_span_by_hand(self, shell: Shell, server: Server) -> None:
        before = calls(server)
        text = example("opentelemetry.md", "curl").replace("http://127.0.0.1:8000", server.url)

        assert json.loads(shell.run(text)) == {}
        assert calls(server) == before + 1

    def test_variables_that_an_exporter_reads(self, shell: Shell, server: Server) -> None:
        variables = example("opentelemetry.md", "OTEL_EXPORTER").replace("http://127.0.0.1:8000", server.url)
        (shell.folder / "sender.py").write_text(SENDER)

        shell.run(f"set -a\n{variables.replace('mb_...', server.key)}\n'{sys.executable}' sender.py")

        assert calls(server, application="a sender of spans") == 1


SENDER = """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
call = {"http.request.method": "GET", "url.path": "/crm/v8/Leads", "meterboard.application": "a sender of spans"}
provider.get_tracer("sender").start_span("GET", kind=SpanKind.SERVER, attributes=call).end()
provider.shutdown()
"""


def test_the_proxy(tmp_path: Path) -> None:
    upstream = Upstream()
    server = Server(tmp_path / "data")
    server.port = free_port()
    server.url = f"http://127.0.0.1:{server.port}"
    shell = Shell(tmp_path, server.data, METERBOARD_PORT=str(server.port), METERBOARD_REFRESH_INTERVAL="0s")

    def running(text: str, port: int) -> None:
        """Begin with what ends with a proxy, and wait until it says that it passes calls on."""
        text = text.replace("https://www.zohoapis.com", upstream.url).rstrip()
        started = shell.start(f"{text} --port {port} || kill $(jobs -p)")
        assert started.stdout is not None
        while "forwards to" not in (said := started.stdout.readline()):
            assert said, "the proxy ended"

    def call(port: int) -> None:
        text = example("proxy.md", "curl").replace("http://127.0.0.1:8080", f"http://127.0.0.1:{port}")
        answer = json.loads(shell.run(text.replace("curl", "curl --retry 9 --retry-connrefused", 1)))
        assert answer["target"] == "/crm/v8/Leads?fields=Email"

    try:
        first, second = free_port(), free_port()
        running(example("proxy.md", "org create"), first)
        call(first)
        server.key = shell.run("meterboard key create acme").strip()
        eventually(lambda: calls(server) == 1)
        (event,) = server.get("/v1/events").json()["events"]

        fingerprint = event["application"]
        assert re.fullmatch(r"token-[0-9a-f]{12}", fingerprint)
        running(example("proxy.md", "--alias").replace("token-3f2a90c1b7de", fingerprint), second)
        call(second)
        eventually(lambda: calls(server, application="Backup") == 1)
    finally:
        shell.close()
        upstream.stop()
