"""
Short lives of a usage store on a disk that fails, and the count of what it answered.

Run as a program with `failing_disk.c` preloaded: `python -m tests.faults.story KINDS TIMES ERRNO STEP`. Of the calls of
KINDS, a sum of the numbers there, TIMES fail (0: for good): from half of STEP on, then from STEP calls later on, and so on
until a life no longer makes so many. Each life is a process of its own, which ends without closing anything; of two with
the same failure, the second one ends while the disk still fails.
"""

import ctypes
import json
import os
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import Any

from meterboard.clock import FixedClock
from meterboard.errors import DataFolderError, OutcomeUnknown, StoreFailed
from meterboard.service.ingest.meter import Meter
from meterboard.usage.batch import EventBatch
from meterboard.usage.duckdb import database as duckdb_database
from meterboard.usage.duckdb.store import FILE, DuckDBStore
from tests.batches import batch_of_ids, encoded

NOW = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)
OLD = NOW - timedelta(days=31)
EVER = NOW - timedelta(days=400)
MINUTE = timedelta(minutes=1)
SECONDS = 30
STORED = "stored before"
OF_OLD = "old"
CALLS, STORY = "calls", "story"


def batch(*names: str, time: datetime = NOW, user: str = "maria") -> EventBatch:
    """Events of those ids; one whose name begins with a dash has none."""
    ids = [None if name.startswith("-") else name for name in names]
    return batch_of_ids(time, *ids, user=user)


class Story:
    """What was asked of a store, and what it answered."""

    store: DuckDBStore

    def __init__(self) -> None:
        self.counted = {STORED, OF_OLD}
        self.refused: set[str] = set()
        self.unknown: set[str] = set()

    def live(self, meter: Meter, clock: FixedClock) -> None:
        """A few commits, refreshes, an import, a checkpoint and a clean-up, whatever fails."""
        self._tell(meter, clock, "first")
        self.send(["import 1", "import 2", STORED], lambda names: meter.submit(encoded(NOW, *names)))
        self._job(meter, lambda store, _: store.checkpoint())
        self._tell(meter, clock, "second")
        self._checkpoint_beside_a_read(meter)
        self._job(meter, lambda store, _: store.delete_before(NOW - timedelta(days=30)))
        self._tell(meter, clock, "third")

    def recover(self, meter: Meter, clock: FixedClock) -> None:
        """The disk works again: the next commit succeeds, and nothing counts that was not acknowledged."""
        self.refused |= self.unknown
        self.unknown.clear()
        self._tell(meter, clock, "fourth")
        assert not self.unknown
        assert "fourth a" in self.counted

    def _tell(self, meter: Meter, clock: FixedClock, part: str) -> None:
        clock.advance(MINUTE)
        names = [f"{part} a", f"{part} b", f"-{part}", STORED]
        self.send(names, lambda names: meter.submit(batch(*names, user=part)))
        self.send([f"{part} c"], lambda names: meter.submit(batch(*names)))
        self._job(meter, lambda store, moment: store.refresh(moment))
        with suppress(StoreFailed):  # reads may fail, but are never wrong
            self.read()

    def send(self, names: list[str], store: Callable[[list[str]], "Future[list[bool]]"]) -> None:
        """Send events and note what was answered, which must be what is known of them."""
        try:
            new = store(names).result(SECONDS)
        except OutcomeUnknown:
            self.unknown |= set(names) - self.counted
            return
        except StoreFailed:
            self.refused |= set(names) - self.counted
            return
        for name, is_new in zip(names, new, strict=True):
            if name not in self.unknown:
                assert is_new == (name not in self.counted), f"{name}: new {is_new}"
        self.counted |= set(names)
        self.unknown -= set(names)
        self.refused -= set(names)

    def _checkpoint_beside_a_read(self, meter: Meter) -> None:
        with suppress(StoreFailed), self.store.snapshot() as snapshot:
            snapshot.window(1, after=EVER, until=NOW)
            self._job(meter, lambda store, _: store.checkpoint())
            self.send(["beside a read"], lambda names: meter.submit(batch(*names)))
            self._job(meter, lambda store, _: store.checkpoint())

    def _job(self, meter: Meter, job: Callable[[Any, datetime], object]) -> None:
        with suppress(StoreFailed):  # the next one makes up for it
            meter.run(job).result(SECONDS)

    def read(self) -> None:
        """The counter agrees with the answers."""
        counted = self.counted - {OF_OLD}
        with self.store.snapshot() as snapshot:
            calls = snapshot.window(1, after=NOW - timedelta(days=1), until=NOW + timedelta(days=1)).calls
        most = len(counted) + len(self.unknown)
        assert len(counted) <= calls <= most, f"{calls}: {sorted(counted)}, {sorted(self.unknown)}"

    def check(self, meter: Meter) -> None:
        """The counter, the statistics and the ids agree with the answers."""
        meter.run(lambda store, _: store.delete_before(NOW - timedelta(days=30))).result(SECONDS)
        meter.run(lambda store, moment: store.refresh(moment)).result(SECONDS)
        self.read()
        with self.store.snapshot() as snapshot:
            usage = snapshot.window(1, after=EVER, until=NOW + timedelta(days=1))
            difference = snapshot.difference(1)
        assert difference == (usage.calls, 0, 0, 0, 0), difference

    def retry(self, meter: Meter) -> None:
        """Every event that was refused is sent again: by its id it counts once, whatever had become of it."""
        again = sorted(name for name in self.refused | self.unknown if not name.startswith("-"))
        known = sorted(name for name in self.counted - {OF_OLD} if not name.startswith("-"))
        self.send(again, lambda names: meter.submit(batch(*names)))
        assert meter.submit(batch(*known)).result(SECONDS) == [False] * len(known), known


