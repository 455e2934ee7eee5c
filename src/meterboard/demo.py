"""
A believable company's usage, for `meterboard demo`.

Acme Corp of Kolkata and its CRM: people in office hours, quiet weekends, a sync at night, a chatty integration,
functions that run integration tasks, and a burst that was refused. Every event is decided by the seed and its minute,
so any stretch of time can be made anew, cut anywhere, and comes out the same with the same ids.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from meterboard.domain.event import UsageEvent

ORGANIZATION = "Acme Corp"
TIME_ZONE = "Asia/Kolkata"
ALLOWANCE = 25_000
MINUTE = timedelta(minutes=1)
BATCH = 5_000
_ZONE = ZoneInfo(TIME_ZONE)

_GIVEN = ["maria", "arjun", "priya", "wei", "lena", "omar", "sofia", "kenji", "fatima", "david"]
_FAMILY = ("silva", "mehta", "rao", "chen")
PEOPLE = [f"{given}.{family}@acme.example" for family in _FAMILY for given in _GIVEN]
"""Forty people; the first are the busiest, by a Zipf law."""


class Client(NamedTuple):
    """An application: how it calls, and as whom."""

    application: str | None
    version: str
    modules: tuple[str, ...]
    methods: tuple[str, ...]


DESK = Client(
    "Sales desk",
    "v8",
    ("Leads", "Leads", "Contacts", "Deals", "Deals", "Accounts", "Tasks"),
    (
        "records.get",
        "records.get",
        "records.get",
        "records.search",
        "records.update",
        "records.create",
        "leads.convert",
    ),
)
PHONE = Client(
    "Acme Mobile",
    "v7",
    ("Leads", "Contacts", "Calls", "Events"),
    ("records.get", "records.get", "records.search", "records.create"),
)
WAREHOUSE = Client(
    "Nightly sync",
    "v8",
    ("Leads", "Contacts", "Deals", "Invoices", "Products"),
    ("records.upsert", "records.get", "coql.query"),
)
WATCHER = Client("Inventory poller", "v2.1", ("Products", "Invoices"), ("records.get", "records.deleted.get"))
ARABIC = Client("مزامنة العملاء", "v3", ("Contacts", "Accounts"), ("records.get", "records.upsert"))
LONG = Client(
    "Quarterly revenue reconciliation and partner commission export (legacy, do not switch off before the audit)",
    "v2",
    ("Deals", "Invoices"),
    ("records.get", "coql.query", "bulk_read.create"),
)
NAMELESS = Client(None, "v6", ("Leads", "Contacts"), ("records.get",))

FUNCTIONS = {
    "Assign lead owner": ("Leads", "Leads", "Tasks"),
    "Sync invoices to Books": ("Invoices", "Accounts"),
    "Score new contacts": ("Contacts", "Leads"),
    "Close stale deals": ("Deals",),
    "Welcome call reminder": ("Calls", "Contacts"),
}
CREDITS: dict[str, Callable[[int], int]] = {
    "leads.convert": lambda _: 5,
    "records.upsert": lambda records: -(-records // 10),
    "coql.query": lambda records: 1 if records <= 200 else 2 if records <= 1000 else 3,
    "records.deleted.get": lambda _: 2,
    "bulk_read.create": lambda _: 50,
}
MOST_RECORDS = {"records.upsert": 100, "coql.query": 2000, "records.get": 200, "records.search": 200}
OFFICES = [f"203.0.113.{host}" for host in range(10, 16)] + ["2001:db8:acde::10", "2001:db8:acde::11"]
DATA_CENTRE = "198.51.100.7"
POLLER = "198.51.100.23"


def history(*, seed: int, since: datetime, until: datetime) -> Iterator[list[UsageEvent]]:
    """The events with `since` <= time < `until`, in order of time, in batches of about five thousand."""
    batch: list[UsageEvent] = []
    minute = since.astimezone(UTC).replace(second=0, microsecond=0)
    while minute < until:
        batch += [
            event for event in minute_of(seed, minute, until) if event.time and since <= event.time < until
        ]
        if len(batch) >= BATCH:
            yield batch
            batch = []
        minute += MINUTE
    if batch:
        yield batch


def minute_of(seed: int, minute: datetime, now: datetime) -> list[UsageEvent]:
    """The events of one minute; `now` is when the demo runs, which decides the day that saw refused calls."""
    chance = Random(f"{seed}/{minute:%Y%m%d%H%M}")  # noqa: S311  # a play, not a secret; it must repeat itself
    local = minute.astimezone(_ZONE)
    day = local.date().toordinal()
    events: list[UsageEvent] = []

    def call(
        client: Client, user: str | None, ip: str, *, function: str | None = None, status: int = 200
    ) -> None:
        method = chance.choice(client.methods)
        most = MOST_RECORDS.get(method)
        records = chance.randint(1, most) if most else None
        price = CREDITS.get(method)
        events.append(
            UsageEvent(
                id=f"demo-{seed}-{minute:%Y%m%d%H%M}-{len(events)}",
                time=minute + timedelta(microseconds=chance.randrange(60_000_000)),
                application=None if function else client.application,
                function=function,
                user=user,
                ip=ip,
                version=client.version,
                module=chance.choice(client.modules),
                method=method,
                records=records,
                credits=0 if status == 429 else price(records or 1) if price else None,
                status=status,
            )
        )

    for kind in (_people, _machines, _functions):
        kind(chance, local, call)
    if _is_refused(day, local, now):
        for _ in range(chance.randint(25, 45)):
            call(WATCHER, "poller@acme.example", POLLER, status=429)
    return sorted(events, key=_time)


Call = Callable[..., None]


def _people(chance: Random, local: datetime, call: Call) -> None:
    for _ in range(_times(chance, 8.5 * _busy(local))):
        rank = min(int(chance.paretovariate(0.9)) - 1, len(PEOPLE) - 1)
        client = PHONE if chance.random() < 0.18 else DESK
        status = chance.choices((200, 404, 400, 500), (965, 20, 10, 5))[0]
        call(client, PEOPLE[rank], OFFICES[(rank * 7 + local.day) % len(OFFICES)], status=status)


def _machines(chance: Random, local: datetime, call: Call) -> None:
    if local.hour == 2 and local.minute < 40:
        for _ in range(chance.randint(20, 36)):
            call(WAREHOUSE, "sync@acme.example", DATA_CENTRE)
    for _ in range(_times(chance, 2.0)):
        call(WATCHER, "poller@acme.example", POLLER)
    for _ in range(_times(chance, 0.5 * _busy(local) + 0.05)):
        call(ARABIC, "riyadh@acme.example", "2001:db8:5a::7")
    if local.weekday() == 0 and local.hour == 6 and local.minute % 10 == 0:
        call(LONG, "audit@acme.example", DATA_CENTRE)
    for _ in range(_times(chance, 0.08)):
        call(NAMELESS, None, "192.0.2.99")


def _functions(chance: Random, local: datetime, call: Call) -> None:
    for rank, (function, modules) in enumerate(FUNCTIONS.items(), 1):
        for _ in range(_times(chance, 2.1 * _busy(local) / rank)):
            task = Client(None, "v8", modules, ("records.update", "records.get"))
            call(task, chance.choice((None, "workflow@acme.example")), DATA_CENTRE, function=function)


def _busy(local: datetime) -> float:
    """How busy people are, from 0 to about 1: a hill over the working day with a dip at lunch, little at weekends."""
    hour = local.hour + local.minute / 60
    if not 8 <= hour < 20:
        return 0.02
    hill = 1 - abs(hour - 13.75) / 6.5
    lunch = 0.6 if 13 <= hour < 14 else 1.0
    return max(0.05, hill) * lunch * (0.12 if local.weekday() >= 5 else 1.5)


def _is_refused(day: int, local: datetime, now: datetime) -> bool:
    """Twenty minutes of refused calls: on a morning six days before now, and again within the last 24 hours."""
    then = now.astimezone(_ZONE)
    long_ago = day == then.date().toordinal() - 6 and (local.hour, local.minute // 20) == (11, 1)
    lately = timedelta(hours=3) <= then - local < timedelta(hours=3, minutes=20)
    return long_ago or lately


def _times(chance: Random, mean: float) -> int:
    """A whole number that is `mean` on average."""
    whole = int(mean)
    return whole + (chance.random() < mean - whole)


def _time(event: UsageEvent) -> datetime:
    assert event.time is not None
    return event.time


def visit(seed: int, now: datetime) -> list[UsageEvent]:
    """What somebody looking at the dashboard does at this second: at most one call, so that the counter moves."""
    chance = Random(f"{seed}/visit/{now:%Y%m%d%H%M%S}")  # noqa: S311  # a play, as above
    if chance.random() < 0.4:
        return []
    module, method = chance.choice(DESK.modules), "records.get"
    return [
        UsageEvent(
            application=DESK.application,
            user=chance.choice(PEOPLE[:8]),
            ip=chance.choice(OFFICES),
            version=DESK.version,
            module=module,
            method=method,
            status=200,
        )
    ]
