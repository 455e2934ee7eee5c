"""Answers of the statistics as CSV and Parquet files. However many rows there are, few are in memory at a time."""

import csv
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from io import BytesIO, TextIOWrapper
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Lock
from typing import BinaryIO, Literal, Protocol, TypeVar
from weakref import WeakSet

import duckdb

from meterboard.domain.query import DimensionName
from meterboard.errors import AnswerTooLong, Overloaded
from meterboard.service.statistics.events import EventsAnswer
from meterboard.service.table_data import Answer, Paged, Value, events_data, table_data

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet run a cell, by OWASP's rule against CSV injection; the last four are full-width forms."""
FileFormat = Literal["csv", "parquet"]
TYPES = {str: "varchar", int: "bigint", float: "double", bool: "boolean", datetime: "timestamptz"}

FOLDER = "exports"
PAGE_ROWS = 1_000
"""Rows of an export that are in memory at once. Names may have 10,000 characters, so these may take 80 MB."""
PARQUET_MEMORY = "64MB"
"""What the database that writes a Parquet file may hold in memory; it keeps the rest on disk."""
PARQUET_GROUP = "8MB"
"""Of rows that such a file has together: they are in memory while they are written."""
PARQUET_CHARACTERS = 1_000_000
"""Of rows that are handed to that database together."""
MOST_FILES = 8
"""Exports that are being written or sent at once: what they take on disk is theirs for that long."""
MOST_FILES_EACH = 2
RETRY_SECONDS = 5


class Page(Protocol):
    """A part of an answer."""

    @property
    def rows(self) -> Sequence[object]: ...


P = TypeVar("P", bound=Page)


def in_pages(ask: Callable[[int, int], P], page_rows: int) -> Iterator[P]:
    """The parts of an answer: what `ask` says for a limit and an offset, until there is no more."""
    offset = 0
    while True:
        page = ask(page_rows, offset)
        yield page
        if len(page.rows) < page_rows:
            return
        offset += page_rows


class ExportFile:
    """A file that is written and then sent. It has no name in the folder, so nothing of it is left after a crash."""

    def __init__(self, organization: int, folder: Path) -> None:
        self.organization = organization
        self.folder = folder
        self.content: BinaryIO = TemporaryFile(dir=folder)  # noqa: SIM115  # closed when it was sent

    def __del__(self) -> None:
        self.content.close()

    def write(self, form: FileFormat, columns: Mapping[str, type], rows: Iterable[Sequence[Value]]) -> int:
        """Writes the rows; answers how many bytes they take."""
        if form == "csv":
            write_csv(self.content, columns, rows)
        else:
            write_parquet(self.content, columns, rows, self.folder)
        size = self.content.tell()
        self.content.seek(0)
        return size


def write_in_full(
    ask: Callable[[int, int], Paged],
    file: ExportFile,
    *,
    form: FileFormat,
    with_estimates: bool,
    page_rows: int = PAGE_ROWS,
) -> int:
    """Writes the rows of all pages of an answer; returns how many bytes they take."""
    parts = (table_data(page, with_estimates=with_estimates) for page in in_pages(ask, page_rows))
    first = next(parts)
    return file.write(
        form, first.columns, chain(first.rows, chain.from_iterable(part.rows for part in parts))
    )


def to_bytes(answer: Answer, form: FileFormat, own: Sequence[DimensionName] = ()) -> bytes:
    """Returns an answer of few rows as a file; `own` are the own dimensions that events are listed with."""
    columns, rows = events_data(answer, own) if isinstance(answer, EventsAnswer) else table_data(answer)
    return to_csv(columns, rows) if form == "csv" else to_parquet(columns, rows)