def prepare(folder: Path) -> None:
    """A store with an event that is known, and one that is too old."""
    store = DuckDBStore(folder)
    store.append(batch(OF_OLD, time=OLD), received_at=OLD)
    store.append(batch(STORED), received_at=NOW - MINUTE)
    store.refresh(NOW)
    store.close()


def use(folder: Path, first: int, times: int, recovers: bool) -> None:
    """A life in which the calls from `first` on fail. Leaves its story and the number of calls in the folder."""
    disk = ctypes.CDLL(None)
    kinds, _, error, _ = map(int, sys.argv[1:])
    disk.disk_fails(str(folder).encode(), kinds, first, first + times - 1 if times else 2**31 - 1, error)
    story = Story()
    try:
        story.store = DuckDBStore(folder, memory="128MB")
    except DataFolderError:
        (folder / CALLS).write_text(str(disk.disk_works()))
        return  # a start is refused while the disk fails, and loses nothing
    clock = FixedClock(NOW)
    meter = Meter(story.store, clock, max_waiting=1_000)
    story.live(meter, clock)
    (folder / CALLS).write_text(str(disk.disk_works()))
    if recovers:
        story.recover(meter, clock)
        story.check(meter)
        story.retry(meter)
        story.check(meter)
    told = {"counted": story.counted, "refused": story.refused, "unknown": story.unknown}
    (folder / STORY).write_text(json.dumps({name: sorted(names) for name, names in told.items()}))


def use_again(folder: Path) -> None:
    """The life after that, on a disk that works."""
    story = Story()
    if (folder / STORY).exists():
        for name, names in json.loads((folder / STORY).read_text()).items():
            setattr(story, name, set(names))
    story.store = DuckDBStore(folder, memory="128MB")
    meter = Meter(story.store, FixedClock(NOW + timedelta(hours=1)), max_waiting=1_000)
    story.check(meter)
    story.retry(meter)
    story.check(meter)
    meter.close()
    story.store.close()


def in_a_process(work: Callable[..., None], *arguments: object) -> bool:
    """Do something in a process that ends without closing anything; did it succeed?"""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    try:
        work(*arguments)
    except BaseException:  # noqa: BLE001  # whatever it is, the parent must hear of it
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> None:
    times, step = int(sys.argv[2]), int(sys.argv[4])
    duckdb_database.READERS_SECONDS = (
        0.05  # a read of these stories goes on until it fails, however long it is waited for
    )
    failures: list[str] = []
    lives, first, recovers = 0, 1 + step // 2, True
    calls = first
    with TemporaryDirectory() as made:
        assert in_a_process(prepare, Path(made))
        while first <= calls:
            lives += 1
            with TemporaryDirectory() as name:
                folder = Path(name)
                copy(Path(made) / FILE, folder / FILE)
                if not (
                    in_a_process(use, folder, first, times, recovers) and in_a_process(use_again, folder)
                ):
                    failures.append(f"from call {first}, {'recovers' if recovers else 'is killed'}")
                    break
                calls = int((folder / CALLS).read_text())
            first, recovers = first + (not recovers) * step, not recovers
    print(f"{lives} lives of up to {calls} calls; failed: {failures}")
    sys.exit(bool(failures) or lives < 4)


if __name__ == "__main__":
    main()
