"""A real `meterboard serve` in a process of its own, ended by its process id."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
from click.testing import CliRunner

from meterboard.cli import main


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(
    *arguments: str, data: Path | None, python: str = sys.executable, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of `meterboard` to its end; `data` None: one that needs no folder."""
    return subprocess.run(
        [python, "-m", "meterboard", *arguments, *(["--data", str(data)] if data else [])],
        env=_environment(settings),
        capture_output=True,
        text=True,
        timeout=120,
    )


def command_here(*arguments: str, data: Path | None, **settings: str) -> subprocess.CompletedProcess[str]:
    """`command` without a process of its own, which takes half a second: where the process is not what is tried."""
    done = CliRunner().invoke(
        main, [*arguments, *(["--data", str(data)] if data else [])], env=_variables(settings)
    )
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def _environment(settings: dict[str, str]) -> dict[str, str]:
    return os.environ | _variables(settings)


def _variables(settings: dict[str, str]) -> dict[str, str]:
    return {f"METERBOARD_{name.upper()}": value for name, value in settings.items()}


def sign_in(browser: httpx.Client, link: str) -> httpx.Response:
    """Open a sign-in link and press the button of its page; the answer is what follows."""
    opened = browser.get(link)
    assert opened.status_code == 200, opened.text
    form = dict(re.findall(r'name="(link|token)" value="([^"]+)"', opened.text))
    return browser.post(link.partition("?")[0], data=form, follow_redirects=True)


def is_listening(line: str) -> bool:
    return line.startswith("Listening on ")


class Server:
    """
    A data folder and the server on it. `key` belongs to the organisation `acme`.

    Requests are `verify=False`, since reading the certificates of the world takes longer than an answer.
    """

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.settings = {"refresh_interval": "0s"} | settings
        self.key = ""
        self.python = sys.executable

    def prepare(self, *organization: str) -> "Server":
        """Make the folder by the commands."""
        created = command_here("org", "create", "acme", *organization, data=self.data)
        assert created.returncode == 0, created.stderr
        self.key = command_here("key", "create", "acme", data=self.data).stdout.strip()
        return self

    def start(self, *, port: int | None = None) -> "Server":
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [self.python, "-m", "meterboard", "serve", "--data", str(self.data), "--port", str(self.port)],
            env=_environment(self.settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said: list[str] = []
        listening = threading.Event()
        threading.Thread(target=self._read_output, args=[listening], daemon=True).start()
        assert listening.wait(60)
        assert any(map(is_listening, self.said)), "".join(self.said)
        return self

    def _read_output(self, listening: threading.Event) -> None:
        """Sets `listening` once the server reports that it listens, or ends."""
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.said.append(line)
                if is_listening(line):
                    listening.set()
        listening.set()

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=self.headers(), timeout=30, verify=False, **options)

    def post(self, **options: Any) -> httpx.Response:
        headers = self.headers() | options.pop("headers", {})
        return httpx.post(f"{self.url}/v1/events", headers=headers, timeout=30, verify=False, **options)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def sign_in_link(self) -> str:
        added = command_here(
            "user", "create", "acme", "maria@acme.example", "--role", "owner", data=self.data
        )
        return added.stdout.strip()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)
