"""HTTP to the server that holds a data folder."""

from http.client import HTTPException, HTTPResponse
from pathlib import Path
from shutil import copyfileobj
from typing import IO

from meterboard.client.transport import NoResponse, Response, Transport
from meterboard.network.running_server import connection_to_running


class FolderTransport(Transport):
    """
    A connection to the server that holds a data folder, whenever one runs and wherever it listens.

    The key goes to no other program: each connection begins with the server's proof, and none reconnects without one.
    """

    def __init__(self, data: Path, key: str, timeout: float) -> None:
        super().__init__("http://127.0.0.1", key, timeout)  # an address that is never used
        self._data = data

    def download(self, path: str, output: IO[bytes]) -> Response:
        """
        Writes the body of an answer to `output`, that of a refusal excepted: the returned answer has it.

        Raises: NoResponse: the server does not answer, or not in full.
        """
        self.close()  # a connection that was idle may be closed at the other end
        try:
            response = self._send("GET", path, None, self._headers)
            if response.status >= 400:
                return self._read(response)
            copyfileobj(response, output)
            declared = response.getheader("Content-Length")
            if declared and output.tell() != int(declared):
                raise OSError("the connection was closed before the end of the answer")
            return self._read(response)
        except (OSError, HTTPException) as error:
            self.close()
            raise NoResponse(f"{type(error).__name__}: {error}") from error

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> HTTPResponse:
        if self._connection.sock is None:
            connection = connection_to_running(self._data)
            if connection is None:
                raise ConnectionError(f"no server runs on the folder {self._data}")
            connection.sock.settimeout(self._timeout)
            self._connection = connection
        return super()._send(method, path, body, headers)
