"""Parses lines into calls. DuckDB parses a chunk at once; values that calls share are computed once."""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from hashlib import md5
from typing import Any, NamedTuple

import duckdb
import nanoarrow as na
from msgspec import Struct

from meterboard.domain.caller.user_agent import application_of
from meterboard.domain.event import LINE_ID_PREFIX, NOT_HTTP, UsageEvent
from meterboard.importers.formats.named import Format
from meterboard.importers.reading import values as words
from meterboard.importers.reading.fields import OWN, ParseOptions, own_fields
from meterboard.importers.reading.lines import GIVEN, Lines, Table
from meterboard.importers.reading.numbering import LOW, REMEMBERED, Numbering
from meterboard.schedule.price import FAILED
from meterboard.service.ingest.calls import CallKind, Calls, halves_of_id

LEFT_OVER = f"""
create or replace temp table left_over as
select n, line from {GIVEN} semi join (select n from parsed where time is null) using (n) where line <> ''
"""
MESSAGES = f"""
select n from {GIVEN} semi join (select n from parsed where time is null) using (n)
where line <> '' and {{message}}
"""
PART = """
create or replace temp table {part} as
select *, (row_number() over (order by {key}) - 1)::integer as {code} from (
    select {key}, min(time) as first from parsed where time is not null group by {key}
)
"""
CALLS = f"""
select n, time, kind, caller, origin, {LOW} as id_low, ((digest >> 64) & 4294967295)::uinteger as id_high
from parsed join kinds using ({{kinds}}) join callers using ({{callers}}) join origins using ({{origins}})
where time is not null order by n
"""
REST = "select n, strlen(rest)::integer from parsed where time is not null and rest <> ''"
OWN_IDS = "select id from parsed where time is not null order by n"

NAMES = ("function", "version", "module", "method")
PARTS = (("kinds", "kind"), ("callers", "caller"), ("origins", "origin"))
CALLER_FIELDS, ORIGIN_FIELDS = ("user", "agent", "application"), ("ip",)
"""The fields of the caller, which has own dimensions, too, and of the origin; the others are of the kind."""


class Read(Struct):
    """
    The calls of a chunk, the number of its lines, the unreadable lines with their numbers, and how many lines are
    messages of the server rather than access lines.
    """

    calls: Calls
    lines: int
    unreadable: list[tuple[int, bytes]]
    messages: int = 0


class Parsed(NamedTuple):
    """
    The calls of a chunk as columns: the index of each among the lines, its time, its codes and the halves of its id.

    `repeated` says how many equal lines came before a line.
    """

    lines: Lines
    kinds: list[tuple[Any, ...]]
    callers: list[tuple[Any, ...]]
    origins: list[tuple[Any, ...]]
    places: "array[int]"
    times: "array[int]"
    kind: "array[int]"
    caller: "array[int]"
    origin: "array[int]"
    id_lows: "array[int]"
    id_highs: "array[int]"
    repeated: dict[int, int]
    rest: dict[int, int]
    own_ids: list[str]
    messages: set[int]


