"""Real nginx, Apache, Caddy, HAProxy and lighttpd, as Debian has them, which write logs of what they are sent."""

import os
import shutil
import signal
import socket
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.server import free_port
from tests.waiting import eventually

START_SECONDS = 20
"""How long a server may take to listen, on a machine that does much else."""
ZONE = "Asia/Kolkata"
"""The time zone that the servers run in."""


class Log(NamedTuple):
    """
    A log that a server writes: the file in its folder, its format (None: guessed), and whether it has request lines as
    they came: in parts, what is not HTTP can't be recognised.
    """

    file: str
    form: str | None = None
    has_lines: bool = True


class Kind(NamedTuple):
    """
    Something that a client sends. `is_request`: its first line is one of HTTP. `user` and `application` are what it
    says of itself.
    """

    data: bytes
    is_request: bool = True
    user: str | None = None
    application: str | None = None


class Answered(NamedTuple):
    """What was sent, from which address, and the status of the answer; None: the connection was closed without one."""

    kind: Kind
    ip: str
    status: int | None


class Program(NamedTuple):
    """
    A server. `configure` writes its configuration for a port in a folder, and returns its command. The others say what
    its logs have.
    """

    name: str
    configure: Callable[[Path, int], Sequence[str]]
    logs: Mapping[str, Log]
    has_refused: bool = True
    has_long: bool = True
    has_users: bool = False
    has_agents: bool = True
    stop: signal.Signals = signal.SIGTERM


def _request(
    line: str,
    *,
    agent: bytes | None = None,
    user: str | None = None,
    application: str | None = None,
    more: str = "",
) -> Kind:
    headers = b"Host: api.acme.example\r\nConnection: close\r\n" + more.encode()
    if agent is not None:
        headers += b"User-Agent: " + agent + b"\r\n"
    if user is not None:
        headers += b"Authorization: Basic " + b64encode(f"{user}:secret".encode()) + b"\r\n"
    return Kind(line.encode() + b"\r\n" + headers + b"\r\n", True, user, application)


LONG = Kind(b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
KINDS = (
    _request("GET /v1/leads?page=2 HTTP/1.1", agent=b"acme-sync/1.2", application="acme-sync"),
    _request("GET /v1/leads/12 HTTP/1.1", agent=b"curl/8.1", user="maria", application="curl"),
    _request("HEAD /v1/leads HTTP/1.1", agent=b"curl/8.1", user="maria silva", application="curl"),
    _request("GET /v1/leads HTTP/1.0", agent=b"Acme Desk/2 (linux)", application="Acme Desk"),
    _request("GET /missing HTTP/1.1", agent=b"curl/8.1", application="curl"),
    _request("GET /v1/caf%C3%A9%20b HTTP/1.1", agent=b"curl/8.1", application="curl"),
    _request("DELETE /v1/leads/7 HTTP/1.1", agent=b"curl/8.1", application="curl"),
    _request("GET /v1/leads HTTP/1.1"),
    _request("GET /v1/leads HTTP/1.1", agent=b'"hi"\\x41/1', application='"hi"\\x41'),
    _request(
        "GET /v1/leads HTTP/1.1",
        agent="d\N{LATIN SMALL LETTER E WITH ACUTE}sk/1".encode(),
        application="d\xe9sk",
    ),
    _request("GET /v1/leads HTTP/1.1", agent=b"caf\xe9/1"),
    Kind(b"GET /v1/leads HTTP/1.0\r\n\r\n"),
    Kind(b"GET /v1/leads HTTP/1.1\r\nConnection: close\r\n\r\n"),
    LONG,
    Kind(
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(14, 64)) + b"\r\n\r\n", is_request=False
    ),
    Kind(b"hello\r\n\r\n", is_request=False),
    Kind(b"SSH-2.0-Go\r\n\r\n", is_request=False),
    Kind(b"EHLO example.com\r\n\r\n", is_request=False),
)
"""Without what a server may answer before it has read it, since its answer may then be lost."""


