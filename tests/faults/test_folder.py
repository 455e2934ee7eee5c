"""A data folder that can't be used: one line that says so, exit status 1, and nothing lost."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest

from meterboard.errors import SettingError
from meterboard.services import Services
from meterboard.settings import Settings, read_settings
from tests.server import Server, command, command_here

FULL_MB = 24


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("Error: ")
    return lines[0]


def test_a_folder_in_use_by_another_server(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").prepare().start()
    try:
        said = one_line(command("serve", "--port", "0", data=server.data))
    finally:
        server.stop()

    assert "in use by another Meterboard server" in said
    assert str(server.data) in said


def test_a_port_in_use(tmp_path: Path) -> None:
    server = Server(tmp_path / "one").prepare().start()
    try:
        said = one_line(command("serve", "--port", str(server.port), data=tmp_path / "two"))
    finally:
        server.stop()

    assert f"{server.port}: it is in use" in said


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    assert "can't be written to" in one_line(
        command("org", "create", "acme", data=tmp_path / "file" / "data")
    )


@pytest.mark.skipif(
    os.geteuid() == 0 and not os.path.exists("/proc/self/mounts"), reason="needs a read-only file system"
)
def test_a_folder_that_is_not_writable() -> None:
    assert "can't be written to" in one_line(command("serve", "--port", "0", data=Path("/proc/meterboard")))


def test_a_store_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "usage.duckdb").write_bytes(b"this is not a database" * 1000)

    assert "can't be opened" in one_line(command("serve", "--port", "0", data=tmp_path))


def test_a_store_that_is_damaged_or_of_another_version(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").prepare().start()
    server.post(json=[{"id": str(number), "user": f"user {number}"} for number in range(5_000)])
    server.stop()
    file = server.data / "usage.duckdb"
    whole = file.read_bytes()

    file.write_bytes(whole[: len(whole) // 2])
    assert "can't be opened" in one_line(command("serve", "--port", "0", data=server.data))
    file.write_bytes(whole)
    with duckdb.connect(str(file)) as connection:
        connection.execute("update layout set version = 77")
    assert "another version of Meterboard" in one_line(command("verify", data=server.data))


@pytest.mark.parametrize("host", ["no.such.host.example", ""])
def test_a_host_that_is_none(tmp_path: Path, host: str) -> None:
    said = one_line(command("serve", "--host", host, data=tmp_path))

    assert f"The host is {host!r}" in said


def test_a_host_by_its_name(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", host="localhost").prepare().start()
    assert server.stop() == 0
    assert f"Listening on http://localhost:{server.port}" in "".join(server.said)


def test_a_folder_that_nobody_made(tmp_path: Path) -> None:
    for arguments in (["verify"], ["export", "acme"], ["key", "create", "acme"], ["import", "acme", "x.log"]):
        assert "There is no Meterboard in the folder" in one_line(command(*arguments, data=tmp_path / "typo"))
    assert not (tmp_path / "typo").exists()


def test_many_commands_may_make_a_folder_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda name: command("org", "create", name, data=tmp_path / "data"), "abca"))

    assert sorted(done.returncode for done in made) == [0, 0, 0, 1]
    assert "organisation 'a' already" in "".join(done.stderr for done in made)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("refresh_interval", "soon"),
        ("refresh_interval", "25h"),
        ("retention_days", "0"),
        ("port", "http"),
        ("queue_events", "1"),
        ("memory", "lots"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, name: str, value: str) -> None:
    said = one_line(
        command("serve", "--port", "0", data=tmp_path, **{name: value})
        if name != "port"
        else command("serve", data=tmp_path, port=value)
    )

    assert name in said


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={FULL_MB}m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_answered_with_try_again_and_loses_nothing(small_disk: Path) -> None:
    server = Server(small_disk / "data").prepare().start()
    try:
        acknowledged, refused = [], None
        for number in range(200):
            ids = [f"{number}-{position}-{os.urandom(8).hex()}" for position in range(5_000)]
            answer = server.post(json=[{"id": name} for name in ids])
            if answer.status_code != 202:
                refused = answer
                break
            acknowledged += ids
        assert refused is not None
        assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
        assert "Retry-After" in refused.headers
        assert "none of these events was stored" in refused.json()["detail"]
        assert server.get("/v1/credits").json()["calls"] == len(acknowledged)

        subprocess.run(["mount", "-o", f"remount,size={8 * FULL_MB}m", str(small_disk)], check=True)
        assert server.post(json=[{"id": "room again"}]).json()["accepted"] == 1
        assert server.get("/v1/verify").json()["difference"] == 0
        server.kill()
        server.start()
        assert server.get("/v1/credits").json()["calls"] == len(acknowledged) + 1
    finally:
        server.stop()


def test_a_start_on_a_full_disk_says_so(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * 0)
    with (small_disk / "filler").open("wb") as filler:
        try:
            while True:
                filler.write(b"x" * 65_536)
                filler.flush()
        except OSError:
            pass

    said = one_line(command("serve", "--port", "0", data=small_disk / "data"))

    assert "space" in said.lower() or "full" in said.lower() or "can't be written" in said


def modes(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): oct(path.stat().st_mode & 0o777) for path in folder.rglob("*")}


def test_files_are_for_their_owner_only_whatever_the_umask_and_the_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o750)  # whatever the umask that commands set in this process
    server = Server(data).prepare()
    before = os.umask(0o000)
    try:
        server.start()
        server.post(json={"user": "maria"})
        while_running = modes(data)
        server.kill()
        after = modes(data)
    finally:
        os.umask(before)

    assert {"accounts.sqlite", "usage.duckdb", "usage.duckdb.wal", "server.json"} <= set(while_running)
    assert set(while_running.values()) | set(after.values()) == {"0o600"}
    assert data.stat().st_mode & 0o777 == 0o750  # as its administrator made it


def test_files_of_earlier_versions_become_private(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert command_here("org", "create", "acme", data=data).returncode == 0
    assert data.stat().st_mode & 0o777 == 0o700
    spool = data / "proxy-spool" / "1"
    spool.mkdir(parents=True)
    (spool / "segment").write_text("")
    (data / "meterboard.toml").write_text("")
    for path in (data / "accounts.sqlite", data / "meterboard.toml", spool / "segment"):
        path.chmod(0o644)
    for folder in (data / "proxy-spool", spool):
        folder.chmod(0o755)
    assert command_here("key", "create", "acme", data=data).returncode == 0

    assert modes(data) == {
        "accounts.sqlite": "0o600",
        ".migrating": "0o600",
        "meterboard.toml": "0o644",  # the administrator's own
        "proxy-spool": "0o700",
        "proxy-spool/1": "0o700",
        "proxy-spool/1/segment": "0o600",
    }


NOBODY = 65534


@pytest.fixture
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that other users can get to, with an organisation that root created in it."""
    if os.geteuid() != 0:
        pytest.skip("giving files to other users needs root")
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        command_here("org", "create", "acme", data=Path(folder) / "data")
        yield Path(folder) / "data"


