"""A call goes on as it came and its answer comes back as it is."""

import gzip
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proxy.conftest import Proxy
from tests.proxy.upstream import LEADS, Upstream
from tests.server import Server, free_port
from tests.waiting import eventually

WAIT_SECONDS = 30


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(WAIT_SECONDS)
    return connection


def seen(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    return found


def pieces(body: bytes, cuts: list[int]) -> Iterator[bytes]:
    """A body cut at some places."""
    places = sorted({cut % (len(body) + 1) for cut in cuts} | {0, len(body)})
    for start, end in pairwise(places):
        yield body[start:end]


@settings(max_examples=40)
@given(
    body=st.binary(max_size=200_000) | st.binary(max_size=300).map(lambda piece: piece * 1_000),
    cuts=st.lists(st.integers(0, 300_000), max_size=12),
    chunked=st.booleans(),
    content_type=st.sampled_from(["application/json", "application/octet-stream", "text/event-stream"]),
    encoding=st.sampled_from(["", "gzip", "zstd", "br"]),
)
def test_any_body_in_any_pieces_comes_out_equal_on_both_ways(
    proxy: Proxy, body: bytes, cuts: list[int], chunked: bool, content_type: str, encoding: str
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=WAIT_SECONDS)
    headers = {"Content-Type": content_type} | ({"Content-Encoding": encoding} if encoding else {})
    if not chunked:
        headers["Content-Length"] = str(len(body))
    connection.request("POST", "/echo", pieces(body, cuts), headers, encode_chunked=chunked)
    answer = connection.getresponse()
    came = answer.read()
    connection.close()

    assert (answer.status, came) == (200, body)
    assert answer.getheader("Content-Encoding", "") == encoding


def test_a_compressed_answer_stays_compressed(proxy: Proxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=WAIT_SECONDS)
    connection.request("GET", "/leads.gz")
    answer = connection.getresponse()
    assert answer.getheader("Content-Encoding") == "gzip"
    assert json.loads(gzip.decompress(answer.read())) == LEADS
    connection.close()


@pytest.mark.parametrize(
    "target", ["/a%2Fb%20c//../d?x=%41&y=a+b&&z", "/?%E2%82%AC=1", "/crm/v8/Leads/1;v=2?", "/%"]
)
def test_path_and_query_go_on_byte_for_byte(proxy: Proxy, target: str) -> None:
    with connect(proxy.port) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        path, _, query = target.partition("?")
        assert json.loads(answer.read())["target"] == f"{path}?{query}"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"])
def test_every_method_goes_on_with_its_body_if_it_has_one(proxy: Proxy, method: str) -> None:
    assert seen(proxy.request(method, "/x"))["method"] == method
    with_body = seen(proxy.request(method, "/x", content=b"body"))
    assert (with_body["method"], with_body["body"]) == (method, "body")


def test_headers_go_on_but_for_those_of_the_connection(proxy: Proxy, upstream: Upstream) -> None:
    with connect(proxy.port) as connection:
        connection.sendall(
            b"POST /x HTTP/1.1\r\nHost: proxy.example\r\nAuthorization: Zoho-oauthtoken 1000.secret\r\n"
            b"X-One: 1\r\nX-Two: a\r\nX-Two: b\r\nCookie: c=1; d=2\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n"
            b"Keep-Alive: timeout=5\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Authorization: Basic x\r\n"
            b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
        assert connection.recv(1_000).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"body")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        came = json.loads(answer.read())

    assert came["body"] == "body"
    assert sorted(map(tuple, came["headers"])) == [
        ("authorization", "Zoho-oauthtoken 1000.secret"),
        ("content-length", "4"),
        ("cookie", "c=1; d=2"),
        ("host", f"127.0.0.1:{upstream.port}"),
        ("via", "1.1 meterboard"),
        ("x-one", "1"),
        ("x-two", "a"),
        ("x-two", "b"),
    ]


def test_redirects_and_cookies_are_the_caller_s(proxy: Proxy) -> None:
    answer = proxy.get("/status?302")

    assert (answer.status_code, answer.headers["location"]) == (302, "https://elsewhere.example/x")
    assert answer.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2"]
    assert "cookie" not in dict(seen(proxy.get("/x"))["headers"])  # the proxy keeps none


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 401, 404, 429, 500, 503])
def test_every_status_comes_back(proxy: Proxy, status: int) -> None:
    answer = proxy.get(f"/status?{status}")
    assert (answer.status_code, answer.content) == (status, b"" if status in (204, 304) else b"body")


def test_an_answer_to_head_has_its_length_and_no_body(proxy: Proxy) -> None:
    answer = proxy.request("HEAD", "/leads")
    assert answer.headers["content-length"] == str(len(json.dumps(LEADS)))
    assert answer.content == b""


