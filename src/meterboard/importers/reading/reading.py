"""
Lines -> calls. DuckDB parses a chunk of lines at once; what calls have in common is worked out once.
"""

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
from meterboard.importers.reading.fields import OWN, Wanted, own_fields
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
select n, time, what, who, whence, {LOW} as id_low, ((digest >> 64) & 4294967295)::uinteger as id_high
from parsed join whats using ({{whats}}) join whos using ({{whos}}) join whences using ({{whences}})
where time is not null order by n
"""
REST = "select n, strlen(rest)::integer from parsed where time is not null and rest <> ''"
OWN_IDS = "select id from parsed where time is not null order by n"

NAMES = ("function", "version", "module", "method")
PARTS = (("whats", "what"), ("whos", "who"), ("whences", "whence"))
WHO, WHENCE = ("user", "agent", "application"), ("ip",)
"""The fields that say who called, as own dimensions do, and from where; the others say what."""


class Read(Struct):
    """
    What a chunk holds: its calls, how many lines, those that can't be read, with their numbers, and how many are messages
    of the server and no access lines.
    """

    calls: Calls
    lines: int
    unreadable: list[tuple[int, bytes]]
    messages: int = 0


class Parsed(NamedTuple):
    """
    A chunk's calls as numbers: the place of each among the lines, its time, what it was, who called and from where, and
    the halves of its id. `repeated` says of lines how many equal ones came before.
    """

    lines: Lines
    whats: list[tuple[Any, ...]]
    whos: list[tuple[Any, ...]]
    whences: list[tuple[Any, ...]]
    places: "array[int]"
    times: "array[int]"
    what: "array[int]"
    who: "array[int]"
    whence: "array[int]"
    id_lows: "array[int]"
    id_highs: "array[int]"
    repeated: dict[int, int]
    rest: dict[int, int]
    own_ids: list[str]
    messages: set[int]


class Reader:
    """Reads the chunks of one source in their order: of a file, or of the pieces that `--source` names."""

    def __init__(self, form: Format, wanted: Wanted, *, remembered: int = REMEMBERED) -> None:
        """`wanted` says for whom; which fields lines share, the format says. `remembered`: see `Numbering`."""
        self._connection = duckdb.connect(config={"threads": 2, "memory_limit": "256MB"})
        self._connection.execute("set TimeZone = 'UTC'").fetchall()
        self._numbering = Numbering(self._connection, remembered=remembered)
        self._wanted = wanted
        self.use(form)

    def use(self, form: Format) -> None:
        """Reads what follows in this format."""
        self._form = form
        self._wanted = self._wanted._replace(shared=form.shared)
        own = own_fields(form.shared)
        self._own_names = [name.removeprefix(OWN) for name in own]
        self._fields = {
            "whats": [name for name in form.shared if name not in (*WHO, *WHENCE, *own)],
            "whos": [name for name in form.shared if name in WHO or name in own],
            "whences": [name for name in form.shared if name in WHENCE],
        }
        self._keys = {
            part: ", ".join(["period", *(f'"{name}"' for name in names)])
            for part, names in self._fields.items()
        }

    def close(self) -> None:
        self._connection.close()

    def read(self, lines: Lines) -> Read:
        """The calls of a chunk. No line makes it raise."""
        return self.calls(self.parse(lines))

    def parse(self, lines: Lines) -> Parsed:
        """What DuckDB does of it, without keeping Python's interpreter: other threads work meanwhile."""
        execute = self._connection.execute
        messages = self._parse(lines)
        for part, code in PARTS:
            execute(PART.format(part=part, code=code, key=self._keys[part])).fetchall()
        whats, whos, whences = (
            execute(f"select * from {part} order by {code}").fetchall() for part, code in PARTS
        )
        places, times, what, who, whence, lows, highs = self._columns(CALLS.format(**self._keys), "iqiiiQI")
        repeated = self._numbering.repeated(lines.total)
        rest = dict(execute(REST).fetchall())
        own = execute(OWN_IDS).fetchall() if self._form.has_ids else []
        own_ids = [name for (name,) in own]
        return Parsed(
            lines=lines,
            whats=whats,
            whos=whos,
            whences=whences,
            places=places,
            times=times,
            what=what,
            who=who,
            whence=whence,
            id_lows=lows,
            id_highs=highs,
            repeated=repeated,
            rest=rest,
            own_ids=own_ids,
            messages=messages,
        )

    def calls(self, parsed: Parsed) -> Read:
        """The rest of it: what calls did as events, callers, and ids. Chunks are taken in their order."""
        ids = _Ids(parsed, self._wanted)
        ids.correct()
        calls = Calls(
            kinds=[CallKind(self._event(row), row[-2]) for row in parsed.whats],
            callers=[self._caller(row) for row in parsed.whos],
            origins=[words.address(self._said("whences", row).get("ip", "")) for row in parsed.whences],
            kind=parsed.what,
            caller=parsed.who,
            origin=parsed.whence,
            times=parsed.times,
            id_lows=parsed.id_lows,
            id_highs=parsed.id_highs,
            ids=ids.texts,
            own_names=self._own_names,
        )
        return Read(calls, parsed.lines.total, _unreadable(parsed), len(parsed.messages))

    def _parse(self, lines: Lines) -> set[int]:
        """Makes the table `parsed`, a row for each line, and returns the numbers of those that are messages."""
        execute = self._connection.execute
        given = Table(lines)  # DuckDB finds it by its name in this frame
        first, *others = [
            layout for layout in self._form.layouts if lines.ended or layout.is_closed
        ] or self._form.layouts
        execute(f"create or replace temp table parsed as {first.query(GIVEN, self._wanted)}").fetchall()
        for layout in others:
            if not execute("select count(*) from parsed where time is null").fetchall()[0][0]:
                break
            execute(LEFT_OVER).fetchall()
            execute("delete from parsed where n in (select n from left_over)").fetchall()
            execute(f"insert into parsed {layout.query('left_over', self._wanted)}").fetchall()
        if not lines.ended:
            is_closed = any(layout.is_closed for layout in self._form.layouts)
            execute(f"update parsed set time = null where is_open or {not is_closed}").fetchall()
        messages: set[int] = set()
        if execute("select count(*) from parsed where time is null").fetchall()[0][0]:
            messages = {n for (n,) in execute(MESSAGES.format(message=self._form.message)).fetchall()}
        del given
        return messages

    def _columns(self, query: str, codes: str) -> "list[array[int]]":
        """The columns of an answer that holds nothing but numbers."""
        columns = [array(code) for code in codes]
        for piece in na.ArrayStream(self._connection.sql(query)):
            for place, column in enumerate(columns):
                column.frombytes(
                    memoryview(piece.child(place).buffer(1)).cast("B")[: len(piece) * column.itemsize]
                )
        return columns

    def _said(self, part: str, row: Sequence[Any]) -> dict[str, str]:
        """The fields of a part: behind the period, before the time and the code."""
        return dict(zip(self._fields[part], row[1:-2], strict=True))

    def _event(self, row: Sequence[Any]) -> UsageEvent:
        said = self._said("whats", row)
        records, credits = said.get("records"), said.get("credits")
        function, version, module, method = (words.name(said.get(name, "")) for name in NAMES)
        request = words.request(said.get("request", ""), is_escaped=self._form.is_escaped)
        status = _STATUS.get(said.get("status", ""))
        if request is None and self._form.is_log and "request" in said and is_refused(status):
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
        """Application, user, and the values of own dimensions."""
        said = self._said("whos", row)
        agent, user = (self._written(said.get(field, "")) for field in ("agent", "user"))
        own = [words.name(self._written(said[f"{OWN}{name}"])) for name in self._own_names]
        return words.name(said.get("application", "")) or application_of(agent), words.name(user), *own

    def _written(self, field: str) -> str:
        return words.unescaped(field) if self._form.is_escaped else field