class Reader:
    """Parses the chunks of one source in their order: of a file, or of the files that `--source` names."""

    def __init__(self, form: Format, options: ParseOptions, *, remembered: int = REMEMBERED) -> None:
        """Opens a reader. The shared fields are those of the format. `remembered`: see `Numbering`."""
        self._connection = duckdb.connect(config={"threads": 2, "memory_limit": "256MB"})
        self._connection.execute("set TimeZone = 'UTC'").fetchall()
        self._numbering = Numbering(self._connection, remembered=remembered)
        self._options = options
        self.use(form)

    def use(self, form: Format) -> None:
        """Parses all later lines in this format."""
        self._form = form
        self._options = self._options._replace(shared=form.shared)
        own = own_fields(form.shared)
        self._own_names = [name.removeprefix(OWN) for name in own]
        self._fields = {
            "kinds": [name for name in form.shared if name not in (*CALLER_FIELDS, *ORIGIN_FIELDS, *own)],
            "callers": [name for name in form.shared if name in CALLER_FIELDS or name in own],
            "origins": [name for name in form.shared if name in ORIGIN_FIELDS],
        }
        self._keys = {
            part: ", ".join(["period", *(f'"{name}"' for name in names)])
            for part, names in self._fields.items()
        }

    def close(self) -> None:
        self._connection.close()

    def read(self, lines: Lines) -> Read:
        """Returns the calls of a chunk. Never raises because of a line."""
        return self.calls(self.parse(lines))

    def parse(self, lines: Lines) -> Parsed:
        """Parses a chunk in DuckDB, which releases the interpreter lock: other threads work meanwhile."""
        execute = self._connection.execute
        messages = self._parse(lines)
        for part, code in PARTS:
            execute(PART.format(part=part, code=code, key=self._keys[part])).fetchall()
        kinds, callers, origins = (
            execute(f"select * from {part} order by {code}").fetchall() for part, code in PARTS
        )
        places, times, kind, caller, origin, lows, highs = self._columns(
            CALLS.format(**self._keys), "iqiiiQI"
        )
        repeated = self._numbering.repeated(lines.total)
        rest = dict(execute(REST).fetchall())
        own = execute(OWN_IDS).fetchall() if self._form.has_ids else []
        own_ids = [name for (name,) in own]
        return Parsed(
            lines=lines,
            kinds=kinds,
            callers=callers,
            origins=origins,
            places=places,
            times=times,
            kind=kind,
            caller=caller,
            origin=origin,
            id_lows=lows,
            id_highs=highs,
            repeated=repeated,
            rest=rest,
            own_ids=own_ids,
            messages=messages,
        )

    def calls(self, parsed: Parsed) -> Read:
        """Returns the calls of a parsed chunk: events, callers and ids. Chunks are passed in their order."""
        ids = _Ids(parsed, self._options)
        ids.correct()
        calls = Calls(
            kinds=[CallKind(self._event(row), row[-2]) for row in parsed.kinds],
            callers=[self._caller(row) for row in parsed.callers],
            origins=[words.address(self._fields_of("origins", row).get("ip", "")) for row in parsed.origins],
            kind=parsed.kind,
            caller=parsed.caller,
            origin=parsed.origin,
            times=parsed.times,
            id_lows=parsed.id_lows,
            id_highs=parsed.id_highs,
            ids=ids.texts,
            own_names=self._own_names,
        )
        return Read(calls, parsed.lines.total, _unreadable(parsed), len(parsed.messages))

    def _parse(self, lines: Lines) -> set[int]:
        """Creates the table `parsed`, with a row for each line, and returns the numbers of those that are messages."""
        execute = self._connection.execute
        given = Table(lines)  # DuckDB finds it by its name in this frame
        first, *others = [
            layout for layout in self._form.layouts if lines.ended or layout.is_closed
        ] or self._form.layouts
        execute(f"create or replace temp table parsed as {first.query(GIVEN, self._options)}").fetchall()
        for layout in others:
            if not execute("select count(*) from parsed where time is null").fetchall()[0][0]:
                break
            execute(LEFT_OVER).fetchall()
            execute("delete from parsed where n in (select n from left_over)").fetchall()
            execute(f"insert into parsed {layout.query('left_over', self._options)}").fetchall()
        if not lines.ended:
            is_closed = any(layout.is_closed for layout in self._form.layouts)
            execute(f"update parsed set time = null where is_open or {not is_closed}").fetchall()
        messages: set[int] = set()
        if execute("select count(*) from parsed where time is null").fetchall()[0][0]:
            messages = {n for (n,) in execute(MESSAGES.format(message=self._form.message)).fetchall()}
        del given
        return messages

    def _columns(self, query: str, codes: str) -> "list[array[int]]":
        """Returns the columns of a result that has only numbers."""
        columns = [array(code) for code in codes]
        for piece in na.ArrayStream(self._connection.sql(query)):
            for place, column in enumerate(columns):
                column.frombytes(
                    memoryview(piece.child(place).buffer(1)).cast("B")[: len(piece) * column.itemsize]
                )
        return columns

    def _fields_of(self, part: str, row: Sequence[Any]) -> dict[str, str]:
        """Returns the fields of a row, which are after the period and before the time and the code."""
        return dict(zip(self._fields[part], row[1:-2], strict=True))

    def _event(self, row: Sequence[Any]) -> UsageEvent:
        given_fields = self._fields_of("kinds", row)
        records, credits = given_fields.get("records"), given_fields.get("credits")
        function, version, module, method = (words.name(given_fields.get(name, "")) for name in NAMES)
        request = words.request(given_fields.get("request", ""), is_escaped=self._form.is_escaped)
        status = _STATUS.get(given_fields.get("status", ""))
        if request is None and self._form.is_log and "request" in given_fields and is_refused(status):
            module = method = NOT_HTTP
        return UsageEvent(
            function=function,
            version=version,
            module=module,
            method=method,
            request=request,
            records=int(records) if records else None,
            credits=int(credits) if credits else None,
            status=status,
        )

    def _caller(self, row: Sequence[Any]) -> tuple[str | None, ...]:
        """Returns application, user, and the values of own dimensions."""
        given_fields = self._fields_of("callers", row)
        agent, user = (self._written(given_fields.get(field, "")) for field in ("agent", "user"))
        own = [words.name(self._written(given_fields[f"{OWN}{name}"])) for name in self._own_names]
        return (
            words.name(given_fields.get("application", "")) or application_of(agent),
            words.name(user),
            *own,
        )

    def _written(self, field: str) -> str:
        return words.unescaped(field) if self._form.is_escaped else field