BECOME_NOBODY = f"""
import encodings.idna, os
from meterboard.commands import doctor, organizations, serve
from meterboard.cli import main

os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
main()
"""
"""Another user may not be able to read this Python's files, so they are read before."""


def as_nobody(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BECOME_NOBODY, *arguments, "--data", str(data)],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("arguments", [["serve", "--port", "0"], ["doctor"]])
def test_a_file_of_another_user_is_named_with_the_remedy(shared: Path, arguments: list[str]) -> None:
    os.chown(shared, NOBODY, NOBODY)
    done = as_nobody(*arguments, data=shared)

    said = done.stderr if arguments != ["doctor"] else done.stdout
    assert done.returncode == 1
    assert "belongs to the user root, and nobody can't read and write it" in said
    assert f"chown -R nobody {shared}" in said


def test_a_folder_of_another_user_is_named_with_the_remedy(shared: Path) -> None:
    said = one_line(as_nobody("key", "create", "acme", data=shared))

    assert f"{shared} belongs to the user root" in said
    assert f"chown -R nobody {shared}" in said


@pytest.mark.parametrize(
    "name", ["a%20b", "x#y", "two words", "Grüße 日本", "s3:", ":memory:", "it's", "[a]*"]
)
def test_a_folder_may_have_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # since only a relative path can begin with s3:
    services = Services(Path(name), Settings())
    services.accounts.organizations.create("acme", allowance=None, time_zone="UTC", schedule="one-per-call")
    services.close()

    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == sorted(
        [name, *(f"{name}/{file}" for file in (".migrating", "accounts.sqlite", "usage.duckdb"))]
    )


def test_a_folder_with_a_question_mark_is_refused(tmp_path: Path) -> None:
    for data in (tmp_path / "da?ta=1", tmp_path / "da?ta" / "data"):
        assert "has a question mark in its path" in one_line(command_here("org", "create", "acme", data=data))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "value",
    ["usage.example.com", "ftp://x.example", "https://", "https://x.example/usage", "https://x.example?a", "https://a b",
     "https://maria@x.example", "https://x.example:port", "http://["],
)  # fmt: skip
def test_a_wrong_public_url_is_named(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingError, match="public_url is "):
        read_settings(tmp_path, {"METERBOARD_PUBLIC_URL": value})


@pytest.mark.parametrize(
    ("value", "origin"),
    [
        ("", ""),
        ("https://Usage.Example.com/", "https://usage.example.com"),
        ("https://usage.example.com:443", "https://usage.example.com"),
        ("http://usage.example.com:8080", "http://usage.example.com:8080"),
        ("http://[2001:DB8::1]:80/", "http://[2001:db8::1]"),
    ],
)
def test_a_public_url_is_kept_as_browsers_write_origins(tmp_path: Path, value: str, origin: str) -> None:
    assert read_settings(tmp_path, {"METERBOARD_PUBLIC_URL": value}).public_url == origin