def is_refused(status: int | None) -> bool:
    """Was a request with this status, or none, refused? What was answered otherwise was understood, whatever was logged."""
    return status is None or status >= FAILED


def _unreadable(parsed: Parsed) -> list[tuple[int, bytes]]:
    """The number and the text of each line that is no call; an empty line is nothing."""
    lines, places = parsed.lines, parsed.places
    if len(places) == lines.total:
        return []
    texts = lines.originals()
    missing = sorted(set(range(lines.total)).difference(places, parsed.messages))
    return [(lines.first + n, texts[n]) for n in missing if texts[n].strip()]


class _Ids:
    """The ids of a chunk's calls: a line's own, or the digest of its text and how many equal ones came before it."""

    def __init__(self, parsed: Parsed, wanted: Wanted) -> None:
        self._parsed = parsed
        self._wanted = wanted

    def correct(self) -> None:
        """Put right what DuckDB could not know: own ids, and those of lines that came before."""
        parsed = self._parsed
        other: dict[int, str] = {}
        if parsed.repeated:
            texts = parsed.lines.texts()
            other = {bisect_left(parsed.places, n): self._made(n, texts) for n in parsed.repeated}
        other |= {place: own for place, own in enumerate(parsed.own_ids) if own}
        for place, text in other.items():
            halves = halves_of_id(self._wanted.organization, text)
            parsed.id_lows[place], parsed.id_highs[place] = halves

    def texts(self) -> list[str]:
        """Ids as they are sent over HTTP."""
        texts, places = self._parsed.lines.texts(), self._parsed.places
        own = self._parsed.own_ids or [""] * len(places)
        return [text or self._made(n, texts) for n, text in zip(places, own, strict=True)]

    def _made(self, n: int, texts: Sequence[bytes]) -> str:
        rest = self._parsed.rest.get(n)
        line = texts[n][:-rest] if rest else texts[n]
        digest = md5(line, usedforsecurity=False).hexdigest()
        return f"{LINE_ID_PREFIX}{self._wanted.source}-{digest}-{self._parsed.repeated.get(n, 0)}"


_STATUS = {str(status): status for status in range(100, 600)}