def is_refused(status: int | None) -> bool:
    """
    Returns whether a request with this status, or none, was refused. Others were understood by the server, whatever
    was logged.
    """
    return status is None or status >= FAILED


def _unreadable(parsed: Parsed) -> list[tuple[int, bytes]]:
    """Returns the number and the text of each line that is not a call; empty lines are ignored."""
    lines, places = parsed.lines, parsed.places
    if len(places) == lines.total:
        return []
    texts = lines.originals()
    missing = sorted(set(range(lines.total)).difference(places, parsed.messages))
    return [(lines.first + n, texts[n]) for n in missing if texts[n].strip()]


class _Ids:
    """The ids of a chunk's calls: a line's own, or the digest of its text with the number of equal lines before it."""

    def __init__(self, parsed: Parsed, options: ParseOptions) -> None:
        self._parsed = parsed
        self._options = options

    def correct(self) -> None:
        """Replaces the digests of lines with own ids and of repeated lines, which DuckDB doesn't know."""
        parsed = self._parsed
        other: dict[int, str] = {}
        if parsed.repeated:
            texts = parsed.lines.texts()
            other = {bisect_left(parsed.places, n): self._made(n, texts) for n in parsed.repeated}
        other |= {place: own for place, own in enumerate(parsed.own_ids) if own}
        for place, text in other.items():
            halves = halves_of_id(self._options.organization, text)
            parsed.id_lows[place], parsed.id_highs[place] = halves

    def texts(self) -> list[str]:
        """Returns ids as they are sent over HTTP."""
        texts, places = self._parsed.lines.texts(), self._parsed.places
        own = self._parsed.own_ids or [""] * len(places)
        return [text or self._made(n, texts) for n, text in zip(places, own, strict=True)]

    def _made(self, n: int, texts: Sequence[bytes]) -> str:
        rest = self._parsed.rest.get(n)
        line = texts[n][:-rest] if rest else texts[n]
        digest = md5(line, usedforsecurity=False).hexdigest()
        return f"{LINE_ID_PREFIX}{self._options.source}-{digest}-{self._parsed.repeated.get(n, 0)}"


_STATUS = {str(status): status for status in range(100, 600)}
