"""What an import reads of bytes, call by call."""

import io
from collections.abc import Mapping

from msgspec import Struct

from meterboard.domain.event import UsageEvent
from meterboard.importers.formats.iis import iis_lines
from meterboard.importers.formats.named import read_format
from meterboard.importers.formats.table_files import csv_lines
from meterboard.importers.reading.fields import ParseOptions
from meterboard.importers.reading.lines import CHUNK, chunks
from meterboard.importers.reading.numbering import REMEMBERED
from meterboard.importers.reading.reading import Reader


class Reading(Struct):
    """Every call as an event, in the order of the lines, and the lines that can't be read."""

    events: list[UsageEvent]
    lines: int
    unreadable_lines: list[tuple[int, bytes]]
    messages: int = 0

    @property
    def unreadable(self) -> int:
        return len(self.unreadable_lines)


def read_all(
    data: bytes,
    form: str,
    mapping: Mapping[str, str] | None = None,
    *,
    size: int = CHUNK,
    fold: bool = False,
    remembered: int = REMEMBERED,
    zone: str = "UTC",
) -> Reading:
    found = read_format(form, mapping or {}, zone)
    reader = Reader(found, ParseOptions(fold=fold), remembered=remembered)
    reading = Reading([], 0, [])
    stream = io.BytesIO(data)
    batches = csv_lines(stream, size=size) if form == "csv" else chunks(stream, size=size)
    for lines in iis_lines(batches) if form == "iis" else batches:
        read = reader.read(lines)
        reading.lines += read.lines
        reading.unreadable_lines += read.unreadable
        reading.messages += read.messages
        reading.events += read.calls.events()
    reader.close()
    return reading
