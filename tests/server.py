"""A real `meterboard serve` in a process of its own, ended by its process id."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

import httpx


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


def _environment(settings: dict[str, str]) -> dict[str, str]:
    return os.environ | {f"METERBOARD_{name.upper()}": value for name, value in settings.items()}


@cache
def _prepared(python: str, organization: tuple[str, ...]) -> tuple[Path, str]:
    """A data folder with the organisation `acme`, and a key of it: once for all, since the commands take a second."""
    data = Path(tempfile.mkdtemp(prefix="meterboard-prepared-"))
    atexit.register(shutil.rmtree, data)
    created = command("org", "create", "acme", *organization, data=data, python=python)
    assert created.returncode == 0, created.stderr
    return data, command("key", "create", "acme", data=data, python=python).stdout.strip()


class Server:
    """A data folder and the server on it. `key` belongs to the organisation `acme`."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.settings = {"refresh_interval": "0s"} | settings
        self.key = ""
        self.python = sys.executable

    def prepare(self, *organization: str) -> "Server":
        """Make the folder, as a copy of one that the commands have made for an organisation of the same kind."""
        made, self.key = _prepared(self.python, organization)
        shutil.copytree(made, self.data, dirs_exist_ok=True)
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
        threading.Thread(target=self._listen, daemon=True).start()
        self._wait_until_it_answers()
        return self

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            self.said.extend(iter(self.process.stdout.readline, ""))

    def _wait_until_it_answers(self) -> None:
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            assert self.process.poll() is None, "".join(self.said)
            try:
                httpx.get(f"{self.url}/schema")
                return
            except httpx.TransportError:
                threading.Event().wait(0.05)
        raise AssertionError("The server does not answer.")

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=self.headers(), timeout=30, **options)

    def post(self, **options: Any) -> httpx.Response:
        headers = self.headers() | options.pop("headers", {})
        return httpx.post(f"{self.url}/v1/events", headers=headers, timeout=30, **options)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def sign_in_link(self) -> str:
        added = command(
            "user",
            "create",
            "acme",
            "maria@acme.example",
            "--role",
            "owner",
            data=self.data,
            python=self.python,
        )
        return added.stdout.strip()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)
