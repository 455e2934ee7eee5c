"""An API, a Meterboard, and the real proxy between a caller and the API."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.proxy.upstream import Upstream
from tests.server import Server, free_port


class Proxy:
    """The process. Everything that it says is kept."""

    def __init__(self, server: Server, upstream: str, *options: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        arguments = ["proxy", "--upstream", upstream, "--port", str(self.port), "--data", str(server.data)]
        if "--server" not in options:
            arguments += ["--org", "acme"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "meterboard", *arguments, *options],
            env=os.environ | {"METERBOARD_PORT": str(server.port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said: list[str] = []
        assert self.process.stdout is not None
        self.said.append(self.process.stdout.readline())
        assert "forwards to" in self.said[0], self.said[0] + self.process.stdout.read()
        threading.Thread(target=self._listen, daemon=True).start()
        httpx.Client(transport=httpx.HTTPTransport(retries=12)).close()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            self.said.extend(iter(self.process.stdout.readline, ""))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.HTTPTransport(retries=12)  # its socket may open a moment after it has said so
        with httpx.Client(transport=transport, timeout=30) as client:
            return client.request(method, f"{self.url}{path}", **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout=30)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    running = Upstream()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def proxy(server: Server, upstream: Upstream) -> Iterator[Proxy]:
    running = Proxy(server, upstream.url, "--user-header", "X-User")
    yield running
    assert running.stop() == 0
