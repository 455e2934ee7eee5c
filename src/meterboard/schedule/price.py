"""
The price of a call: that of the first row of a credit schedule whose conditions all match.

A price may depend on how many records a call carried or requested, or on its outcome. Where that is unknown, the
price is an estimate, with bounds.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, timedelta
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_plus

from msgspec import Struct

from meterboard.domain.event import MAX_CREDITS, NOT_HTTP
from meterboard.domain.period import micros, midnight
from meterboard.wording import counted

FAILED = 400
"""The lowest HTTP status of a failed call."""


class PriceRule(Struct, frozen=True, forbid_unknown_fields=True):
    """
    A row of the price list.

    Conditions: `version`, `module`, `method` (each one or several), `status`, `query` (a parameter that the address
    has), `since` and `until` (days of UTC, both included).
    Formula: `credits`; once for every `per_records` records begun; or the `steps` [up to so many records, credits];
    `max` at most; `failed` instead where the call failed. `estimated`: it may be more, for what it depends on can't
    be known.
    """

    credits: int | None = None
    version: str | list[str] | None = None
    module: str | list[str] | None = None
    method: str | list[str] | None = None
    status: int | list[int] | None = None
    query: str | None = None
    since: date | None = None
    until: date | None = None
    per_records: int | None = None
    steps: list[tuple[int, int]] | None = None
    max: int | None = None
    failed: int | None = None
    estimated: bool = False
    source: str = ""
    note: str = ""

    def describe(self) -> str:
        """Returns the formula: 1 credit for every 10 records begun, at most 10."""
        if self.steps:
            formula = ", ".join(
                f"{counted(credits, 'credit')} up to {counted(upto, 'record')}"
                for upto, credits in self.steps
            )
        else:
            formula = counted(self.credits or 0, "credit")
        if self.per_records:
            formula += f" for every {self.per_records:,} records begun"
        if self.max is not None:
            formula += f", at most {self.max:,}"
        if self.failed is not None:
            formula += f", {counted(self.failed, 'credit')} if the call failed"
        return formula


class Price(NamedTuple):
    """
    The credits, their bounds (`most` None: no limit), and whether they are an estimate, which they are where the
    bounds differ.

    `reason` is the reason as `meterboard.schedule.reason` encodes it.
    """

    credits: int
    least: int
    most: int | None
    estimated: bool
    reason: str = ""


MAX_CACHED_PRICES = 16_384
"""How many prices a price list caches, over all versions, modules and methods: about 4 MB."""
MAX_COMBINATIONS = 64
"""How many combinations of query parameters have cached tariffs."""
MAX_PARAMETERS = 1_000
"""The most query parameters that are read, as in web frameworks: about 1 ms at worst."""
MAX_CACHED_TARIFFS = 4_096
"""How many versions, modules and methods have cached tariffs."""
MAX_CACHED_NAME = 200
"""The longest version, module and method together that are cached: 4,096 of them take at most 5 MB."""


class PricedCall(NamedTuple):
    """
    The values that a price can depend on. `time` is in microseconds since 1970 UTC, `query` is without its question
    mark.
    """

    version: str
    module: str
    method: str
    records: int | None = None
    status: int | None = None
    query: str = ""
    time: int = 0


class PriceList:
    """Compiled prices. Immutable; safe to share between threads."""

    def __init__(self, rules: Sequence[PriceRule], reason: Callable[[PriceRule | None], str]) -> None:
        """
        Compiles the rows. `reason` returns the reason of a row, or that of None where no row matches. No row
        contradicts itself.
        """
        self._rows = [_Row(rule, reason(rule)) for rule in rules]
        self._free = Price(0, 0, 0, False, reason(None))
        self._tariffs: dict[tuple[int, ...], Tariff] = {}
        self._cache = PriceCache()
        self._short_names = lru_cache(maxsize=MAX_CACHED_TARIFFS)(self._find_tariff)
        dated = (moment for row in self._rows for moment in row.bounds if moment is not None)
        self.changes = sorted(set(dated))
        """When prices change, in microseconds since 1970 UTC."""
        self.parameters = {rule.query for rule in rules if rule.query is not None}
        """The query parameters that prices depend on."""

    def tariff(self, version: str, module: str, method: str) -> "Tariff":
        """Returns the prices that calls of a version, module and method may have."""
        if len(version) + len(module) + len(method) <= MAX_CACHED_NAME:
            return self._short_names(version, module, method)
        return self._find_tariff(version, module, method)

    def _find_tariff(self, version: str, module: str, method: str) -> "Tariff":
        # Calls that the same rows may price share a tariff, so that invented names make no new ones.
        numbers = tuple(n for n, row in enumerate(self._rows) if row.is_for(version, module, method))
        tariff = self._tariffs.get(numbers)
        if tariff is None:
            if len(self._tariffs) >= MAX_CACHED_TARIFFS:
                self._tariffs.clear()
            rows = [self._rows[number] for number in numbers]
            tariff = self._tariffs[numbers] = Tariff(rows, self._free, self._cache)
        return tariff

    def price(self, call: PricedCall) -> Price:
        """Returns what a call costs; nothing when no price matches."""
        tariff = self.tariff(call.version, call.module, call.method)
        return tariff.price(call.records, call.status, f"?{call.query}", call.time)

    def rule(self, call: PricedCall) -> PriceRule | None:
        """Returns the row that prices a call."""
        tariff = self.tariff(call.version, call.module, call.method).for_query(f"?{call.query}")
        row = tariff.row(call.status, call.time)
        return None if row is None else row.rule

    def rules(self, version: str, module: str, method: str) -> list[PriceRule]:
        """Returns the rows that may price calls of a version, module and method, in order."""
        return [row.rule for row in self._rows if row.is_for(version, module, method)]


PriceKey = int | tuple[int | None, int | None] | None


class PriceCache:
    """
    Limits the prices that all tariffs of a price list cache. Safe to share between threads.

    It clears plain dictionaries instead of tracking their use, for the same reason as `PathCache`.
    """

    def __init__(self) -> None:
        self._size = 0
        self._tables: dict[int, dict[PriceKey, Price]] = {}

    def add(self, table: dict[PriceKey, Price], outcome: PriceKey, price: Price) -> None:
        """Adds a price to a tariff's table; all tables are cleared when the limit is reached."""
        if self._size >= MAX_CACHED_PRICES:
            for known in list(self._tables.values()):
                known.clear()
            self._tables.clear()
            self._size = 0
        self._tables[id(table)] = table
        self._size += 1
        table[outcome] = price


