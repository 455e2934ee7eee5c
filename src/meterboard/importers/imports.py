"""
Importing: files -> lines -> calls -> wherever they are delivered, with three things under way at once: while a chunk is
being priced and stored, the next is parsed, and the one after it read.
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
from meterboard.importers.formats.named import TABLES, Format, guess, read_format
from meterboard.importers.formats.patterns import UTC
from meterboard.importers.formats.tables import csv_lines, parquet_lines
from meterboard.importers.identity import Files, Pieces, Registry, key_of_name
from meterboard.importers.reading.lines import CHUNK, Lines, chunks
from meterboard.importers.reading.reading import Parsed, Reader
from meterboard.importers.sources import BEGINNING, DAMAGED, STANDARD_INPUT, Source, named, open_source
from meterboard.importers.tally import Meterage, Rejects, Tally

WAITING = 1
"""Chunks that may wait while another is priced and stored, so that a refresh in between does not hold up the parsing."""


class Import(Struct, frozen=True):
    """
    What is to be imported. `form`: a format's name or text, None: to be guessed from each file. `mapping`: where fields
    are, if not where the format says. `rejects`: where lines go that can't be read. `zone`: the time zone of times that
    say no offset. `source`: whose lines they are; None: each file's own. `chunk`: bytes that are delivered at once.
    `own`: the names of the installation's own dimensions.
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
    asked: Import, registry: Registry, delivery: Delivery, screen: TextIO, following: Following | None = None
) -> Tally:
    """
    Deliver the calls of files in order, with a progress bar on `screen` if that is a terminal; then those of a file that
    grows, until following is stopped.

    Raises: InvalidParameter: the format is wrong. FileError: a file can't be opened, or is damaged; what came before the
    damage has been counted.
    """
    with Meterage(screen) as meterage:
        work = _Work(asked, Files(registry), delivery, meterage)
        try:
            if following is not None:
                work.follow(asked.files[0], following)
            else:
                for file in named(asked.files):
                    work.take(file)
        finally:
            work.close()
    return work.tally


class _Work:
    def __init__(self, asked: Import, files: Files, delivery: Delivery, meterage: Meterage) -> None:
        self.tally = Tally()
        self._asked = asked
        self._files = files
        self._delivery = delivery
        self._meterage = meterage
        self._rejects = Rejects(asked.rejects)
        self._damage: Exception | None = None
        self._of_name: Reader | None = None
        """The reader of the source that has a name: it numbers the lines of all pieces."""
        self._pieces = Pieces()

    def close(self) -> None:
        if self._of_name is not None:
            self._of_name.close()

    def take(self, file: str) -> None:
        with open_source(file) as source:
            self.tally.files += 1
            self._meterage.begin(Path(file).name, source.size)
            if not source.beginning:
                return
            form = self._format(file, source.beginning)
            if form.name == "parquet" and not source.is_file:
                raise InvalidParameter("format", "Parquet is read from its end: save it to a file first.")
            name = self._asked.source or (None if source.is_file else STANDARD_INPUT)
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
        """Import a file that is recognised automatically."""
        recorded = self._files.recognise(source)
        reader = Reader(form, self._delivery.wanted._replace(source=recorded.key))

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
            while source.read(CHUNK):  # all of it is recorded before the first row is delivered
                pass
            lines = parquet_lines(file)
        else:
            read = csv_lines if form.name == "csv" else chunks
            lines = read(source, size=self._asked.chunk)
            if form.name == "iis":
                lines = iis_lines(lines)
        if source.is_file:  # else a look ahead may wait for ever
            lines = _ahead(lines)
        return self._to_the_end(lines)

    def follow(self, file: str, following: Following) -> None:
        self.tally.files += 1
        self._meterage.begin(Path(file).name, None)
        reader: Reader | None = None
        columns = IisColumns()
        try:
            for portion in following.portions(self._files):
                if reader is None or portion.lines.first == 1:
                    if reader is not None:
                        reader.close()
                    form = self._format(file, portion.lines.pieces[0].text[:BEGINNING])
                    if form.name in TABLES:
                        raise InvalidParameter(
                            "format",
                            f"A file of the format {form.name} can't be followed. Import it when it is complete.",
                        )
                    reader = Reader(form, self._delivery.wanted._replace(source=portion.file.key))
                lines = columns.applied(portion.lines) if form.name == "iis" else portion.lines
                parsed = reader.parse(lines)
                self._files.extend(portion.file, portion.extent, portion.modified)
                self._meterage.advance(self._hand_on(file, reader, parsed), None)
        finally:
            if reader is not None:
                reader.close()

    def _format(self, file: str, beginning: bytes) -> Format:
        asked = self._asked
        form = read_format(asked.form or guess(file, beginning), asked.mapping, asked.zone, asked.own)
        if asked.form is None:
            self.tally.guessed(file, form.name)
        return form

    def _named_reader(self, form: Format, name: str) -> Reader:
        if self._of_name is None:
            self._of_name = Reader(form, self._delivery.wanted._replace(source=key_of_name(name)))
        self._of_name.use(form)
        return self._of_name

    def _run(
        self,
        file: str,
        reader: Reader,
        portions: Iterator[Lines],
        source: Source,
        cover: Callable[[], None] = lambda: None,
    ) -> None:
        """Deliver the lines of a file; `cover` is called before each delivery."""
        under_way: deque[Future[int]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="deliver") as pool:
            for lines in portions:
                parsed = reader.parse(lines)
                under_way.append(pool.submit(self._hand_on, file, reader, parsed, cover))
                # What comes through a pipe may come a little at a time.
                while len(under_way) > (WAITING if source.is_file else 0):
                    self._meterage.advance(under_way.popleft().result(), source)
            while under_way:
                self._meterage.advance(under_way.popleft().result(), source)

    def _hand_on(
        self, file: str, reader: Reader, parsed: Parsed, cover: Callable[[], None] = lambda: None
    ) -> int:
        """Deliver a chunk; how many lines it had."""
        read = reader.calls(parsed)
        self._rejects.keep(read)
        cover()
        self.tally.outcome = self.tally.outcome.and_then(self._delivery.calls(read.calls))
        self.tally.add(file, read)
        return read.lines

    def _to_the_end(self, lines: Iterator[Lines]) -> Iterator[Lines]:
        """As far as the file can be read; why no further is kept."""
        try:
            yield from lines
        except DAMAGED as error:
            self._damage = error


def _ahead(portions: Iterator[Lines]) -> Iterator[Lines]:
    """The same, each read while the one before is parsed."""
    with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
        coming = pool.submit(next, portions, None)
        while (lines := coming.result()) is not None:
            coming = pool.submit(next, portions, None)
            yield lines
