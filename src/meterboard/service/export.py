"""Results of statistics as CSV and Parquet files. Only a few rows are in memory at a time."""

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
"""Characters that make a spreadsheet run a cell, by OWASP's rule against CSV injection. The last four are full-width."""
FileFormat = Literal["csv", "parquet"]
TYPES = {str: "varchar", int: "bigint", float: "double", bool: "boolean", datetime: "timestamptz"}

FOLDER = "exports"
PAGE_ROWS = 1_000
"""Rows of an export that are in memory at once. Names may have 10,000 characters, so these may take 80 MB."""
PARQUET_MEMORY = "64MB"
"""The memory of the database that writes a Parquet file. Rows beyond it are on disk."""
PARQUET_GROUP = "8MB"
"""The size of a Parquet file's row groups, each of which is in memory while it is written."""
PARQUET_CHARACTERS = 1_000_000
"""Characters of the rows that are appended to that database together."""
MAX_FILES = 8
"""Exports that are written or sent at the same time. It bounds the disk space of their files."""
MAX_FILES_PER_ORGANIZATION = 2
RETRY_SECONDS = 5


class Page(Protocol):
    """A page of a result."""

    @property
    def rows(self) -> Sequence[object]: ...


P = TypeVar("P", bound=Page)


def in_pages(read: Callable[[int, int], P], page_rows: int) -> Iterator[P]:
    """Yields all pages of a result, each of which `read` returns for a limit and an offset."""
    offset = 0
    while True:
        page = read(page_rows, offset)
        yield page
        if len(page.rows) < page_rows:
            return
        offset += page_rows


class ExportFile:
    """A file that is written and then sent. It has no name in the folder, so a crash leaves nothing of it."""

    def __init__(self, organization: int, folder: Path) -> None:
        self.organization = organization
        self.folder = folder
        self.content: BinaryIO = TemporaryFile(dir=folder)  # noqa: SIM115  # closed when it was sent

    def __del__(self) -> None:
        self.content.close()

    def write(self, format: FileFormat, columns: Mapping[str, type], rows: Iterable[Sequence[Value]]) -> int:
        """Writes the rows, and returns the size of the file in bytes."""
        if format == "csv":
            write_csv(self.content, columns, rows)
        else:
            write_parquet(self.content, columns, rows, self.folder)
        size = self.content.tell()
        self.content.seek(0)
        return size


def write_in_full(
    read: Callable[[int, int], Paged],
    file: ExportFile,
    *,
    format: FileFormat,
    with_estimates: bool,
    page_rows: int = PAGE_ROWS,
) -> int:
    """Writes the rows of all pages of a result, and returns the size of the file in bytes."""
    pages = (table_data(page, with_estimates=with_estimates) for page in in_pages(read, page_rows))
    first = next(pages)
    return file.write(
        format, first.columns, chain(first.rows, chain.from_iterable(page.rows for page in pages))
    )


def to_bytes(answer: Answer, format: FileFormat, own: Sequence[DimensionName] = ()) -> bytes:
    """Returns a result of few rows as a file. `own` names the own dimensions in lists of events."""
    columns, rows = events_data(answer, own) if isinstance(answer, EventsAnswer) else table_data(answer)
    return to_csv(columns, rows) if format == "csv" else to_parquet(columns, rows)


class Exports:
    """The files of exports that are being written or sent. Safe to call from any thread."""

    def __init__(self, data: Path) -> None:
        """Files that an earlier process left are deleted."""
        self._folder = data / FOLDER
        self._lock = Lock()
        self._open: WeakSet[ExportFile] = WeakSet()  # a file whose sender was dropped is not open
        shutil.rmtree(self._folder, ignore_errors=True)

    def open(self, organization: int) -> ExportFile:
        """Returns a new file. Raises: Overloaded: too many are open."""
        with self._lock:
            own = sum(file.organization == organization for file in self._open)
            if own >= MAX_FILES_PER_ORGANIZATION or len(self._open) >= MAX_FILES:
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
        """Deletes a file, so that another can be opened."""
        file.content.close()
        with self._lock:
            self._open.discard(file)


def write_csv(file: BinaryIO, columns: Mapping[str, type], rows: Iterable[Sequence[Value]]) -> None:
    """Writes rows in UTF-8 after a header. Times are in RFC 3339; an empty field is null."""
    text = TextIOWrapper(file, "utf-8", newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    text.detach()


def _cell(value: Value) -> Value:
    """Returns a value as it is written to a CSV file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return without_formula(value)
    return value.isoformat() if isinstance(value, datetime) else value


def without_formula(text: str) -> str:
    """Returns a text that spreadsheets don't run as a formula: with a leading ' if it begins like one."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def to_csv(columns: Mapping[str, type], rows: Iterable[Sequence[Value]]) -> bytes:
    """Returns few rows as `write_csv` writes them."""
    file = BytesIO()
    write_csv(file, columns, rows)
    return file.getvalue()


def write_parquet(
    file: BinaryIO, columns: Mapping[str, type], rows: Iterable[Sequence[Value]], folder: Path
) -> None:
    """
    Writes rows with typed columns. Times are moments without a zone. `folder` is for rows that don't fit in memory.

    Raises: AnswerTooLong: 2,048 rows, which DuckDB writes together, don't fit in PARQUET_MEMORY.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": PARQUET_MEMORY,
        "threads": 1,
        "preserve_insertion_order": False,  # one thread keeps the order; row groups by size need this setting
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
    with TemporaryDirectory(dir=folder) as own, duckdb.connect(f"{own}/rows.duckdb", config=settings) as db:
        fields = ", ".join(f'"{name}" {TYPES[kind]}' for name, kind in columns.items())
        db.execute(f"create table result ({fields})").fetchall()
        for chunk in _chunks(rows):
            appender = db.appender("result")
            appender.append_rows(chunk)
            appender.flush()
        written = Path(own) / "result.parquet"
        copy = f"copy result to $file (format parquet, row_group_size_bytes '{PARQUET_GROUP}')"
        db.execute(copy, {"file": str(written)}).fetchall()
        with written.open("rb") as content:
            shutil.copyfileobj(content, file)


def _chunks(rows: Iterable[Sequence[Value]]) -> Iterator[list[Sequence[Value]]]:
    """Yields rows that are appended together: at most PAGE_ROWS, of about PARQUET_CHARACTERS."""
    chunk: list[Sequence[Value]] = []
    characters = 0
    for row in rows:
        chunk.append(row)
        characters += sum(len(value) for value in row if isinstance(value, str))
        if len(chunk) >= PAGE_ROWS or characters >= PARQUET_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def to_parquet(columns: Mapping[str, type], rows: Iterable[Sequence[Value]]) -> bytes:
    """Returns few rows as `write_parquet` writes them."""
    file = BytesIO()
    with TemporaryDirectory(prefix="meterboard-") as folder:
        write_parquet(file, columns, rows, Path(folder))
    return file.getvalue()