def send(port: int, *, rounds: int) -> list[Answered]:
    """Sends every kind over IPv4, and over IPv6 where this machine has it."""
    addresses = ["127.0.0.1", *(["::1"] if _has_ipv6() else [])]
    return [
        Answered(kind, ip, _exchange(ip, port, kind.data))
        for _ in range(rounds)
        for ip in addresses
        for kind in KINDS
    ]


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _exchange(ip: str, port: int, data: bytes) -> int | None:
    """The status of the answer."""
    answer = b""
    with socket.create_connection((ip, port), timeout=START_SECONDS) as connection:
        try:
            connection.sendall(data)
            while piece := connection.recv(65_536):
                answer += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
    words = answer.split(b" ", 2)
    return int(words[1]) if answer.startswith(b"HTTP/") and len(words) > 1 else None


@contextmanager
def running(program: Program, folder: Path) -> Iterator[int]:
    """The port of a server, which has ended and written its logs afterwards."""
    port = free_port()
    _, *options = program.configure(folder, port)
    command = [str(path_of(program)), *options]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "home",
        "TZ": ZONE,
        "XDG_DATA_HOME": "data",
        "XDG_CONFIG_HOME": "data",
    }
    with (folder / "output.log").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _wait_for(process, port, folder)
            yield port
        finally:
            process.send_signal(program.stop)
            process.wait(START_SECONDS)