class Tariff:
    """The prices of one version, module and method, for calls that have the `given` query parameters and no others."""

    def __init__(
        self, candidates: Sequence["_Row"], free: Price, cache: "PriceCache", given: Sequence[str] = ()
    ) -> None:
        """Selects the rows. `free` is the price where no row matches."""
        self._candidates = candidates
        self._free = free
        self._cache = cache
        self._rows = [row for row in candidates if row.rule.query is None or row.rule.query in given]
        self._parameters = {row.rule.query for row in candidates if row.rule.query is not None}
        self._is_dated = any(row.is_dated for row in self._rows)
        self._is_flat = all(row.is_flat for row in self._rows)
        self._known: dict[PriceKey, Price] = {}
        self._by_query: dict[tuple[str, ...], Tariff] = {}

    def price(self, records: int | None, status: int | None, address: str, time: int) -> Price:
        """
        Returns what a call costs; nothing when no price matches.

        `address` is its path with the query string, `time` is in microseconds since 1970 UTC.
        """
        if self._parameters and "?" in address and (tariff := self.for_query(address)) is not self:
            return tariff.price(records, status, "", time)
        if self._is_dated:
            return self._work_out(records, status, time)
        outcome = status if self._is_flat else (records, status)
        known = self._known.get(outcome)
        if known is not None:
            return known
        price = self._work_out(records, status, time)
        self._cache.add(self._known, outcome, price)
        return price

    def for_query(self, address: str) -> "Tariff":
        """Returns the tariff of calls to a path with a query string."""
        for name in self._parameters:  # nearly always none; a loop takes half the time of any()
            if name in address:
                break
        else:
            if "%" not in address or not _ESCAPED_NAME.search(address):
                return self
        query = address.partition("?")[2]
        longest = max(map(len, self._parameters))
        names = tuple(sorted(self._parameters & _parameters(query, longest)))
        if not names:
            return self
        tariff = self._by_query.get(names)
        if tariff is None:
            if len(self._by_query) >= MAX_COMBINATIONS:
                self._by_query.clear()
            tariff = self._by_query[names] = Tariff(self._candidates, self._free, self._cache, names)
        return tariff

    def _work_out(self, records: int | None, status: int | None, time: int) -> Price:
        row = self.row(status, time)
        return self._free if row is None else row.price(records, status)

    def row(self, status: int | None, time: int) -> "_Row | None":
        """Returns the first row whose conditions all match."""
        return next((row for row in self._rows if row.fits(status, time)), None)


