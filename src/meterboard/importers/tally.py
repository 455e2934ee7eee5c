"""The result and the progress of an import."""

import time
from pathlib import Path
from typing import BinaryIO, TextIO

from msgspec import Struct, field
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from meterboard.importers.reading.reading import Read
from meterboard.importers.sources import Source
from meterboard.service.ingest.calls import Outcome

SHOWN = 10
"""How many unreadable lines are shown."""
NAMED = 3
"""How many of the files with a guessed format are named."""


class Unreadable(Struct, frozen=True):
    """An unreadable line: the file, its number in it from 1, and its beginning."""

    file: str
    number: int
    text: str


class Tally(Struct):
    """The result of an import."""

    files: int = 0
    lines: int = 0
    outcome: Outcome = field(default_factory=Outcome)
    messages: int = 0
    """Lines of a server that are not about a call."""
    unreadable: int = 0
    first_unreadable: list[Unreadable] = field(default_factory=list)
    calls: int = 0
    formats: dict[str, list[str]] = field(default_factory=dict)
    """The files by the format that was guessed for them."""

    @property
    def is_unreadable(self) -> bool:
        """Returns whether there are lines, but no call among them."""
        return bool(self.unreadable) and not self.calls

    def guessed(self, file: str, form: str) -> None:
        """Adds a file whose format was guessed."""
        files = self.formats.setdefault(form, [])
        if file not in files:
            files.append(file)

    def add(self, file: str, read: Read) -> None:
        """Adds the counts of a chunk. The result of delivering its calls is in `outcome`."""
        self.lines += read.lines
        self.messages += read.messages
        self.calls += len(read.calls.times)
        self.unreadable += len(read.unreadable)
        for number, text in read.unreadable[: SHOWN - len(self.first_unreadable)]:
            self.first_unreadable.append(Unreadable(file, number, _brief(text)))

    def describe(self) -> str:
        """Returns one line of counts, the guessed formats, and details of what failed."""
        outcome = self.outcome
        lines = [f"{self.lines:,} lines: {outcome.accepted:,} new, {outcome.duplicates:,} duplicates."]
        if self.messages:
            lines.append(f"{self.messages:,} lines are server messages, not calls.")
        lines += [f"{_listed(files)}: format {form} (guessed)" for form, files in self.formats.items()]
        if outcome.refused:
            lines.append(f"{outcome.refused:,} calls rejected; the first: {outcome.first_refusal}")
        if self.first_unreadable:
            first, *others = [self._shown(line) for line in self.first_unreadable]
            lines.append(f"{self.unreadable:,} lines could not be parsed; the first, {first}")
            lines += [f"  {line}" for line in others]
        return "\n".join(lines)

    def _shown(self, line: Unreadable) -> str:
        where = f" of {line.file}" if self.files > 1 else ""
        return f"line {line.number}{where}: {line.text}"


def _listed(files: list[str]) -> str:
    names = ", ".join(Path(file).name or file for file in files[:NAMED])
    return names + (f" and {len(files) - NAMED:,} more" if len(files) > NAMED else "")


def _brief(line: bytes) -> str:
    text = line[:200].decode("utf-8", "backslashreplace").rstrip()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class Rejects:
    """Writes unreadable lines to a file, byte for byte."""

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file

    def keep(self, read: Read) -> None:
        if self._file is not None:
            self._file.writelines(text + b"\n" for _, text in read.unreadable)
            self._file.flush()


class ImportProgress:
    """A progress bar with the position in the file, the lines read and their rate. Shown on a terminal only."""

    def __init__(self, screen: TextIO) -> None:
        console = Console(file=screen)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[lines]:,} lines, {task.fields[rate]:,.0f} lines/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "ImportProgress":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, file: str, size: int | None) -> None:
        self._started = time.monotonic()
        self._lines = 0
        self._task: TaskID = self._progress.add_task(file, total=size, lines=0, rate=0.0)

    def advance(self, lines: int, source: Source | None) -> None:
        self._lines += lines
        rate = self._lines / max(time.monotonic() - self._started, 0.001)
        position = source.position if source is not None else self._lines
        self._progress.update(self._task, completed=position, lines=self._lines, rate=rate)
