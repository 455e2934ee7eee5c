"""
100,000 and a million combinations of one organisation: how long its pages take.

    python -m benchmarks.combinations
"""

from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.server import running
from benchmarks.statistics import signed_in, timed
from meterboard.domain.event import Combination
from meterboard.domain.period import micros
from meterboard.services import Services
from meterboard.settings import Settings
from meterboard.usage.batch import NO_ID, EventBatch

COUNTS = (100_000, 1_000_000)
PAGES = (
    "/",
    "/flows",
    "/table",
    "/table?sort=-credits,user",
    "/table?rows=flat&page=3",
    "/table?columns=user,ip,application,module,method,version,status",
    "/v1/statistics/related?columns=user,ip,application,module&application=App+3",
)
CALLS = 10
AT_ONCE = 20_000
DAYS = 20


def prepare(folder: Path, count: int) -> str:
    """A sign-in link to an organisation with so many combinations of user, address and application."""
    services = Services(folder, Settings())
    acme = services.accounts.organizations.create(
        "acme", allowance=1_000_000, time_zone="Asia/Kolkata", schedule="one-per-call"
    )
    link = services.accounts.people.add(acme, "maria@acme.example", role="owner")
    chance, now = Random(1), micros(datetime.now(UTC))
    for first in range(0, count, AT_ONCE):
        batch = EventBatch()
        for number in range(first, min(first + AT_ONCE, count)):
            for _ in range(3 if number % 10 == 0 else 1):
                batch.times.append(now - chance.randrange(DAYS * 86_400_000_000))
                batch.combinations.append(combination(acme.id, number))
        size = len(batch)
        batch.ids, batch.reasons = [NO_ID] * size, ["given"] * size
        batch.credits, batch.charged, batch.estimated, batch.records = (
            [1] * size,
            [1] * size,
            [0] * size,
            [-1] * size,
        )
        services.meter.submit(batch).result()
    services.refresh.now()
    services.close()
    return link


def combination(organization: int, number: int) -> Combination:
    module = ("Leads", "Contacts", "Deals", "Accounts")[number % 4]
    address = f"10.{number // 65_536 % 256}.{number // 256 % 256}.{number % 256}"
    user = f"user{number // 7:06}@acme.example"
    return Combination(
        organization,
        f"App {number % 40}",
        "",
        module,
        ("GET", "POST")[number // 4 % 2],
        "v8",
        address,
        user,
        "200",
    )


def main() -> None:
    for count in COUNTS:
        with TemporaryDirectory() as folder:
            link = prepare(Path(folder), count)
            print(f"{count:,} combinations")
            with running(Path(folder)) as (host, port, _):
                connection = HTTPConnection(host, port)
                cookie = signed_in(connection, link)
                for page in PAGES:
                    path = f"{page}{'&' if '?' in page else '?'}period=last_30_days"
                    took = [timed(connection, path, cookie) * 1e3 for _ in range(CALLS)]
                    print(f"p50 {median(took):6.0f}  most {max(took):6.0f} ms  {page}")


if __name__ == "__main__":
    main()
