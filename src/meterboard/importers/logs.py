"""Importing log files: opening them, showing how far it is, and what came of it."""

import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from msgspec import Struct
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from meterboard.domain.event import UsageEvent
from meterboard.errors import NotFound, UnreadableBody
from meterboard.importers.access_log import LogReader, Unreadable
from meterboard.importers.delivery import Deliver

STANDARD_INPUT = "-"


class Tally(Struct):
    """What came of an import."""

    lines: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    first_refusal: str = ""
    unreadable: int = 0
    first_unreadable: Unreadable | None = None

    def in_words(self) -> str:
        """One line, and one more for each thing that went wrong."""
        said = [f"{self.lines:,} lines: {self.accepted:,} calls counted, {self.duplicates:,} counted before."]
        if self.refused:
            said.append(f"{self.refused:,} calls refused; the first: {self.first_refusal}")
        if self.first_unreadable:
            first = self.first_unreadable
            said.append(
                f"{self.unreadable:,} lines could not be read; the first, line {first.number}: {first.text}"
            )
        return "\n".join(said)


def import_logs(files: Iterable[str], deliver: Deliver, screen: TextIO) -> Tally:
    """
    Deliver the calls of log files in order, with a progress bar on `screen` if that is a terminal.

    Raises: NotFound: a file can't be opened.
    """
    tally = Tally()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(file=screen)
    # In a file or a pipe a bar is noise.
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        for file in files:
            _import_one(file, deliver, tally, progress)
    return tally


def _import_one(file: str, deliver: Deliver, tally: Tally, progress: Progress) -> None:
    reader = LogReader()
    with _open(file) as raw:
        size = None if file == STANDARD_INPUT else Path(file).stat().st_size
        task = progress.add_task(Path(file).name, total=size)
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if file.endswith(".gz") else raw
        for events in _to_the_end(reader.batches(stream), file, tally):
            receipt = deliver(events)
            tally.accepted += receipt.accepted
            tally.duplicates += receipt.duplicates
            tally.refused += len(receipt.rejected)
            if receipt.rejected:
                tally.first_refusal = tally.first_refusal or receipt.rejected[0].message
            if size is not None:
                progress.update(task, completed=raw.tell())
        progress.update(task, completed=size or reader.lines)
    tally.lines += reader.lines
    tally.unreadable += reader.unreadable
    tally.first_unreadable = tally.first_unreadable or reader.first_unreadable


def _to_the_end(batches: Iterator[list[UsageEvent]], file: str, tally: Tally) -> Iterator[list[UsageEvent]]:
    """Raises: UnreadableBody: the file is damaged or cut off; what came before has been counted."""
    try:
        yield from batches
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableBody(
            f"The file {file} can't be read to its end: {error}. {tally.accepted:,} calls were counted so far; "
            "import it again when it is whole, and nothing counts twice."
        ) from error


def _open(file: str) -> BinaryIO:
    if file == STANDARD_INPUT:
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise NotFound(f"The file {file} can't be opened: {error.strerror or error}.") from error
