"""
A believable company's usage, for `meterboard demo`.

Acme Corp of Kolkata and its CRM: people in office hours, quiet weekends, a sync at night, a poller that never sleeps,
functions that run integration tasks, and calls that were refused. The seed and a minute decide all events of that
minute and nothing else does, so any stretch of time can be made again, cut anywhere, and comes out with the same ids.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from meterboard.domain.event import UsageEvent

ORGANIZATION = "Acme Corp"
TIME_ZONE = "Asia/Kolkata"
ALLOWANCE = 25_000
"""Credits in a rolling 24 hours: a working day uses three quarters of them, a Sunday one third."""
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
BATCH = 5_000
"""Events, and up to one minute's more."""
_ZONE = ZoneInfo(TIME_ZONE)

_GIVEN = ["maria", "arjun", "priya", "wei", "lena", "omar", "sofia", "kenji", "fatima", "david"]
_FAMILY = ("silva", "mehta", "rao", "chen")
PEOPLE = [f"{given}.{family}@acme.example" for family in _FAMILY for given in _GIVEN]
"""Forty people, the busiest first: the n-th calls 1/n as often as the first (Zipf's law)."""
_ACTIVITY = list(accumulate(1 / rank for rank in range(1, len(PEOPLE) + 1)))


class Client(NamedTuple):
    """An application: how it calls. A module or method that stands there twice is called twice as often."""

    application: str | None
    version: str
    modules: tuple[str, ...]
    methods: tuple[str, ...]


