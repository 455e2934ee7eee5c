"""
What one tenant, or somebody without a key, can do to the others: how long another tenant's event waits, and the memory.

    python -m benchmarks.hostile [--events 1000000] [ATTACK...]

While each attack runs, another organisation sends one event after the other, each on a connection of its own.
Promised: the worst of them waits at most 1 s, and the server's memory grows by at most 500 MB.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.attacks import ATTACKS, Attack, Outcome, Target, exchange, post
from benchmarks.filling import fill, spread
from benchmarks.server import running
from meterboard.domain.access import ApiKey
from meterboard.domain.event import MAX_TEXT, UsageEvent
from meterboard.domain.organization import Organization
from meterboard.formats.json_events import Sent
from meterboard.services import Services
from meterboard.settings import Settings

WORST_SECONDS = 1.0
MOST_MEMORY_MB = 500
PAUSE_SECONDS = 0.05
"""Between two events of the other organisation."""
LONG_NAMES, LONG_NAMES_AT_ONCE = 2_000, 100
SETTLE_SECONDS = 2
"""Between two attacks."""
EVENT = (
    b'{"application":"app","user":"maria@acme.example","module":"Leads","method":"records.get","status":200}'
)


class Waited(NamedTuple):
    """How long each event of the other organisation took, in seconds, and how many were not accepted."""

    seconds: list[float]
    refused: int


def prepare(data: Path, events: int) -> tuple[Target, str]:
    """Fills a data folder; returns what the attacker holds, without the port, and the other organisation's key."""
    services = Services(data, Settings())
    organizations, keys, people = (
        services.accounts.organizations,
        services.accounts.keys,
        services.accounts.people,
    )
    acme = organizations.create("acme", allowance=None, time_zone="UTC", schedule="zoho-crm")
    other = organizations.create("globex", allowance=None, time_zone="UTC", schedule="one-per-call")
    print(f"acme has {fill(services, acme, count=events):,} events")
    store_long_names(services, acme)
    target = Target(
        port=0,
        key=keys.create(acme, name="send", scope="ingest"),
        read_key=keys.create(acme, name="read", scope="read"),
        provider_key=keys.create(None, name="all", scope="ingest"),
        session=people.sign_in(people.add(acme, "maria@acme.example", role="owner")),
    )
    key = keys.create(other, name="send", scope="ingest")
    services.close()
    return target, key


def store_long_names(services: Services, acme: Organization) -> None:
    """Stores what the attack `long_names` asks for; it comes first by its names, and is in statistics from the start."""
    for first in range(0, LONG_NAMES, LONG_NAMES_AT_ONCE):
        names = [f"{number:0{MAX_TEXT}}" for number in range(first, first + LONG_NAMES_AT_ONCE)]
        events = [UsageEvent(user=name, application=name, module=name, method=name) for name in names]
        services.ingest.accept_and_wait(ApiKey(acme, "all"), Sent(events, range(len(events)), []))


def attack(number: int, target: Target) -> Outcome:
    """Runs one of ATTACKS, in a process of its own, which gives way to the server."""
    os.nice(5)

    async def run() -> Outcome:
        return await ATTACKS[number](target)

    return asyncio.run(run())


async def send_meanwhile(port: int, key: str, until: "Future[Outcome]") -> Waited:
    """Sends one event after the other until the attack has ended."""
    seconds: list[float] = []
    refused = 0
    wire = post("/v1/events", key, EVENT)
    while not until.done():
        began = time.perf_counter()
        refused += await exchange(port, wire) != "202"
        seconds.append(time.perf_counter() - began)
        await asyncio.sleep(PAUSE_SECONDS)
    return Waited(seconds, refused)


def memory_mb(pid: int, field: str) -> float:
    """A figure of the server's memory: VmRSS now, VmHWM at its highest since `forget_peak`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1_000
    raise SystemExit(f"/proc/{pid}/status has no {field}.")


def forget_peak(pid: int) -> None:
    """Let VmHWM begin again at what is in use now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def measure(chosen: Sequence[Attack], data: Path, events: int) -> bool:
    """Prints what each attack did; returns whether all promises were kept."""
    target, key = prepare(data, events)
    kept = True
    with running(data) as (_, port, pid), ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(os.getpid).result()
        asyncio.run(exchange(port, post("/v1/events", key, EVENT)))
        for one in chosen:
            before = memory_mb(pid, "VmRSS")
            forget_peak(pid)
            doing = pool.submit(attack, ATTACKS.index(one), target._replace(port=port))
            waited = asyncio.run(send_meanwhile(port, key, doing))
            grown = memory_mb(pid, "VmHWM") - before
            worst, median = max(waited.seconds), spread(waited.seconds)[0]
            good = worst <= WORST_SECONDS and not waited.refused and grown <= MOST_MEMORY_MB
            kept &= good
            outcome = ", ".join(f"{count:,} x {what}" for what, count in doing.result().most_common(4))
            print(
                f"{'' if good else 'NOT KEPT '}{one.__name__.replace('_', ' '):>26}: median {median * 1e3:4.0f} ms, "
                f"worst {worst * 1e3:6.0f} ms of {len(waited.seconds)} events, {waited.refused} refused; "
                f"memory +{max(0, grown):.0f} MB; the attacker got {outcome}",
                flush=True,
            )
            time.sleep(SETTLE_SECONDS)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "attacks", nargs="*", metavar="ATTACK", help="such as hostile_paths; all of them if none"
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    given = parser.parse_args()
    names = {one.__name__: one for one in ATTACKS}
    if unknown := set(given.attacks) - names.keys():
        raise SystemExit(f"There is no attack {', '.join(unknown)}. Use {', '.join(names)}.")
    with TemporaryDirectory() as folder:
        kept = measure([names[name] for name in given.attacks or names], Path(folder), given.events)
    print(
        f"promised: an event waits at most {WORST_SECONDS:.0f} s, memory grows by at most {MOST_MEMORY_MB} MB"
    )
    if not kept:
        raise SystemExit("A promise is not kept.")


if __name__ == "__main__":
    main()
