"""An API that is somebody else's, in a process of its own: `python -m tests.proxy.upstream PORT`."""

import asyncio
import gzip
import json
import subprocess
import sys
from typing import Any

import httpx

from tests.server import free_port

LEADS = {"data": [{"id": number} for number in range(7)], "info": {"count": 7}}
state: dict[str, int] = {"waiting": 0, "left": 0, "answered": 0}


async def body_of(receive: Any) -> bytes:
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ConnectionError
        chunks.append(message["body"])
        if not message.get("more_body"):
            return b"".join(chunks)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """The body comes back piece by piece while it comes in."""
    headers = [pair for pair in scope["headers"] if pair[0] in (b"content-type", b"content-encoding")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def wait(scope: Any, receive: Any, send: Any) -> None:
    """Never answers; takes note of whoever gives up."""
    state["waiting"] += 1
    await body_of(receive)
    while (await receive())["type"] != "http.disconnect":
        pass
    state["left"] += 1


async def endless(scope: Any, receive: Any, send: Any) -> None:
    """Answers without end, until whoever listens has gone."""
    state["waiting"] += 1
    await send({"type": "http.response.start", "status": 200, "headers": []})

    async def pour() -> None:
        while True:
            await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
            await asyncio.sleep(0)

    pouring = asyncio.ensure_future(pour())
    await body_of(receive)
    while (await receive())["type"] != "http.disconnect":
        pass
    state["left"] += 1
    pouring.cancel()


async def cut(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-length", b"100")] if scope["query_string"] == b"length" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("cut off")


async def answer(send: Any, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    path = scope["path"].removeprefix("/base")
    json_type = (b"content-type", b"application/json")
    if path in ("/echo", "/wait", "/endless", "/cut"):
        await globals()[path[1:]](scope, receive, send)
    elif path == "/state":
        await answer(send, 200, json.dumps(state).encode(), json_type)
    elif path == "/leads":
        await body_of(receive)
        await answer(send, 200, json.dumps(LEADS).encode(), json_type)
    elif path == "/leads.gz":
        body = gzip.compress(json.dumps(LEADS).encode())
        await answer(send, 200, body, json_type, (b"content-encoding", b"gzip"))
    elif path == "/status":
        await body_of(receive)
        status = int(scope["query_string"])
        headers = [(b"location", b"https://elsewhere.example/x")] if status == 302 else []
        cookies = [(b"set-cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2")]
        await answer(send, status, b"" if status in (204, 304) else b"body", *headers, *cookies)
    else:
        sent = await body_of(receive)
        state["answered"] += 1
        seen = {
            "method": scope["method"],
            "target": scope["raw_path"].decode() + "?" + scope["query_string"].decode(),
            "headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]],
            "body": sent.decode("latin-1"),
        }
        await answer(send, 200, json.dumps(seen).encode(), json_type)


class Upstream:
    """The process."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.proxy.upstream", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self.url)

    def state(self) -> dict[str, int]:
        found: dict[str, int] = httpx.get(f"{self.url}/state").json()
        return found

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)


def wait_for(url: str) -> None:
    """Wait until a server answers."""
    transport = httpx.HTTPTransport(retries=12)  # with growing waits, half a minute together
    with httpx.Client(transport=transport, timeout=30) as client:
        client.get(f"{url}/state")


async def main(port: int) -> None:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, log_enabled=False)
    await server.serve()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