def _wait_for(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    def accepts_connections() -> bool:
        assert process.poll() is None, (folder / "output.log").read_text()
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            return False
        return True

    eventually(accepts_connections)


def _listen(port: int, form: str) -> str:
    """A line of configuration for each address."""
    return "".join(form.format(f"{ip}:{port}") for ip in ("127.0.0.1", *(["[::1]"] if _has_ipv6() else [])))


def _nginx(folder: Path, port: int) -> Sequence[str]:
    formats = (
        'log_format vhost \'$host:$server_port $remote_addr - $remote_user [$time_local] "$request" $status '
        '$body_bytes_sent "$http_referer" "$http_user_agent"\';\n'
        'log_format members escape=json \'{"time_iso8601":"$time_iso8601","remote_addr":"$remote_addr","remote_user":'
        '"$remote_user","request":"$request","status":"$status","http_user_agent":"$http_user_agent"}\';\n'
        f"log_format parts '{NGINX_PARTS}';\n"
    )
    logs = "".join(
        f"access_log {folder}/{name}.log {name};\n" for name in ("combined", "vhost", "members", "parts")
    )
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\n{formats}{logs}{paths}server {{\n{_listen(port, 'listen {};')}\n"
        "location / { return 200 'ok'; }\nlocation /missing { return 404; } }\n}\n"
    )
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]


NGINX_PARTS = (
    '$remote_addr $remote_user [$time_iso8601] "$request_method $scheme://$host$request_uri $server_protocol" $status '
    '"$http_user_agent"'
)
APACHE_PARTS = '%h "%u" %{%Y-%m-%dT%H:%M:%S}t.%{msec_frac}t%{%z}t "%m %U%q %H" %>s %D "%{User-Agent}i"'


def _apache(folder: Path, port: int) -> Sequence[str]:
    modules = Path("/usr/lib/apache2/modules")
    loaded = ("mpm_event", "authn_core", "authn_anon", "auth_basic", "authz_core", "authz_user", "alias")
    (folder / "apache.conf").write_text(
        "".join(f"LoadModule {name}_module {modules}/mod_{name}.so\n" for name in loaded)
        + _listen(port, "Listen {}\n")
        + f"ServerRoot {folder}\nServerName api.acme.example\nPidFile {folder}/pid\nErrorLog {folder}/error.log\n"
        f"DefaultRuntimeDir {folder}\nDocumentRoot {folder}/htdocs\n"
        f'AliasMatch "^/v1" "{folder}/htdocs/answer"\n'
        "<If \"-n req('Authorization')\">\nAuthType Basic\nAuthName a\nAuthBasicProvider anon\nAnonymous *\n"
        "Require valid-user\n</If>\n"
        'LogFormat "%v:%p %h %l %u %t \\"%r\\" %>s %O \\"%{Referer}i\\" \\"%{User-Agent}i\\"" vhost\n'
        'LogFormat "%h %l %u %t \\"%r\\" %>s %b %D \\"%{Referer}i\\" \\"%{User-Agent}i\\"" timed\n'
        'LogFormat "' + APACHE_PARTS.replace('"', '\\"') + '" parts\n'
        f"CustomLog {folder}/vhost.log vhost\nCustomLog {folder}/timed.log timed\nCustomLog {folder}/parts.log parts\n"
    )
    (folder / "htdocs").mkdir()
    (folder / "htdocs" / "answer").write_text("ok")
    return ["apache2", "-d", str(folder), "-f", str(folder / "apache.conf"), "-D", "FOREGROUND"]


def _caddy(folder: Path, port: int) -> Sequence[str]:
    (folder / "Caddyfile").write_text(
        "{\nadmin off\nauto_https off\nlog console {\noutput file console.log\nformat console\n}\n}\n"
        f"http://:{port} {{\nbind 127.0.0.1{' [::1]' if _has_ipv6() else ''}\nlog\n"
        "handle /missing {\nrespond 404\n}\nhandle /v1/leads/7 {\nreverse_proxy 127.0.0.1:9\n}\nhandle {\nrespond ok\n}\n}\n"
    )
    return ["caddy", "run", "--config", "Caddyfile"]


def _haproxy(folder: Path, port: int) -> Sequence[str]:
    (folder / "haproxy.cfg").write_text(
        "global\nlog stdout format rfc5424 local0\nmaxconn 100\n"
        "defaults\nmode http\nlog global\noption httplog\noption dontlognull\ntimeout client 20s\ntimeout server 20s\ntimeout connect 20s\n"
        f"frontend api\n{_listen(port, 'bind {}' + chr(10))}"
        "http-request return status 404 if { path /missing }\nhttp-request return status 200\n"
    )
    return ["haproxy", "-db", "-f", "haproxy.cfg"]


def _lighttpd(folder: Path, port: int) -> Sequence[str]:
    (folder / "lighttpd.conf").write_text(
        f'server.document-root = "{folder}"\nserver.port = {port}\nserver.bind = "127.0.0.1"\n'
        'server.modules = ("mod_accesslog", "mod_alias")\n'
        f'accesslog.filename = "{folder}/access.log"\n'
        f'alias.url = ("/v1" => "{folder}/answer")\n'
        + (f'$SERVER["socket"] == "[::1]:{port}" {{ }}\n' if _has_ipv6() else "")
    )
    (folder / "answer").write_text("ok")
    return ["lighttpd", "-D", "-f", "lighttpd.conf"]


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            "nginx",
            _nginx,
            {
                "nginx-combined": Log("combined.log"),
                "nginx-vhost": Log("vhost.log"),
                "nginx-json": Log("members.log"),
                "nginx-parts": Log("parts.log", NGINX_PARTS, has_lines=False),
            },
            has_users=True,
        ),
        Program(
            "apache2",
            _apache,
            {
                "apache-vhost": Log("vhost.log"),
                "apache-timed": Log("timed.log"),
                "apache-parts": Log("parts.log", APACHE_PARTS, has_lines=False),
            },
            has_users=True,
        ),
        Program(
            "caddy",
            _caddy,
            {"caddy-json": Log("output.log"), "caddy-console": Log("console.log")},
            has_refused=False,
        ),
        Program(
            "haproxy",
            _haproxy,
            {"haproxy": Log("output.log")},
            has_long=False,
            has_agents=False,
            stop=signal.SIGUSR1,
        ),
        Program("lighttpd", _lighttpd, {"lighttpd": Log("access.log", "lighttpd")}, has_long=False),
    )
}


def path_of(program: Program) -> str | None:
    """Where the server is on this machine; None: it is not installed."""
    return shutil.which(program.name, path=f"{os.environ['PATH']}:/usr/sbin")
