"""
A server that answers every request at once and does nothing else: what the machine, the server and the load generator
can do at most, for the other benchmarks to stand beside.
"""

import sys

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar.types import Receive, Scope, Send

ANSWER = b'{"accepted":1,"duplicates":0,"rejected":[]}'


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER, "more_body": False})


async def serve(port: int) -> None:
    server = Server(
        app,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        backlog=1024,
        backpressure=1024,
        log_enabled=False,
    )
    await server.serve()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