DESK = Client(
    "Sales desk",
    "v8",
    ("Leads", "Leads", "Contacts", "Deals", "Deals", "Accounts", "Tasks"),
    (*("records.get",) * 4, "records.search", "records.update", "records.create"),
)
CONVERSION = Client("Sales desk", "v8", ("Leads",), ("leads.convert",))
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
FORMS = Client("Website forms", "v5", ("Leads", "Contacts"), ("records.create", "records.upsert"))
PARTNERS = Client("Partner portal", "v4", ("Deals", "Contacts"), ("records.search", "records.get"))
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
"""The server-side functions, the busiest first, and the modules that their integration tasks work in."""
CREDITS: dict[str, Callable[[int], int]] = {
    "leads.convert": lambda _: 5,
    "records.upsert": lambda records: -(-records // 10),
    "coql.query": lambda records: 1 if records <= 200 else 2 if records <= 1000 else 3,
    "records.deleted.get": lambda _: 2,
    "bulk_read.create": lambda _: 50,
}
"""What the expensive methods cost by the records they carried; the others leave it to the schedule, at 1 a call."""
MOST_RECORDS = {
    "records.get": 200,
    "records.search": 200,
    "records.deleted.get": 200,
    "records.create": 3,
    "records.update": 10,
    "records.upsert": 100,
    "coql.query": 2000,
}
OFFICES = [f"203.0.113.{host}" for host in range(10, 16)] + ["2001:db8:acde::10", "2001:db8:acde::11"]
DATA_CENTRE = "198.51.100.7"
POLLER = "198.51.100.23"


def history(*, seed: int, since: datetime, until: datetime) -> Iterator[list[UsageEvent]]:
    """
    Yields the events with `since` <= time < `until`, in order of time, in batches of about five thousand.

    Both may be in any time zone. The events are the same however the range is divided into calls.
    """
    batch: list[UsageEvent] = []
    minute = since.astimezone(UTC).replace(second=0, microsecond=0)
    while minute < until:
        events = minute_of(seed, minute)
        if minute < since or until < minute + MINUTE:
            events = [event for event in events if since <= _time(event) < until]
        batch += events
        if len(batch) >= BATCH:
            yield batch
            batch = []
        minute += MINUTE
    if batch:
        yield batch


def trickle(*, seed: int, at: datetime) -> list[UsageEvent]:
    """
    Returns the events of the last whole second before `at`, in addition to the history: often none, at most four.

    There is a call every four seconds on average: the live counter visibly moves, and a day of it stays within the
    allowance. The same second always has the same calls with the same ids.
    """
    start = at.astimezone(UTC).replace(microsecond=0) - SECOND
    local = start.astimezone(_ZONE)
    stamp = f"{start:%Y%m%d%H%M%S}"
    chance = _chance(seed, "trickle", stamp)
    calls = _Calls(chance, f"demo-{seed}-live-{stamp}", start, SECOND)
    mean = 0.25
    # Up to four visitors, each of whom calls or not: calls come in clumps, as they do in life.
    for _ in range(4):
        if chance.random() < mean / 4:
            _person(chance, local, calls)
    return sorted(calls.events, key=_time)


def minute_of(seed: int, minute: datetime) -> list[UsageEvent]:
    """Returns the events of one minute in order of time; `minute` is its start in UTC."""
    local = minute.astimezone(_ZONE)
    stamp = f"{minute:%Y%m%d%H%M}"
    chance = _chance(seed, stamp)
    calls = _Calls(chance, f"demo-{seed}-{stamp}", minute, MINUTE)
    for kind in (_people, _machines, _functions, _refused):
        kind(chance, local, calls)
    return sorted(calls.events, key=_time)


def _chance(seed: int, *what: str) -> Random:
    return Random("/".join((str(seed), *what)))  # noqa: S311  # a play, not a secret; it must repeat itself


class _Calls:
    """Collects the calls of a period, each at its own time."""

    def __init__(self, chance: Random, name: str, start: datetime, length: timedelta) -> None:
        self.events: list[UsageEvent] = []
        self._chance = chance
        self._name = name
        self._start = start
        self._length = length // timedelta(microseconds=1)

    def add(
        self, client: Client, user: str | None, ip: str, *, function: str | None = None, status: int = 200
    ) -> None:
        """Adds a call of the client; a call of a function is an integration task. A refused call costs nothing."""
        chance = self._chance
        method = chance.choice(client.methods)
        most = MOST_RECORDS.get(method)
        records = chance.randint(1, most) if most else None
        price = CREDITS.get(method)
        credit = 0 if status == 429 else price(records or 1) if price else None
        self.events.append(
            UsageEvent(
                id=f"{self._name}-{len(self.events)}",
                time=self._start + timedelta(microseconds=chance.randrange(self._length)),
                application=client.application,
                function=function,
                user=user,
                ip=ip,
                version=client.version,
                module=chance.choice(client.modules),
                method=method,
                records=records,
                credits=credit,
                status=status,
            )
        )


def _people(chance: Random, local: datetime, calls: _Calls) -> None:
    for _ in range(_times(chance, 8.2 * _busy(local))):
        _person(chance, local, calls)


def _person(chance: Random, local: datetime, calls: _Calls) -> None:
    rank = chance.choices(range(len(PEOPLE)), cum_weights=_ACTIVITY)[0]
    status = chance.choices((200, 404, 400, 500), (965, 20, 10, 5))[0]
    kind = chance.random()
    if kind < 0.18:  # on the road: the telephone company's addresses, one for each
        calls.add(PHONE, PEOPLE[rank], f"2001:db8:40::{rank + 1:x}", status=status)
        return
    client = CONVERSION if kind < 0.29 else DESK
    calls.add(client, PEOPLE[rank], OFFICES[(rank * 7 + local.day) % len(OFFICES)], status=status)


def _machines(chance: Random, local: datetime, calls: _Calls) -> None:
    if local.hour == 2 and local.minute < 40:
        for _ in range(chance.randint(18, 34)):
            calls.add(WAREHOUSE, "sync@acme.example", DATA_CENTRE)
    for _ in range(2):
        calls.add(WATCHER, "poller@acme.example", POLLER)
    for _ in range(_times(chance, 0.5 * _busy(local) + 0.05)):
        calls.add(ARABIC, "riyadh@acme.example", "2001:db8:5a::7")
    for _ in range(_times(chance, 0.25 * _busy(local) + 0.03)):
        calls.add(FORMS, None, "2001:db8:77::80")
    for _ in range(_times(chance, 0.3 * _busy(local))):
        calls.add(PARTNERS, "partners@acme.example", f"192.0.2.{chance.randint(20, 27)}")
    if local.weekday() == 0 and local.hour == 6 and local.minute % 10 == 0:
        calls.add(LONG, "audit@acme.example", DATA_CENTRE)
    for _ in range(_times(chance, 0.06)):
        calls.add(NAMELESS, None, "192.0.2.99")


def _functions(chance: Random, local: datetime, calls: _Calls) -> None:
    for rank, (function, modules) in enumerate(FUNCTIONS.items(), 1):
        task = Client(None, "v8", modules, ("records.update", "records.get"))
        for _ in range(_times(chance, 2.0 * _busy(local) / rank)):
            calls.add(task, chance.choice((None, "workflow@acme.example")), DATA_CENTRE, function=function)


def _refused(chance: Random, local: datetime, calls: _Calls) -> None:
    """
    Adds calls over the rate limit: the sync's in twenty minutes each night, the poller's on one Wednesday in four.

    Each night rather than "within the last 24 hours", so that the history never depends on when it is viewed.
    """
    if local.hour == 2 and local.minute >= 40:
        for _ in range(chance.randint(6, 14)):
            calls.add(WAREHOUSE, "sync@acme.example", DATA_CENTRE, status=429)
    if local.toordinal() % 28 == 3 and (local.hour, local.minute // 20) == (11, 1):
        for _ in range(chance.randint(25, 45)):
            calls.add(WATCHER, "poller@acme.example", POLLER, status=429)


def _busy(local: datetime) -> float:
    """
    Returns how busy people are, from 0 to 1.5: a peak over the working day with a dip at lunch, little at weekends.
    """
    hour = local.hour + local.minute / 60
    if not 8 <= hour < 20:
        return 0.02
    hill = max(0.05, 1 - abs(hour - 13.75) / 6.5)
    lunch = 0.6 if 13 <= hour < 14 else 1.0
    return hill * lunch * (0.12 if local.weekday() >= 5 else 1.5)


def _times(chance: Random, mean: float) -> int:
    """Returns a whole number that is `mean` on average."""
    whole = int(mean)
    return whole + (chance.random() < mean - whole)


def _time(event: UsageEvent) -> datetime:
    assert event.time is not None
    return event.time
