"""Histories of servers that rotate their logs, and what an import counts of them."""

import gzip
import io
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import zstandard
from hypothesis import strategies as st
from msgspec import Struct

from meterboard.clock import FixedClock
from meterboard.domain.organization import Organization
from meterboard.importers.delivery import Delivery, calls_to_meter
from meterboard.importers.following import Following
from meterboard.importers.imports import Import, import_files
from meterboard.importers.tally import Tally
from meterboard.service.ingest.calls import Calls, Outcome
from meterboard.services import Services
from meterboard.settings import Settings

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
HOUR_NS = 3_600 * 1_000_000_000


class Killed(Exception):
    """The import ends here."""


class Site:
    """A usage store, and an organisation for each example."""

    def __init__(self, folder: Path) -> None:
        self.services = Services(folder / "data", Settings(), FixedClock(NOW))
        self.folder = folder
        self.accepted = 0
        self._numbers = count()

    def organization(self) -> Organization:
        create = self.services.accounts.organizations.create
        name = f"acme-{next(self._numbers)}"
        return create(name, allowance=None, time_zone="UTC", schedule="one-per-call")

    def logs(self) -> Path:
        folder = self.folder / f"logs-{next(self._numbers)}"
        (folder / "elsewhere").mkdir(parents=True)
        return folder

    def run(
        self,
        organization: Organization,
        *files: Path | str,
        source: str | None = None,
        form: str | None = None,
        batches: int | None = None,
        chunk: int = 100_000,
        following: Following | None = None,
    ) -> Tally:
        """Import files; killed when `batches` were delivered."""
        services = self.services
        prices = services.schedules.of(organization.schedule)
        delivery = calls_to_meter(services.ingest, services.refresh, organization, prices)
        left = count(batches if batches is not None else 10**9, -1)

        def deliver(calls: Calls) -> Outcome:
            if next(left) <= 0:
                raise Killed
            outcome = delivery.calls(calls)
            self.accepted += outcome.accepted
            return outcome

        asked = Import(list(map(str, files)), form, source=source, chunk=chunk)
        registry = services.accounts.import_files.of(organization.id)
        return import_files(asked, registry, Delivery(deliver, delivery.options), io.StringIO(), following)


def line(second: int, request: int = 0) -> bytes:
    time = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=second)
    return f'10.0.0.7 - - [{time:%d/%b/%Y:%H:%M:%S} +0000] "GET /v2/poll/{request} HTTP/1.1" 200 2 "-" "app/1"\n'.encode()


class Server:
    """A server that writes and rotates a log. Times of files are set: an hour passes with each thing that happens."""

    def __init__(self, folder: Path, name: str, *, truncates: bool) -> None:
        self.folder = folder
        self.log = folder / f"{name}.log"
        self.truncates = truncates
        self.log.touch()
        self.written = 0

    def write(self, lines: Sequence[bytes], hour: float) -> None:
        with self.log.open("ab") as log:
            log.writelines(lines)
        self.written += len(lines)
        stamp(self.log, hour)

    def rotated(self) -> list[Path]:
        """Its rotated logs, the newest first; one may stand there plain and compressed."""
        return sorted(
            self.folder.glob(f"{self.log.name}.[0-9]*"), key=lambda path: int(path.name.split(".")[2])
        )

    def make_room(self) -> Path:
        for path in reversed(self.rotated()):
            first, second, number, *packed = path.name.split(".")
            path.rename(path.with_name(".".join([first, second, str(int(number) + 1), *packed])))
        return self.log.with_name(f"{self.log.name}.1")

    def rotate(self, hour: float) -> None:
        first = self.make_room()
        if self.truncates:
            first.write_bytes(self.log.read_bytes())
            stamp(first, hour)
            os.truncate(self.log, 0)
        else:
            self.log.rename(first)
            self.log.touch()
        stamp(self.log, hour)


def stamp(path: Path, hour: float) -> None:
    time = round(1_795_000_000_000_000_000 + hour * HOUR_NS)
    os.utime(path, ns=(time, time))


class Write(Struct, frozen=True):
    server: int
    lines: int
    request: int
    seconds: int


class Rotate(Struct, frozen=True):
    server: int


class RotateLate(Struct, frozen=True):
    """Lines are written, and imported, between the copy and the truncation."""

    server: int
    lines: int


class Compress(Struct, frozen=True):
    server: int
    which: int
    zstd: bool
    keep: bool


class Move(Struct, frozen=True):
    server: int
    which: int


class ImportAll(Struct, frozen=True):
    batches: int | None


class ImportOne(Struct, frozen=True):
    which: int
    batches: int | None


