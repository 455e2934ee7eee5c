"""
Imports files: reads, parses and delivers their lines at the same time. While a chunk is priced and stored, the next is
parsed, and the one after it is read.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TextIO

from msgspec import Struct, field

from meterboard.domain.query import DimensionName
from meterboard.errors import FileError, InvalidParameter
from meterboard.importers.delivery import Delivery
from meterboard.importers.following import Following
from meterboard.importers.formats.iis import IisColumns, iis_lines
from meterboard.importers.formats.line_patterns import UTC
from meterboard.importers.formats.named import TABLES, Format, guess, read_format
from meterboard.importers.formats.table_files import csv_lines, parquet_lines
from meterboard.importers.log_identity import Files, Pieces, Registry, key_of_name
from meterboard.importers.reading.lines import CHUNK, Lines, chunks
from meterboard.importers.reading.reading import Parsed, Reader
from meterboard.importers.sources import BEGINNING, DAMAGED, STANDARD_INPUT, Source, named, open_source
from meterboard.importers.tally import ImportProgress, Rejects, Tally

WAITING = 1
"""Chunks that may wait while another is priced and stored, so that a refresh does not delay the parsing."""


class Import(Struct, frozen=True):
    """
    The parameters of an import. `form` is the name or text of a format, None: it is guessed for each file. `mapping`:
    where fields are, if not where the format has them. `rejects`: the file for unreadable lines. `zone`: the time
    zone of times without an offset. `source`: the name of the source, None: each file is its own. `chunk`: the bytes
    that are delivered at once. `own`: the names of the installation's own dimensions.
    """

    files: Sequence[str]
    form: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    rejects: BinaryIO | None = None
    zone: str = UTC
    source: str | None = None
    chunk: int = CHUNK
    own: Sequence[DimensionName] = ()


def import_files(
    request: Import,
    registry: Registry,
    delivery: Delivery,
    screen: TextIO,
    following: Following | None = None,
) -> Tally:
    """
    Imports the calls of files in order, with a progress bar on `screen` if that is a terminal; or those of a file
    that grows, until following is stopped.

    Raises: InvalidParameter: the format is wrong. FileError: a file can't be opened, or is damaged; what precedes the
    damage has been imported.
    """
    with ImportProgress(screen) as progress:
        work = _Work(request, Files(registry), delivery, progress)
        try:
            if following is not None:
                work.follow(request.files[0], following)
            else:
                for file in named(request.files):
                    work.take(file)
        finally:
            work.close()
    return work.tally


class _Work:
    def __init__(self, request: Import, files: Files, delivery: Delivery, progress: ImportProgress) -> None:
        self.tally = Tally()
        self._request = request
        self._files = files
        self._delivery = delivery
        self._progress = progress
        self._rejects = Rejects(request.rejects)
        self._damage: Exception | None = None
        self._of_name: Reader | None = None
        """The reader of a named source, which numbers the lines of all its files."""
        self._pieces = Pieces()

    def close(self) -> None:
        if self._of_name is not None:
            self._of_name.close()

    def take(self, file: str) -> None:
        with open_source(file) as source:
            self.tally.files += 1
            self._progress.begin(Path(file).name, source.size)
            if not source.beginning:
                return
            form = self._format(file, source.beginning)
            if form.name == "parquet" and not source.is_file:
                raise InvalidParameter("format", "Parquet is read from its end: save it to a file first.")
            name = self._request.source or (None if source.is_file else STANDARD_INPUT)
            if name is not None:
                if not self._pieces.is_new(source):
                    return
                self._run(file, self._named_reader(form, name), self._lines(file, form, source), source)
            else:
                self._take_file(file, form, source)
        if self._damage is not None:
            raise FileError(
                f"The file {file} can't be read to its end: {self._damage}. {self.tally.outcome.accepted:,} calls were "
                "imported so far; import it again when it is complete, nothing is counted twice."
            ) from self._damage

    def _take_file(self, file: str, form: Format, source: Source) -> None:
        """Imports a file that is recognised automatically."""
        recorded = self._files.recognise(source)
        reader = Reader(form, self._delivery.options._replace(source=recorded.key))

        def cover() -> None:
            nonlocal recorded
            recorded = self._files.extend(recorded, source.extent, os.fstat(source.raw.fileno()).st_mtime_ns)

        try:
            self._run(file, reader, self._lines(file, form, source), source, cover)
        finally:
            reader.close()
        if self._damage is not None:
            self._files.shorten(recorded, source)

    def _lines(self, file: str, form: Format, source: Source) -> Iterator[Lines]:
        if form.name == "parquet":
            while source.read(CHUNK):  # the whole file is recorded before the first row is delivered
                pass
            lines = parquet_lines(file)
        else:
            read = csv_lines if form.name == "csv" else chunks
            lines = read(source, size=self._request.chunk)
            if form.name == "iis":
                lines = iis_lines(lines)
        if source.is_file:  # otherwise reading ahead may wait for ever
            lines = _prefetch(lines)
        return self._until_damage(lines)

    def follow(self, file: str, following: Following) -> None:
        self.tally.files += 1
        self._progress.begin(Path(file).name, None)
        reader: Reader | None = None
        columns = IisColumns()
        try:
            for batch in following.batches(self._files):
                if reader is None or batch.lines.first == 1:
                    if reader is not None:
                        reader.close()
                    form = self._format(file, batch.lines.pieces[0].text[:BEGINNING])
                    if form.name in TABLES:
                        raise InvalidParameter(
                            "format",
                            f"A file of the format {form.name} can't be followed. Import it when it is complete.",
                        )
                    reader = Reader(form, self._delivery.options._replace(source=batch.file.key))
                lines = columns.applied(batch.lines) if form.name == "iis" else batch.lines
                parsed = reader.parse(lines)
                self._files.extend(batch.file, batch.extent, batch.modified)
                self._progress.advance(self._deliver(file, reader, parsed), None)
        finally:
            if reader is not None:
                reader.close()

    def _format(self, file: str, beginning: bytes) -> Format:
        request = self._request
        form = read_format(request.form or guess(file, beginning), request.mapping, request.zone, request.own)
        if request.form is None:
            self.tally.guessed(file, form.name)
        return form

    def _named_reader(self, form: Format, name: str) -> Reader:
        if self._of_name is None:
            self._of_name = Reader(form, self._delivery.options._replace(source=key_of_name(name)))
        self._of_name.use(form)
        return self._of_name

    def _run(
        self,
        file: str,
        reader: Reader,
        batches: Iterator[Lines],
        source: Source,
        cover: Callable[[], None] = lambda: None,
    ) -> None:
        """Imports the lines of a file; `cover` is called before each delivery."""
        under_way: deque[Future[int]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="deliver") as pool:
            for lines in batches:
                parsed = reader.parse(lines)
                under_way.append(pool.submit(self._deliver, file, reader, parsed, cover))
                # A pipe may deliver a little at a time.
                while len(under_way) > (WAITING if source.is_file else 0):
                    self._progress.advance(under_way.popleft().result(), source)
            while under_way:
                self._progress.advance(under_way.popleft().result(), source)

    def _deliver(
        self, file: str, reader: Reader, parsed: Parsed, cover: Callable[[], None] = lambda: None
    ) -> int:
        """Delivers a chunk. Returns how many lines it had."""
        read = reader.calls(parsed)
        self._rejects.keep(read)
        cover()
        self.tally.outcome = self.tally.outcome.and_then(self._delivery.calls(read.calls))
        self.tally.add(file, read)
        return read.lines

    def _until_damage(self, lines: Iterator[Lines]) -> Iterator[Lines]:
        """Yields lines as far as the file can be read, and records the error."""
        try:
            yield from lines
        except DAMAGED as error:
            self._damage = error


def _prefetch(batches: Iterator[Lines]) -> Iterator[Lines]:
    """Yields the same batches, each read while the one before is parsed."""
    with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
        coming = pool.submit(next, batches, None)
        while (lines := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield lines
