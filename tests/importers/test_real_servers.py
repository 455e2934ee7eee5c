"""
What real servers write of requests whose answers are known counts exactly so often.

Where a server is not installed, its log of an earlier run is read: METERBOARD_LOGS=tests/importers/logs writes them anew.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from meterboard.domain.event import NOT_HTTP, UsageEvent
from meterboard.importers.formats.named import guess
from tests.importers.lines_read import Reading, read_all
from tests.importers.servers import LONG, PROGRAMS, ZONE, Answered, Log, Program, path_of, running, send

LOGS = Path(__file__).parent / "logs"
WRITE_TO = os.environ.get("METERBOARD_LOGS")
ROUNDS = 1 if WRITE_TO else 6
REFUSED = (400, 414, 431)
"""Of what a server answers so, it may not have read the headers."""

Counts = list[list[object]]
"""Rows of values, each with how often there was such a call."""


def counts(values: Counter[tuple[object, ...]]) -> Counter[str]:
    """The same as text, which JSON can hold."""
    return Counter({json.dumps(value): count for value, count in values.items()})


def expected(program: Program, log: Log, answers: Sequence[Answered]) -> dict[str, Counter[str]]:
    """What a log should hold, by what was sent and answered alone."""
    logged = [answer for answer in answers if program.has_refused or answer.status not in REFUSED]
    junk = [
        answer
        for answer in logged
        if not answer.kind.is_request
        or (answer.kind is LONG and answer.status in REFUSED and not program.has_long)
    ]
    known = [answer for answer in logged if answer.status not in REFUSED]
    callers = [
        (
            answer.ip,
            answer.status,
            answer.kind.user if program.has_users else None,
            answer.kind.application if program.has_agents else None,
        )
        for answer in known
    ]
    return {
        "statuses": counts(Counter((answer.ip, answer.status) for answer in logged)),
        "callers": counts(Counter(callers)),
    } | (
        {"not HTTP": counts(Counter((answer.ip, answer.status) for answer in junk))} if log.has_lines else {}
    )


def found(log: Log, events: Sequence[UsageEvent]) -> dict[str, Counter[str]]:
    """What was read of it."""
    junk = [event for event in events if event.method == NOT_HTTP]
    known = [event for event in events if event.status not in REFUSED]
    return {
        "statuses": counts(Counter((event.ip, event.status) for event in events)),
        "callers": counts(Counter((event.ip, event.status, event.user, _name(event)) for event in known)),
    } | ({"not HTTP": counts(Counter((event.ip, event.status) for event in junk))} if log.has_lines else {})


def _name(event: UsageEvent) -> str | None:
    """The application; None where its name is not UTF-8, which servers write in different ways."""
    return None if event.application and event.application.startswith("caf") else event.application


def plainly(data: bytes) -> Counter[int]:
    """The statuses of a log, by a reading that knows nothing of formats."""
    statuses: Counter[int] = Counter()
    for line in data.decode("latin-1").splitlines():
        access = (
            line.partition("{")[2]
            if "\thttp.log.access" in line
            else line[1:]
            if line.startswith("{")
            else ""
        )
        if access:
            members = json.loads("{" + access)
            if (
                "remote_addr" in members
                or "http.log.access" in members.get("logger", "")
                or not line.startswith("{")
            ):
                statuses[int(members["status"])] += 1
        elif status := re.search(r'(?:" | )(\d{3}) \d+ - - |" (\d{3}) ', line):
            statuses[int(status[1] or status[2])] += 1
    return statuses


def check(log: Log, data: bytes, wanted: dict[str, Counter[str]]) -> Reading:
    reading = read_all(data, log.form or guess("-", data), zone=ZONE)

    assert reading.unreadable_lines == []
    assert found(log, reading.events) == wanted
    assert Counter(event.status for event in reading.events) == plainly(data)
    assert reading.lines == len(reading.events) + reading.messages
    return reading


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_answer_of_a_server_counts_once(name: str, tmp_path: Path) -> None:
    program = PROGRAMS[name]
    if path_of(program) is None:
        pytest.skip(f"{name} is not installed: `make servers` installs it where there is apt-get")
    with running(program, tmp_path) as port:
        answers = send(port, rounds=ROUNDS)

    assert all(answer.status is not None for answer in answers)
    for kept, log in program.logs.items():
        data = (tmp_path / log.file).read_bytes()
        wanted = expected(program, log, answers)
        check(log, data, wanted)
        if WRITE_TO:
            data = re.sub(rb"a{200,}", b"a" * 200, data)
            assert str(tmp_path).encode() not in data
            (Path(WRITE_TO) / f"{kept}.log").write_bytes(data)
            (Path(WRITE_TO) / f"{kept}.json").write_text(json.dumps(wanted, indent=1) + "\n")


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_the_log_of_an_earlier_run_is_read_the_same(program: Program) -> None:
    for kept, log in program.logs.items():
        wanted = json.loads((LOGS / f"{kept}.json").read_text())

        reading = check(
            log, (LOGS / f"{kept}.log").read_bytes(), {part: Counter(rows) for part, rows in wanted.items()}
        )

        assert reading.events
