"""Usage for the benchmarks: the demo's company, as many times over as events are wanted."""

import os
from collections.abc import Iterator
from datetime import timedelta
from random import Random

from meterboard.clock import SystemClock
from meterboard.demo.company import history
from meterboard.domain.access import ApiKey
from meterboard.domain.event import UsageEvent
from meterboard.domain.organization import Organization
from meterboard.formats.json_events import Sent
from meterboard.schedule.builtin import builtin_schedule
from meterboard.service.ingest.intake import Ingest
from meterboard.services import Services
from meterboard.usage.batch import EventBatch

AT_ONCE = 20_000


def batches(services: Services, acme: Organization, *, count: int) -> Iterator[EventBatch]:
    """
    About `count` priced events of 30 days in order of time, each with a random id.

    The company has branches: every copy of the demo's events has people and addresses of its own, so the number of
    distinct combinations grows with the number of events, as it does in life.
    """
    now = services.clock.now()
    since = now - timedelta(days=services.settings.retention_days) + timedelta(hours=1)
    events = [event for batch in history(seed=1, since=since, until=now) for event in batch]
    copies = max(1, round(count / len(events)))
    priced = [_priced(services, acme, events, branch) for branch in range(copies)]
    chance = Random(1)
    width = max(1, AT_ONCE // copies)
    for first in range(0, len(events), width):
        together = EventBatch()
        for branch in priced:
            together.times += [
                min(time + chance.randrange(60_000_000), priced[0].times[-1])
                for time in branch.times[first : first + width]
            ]
            together.combinations += branch.combinations[first : first + width]
            for name in ("credits", "charged", "estimated", "reasons"):
                getattr(together, name).extend(getattr(branch, name)[first : first + width])
            together.records += branch.records[first : first + width]
        random = os.urandom(12 * len(together.times))
        together.ids = [random[at : at + 12] for at in range(0, len(random), 12)]
        yield together


def _priced(services: Services, acme: Organization, events: list[UsageEvent], branch: int) -> EventBatch:
    ingest = Ingest(
        services.meter,
        SystemClock(),
        retention=timedelta(days=services.settings.retention_days),
        dimensions=services.dimensions,
        schedule=builtin_schedule,
        organizations=services.accounts.organizations.with_names,
    )
    batch = ingest.price(ApiKey(acme, "all"), Sent(events, range(len(events)), [])).batch
    if branch:
        own = {
            c: c._replace(user=f"{branch}.{c.user}", ip=_moved(c.ip, branch)) for c in set(batch.combinations)
        }
        batch.combinations = [own[combination] for combination in batch.combinations]
    return batch


def _moved(ip: str, branch: int) -> str:
    return f"{ip}{branch:x}" if ":" in ip else f"10.{branch}.{ip.split('.')[2]}.{ip.split('.')[3]}"


def fill(services: Services, acme: Organization, *, count: int) -> int:
    """Store about `count` events and bring the statistics up to date; answers how many there are."""
    stored = 0
    for batch in batches(services, acme, count=count):
        stored += sum(services.meter.submit(batch).result())
    services.refresh.now()
    services.meter.run(lambda *_: services.store.checkpoint()).result()
    return stored


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median, 95th and 99th percentile."""
    ordered = sorted(values)
    return tuple(ordered[min(len(ordered) - 1, int(len(ordered) * at))] for at in (0.5, 0.95, 0.99))  # type: ignore[return-value]
