"""
What each call is and costs, by the Zoho CRM schedule, against decoding the JSON that says so.

    python -m benchmarks.classify

The calls are those of a CRM's clients: most name one record by an id that no other call names, some carry a query.
Then what each cache of the classification saves, for paths with ids and for paths that name records by words: a cache
stays in the code while it saves more than a tenth for one of them.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, cast

import msgspec

from meterboard.domain.event import Request, UsageEvent
from meterboard.domain.period import micros
from meterboard.formats.json_events import read_events
from meterboard.schedule.builtin import builtin_schedule, builtin_text
from meterboard.schedule.credit_schedule import CreditSchedule, read_schedule
from meterboard.schedule.path_cache import PathCache

EVENTS = 1_000
NOW = micros(datetime.now(UTC))
BATCHES = 100
PATHS, WARM = 10_000, 500
MODULES = ("Leads", "Contacts", "Accounts", "Deals", "Sales_Orders")
SHAPES = (
    ("GET", "/crm/v8/{module}/{id}"),
    ("GET", "/crm/v8/{module}/{id}"),
    ("PUT", "/crm/v8/{module}/{id}"),
    ("GET", "/crm/v8/{module}?fields=Last_Name,Email&page={page}&per_page=200"),
    ("GET", "/crm/v8/{module}/search?email=maria%40acme.example"),
    ("POST", "/crm/v8/{module}/upsert"),
    ("GET", "/crm/v2.1/{module}/{id}/Notes"),
    ("POST", "/crm/v8/Leads/{id}/actions/convert"),
    ("POST", "/crm/v8/coql"),
    ("GET", "/crm/v8/settings/fields?module={module}"),
)


def batch(chance: Random) -> bytes:
    """A batch as a gateway in front of a CRM would send it."""
    return msgspec.json.encode([_event(chance) for _ in range(EVENTS)])


def _event(chance: Random) -> UsageEvent:
    http, path = chance.choice(SHAPES)
    path = path.format(
        module=chance.choice(MODULES),
        id=554_023_000_000_000_000 + chance.randrange(10**9),
        page=chance.randrange(9),
    )
    return UsageEvent(
        time=datetime.now(UTC),
        id=f"{chance.getrandbits(128):032x}",
        application=f"app {chance.randrange(12)}",
        user=f"user{chance.randrange(500)}@acme.example",
        ip=f"10.0.{chance.randrange(4)}.{chance.randrange(250)}",
        request=Request(http, path),
        records=chance.randrange(1, 100),
        status=200,
    )


def without_shapes(schedule: CreditSchedule) -> None:
    """Remembers each path by itself, without folding ids."""
    schedule._requests = PathCache(schedule._read, ids_are_alike=False, methods=("GET",))


def without_kinds(schedule: CreditSchedule) -> None:
    """Tries the rules in turn for each new path."""
    schedule._classifier._kind = None


def without_names(schedule: CreditSchedule) -> None:
    """Fills in a rule's names for each new path."""
    schedule._classifier._named = cast("Any", schedule._classifier._name)


CACHES = {"shapes of paths": without_shapes, "kinds of parts": without_kinds, "names": without_names}


def compare_caches(chance: Random) -> None:
    """Prints the processor time of classifying a new path, with all caches and without each of them."""
    word = "".join
    paths = {
        "by id": [f"/crm/v8/Leads/{chance.randrange(10**17, 10**18)}" for _ in range(PATHS)],
        "by word": [
            f"/crm/v8/Leads/{word(chance.choices('abcdefgh', k=9))}@acme.example" for _ in range(PATHS)
        ],
    }
    for kind, named in paths.items():
        whole = _seconds_each(named, lambda _: None)
        print(f"a path that names a record {kind}: {whole * 1e6:5.2f} us")
        for name, remove in CACHES.items():
            took = _seconds_each(named, remove)
            print(f"  without the cache of {name:<16} {took * 1e6:5.2f} us   {took / whole:.2f} times")


def _seconds_each(paths: Sequence[str], change: Callable[[CreditSchedule], None]) -> float:
    schedule = read_schedule(builtin_text("zoho-crm"))
    change(schedule)
    for path in paths[:WARM]:
        schedule.read("GET", path)
    began = time.process_time()
    for path in paths[WARM:]:
        schedule.read("GET", path)
    return (time.process_time() - began) / (len(paths) - WARM)


def main() -> None:
    chance = Random(7)
    bodies = [batch(chance) for _ in range(BATCHES)]
    schedule = builtin_schedule("zoho-crm")
    decoding: list[float] = []
    pricing: list[float] = []
    for body in bodies:
        started = time.perf_counter()
        events = read_events(body, ndjson=False).events
        decoded = time.perf_counter()
        for event in events:
            request = event.request
            if request is not None:
                found, tariff = schedule.read(request.method, request.path)
                records = found.records if event.records is None else event.records
                tariff.price(records, event.status, request.path, NOW)
        priced = time.perf_counter()
        decoding.append(decoded - started)
        pricing.append(priced - decoded)
    one, two = sorted(decoding)[BATCHES // 2], sorted(pricing)[BATCHES // 2]
    compare_caches(chance)
    print(f"{BATCHES} batches of {EVENTS:,} events, medians")
    print(f"decode the JSON     {one * 1e3:6.2f} ms")
    print(f"classify and price  {two * 1e3:6.2f} ms   {two / one:.0%} of it (promised: less than 100 %)")


if __name__ == "__main__":
    main()
