"""
Converts lines of IIS (the W3C extended format) to JSON objects, which are read like any others.

A line `#Fields: …` names the columns of the lines after it; the server writes one at each start, and whenever its
settings change.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from meterboard.importers.reading.lines import Lines, records

FIELDS = b"#Fields:"


class IisColumns:
    """The columns of a file, as far as it was read."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def applied(self, lines: Lines) -> Lines:
        """
        Returns the lines of a batch as JSON objects.

        A line that does not fit the columns stays as it was written, so that it is unreadable.
        """
        if lines.first == 1:
            self._names = []
        texts: list[bytes] = []
        for line in lines.texts():
            if line.startswith(FIELDS):
                self._names = line[len(FIELDS) :].decode("utf-8", "replace").split()
            texts.append(_object(line, self._names))
        return records(lines.first, texts)._replace(ended=lines.ended)


def iis_lines(batches: Iterable[Lines]) -> Iterator[Lines]:
    """Returns the lines of one file, or of consecutive files, as JSON objects."""
    return map(IisColumns().applied, batches)


def _object(line: bytes, names: Sequence[str]) -> bytes:
    """Returns a line as a JSON object, in which values that span several columns are combined."""
    values = line.decode("utf-8", "replace").split()
    if line.startswith(b"#") or not values or len(values) != len(names):
        return line
    record = dict(zip(names, values, strict=True))
    query = record.get("cs-uri-query", "-")
    made = {
        "moment": f"{record.get('date', '')} {record.get('time', '')}",
        "target": record.get("cs-uri-stem", "") + (f"?{query}" if query != "-" else ""),
        "agent": record.get("cs(User-Agent)", "").replace("+", " "),
    }
    return json.dumps(record | made).encode()