servers = st.integers(0, 1)
batches = st.none() | st.integers(0, 6)
steps = st.lists(
    st.one_of(
        st.builds(Write, servers, st.integers(1, 6), st.integers(0, 1), st.integers(0, 1)),
        st.builds(Write, servers, st.integers(1, 6), st.integers(0, 1), st.integers(0, 1)),
        st.builds(Rotate, servers),
        st.builds(RotateLate, servers, st.integers(1, 3)),
        st.builds(Compress, servers, st.integers(0, 3), st.booleans(), st.booleans()),
        st.builds(Move, servers, st.integers(0, 3)),
        st.builds(ImportAll, batches),
        st.builds(ImportOne, st.integers(0, 7), batches),
    ),
    min_size=1,
    max_size=25,
)


class History:
    """What happens to the logs of two servers whose requests are often equal, and what is counted of them."""

    def __init__(self, site: Site, truncates: Sequence[bool], *, chunk: int = 100_000) -> None:
        self.site = site
        self.chunk = chunk
        self.organization = site.organization()
        self.folder = site.logs()
        self.servers = [
            Server(self.folder, f"web{number}", truncates=each) for number, each in enumerate(truncates, 1)
        ]
        self.hour = 0.0
        self.second = 0
        self.counted = 0
        self._moved = count()

    @property
    def written(self) -> int:
        return sum(server.written for server in self.servers)

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def run(
        self,
        *files: Path | str,
        source: str | None = None,
        batches: int | None = None,
        following: Following | None = None,
    ) -> None:
        before = self.site.accepted
        with suppress(Killed):
            self.site.run(
                self.organization,
                *files,
                source=source,
                batches=batches,
                chunk=self.chunk,
                following=following,
            )
        self.counted += self.site.accepted - before
        assert self.counted <= self.written

    def happen(self, step: object) -> None:
        self.hour += 1
        match step:
            case Write(number, lines, request, seconds):
                self.second += seconds
                self.servers[number].write([line(self.second, request)] * lines, self.hour)
            case Rotate(number):
                self.servers[number].rotate(self.hour)
            case RotateLate(number, lines):
                self.rotate_late(self.servers[number], lines)
            case Compress(number, which, zstd, keep):
                self.compress(self.servers[number].rotated(), which, zstd=zstd, keep=keep)
            case Move(number, which):
                self.move(self.servers[number].rotated(), which)
            case ImportAll(batches):
                self.run(f"{self.folder}/*.log*", batches=batches)
            case ImportOne(which, batches):
                files = self.files()
                self.run(files[which % len(files)], batches=batches)

    def rotate_late(self, server: Server, lines: int) -> None:
        if not server.truncates:
            return
        first = server.make_room()
        first.write_bytes(server.log.read_bytes())
        stamp(first, self.hour)
        self.second += 1  # what is lost in the copy could not be told from equal lines that follow
        server.write([line(self.second, 2)] * lines, self.hour + 1 / 3_600)
        self.run(server.log)
        self.second += 1
        os.truncate(server.log, 0)
        stamp(server.log, self.hour + 2 / 3_600)

    def compress(self, rotated: list[Path], which: int, *, zstd: bool, keep: bool) -> None:
        plain = [path for path in rotated if path.suffix not in (".gz", ".zst")]
        if not plain:
            return
        path = plain[which % len(plain)]
        if any(path.with_name(path.name + end).exists() for end in (".gz", ".zst")):
            return
        data, status = path.read_bytes(), path.stat()
        packed = path.with_name(path.name + (".zst" if zstd else ".gz"))
        packed.write_bytes(zstandard.compress(data) if zstd else gzip.compress(data))
        os.utime(packed, ns=(status.st_mtime_ns, status.st_mtime_ns))
        if not keep:
            path.unlink()

    def move(self, rotated: list[Path], which: int) -> None:
        """To any name in another folder."""
        names = [path.name.removesuffix(".gz").removesuffix(".zst") for path in rotated]
        alone = [path for path, name in zip(rotated, names, strict=True) if names.count(name) == 1]
        if alone:
            path = alone[which % len(alone)]
            end = path.suffix if path.suffix in (".gz", ".zst") else ""
            path.rename(self.folder / "elsewhere" / f"{next(self._moved)}{end}")


class Scripted(Following):
    """Follows a file to which the next thing happens at each look; told to stop after the last."""

    def __init__(self, log: Path, happen: Sequence[Callable[[], object]]) -> None:
        super().__init__(str(log))
        self._happen = iter(happen)

    def wait(self, seconds: float) -> bool:
        happen = next(self._happen, self.stop)
        happen()
        return happen == self.stop