class _Row:
    """A rule with everything that can be computed beforehand."""

    def __init__(self, rule: PriceRule, reason: str) -> None:
        self.rule = rule
        self._reason = reason
        self._names = [
            frozenset([wanted] if isinstance(wanted, str) else wanted) if wanted is not None else None
            for wanted in (rule.version, rule.module, rule.method)
        ]
        status = rule.status
        self._status = None if status is None else frozenset([status] if isinstance(status, int) else status)
        self._since = _midnight(rule.since) if rule.since else None
        self._until = _end_of(rule.until) if rule.until else None
        self.is_dated = self._since is not None or self._until is not None
        depends = rule.per_records or rule.steps or rule.estimated or rule.failed is not None
        self._flat = (
            None if depends else Price(rule.credits or 0, rule.credits or 0, rule.credits or 0, False, reason)
        )

    @property
    def bounds(self) -> tuple[int | None, int | None]:
        """Returns the start and the end, exclusive, of its validity."""
        return self._since, self._until

    @property
    def is_flat(self) -> bool:
        """Returns whether the price is the same whatever the call carried."""
        return self._flat is not None

    def is_for(self, *names: str) -> bool:
        """
        Returns whether the row applies to a version, module and method. Requests that are not HTTP must be named;
        otherwise they are free.
        """
        if NOT_HTTP in names and not any(wanted and NOT_HTTP in wanted for wanted in self._names):
            return False
        return all(wanted is None or name in wanted for wanted, name in zip(self._names, names, strict=True))

    def fits(self, status: int | None, time: int) -> bool:
        return (
            (self._status is None or status in self._status)
            and (self._since is None or time >= self._since)
            and (self._until is None or time < self._until)
        )

    def price(self, records: int | None, status: int | None) -> Price:
        rule = self.rule
        if self._flat:
            return self._flat
        if rule.failed is not None and status is not None and status >= FAILED:
            return Price(rule.failed, rule.failed, rule.failed, False, self._reason)
        least, most = self._by_size(records)
        credits = least
        if rule.failed is not None and status is None:
            least = min(least, rule.failed)
            most = None if most is None else max(most, rule.failed)
        return Price(credits, least, most, least != most, self._reason)

    def _by_size(self, records: int | None) -> tuple[int, int | None]:
        """Returns the bounds of the cost of a call that did not fail."""
        rule = self.rule
        least = self._by_records(max(1, records or 1))
        is_open = rule.estimated or (records is None and (rule.per_records or rule.steps))
        if not is_open:
            return least, least
        return least, rule.max if rule.max is not None else rule.steps[-1][1] if rule.steps else None

    def _by_records(self, records: int) -> int:
        rule = self.rule
        if rule.steps:
            return next((credits for upto, credits in rule.steps if records <= upto), rule.steps[-1][1])
        parts = -(-records // rule.per_records) if rule.per_records else 1
        credits = (rule.credits or 0) * parts
        return min(credits, MAX_CREDITS if rule.max is None else rule.max)


def price_by(rule: PriceRule, records: int | None, status: int | None) -> Price:
    """Returns what a call costs by a row that matches it."""
    return _Row(rule, "").price(records, status)


def _midnight(day: date) -> int:
    return micros(midnight(day, UTC))


def _end_of(day: date) -> int | None:
    """Returns the midnight that ends a day; None for the last possible day, which no call is after."""
    return None if day == date.max else _midnight(day + timedelta(days=1))


# Every character is read once: a match ends where the next one may begin.
_ESCAPED_NAME = re.compile(r"[?&][^=&?]*%")


def _parameters(query: str, longest: int) -> set[str]:
    """Returns the names of a query string's parameters of at most `longest` characters, without escapes."""
    parts = query.split("&", MAX_PARAMETERS)[:MAX_PARAMETERS]
    names = {part.partition("=")[0] for part in parts}
    return {
        unquote_plus(name) for name in names if len(name) <= 12 * longest
    }  # a character is up to %F0%9F%98%80
