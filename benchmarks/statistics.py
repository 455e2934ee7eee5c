"""
Ten million events of one organisation in 30 days: each statistics call, the dashboard, a refresh, memory and disk.

    python -m benchmarks.statistics [--events 10000000]
"""

import argparse
import http.client
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from benchmarks.filling import batches, fill, spread
from benchmarks.server import running
from meterboard.services import Services
from meterboard.settings import Settings
from meterboard.usage.duckdb.store import FILE

CALLS = 40
LISTS = ["events?", "events?module=Leads&", "events?user!=maria.silva@acme.example&", "events?user=nobody&"]
"""The events behind numbers: newest ones, of a module, all but one person's, none."""
QUESTIONS = [
    "summary?",
    "breakdown?by=caller&limit=5&",
    "breakdown?by=module&limit=5&",
    "breakdown?by=method&limit=5&",
    "breakdown?by=ip&limit=5&",
    "breakdown?by=user&limit=3&",
    "series?",
    "series?module=Leads&",
    "series?by=caller&",
    "breakdown?by=ip&limit=5&compare=previous&",
    "flows?columns=application,user,module&",
    "table?columns=user,ip,application&",
    "table?columns=module,method,user&user=maria.silva@acme.example&",
    "integration-tasks?",
    "related?columns=user,ip,module&application=Sales+desk&",
    "related?columns=ip,application,module,method,version,status&user=maria.silva@acme.example&",
    "related?columns=user,ip,application,module,method,version&status=200&",
    "values?column=user&search=silva&",
]
NEW = 100_000


def prepare(folder: Path, count: int) -> tuple[str, str, int]:
    """A key, a sign-in link, and the number of events stored."""
    services = Services(folder, Settings())
    acme = services.accounts.organizations.create(
        "acme", allowance=1_000_000, time_zone="Asia/Kolkata", schedule="one-per-call"
    )
    key = services.accounts.keys.create(acme, name="load", scope="all")
    link = services.accounts.people.add(acme, "maria@acme.example", role="owner")
    stored = fill(services, acme, count=count)
    services.close()
    return key, link, stored


def refresh(folder: Path) -> float:
    """Seconds that a refresh of NEW events takes, late ones of the whole month among them."""
    services = Services(folder, Settings())
    acme = services.accounts.organizations.named("acme")
    stored = 0
    for batch in batches(services, acme, count=NEW):
        stored += sum(services.meter.submit(batch).result())
        if stored >= NEW:
            break
    started = time.perf_counter()
    services.refresh.now()
    took = time.perf_counter() - started
    print(f"refresh of {stored:,} new events, all of them late: {took * 1e3:.0f} ms (promised: under 1,000)")
    services.close()
    return took


def timed(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> float:
    started = time.perf_counter()
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    response.read()
    assert response.status == 200, (path, response.status)
    return time.perf_counter() - started


def signed_in(connection: http.client.HTTPConnection, link: str) -> dict[str, str]:
    """The headers of a person's browser."""
    connection.request("GET", f"/sign-in?link={link}")
    page = connection.getresponse()
    page.read()
    cookie = (page.getheader("set-cookie") or "").partition(";")[0]
    form = urlencode({"link": link, "token": cookie.partition("=")[2]})
    headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/sign-in", form, headers)
    response = connection.getresponse()
    response.read()
    cookies = response.headers.get_all("set-cookie") or []
    return {
        "Cookie": next(cookie for cookie in cookies if cookie.startswith("meterboard_session")).partition(
            ";"
        )[0]
    }


def resident(pid: int) -> float:
    """Megabytes of memory that a process holds."""
    fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) / 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    with TemporaryDirectory() as name:
        folder = Path(name)
        key, link, stored = prepare(folder, parser.parse_args().events)
        size = (folder / FILE).stat().st_size
        print(f"{stored:,} events, {size / stored:.1f} bytes of disk each (promised: at most 30)")
        with running(folder) as (host, port, pid):
            time.sleep(2)
            print(f"idle memory after the start: {resident(pid):.0f} MB (promised: under 200)")
            connection = http.client.HTTPConnection(host, port)
            bearer = {"Authorization": f"Bearer {key}"}
            for question in [*(f"statistics/{question}" for question in QUESTIONS), *LISTS]:
                for period in ("last_24_hours", "last_30_days"):
                    path = f"/v1/{question}period={period}"
                    timed(connection, path, bearer)
                    p50, p95, _ = spread([timed(connection, path, bearer) for _ in range(CALLS)])
                    print(f"p50 {p50 * 1e3:5.1f}  p95 {p95 * 1e3:5.1f} ms (promised: 50)  {question}{period}")
            cookie = signed_in(connection, link)
            pages = ("/", "/?period=last_30_days", "/?compare=previous", "/flows", "/table", "/calls")
            for path in (*pages, "/v1/credits"):
                timed(connection, path, cookie)
                p50, p95, _ = spread([timed(connection, path, cookie) for _ in range(CALLS)])
                print(f"p50 {p50 * 1e3:5.1f}  p95 {p95 * 1e3:5.1f} ms (page promised: 150)  {path}")
            time.sleep(5)
            print(f"memory after all that: {resident(pid):.0f} MB")
        refresh(folder)


if __name__ == "__main__":
    main()
