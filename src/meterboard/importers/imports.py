"""
Importing: files -> lines -> calls -> wherever they are delivered, with three things under way at once: while a chunk is
being priced and stored, the next is parsed, and the one after it read.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TextIO

from msgspec import Struct, field

from meterboard.errors import InvalidParameter, UnreadableBody
from meterboard.importers.delivery import Delivery
from meterboard.importers.following import Following
from meterboard.importers.formats import Format, guess, read_format
from meterboard.importers.iis import iis_lines
from meterboard.importers.lines import Lines, chunks
from meterboard.importers.patterns import UTC
from meterboard.importers.reading import Parsed, Reader
from meterboard.importers.sources import DAMAGED, STANDARD_INPUT, Source, named, open_source
from meterboard.importers.tables import csv_lines, parquet_lines
from meterboard.importers.tally import Meterage, Rejects, Tally

WAITING = 1
"""Chunks that may wait while another is priced and stored, so that a refresh in between does not hold up the parsing."""


class Import(Struct, frozen=True):
    """
    What is to be imported. `form`: a format's name or text, None: to be guessed from each file. `mapping`: where fields
    are, if not where the format says. `rejects`: where lines go that can't be read. `zone`: the time zone of times that
    say no offset.
    """

    files: Sequence[str]
    form: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    rejects: BinaryIO | None = None
    zone: str = UTC


def import_files(
    asked: Import, delivery: Delivery, screen: TextIO, following: Following | None = None
) -> Tally:
    """
    Deliver the calls of files in order, with a progress bar on `screen` if that is a terminal; then those of a file that
    grows, until it is told to stop.

    Raises: NotFound: a file can't be opened. InvalidParameter: the format. UnreadableBody: a file is damaged; what came
    before has been counted.
    """
    with Meterage(screen) as meterage:
        work = _Work(asked, delivery, meterage)
        if following is not None:
            work.follow(asked.files[0], following)
        else:
            for file in named(asked.files):
                work.take(file)
    return work.tally


class _Work:
    def __init__(self, asked: Import, delivery: Delivery, meterage: Meterage) -> None:
        self.tally = Tally()
        self._asked = asked
        self._delivery = delivery
        self._meterage = meterage
        self._rejects = Rejects(asked.rejects)
        self._damage: Exception | None = None

    def take(self, file: str) -> None:
        with open_source(file) as source:
            form = self._format(file, source)
            if form.name == "parquet":
                if file == STANDARD_INPUT:
                    raise InvalidParameter("format", "Parquet is read from its end: save it to a file first.")
                lines = parquet_lines(file)
            else:
                lines = csv_lines(source) if form.name == "csv" else chunks(source)
            if form.name == "iis":
                lines = iis_lines(lines)
            if file != STANDARD_INPUT:  # where a look ahead may wait for ever
                lines = _ahead(lines)
            self._run(file, form, self._to_the_end(lines), source)
        if self._damage is not None:
            raise UnreadableBody(
                f"The file {file} can't be read to its end: {self._damage}. {self.tally.outcome.accepted:,} calls were "
                "counted so far; import it again when it is whole, and nothing counts twice."
            ) from self._damage

    def follow(self, file: str, following: Following) -> None:
        with open_source(file) as source:
            form = self._format(file, source)
        if form.name in ("csv", "parquet"):
            raise InvalidParameter(
                "format", f"A file of the format {form.name} can't be followed. Import it when it is whole."
            )
        lines = following.lines()
        self._run(file, form, iis_lines(lines) if form.name == "iis" else lines, None)

    def _format(self, file: str, source: Source) -> Format:
        return read_format(
            self._asked.form or guess(file, source.beginning), self._asked.mapping, self._asked.zone
        )

    def _run(self, file: str, form: Format, portions: Iterator[Lines], source: Source | None) -> None:
        self.tally.files += 1
        self._meterage.begin(Path(file).name, source.size if source is not None else None)
        reader = Reader(form, self._delivery.wanted)
        under_way: deque[Future[int]] = deque()
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="deliver") as pool:
                for lines in portions:
                    parsed = reader.parse(lines)
                    under_way.append(pool.submit(self._hand_on, file, reader, parsed))
                    # What is followed comes a little at a time.
                    while len(under_way) > (WAITING if source is not None else 0):
                        self._meterage.advance(under_way.popleft().result(), source)
                while under_way:
                    self._meterage.advance(under_way.popleft().result(), source)
        finally:
            reader.close()

    def _hand_on(self, file: str, reader: Reader, parsed: Parsed) -> int:
        """Deliver a chunk; how many lines it had."""
        read = reader.calls(parsed)
        self._rejects.keep(read)
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
