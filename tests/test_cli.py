"""The command line as a person uses it."""

import gzip
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.server import Server, command, command_here

LOG = "".join(
    f'203.0.113.{host} - maria [23/Nov/2026:10:45:0{host} +0000] "GET /crm/v8/Leads/{host} HTTP/1.1" 200 5 "-" "curl/8.1"\n'
    for host in range(1, 6)
)
LONG_AGO = {"retention_days": "36000"}


def fails(data: Path, *arguments: str, status: int = 1) -> str:
    done = command_here(*arguments, data=data)
    assert done.returncode == status, done.stdout
    if status == 1:
        assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


def test_a_key_is_printed_alone(tmp_path: Path) -> None:
    command_here("org", "create", "Acme Corp", "--allowance", "5", data=tmp_path)
    made = command_here("key", "create", "Acme Corp", "--scope", "read", data=tmp_path)

    assert re.fullmatch(r"mb_[\w-]{43}\n", made.stdout)


def test_an_organisation_says_what_it_got_and_what_is_next(tmp_path: Path) -> None:
    made = command_here("org", "create", "Acme Corp", "--time-zone", "Asia/Kolkata", data=tmp_path)

    assert made.stdout.splitlines() == [
        "Created Acme Corp: unlimited credits in 24 hours, time zone Asia/Kolkata, schedule one-per-call.",
        "Next, create a key: meterboard key create 'Acme Corp'",
    ]


def test_a_command_to_copy_is_quoted_for_the_shell(tmp_path: Path) -> None:
    name = 'Acme "$HOME" & sons'
    made = command_here("org", "create", name, data=tmp_path)

    (_, following) = made.stdout.splitlines()
    assert shlex.split(following.partition(": ")[2]) == ["meterboard", "key", "create", name]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["key", "create", "nobody"], "There is no organisation 'nobody'"),
        (["user", "create", "nobody", "a@b.example"], "There is no organisation 'nobody'"),
        (["org", "create", "x", "--schedule", "gold"], "There is no schedule 'gold'"),
        (["org", "create", "x", "--time-zone", "Mars"], "The time zone is 'Mars'"),
        (["org", "update", "nobody", "--allowance", "1"], "There is no organisation 'nobody'"),
        (["import", "nobody", "nothing.log"], "There is no organisation 'nobody'"),
    ],
)
def test_a_failure_is_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    command_here("org", "create", "acme", data=tmp_path)
    assert said in fails(tmp_path, *arguments)


def test_a_process_that_fails_prints_one_line_on_standard_error(tmp_path: Path) -> None:
    done = command("key", "create", "nobody", data=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [["org", "create"], ["org", "create", "x", "--allowance", "many"], ["dance"]]
)
def test_a_command_written_wrongly_is_status_2(tmp_path: Path, arguments: list[str]) -> None:
    assert fails(tmp_path, *arguments, status=2)


def test_a_log_is_imported_and_again_counts_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    log = tmp_path / "access.log"
    log.write_text(LOG + "not a line of a log\n")
    command_here("org", "create", "acme", data=data)
    first = command_here("import", "acme", str(log), data=data, **LONG_AGO)
    again = command_here("import", "acme", str(log), data=data, **LONG_AGO)

    assert first.stdout.splitlines() == [
        "6 lines: 5 new, 0 duplicates.",
        "access.log: format combined (guessed)",
        "1 lines could not be parsed; the first, line 6: not a line of a log",
    ]
    assert "0 new, 5 duplicates" in again.stdout
    assert "acme: 5 events, difference 0" in command_here("verify", data=data, **LONG_AGO).stdout


def test_what_is_too_old_is_told_and_a_missing_file_too(tmp_path: Path) -> None:
    data = tmp_path / "data"
    log = tmp_path / "access.log.gz"
    log.write_bytes(gzip.compress(LOG.replace("2026", "2006").encode()))
    command_here("org", "create", "acme", data=data)

    assert (
        "5 calls rejected; the first: time is 2006-11-23"
        in command_here("import", "acme", str(log), data=data).stdout
    )
    assert "nothing.log can't be opened" in fails(data, "import", "acme", "nothing.log")


