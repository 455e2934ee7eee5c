"""A TCP proxy between a client and a server that misbehaves when asked to."""

import contextlib
import socket
import threading
from typing import Literal

from tests.server import free_port

Mode = Literal["pass", "refuse", "stall", "swallow answers"]


class Proxy:
    """
    Listens on `port`, hands on to another one.

    `refuse` closes connections at once, `stall` hands nothing on, `swallow answers` lets requests through and cuts the
    connection instead of answering. Setting `mode` cuts the connections that are open.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests = 0
        self._mode: Mode = "pass"
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        self._cut()

    def _cut(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._mode == "refuse":
                    client.close()
                    continue
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with (
            client,
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.target)) as server,
        ):
            self._open |= {client, server}
            back = threading.Thread(target=self._copy, args=(server, client, "swallow answers"), daemon=True)
            back.start()
            self._copy(client, server, None)
            back.join()
            self._open -= {client, server}

    def _copy(self, source: socket.socket, target: socket.socket, cut_when: Mode | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if cut_when is None:
                    self.requests += 1
                if self._mode == "stall":
                    continue
                if self._mode == cut_when:
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self._cut()
