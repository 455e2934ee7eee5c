"""The numbers that stand for combinations of dimensions and for reasons in the table of events."""

from collections.abc import Iterable, Sequence
from hashlib import md5

import duckdb

from meterboard.domain.dimensions import BUILT_IN
from meterboard.domain.event import Combination
from meterboard.usage.duckdb import statements
from meterboard.usage.duckdb.statements import Statements

CACHED_CHARACTERS = 16_000_000
"""The size of the cache, in characters of the combinations, with OVERHEAD for each."""
OVERHEAD = 600
RECALLED = 2_000
"""How many of the newest combinations are cached from the start."""


class Numbers:
    """
    The numbers of stored combinations and reasons. Used by the thread that writes; methods may raise DuckDB's errors.

    Numbers are cached before their transaction is committed, so after a failure the object is replaced.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, naming: Statements) -> None:
        self._connection = connection
        self._naming = naming
        ((self.next,),) = connection.execute(statements.NEXT_NUMBER).fetchall()
        self.combinations: dict[Combination, int] = {}
        """The cached numbers."""
        self._cached_characters = 0
        rows = connection.execute(naming.newest_combinations, [RECALLED]).fetchall()
        self._cache((number, _combination(*values)) for number, *values in rows)
        self.reasons: dict[str, int] = dict(connection.execute("select text, number from reason").fetchall())
        """The numbers of all reasons, which are as few as the rows of price lists. None is deleted."""

    def of_combinations(self, combinations: Sequence[Combination]) -> list[int]:
        """Returns the number of each combination: cached, stored or new."""
        missing = {combination for combination in combinations if combination not in self.combinations}
        if self._cached_characters > CACHED_CHARACTERS:
            self.combinations, self._cached_characters = {}, 0
            missing = set(combinations)
        digests = {combination: digest(combination, self._naming.own_shown) for combination in missing}
        known = self._connection.execute(self._naming.known_combinations, [list(digests.values())]).fetchall()
        self._cache((number, _combination(*values)) for number, *values in known)
        new = sorted(combination for combination in missing if combination not in self.combinations)
        numbered = list(enumerate(new, self.next))
        rows = [(number, digests[values], *self._in_columns(values)) for number, values in numbered]
        self._append("combination", rows)
        self.next += len(new)
        self._cache(numbered)
        return [self.combinations[combination] for combination in combinations]

    def of_reasons(self, reasons: Sequence[str]) -> list[int]:
        """Returns the number of each reason, stored or new."""
        new = sorted(set(reasons) - self.reasons.keys())
        numbered = list(enumerate(new, len(self.reasons)))
        self._append("reason", numbered)
        self.reasons.update((text, number) for number, text in numbered)
        return [self.reasons[reason] for reason in reasons]

    def _in_columns(self, combination: Combination) -> Sequence[object]:
        """Returns the values of a combination in the order of the table's columns; hidden dimensions are empty."""
        if not self._naming.own_in_file:
            return combination[:-1]
        given = dict(zip(self._naming.own_shown, combination.own, strict=True))
        return (*combination[:-1], *(given.get(name, "") for name in self._naming.own_in_file))

    def _append(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        appender = self._connection.appender(table)
        appender.append_rows(list(rows))
        appender.flush()

    def _cache(self, numbered: Iterable[tuple[int, Combination]]) -> None:
        for number, combination in numbered:
            self.combinations[combination] = number
            self._cached_characters += OVERHEAD + sum(map(len, combination[1:-1]))
            self._cached_characters += sum(map(len, combination.own))


def digest(combination: Combination, own_names: Sequence[str] = ()) -> int:
    """
    Returns 64 bits of MD5 over the values, as DuckDB computes it. Equal combinations have equal digests, different
    ones almost never.

    Own dimensions are included by name, and only if the event has a value. So a digest doesn't change when dimensions
    are added, removed or reordered.
    """
    values = "\0".join(map(str, combination[:-1]))
    if own_names:
        pairs = zip(own_names, combination.own, strict=True)
        given = sorted((name, value) for name, value in pairs if value)
        values = "\0".join((values, *(text for pair in given for text in pair)))
    return int.from_bytes(md5(values.encode(), usedforsecurity=False).digest()[8:], "little")


def _combination(organization: int, *values: str) -> Combination:
    built_in = len(BUILT_IN)
    return Combination._make((organization, *values[:built_in], values[built_in:]))
