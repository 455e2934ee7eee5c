"""Behind nginx with the configuration of the documentation, and behind its plain `proxy_pass`."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from meterboard.domain.event import MAX_BODY_BYTES
from tests.server import Server, free_port, sign_in
from tests.waiting import eventually

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
OPERATING = Path(__file__).parent.parent / "docs" / "operating.md"
PLAIN = "server {\n    listen 443 ssl;\n    location / { proxy_pass http://127.0.0.1:8000; }\n}\n"

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def documented() -> str:
    """The server block of the documentation."""
    (block,) = re.findall(
        r"(?:^    .*\n|^\n)*?^    server \{\n(?:^    .*\n|^\n)*?^    \}\n", OPERATING.read_text(), re.M
    )
    return re.sub("^    ", "", block, flags=re.M)


class Nginx:
    """A real nginx in the foreground. TLS is left out: its certificate would have to be somebody's."""

    def __init__(self, folder: Path, block: str, port: int, server: Server) -> None:
        block = re.sub(r"listen 443 ssl;", f"listen 127.0.0.1:{port};", block)
        block = re.sub(r" *(ssl_certificate\w*|server_name) .*;\n", "", block)
        block = block.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
        temporary = "".join(
            f"{name}_temp_path {folder}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{block}}}\n"
        )
        assert NGINX is not None
        self._process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")])
        self.url = f"http://127.0.0.1:{port}"
        eventually(self._answers)

    def _answers(self) -> bool:
        assert self._process.poll() is None
        try:
            return httpx.get(f"{self.url}/schema").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        self._process.terminate()
        assert self._process.wait(timeout=30) == 0


@pytest.fixture(scope="module", params=["documented", "plain"])
def nginx(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Nginx, Server]]:
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    server = Server(tmp_path_factory.mktemp("behind") / "data", public_url=f"http://127.0.0.1:{port}")
    server.prepare().start()
    running = Nginx(folder, documented() if request.param == "documented" else PLAIN, port, server)
    yield running, server
    running.stop()
    assert server.stop() == 0


def test_a_person_signs_in_sees_the_counter_move_and_signs_out(nginx: tuple[Nginx, Server]) -> None:
    proxy, server = nginx
    link = f"{proxy.url}/sign-in{server.sign_in_link().partition('/sign-in')[2]}"
    with httpx.Client(headers={"Origin": proxy.url}, timeout=30) as browser:
        assert sign_in(browser, link).url == f"{proxy.url}/"
        with browser.stream("GET", f"{proxy.url}/live") as line:
            words = line.iter_text()
            next(words)
            server.post(json={"credits": 7})
            assert any("7" in piece for piece in words)
        assert browser.post(f"{proxy.url}/sign-out").status_code == 303
        assert browser.get(f"{proxy.url}/table").status_code == 401


def test_a_request_as_long_as_meterboard_takes_passes(
    nginx: tuple[Nginx, Server], request: pytest.FixtureRequest
) -> None:
    proxy, server = nginx
    body = b'[{"user": "maria"}]'.ljust(MAX_BODY_BYTES)
    headers = server.headers() | {"Content-Type": "application/json"}
    status = httpx.post(f"{proxy.url}/v1/events", content=body, headers=headers, timeout=60).status_code

    assert status == (202 if "documented" in request.node.name else 413)  # nginx takes 1 MB unless it is told