def test_an_answer_comes_piece_by_piece_before_its_end(proxy: Proxy) -> None:
    with connect(proxy.port) as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        came = 0
        while came < 1_000_000:
            came += len(connection.recv(65_536))


@pytest.mark.parametrize("path", ["/wait", "/endless"])
def test_a_caller_who_leaves_ends_the_call_at_the_api(proxy: Proxy, upstream: Upstream, path: str) -> None:
    before = upstream.state()
    connection = connect(proxy.port)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    eventually(lambda: upstream.state()["waiting"] > before["waiting"])
    connection.close()

    eventually(lambda: upstream.state()["left"] > before["left"])


@pytest.mark.parametrize("path", ["/cut", "/cut?length"])
def test_an_answer_that_breaks_off_never_looks_whole(proxy: Proxy, path: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        proxy.get(path)


def test_a_large_upload_waits_for_a_slow_api_instead_of_filling_memory(server: Server, proxy: Proxy) -> None:
    slow = socket.create_server(("127.0.0.1", 0))
    second = Proxy(server, f"http://127.0.0.1:{slow.getsockname()[1]}")
    try:
        caller = connect(second.port)
        caller.settimeout(2)
        caller.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        taken, _ = slow.accept()
        assert sent_until_it_stalls(caller) < 50_000_000
        taken.close()
        caller.close()
    finally:
        second.stop()
        slow.close()


def sent_until_it_stalls(connection: socket.socket) -> int:
    sent = 0
    try:
        while sent < 1_000_000_000:
            sent += connection.send(bytes(1_000_000))
    except TimeoutError:
        return sent
    raise AssertionError("Everything was taken.")


def talk(said: bytes, tls: ssl.SSLContext | None = None) -> tuple[int, Callable[[], None]]:
    """An API that says just this to whoever calls, then closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), connection:  # whoever calls may not trust it
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                connection.recv(65_536)
                connection.sendall(said)
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1]), listener.close


@pytest.mark.parametrize(
    ("said", "status", "body"),
    [
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            200,
            b"ok",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, b""),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
    ],
)
def test_other_forms_of_answers(server: Server, said: bytes, status: int, body: bytes) -> None:
    port, close = talk(said)
    proxy = Proxy(server, f"http://127.0.0.1:{port}")
    try:
        answer = proxy.get("/")
        assert (answer.status_code, answer.content) == (status, body)
    finally:
        proxy.stop()
        close()


@pytest.mark.parametrize(
    ("said", "status", "error"),
    [
        (b"", 502, "connection_terminated"),
        (b"this is no HTTP\r\n\r\n", 502, "connection_terminated"),
        (None, 502, "destination_unavailable"),
        ("silence", 504, "http_response_timeout"),
    ],
)
def test_no_answer_is_a_problem_that_is_said_to_be_the_proxy_s(
    server: Server, said: bytes | str | None, status: int, error: str
) -> None:
    if isinstance(said, bytes):
        port, close = talk(said)
    elif said is None:
        port, close = free_port(), lambda: None
    else:
        silent = socket.create_server(("127.0.0.1", 0))
        port, close = silent.getsockname()[1], silent.close
    proxy = Proxy(server, f"http://127.0.0.1:{port}", "--timeout", "0.5")
    try:
        answer = proxy.get("/crm/v8/Leads")
    finally:
        proxy.stop()
        close()

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.headers["proxy-status"] == f"meterboard; error={error}"
    assert answer.json()["status"] == status
    assert "Meterboard's metering proxy has no answer for this call" in answer.json()["detail"]
    assert f"http://127.0.0.1:{port}" in answer.json()["detail"]


def test_an_api_below_a_path(server: Server, upstream: Upstream) -> None:
    proxy = Proxy(server, f"{upstream.url}/base/")
    try:
        assert seen(proxy.get("/crm/v8?x=1"))["target"] == "/base/crm/v8?x=1"
    finally:
        proxy.stop()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of the API at localhost, signed by itself, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    file = tmp_path / "api.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    make += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    subprocess.run([*make, "-keyout", str(file), "-out", str(file) + ".crt"], check=True, capture_output=True)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


@pytest.mark.parametrize(("trusted", "status"), [(True, 200), (False, 502)])
def test_an_api_by_tls_is_asked_by_its_name_and_must_prove_it(
    server: Server, certificate: Path, trusted: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: names.append(name)
    port, close = talk(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", context)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    proxy = Proxy(server, f"https://localhost:{port}")
    try:
        assert proxy.get("/").status_code == status
    finally:
        proxy.stop()
        close()
    assert names == ["localhost"]
