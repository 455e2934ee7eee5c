"""
An access log of 1,000,000 lines: imported, priced, deduplicated and durable, beside GoAccess (Debian's `goaccess`).

    python -m benchmarks.imports

Both read the same file, one after the other, each as a process of its own from its start to its end. Then what they
counted is compared: every address, and every path as the price list sees it.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from meterboard.schedule.builtin import builtin_schedule
from meterboard.services import Services
from meterboard.settings import Settings

LINES = 1_000_000
AGENTS = ("curl/8.1", "python-requests/2.31.0", "okhttp/4.9", "Go-http-client/1.1", "Acme Sync/2.3 (linux)")
MODULES = ("Leads", "Contacts", "Deals", "Accounts", "Tasks", "Events", "Calls", "Notes")
SCHEDULE = "one-per-call"


def write_log(file: Path, lines: int) -> None:
    """Three days of an API: 500 clients, each with an agent and three modules; 20,000 records of each module."""
    chance = Random(1)
    start = datetime.now(UTC) - timedelta(days=4)
    clients = [
        (
            f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}",
            chance.choice(AGENTS),
            chance.choice(("-", "-", "maria", "joe")),
            chance.sample(MODULES, 3),
        )
        for _ in range(500)
    ]
    with file.open("w") as log:
        for number in range(lines):
            moment = start + timedelta(seconds=number * 3 * 86_400 / lines)
            address, agent, user, modules = chance.choice(clients)
            method, path = _request(chance, chance.choice(modules))
            status = chance.choice((*[200] * 18, 404, 429))
            log.write(
                f'{address} - {user} [{moment:%d/%b/%Y:%H:%M:%S} +0000] "{method} {path} HTTP/1.1" {status} '
                f'{chance.randrange(9999)} "-" "{agent}"\n'
            )


def _request(chance: Random, module: str) -> tuple[str, str]:
    kind = chance.random()
    if kind < 0.4:
        record = 554_023_000_000_000_000 + chance.randrange(20_000)
        return chance.choice(("GET", "GET", "PUT")), f"/crm/v8/{module}/{record}"
    if kind < 0.7:
        return "GET", f"/crm/v8/{module}?page={chance.randrange(50)}&per_page=200"
    return chance.choice(("GET", "POST")), f"/crm/v8/{module}"


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds by the clock, and of the processors."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    took = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def counted_by_goaccess(answer: Path) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Calls by address, and by module and operation."""
    found = json.loads(answer.read_text())
    addresses = Counter({row["data"]: row["hits"]["count"] for row in found["hosts"]["data"]})
    schedule = builtin_schedule(SCHEDULE)
    paths: Counter[tuple[str, str]] = Counter()
    for panel in ("requests", "not_found"):  # it lists what answered 404 apart
        for row in found[panel]["data"]:
            call = schedule.classify(row["method"], row["data"])
            paths[call.module, call.method] += row["hits"]["count"]
    return addresses, paths


def counted_by_meterboard(data: Path) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    services = Services(data, Settings())
    acme = services.accounts.organizations.named("acme")
    with services.statistics.read(acme) as reading:
        rows = reading.table(
            reading.period("last_30_days"),
            {},
            columns=["ip", "module", "method"],
            page_size=None,
            in_full=True,
        ).rows
    services.close()
    addresses: Counter[str] = Counter()
    paths: Counter[tuple[str, str]] = Counter()
    for row in rows:
        calls = row["calls"]
        assert isinstance(calls, int)
        addresses[str(row["ip"])] += calls
        paths[str(row["module"]), str(row["method"])] += calls
    return addresses, paths


def main() -> None:
    goaccess = shutil.which("goaccess")
    with TemporaryDirectory() as folder:
        log, data, answer = Path(folder) / "access.log", Path(folder) / "data", Path(folder) / "answer.json"
        write_log(log, LINES)
        meterboard = [sys.executable, "-m", "meterboard"]
        timed([*meterboard, "org", "create", "acme", "--data", str(data)])
        ours, our_work = timed([*meterboard, "import", "acme", str(log), "--data", str(data)])
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        print(f"{LINES:,} lines, {log.stat().st_size / 1e6:,.0f} MB; {os.cpu_count()} processors")
        print(
            f"Meterboard  {LINES / ours:>10,.0f} lines/s, {our_work:.1f} s of processor, at most {peak / 1e6:,.0f} MB"
        )
        if goaccess is None:
            print("GoAccess is not installed, so there is nothing to compare with: apt-get install goaccess")
            return
        options = ["--log-format=COMBINED", "--no-global-config", "--no-progress", f"--max-items={LINES}"]
        theirs, their_work = timed([goaccess, str(log), *options, "-o", str(answer)])
        print(f"GoAccess    {LINES / theirs:>10,.0f} lines/s, {their_work:.1f} s of processor")
        print(f"Meterboard reads {theirs / ours:.1f} times as fast (promised: 3 times)")
        same = counted_by_goaccess(answer) == counted_by_meterboard(data)
        print(
            f"Totals of every address and of every path as it is priced: {'equal' if same else 'DIFFERENT'}"
        )


if __name__ == "__main__":
    main()