def test_commands_work_beside_a_running_server(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(LOG)
    server = Server(tmp_path / "data", **LONG_AGO).prepare().start()
    try:
        imported = command_here("import", "acme", str(log), data=server.data)
        assert "5 new" in imported.stdout, imported.stderr
        assert server.get("/v1/statistics/summary?period=2026-11-23").json()["calls"] == 5
        assert "acme: 5 events, difference 0" in command_here("verify", data=server.data).stdout
        assert command_here("org", "create", "globex", data=server.data).returncode == 0
        assert (
            f"{server.url}/sign-in?link="
            in command_here("user", "create", "globex", "a@b.example", data=server.data).stdout
        )
    finally:
        server.stop()


def test_usage_is_exported_with_and_without_a_server(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").prepare().start()
    try:
        server.post(json=[{"user": "maria", "module": "Leads", "credits": 3}, {"user": "arjun"}])
        export = ["export", "acme", "--columns", "user,module"]
        wanted = ["user,module,calls,credits,integration_tasks", "arjun,(unknown),1,1,0", "maria,Leads,1,3,0"]
        assert command_here(*export, data=server.data).stdout.splitlines() == wanted
    finally:
        server.stop()
    assert command_here(*export, data=server.data).stdout.splitlines() == wanted
    file = tmp_path / "usage.parquet"
    done = command_here(*export, "--format", "parquet", "--output", str(file), data=server.data)
    assert (done.returncode, file.read_bytes()[:4]) == (0, b"PAR1")
    assert "There is no" in fails(server.data, "export", "nobody")
    assert "columns is" in fails(server.data, "export", "acme", "--columns", "colour")


def test_commands_work_after_a_server_was_killed(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(LOG)
    server = Server(tmp_path / "data", **LONG_AGO).prepare().start()
    server.kill()
    assert (server.data / "server.json").exists()

    assert "5 new" in command_here("import", "acme", str(log), data=server.data, **LONG_AGO).stdout
    assert "difference 0" in command_here("verify", data=server.data, **LONG_AGO).stdout


def test_the_doctor_prints_which_checks_pass(tmp_path: Path) -> None:
    data = tmp_path / "data"
    command_here("org", "create", "acme", data=data)
    command_here("verify", data=data)
    healthy = command_here("doctor", data=data)
    assert (healthy.returncode, healthy.stdout.count("ok    ")) == (0, 6)
    assert "1 organisation" in healthy.stdout

    (data / "usage.duckdb").write_bytes(b"this is not a database" * 1000)
    broken = command_here("doctor", data=data, refresh_interval="soon")
    assert broken.returncode == 1
    assert "FAIL  settings  refresh_interval is 'soon'" in broken.stdout
    assert "FAIL  usage" in broken.stdout
    assert "3 of 6 checks failed" in broken.stderr


def test_a_damaged_log_says_how_far_it_came(tmp_path: Path) -> None:
    data = tmp_path / "data"
    command_here("org", "create", "acme", data=data)
    whole = gzip.compress(LOG.encode())
    for content in (b"no gzip", whole[: len(whole) - 9], whole[:-6] + b"xxxxxx"):
        (tmp_path / "access.log.gz").write_bytes(content)
        assert "can't be read to its end" in fails(data, "import", "acme", str(tmp_path / "access.log.gz"))


def test_a_provider_wide_key_only_sends(tmp_path: Path) -> None:
    command_here("org", "create", "acme", data=tmp_path)

    assert "a provider-wide key can only be ingest" in fails(
        tmp_path, "key", "create", "*", "--scope", "read"
    )
    assert command_here("key", "create", "*", data=tmp_path).stdout.startswith("mb_")


def on_a_terminal(*arguments: str, data: Path, until: str) -> str:
    """What a command that stays says on a terminal, up to a line that has `until`."""
    terminal, inner = pty.openpty()
    started = subprocess.Popen(
        [sys.executable, "-m", "meterboard", *arguments, "--data", str(data)], stdout=inner
    )
    os.close(inner)
    said = ""
    try:
        with open(terminal, closefd=True) as lines:
            for line in lines:
                said += line
                if until in line:
                    break
            started.terminate()
            assert started.wait(timeout=30) == 0
    finally:
        started.kill()
    return said


def test_a_sign_in_link_is_printed_on_a_terminal_or_when_asked_for(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").prepare()
    server.sign_in_link()
    server.start()  # whose standard output is a pipe, as in a service
    server.stop()

    logged = "".join(server.said)
    assert f"Listening on {server.url}\n" in logged
    assert "sign-in?link=" not in logged
    for arguments in (["serve", "--port", "0"], ["serve", "--port", "0", "--print-sign-in-link"]):
        said = on_a_terminal(*arguments, data=server.data, until="Sign in once, within 24 hours: ")
        assert re.search(r"Listening on (http://127.0.0.1:\d+)\r?\n.*: \1/sign-in\?link=[\w-]{43}", said)


def test_a_link_is_printed_to_a_log_when_asked_for(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").prepare()
    server.sign_in_link()
    started = subprocess.Popen(
        [sys.executable, "-m", "meterboard", "serve", "--print-sign-in-link", "--port", "0"],
        env=os.environ | {"METERBOARD_DATA": str(server.data)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    with started.stdout:
        said = [started.stdout.readline(), started.stdout.readline()]
    started.terminate()

    assert started.wait(timeout=30) == 0
    assert "/sign-in?link=" in said[1]


def test_the_server_answers_as_soon_as_it_says_so(tmp_path: Path) -> None:
    data = tmp_path / "data"
    command_here("org", "create", "acme", data=data)
    for _ in range(2):
        started = subprocess.Popen(
            [sys.executable, "-m", "meterboard", "serve", "--port", "0", "--data", str(data)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert started.stdout is not None
        with started.stdout:
            url = started.stdout.readline().removeprefix("Listening on ").strip()
            assert httpx.get(f"{url}/schema", verify=False).status_code == 200
        started.terminate()
        assert started.wait(timeout=30) == 0


@pytest.mark.parametrize(
    "arguments",
    [["doctor"], ["export", "acme"], ["schedule", "show", "zoho-crm"]],
)
def test_a_closed_pipe_ends_a_command_quietly(tmp_path: Path, arguments: list[str]) -> None:
    data = tmp_path / "data"
    command_here("org", "create", "acme", data=data)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "meterboard", *arguments],
        env=os.environ | {"METERBOARD_DATA": str(data)},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (1, "")


def test_the_doctor_makes_nothing_where_there_is_nothing(tmp_path: Path) -> None:
    for data in (tmp_path / "empty", tmp_path / "missing"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        for name in ("doctor", "verify"):
            done = command_here(name, data=data)
            assert (done.returncode, "There is no Meterboard in the folder" in done.stderr) == (1, True)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_the_doctor_makes_no_usage_store(tmp_path: Path) -> None:
    command_here("org", "create", "acme", data=tmp_path)

    assert "ok    usage     no events yet" in command_here("doctor", data=tmp_path).stdout
    assert not (tmp_path / "usage.duckdb").exists()


def test_a_schedule_in_a_file_is_for_another_command(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("")
    said = command_here(
        "org", "create", "acme corp", "--schedule", str(tmp_path / "own.toml"), data=tmp_path
    ).stderr

    assert f"meterboard schedule use 'acme corp' {tmp_path / 'own.toml'}" in said
