"""
Numbers equal lines of a source, so that equal calls within one second are all counted.

Reading a source again gives the same numbers.
"""

from typing import Any

import duckdb

REMEMBERED = 100_000
"""The distance in lines within which equal lines are counted; see `Numbering`."""

LOW = "(digest & 18446744073709551615)::ubigint"
"""The first eight bytes of an id, as a number."""
_NONE = "create or replace temp table recent (digest ubigint, generation bigint)"
_KNOWN = """
select digest, max(generation) from recent semi join (select {low} as digest from parsed where time is not null)
using (digest) group by digest
"""
_TWICE = "select {low} from parsed where time is not null group by 1 having count(*) > 1"
_PLACES = """
select n, {low} as low from parsed where time is not null and low in (select unnest(?::ubigint[])) order by n
"""
_REMEMBER = """
create or replace temp table recent as
select * from recent where generation >= $oldest
union all
select {low}, ($first + n) // $remembered as generation from parsed
where time is not null and generation >= $oldest
"""


class Numbering:
    """
    Numbers the lines of one source, in their order; how they are grouped into batches does not matter.

    Equal lines have the same second, so they are close together. The digests of at least the last REMEMBERED lines
    and at most twice as many are kept (about 5 MB). Beyond that, an equal line would get the first one's number and
    count as the same call: one too few, never one too many. Nearly all lines are unique, so DuckDB finds those that
    are not, and only they are counted here.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, remembered: int = REMEMBERED) -> None:
        self._connection = connection
        self._remembered = remembered
        self._lines = 0
        self._connection.execute(_NONE).fetchall()
        self._counted: dict[int, tuple[int, int]] = {}
        """By digest: how many occurred, and the generation of the last."""

    def repeated(self, total: int) -> dict[int, int]:
        """
        Returns, for the next lines, which are in the table `parsed`, how often each repeated one occurred before, by
        its `n`.
        """
        first, self._lines = self._lines, self._lines + total
        known: dict[int, int] = dict(self._rows(_KNOWN))
        suspects = {digest for (digest,) in self._rows(_TWICE)} | known.keys()
        found: dict[int, int] = {}
        for n, digest in self._rows(_PLACES, [list(suspects)]) if suspects else ():
            generation = (first + n) // self._remembered
            before, last = self._counted.get(digest) or (int(digest in known), known.get(digest, generation))
            before = before if generation - last <= 1 else 0
            if before:
                found[n] = before
            self._counted[digest] = before + 1, generation
        self._remember(first, (first + total - 1) // self._remembered - 1)
        return found

    def _remember(self, first: int, oldest: int) -> None:
        parameters = {"first": first, "oldest": oldest, "remembered": self._remembered}
        self._connection.execute(_REMEMBER.format(low=LOW), parameters).fetchall()
        self._counted = {digest: counted for digest, counted in self._counted.items() if counted[1] >= oldest}

    def _rows(self, query: str, parameters: list[list[int]] | None = None) -> list[Any]:
        return self._connection.execute(query.format(low=LOW), parameters).fetchall()