class Exports:
    """The files of the exports that are being written or sent. Safe to call from any thread."""

    def __init__(self, data: Path) -> None:
        """What an earlier process left is deleted."""
        self._folder = data / FOLDER
        self._lock = Lock()
        self._open: WeakSet[ExportFile] = WeakSet()  # a file whose sender was dropped is not open
        shutil.rmtree(self._folder, ignore_errors=True)

    def open(self, organization: int) -> ExportFile:
        """A new file. Raises: Overloaded: too many are open."""
        with self._lock:
            own = sum(file.organization == organization for file in self._open)
            if own >= MOST_FILES_EACH or len(self._open) >= MOST_FILES:
                raise Overloaded(
                    f"{own} exports of this organisation are in progress, {len(self._open)} in total. "
                    f"Try again in {RETRY_SECONDS} seconds.",
                    retry_after=RETRY_SECONDS,
                )
            self._folder.mkdir(mode=0o700, exist_ok=True)
            file = ExportFile(organization, self._folder)
            self._open.add(file)
            return file

    def close(self, file: ExportFile) -> None:
        """Deletes a file, which makes room for another."""
        file.content.close()
        with self._lock:
            self._open.discard(file)


def write_csv(file: BinaryIO, columns: Mapping[str, type], rows: Iterable[Sequence[Value]]) -> None:
    """UTF-8 with a heading; times in RFC 3339; an empty field is null."""
    text = TextIOWrapper(file, "utf-8", newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_as_text(value) for value in row] for row in rows)
    text.detach()


def _as_text(value: Value) -> Value:
    """A cell of a CSV file: every one is made here."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return without_formula(value)
    return value.isoformat() if isinstance(value, datetime) else value


def without_formula(text: str) -> str:
    """Returns a text that no spreadsheet takes for a formula: with ' in front if it begins like one."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def to_csv(columns: Mapping[str, type], rows: Iterable[Sequence[Value]]) -> bytes:
    """As `write_csv`, for few rows."""
    file = BytesIO()
    write_csv(file, columns, rows)
    return file.getvalue()


def write_parquet(
    file: BinaryIO, columns: Mapping[str, type], rows: Iterable[Sequence[Value]], folder: Path
) -> None:
    """
    Typed columns; times as moments, without a zone of their own. `folder` is for what does not fit in memory.

    Raises: AnswerTooLong: 2,048 rows, which DuckDB writes together, do not fit in PARQUET_MEMORY.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": PARQUET_MEMORY,
        "threads": 1,
        "preserve_insertion_order": False,  # one thread keeps it; by this alone groups may be of so many bytes
    }
    try:
        _write_parquet(file, columns, rows, folder, settings)
    except duckdb.OutOfMemoryException as error:
        raise AnswerTooLong("The names are too long for a Parquet file. Ask for CSV.") from error


def _write_parquet(
    file: BinaryIO,
    columns: Mapping[str, type],
    rows: Iterable[Sequence[Value]],
    folder: Path,
    settings: dict[str, str | bool | int | float | list[str]],
) -> None:
    with TemporaryDirectory(dir=folder) as own, duckdb.connect(f"{own}/rows.duckdb", config=settings) as rest:
        fields = ", ".join(f'"{name}" {TYPES[kind]}' for name, kind in columns.items())
        rest.execute(f"create table answer ({fields})").fetchall()
        for page in _handed_over(rows):
            appender = rest.appender("answer")
            appender.append_rows(page)
            appender.flush()
        made = Path(own) / "answer.parquet"
        copy = f"copy answer to $file (format parquet, row_group_size_bytes '{PARQUET_GROUP}')"
        rest.execute(copy, {"file": str(made)}).fetchall()
        with made.open("rb") as content:
            shutil.copyfileobj(content, file)


def _handed_over(rows: Iterable[Sequence[Value]]) -> Iterator[list[Sequence[Value]]]:
    """Rows that are appended together: PAGE_ROWS, or about PARQUET_CHARACTERS."""
    page: list[Sequence[Value]] = []
    characters = 0
    for row in rows:
        page.append(row)
        characters += sum(len(value) for value in row if isinstance(value, str))
        if len(page) >= PAGE_ROWS or characters >= PARQUET_CHARACTERS:
            yield page
            page, characters = [], 0
    if page:
        yield page


def to_parquet(columns: Mapping[str, type], rows: Iterable[Sequence[Value]]) -> bytes:
    """As `write_parquet`, for few rows."""
    file = BytesIO()
    with TemporaryDirectory(prefix="meterboard-") as folder:
        write_parquet(file, columns, rows, Path(folder))
    return file.getvalue()
