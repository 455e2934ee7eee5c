"""What goes wrong for real: in the end every recorded call was counted once, or counted as dropped."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meterboard.client import Meter
from meterboard.client.spool.segment import SEGMENT_BYTES
from meterboard.client.timing import Timing
from tests.client.conftest import IMPATIENT, ManualClock, adds_up, counted
from tests.client.proxy import Mode, Proxy
from tests.server import Server
from tests.waiting import eventually

NOWHERE = "http://127.0.0.1:9"


def application(
    server: Server, spool: Path, name: str, count: int, then: str, url: str = ""
) -> subprocess.Popen[str]:
    """An application in a process of its own that has recorded its calls."""
    arguments = [url or server.url, server.key, str(spool), name, str(count), then]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.client.application", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == f"{count}\n"
    return process


def ended(process: subprocess.Popen[str]) -> int:
    with process:
        return process.wait(20)


def sends_what_is_left(server: Server, spool: Path) -> int:
    """Sends what an ended process left in the spool. Returns how many events that were."""
    meter = Meter(server.url, server.key, spool=spool)
    meter.close(timeout=60)
    assert adds_up(meter.stats)
    assert meter.stats.spooled == meter.stats.in_memory == 0
    return meter.stats.recovered


def test_the_server_is_killed_and_comes_back(tmp_path: Path, spool: Path) -> None:
    server = Server(tmp_path / "data").prepare().start()
    try:
        with Meter(server.url, server.key, spool=spool, _timing=IMPATIENT) as meter:
            recording, killed = threading.Event(), threading.Event()

            def record() -> None:
                for number in range(3_000):
                    meter.record(application="killed", user=str(number % 7))
                    if number == 1_000:
                        recording.set()
                    elif number == 2_000:
                        killed.wait()

            caller = threading.Thread(target=record)
            caller.start()
            recording.wait()
            server.kill()
            killed.set()
            caller.join()
            eventually(lambda: meter.stats.spooled)
            server.start(port=server.port)

            assert meter.flush(20)
            assert counted(server, "killed") == 3_000
            assert meter.stats.spooled == meter.stats.dropped == 0
            assert adds_up(meter.stats)
    finally:
        server.stop()


def test_an_application_killed_after_recording_loses_nothing(meterboard: Server, spool: Path) -> None:
    """Not one: what `record` took is the kernel's already."""
    process = application(meterboard, spool, "kill -9", 10_000, "kill", url=NOWHERE)
    assert ended(process) == -signal.SIGKILL

    assert sends_what_is_left(meterboard, spool) == 10_000
    assert counted(meterboard, "kill -9") == 10_000
    assert list(spool.iterdir()) == []


def test_an_application_killed_while_it_sends_counts_nothing_twice(meterboard: Server, spool: Path) -> None:
    process = application(meterboard, spool, "kill sending", 20_000, "wait")
    eventually(lambda: counted(meterboard, "kill sending") > 0)
    process.kill()
    ended(process)

    sends_what_is_left(meterboard, spool)
    assert counted(meterboard, "kill sending") == 20_000


def test_an_application_killed_at_any_moment_keeps_every_call_that_it_reported(
    meterboard: Server, spool: Path
) -> None:
    program = (
        "import sys\nfrom meterboard.client import Meter\n"
        "meter = Meter(sys.argv[1], 'key', spool=sys.argv[2])\n"
        "for number in range(10**9):\n"
        "    meter.record(application='any moment', user=str(number))\n"
        "    sys.stdout.write(f'{number}\\n'); sys.stdout.flush()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, NOWHERE, str(spool)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout
        for _ in range(3_000):
            last = process.stdout.readline()
        process.kill()
        *_, last = [last, *process.stdout.readlines()]

    assert sends_what_is_left(meterboard, spool) in (int(last) + 1, int(last) + 2)
    rows = meterboard.get(
        "/v1/statistics/breakdown", params={"by": "user", "application": "any moment", "limit": 10_000}
    ).json()["rows"]
    assert {str(number) for number in range(int(last) + 1)} <= {row["name"] for row in rows}


def test_closing_while_meterboard_is_away_waits_for_no_retry(meterboard: Server, spool: Path) -> None:
    """Otherwise this test would take an hour."""
    timing = Timing(first_retry_seconds=3_600, max_retry_seconds=3_600)
    meter = Meter(NOWHERE, meterboard.key, spool=spool, _timing=timing)
    meter.record(application="closing while away")
    meter.close(timeout=3_600)

    assert sends_what_is_left(meterboard, spool) == 1
    assert counted(meterboard, "closing while away") == 1


def test_events_of_a_dead_process_are_sent_by_a_running_one(meterboard: Server, spool: Path) -> None:
    timing = replace(IMPATIENT, recovery_seconds=0.05)
    with Meter(meterboard.url, meterboard.key, spool=spool, _timing=timing) as meter:
        running = application(meterboard, spool, "running neighbour", 5, "wait", url=NOWHERE)
        ended(application(meterboard, spool, "dead neighbour", 7, "kill", url=NOWHERE))

        eventually(lambda: meter.stats.sent == 7)
        assert counted(meterboard, "dead neighbour") == 7
        assert counted(meterboard, "running neighbour") == 0
        running.kill()
        ended(running)
        eventually(lambda: meter.stats.sent == 12)


@pytest.mark.parametrize(("mode", "error"), [("refuse", "does not respond"), ("stall", "timed out")])
def test_the_network_is_cut(meterboard: Server, proxy: Proxy, spool: Path, mode: Mode, error: str) -> None:
    name = f"cut by {mode}"
    with Meter(proxy.url, meterboard.key, spool=spool, timeout=0.3, _timing=IMPATIENT) as meter:
        meter.record(application=name)
        eventually(lambda: meter.stats.sent == 1)
        proxy.mode = mode
        meter.record(application=name)
        assert not meter.flush(0.01)
        eventually(lambda: error in (meter.stats.last_error or ""))
        assert meter.stats.spooled == 1
        proxy.mode = "pass"
        eventually(meter.flush)

    assert counted(meterboard, name) == 2
    assert adds_up(meter.stats)


def test_answers_that_are_lost_do_not_count_calls_twice(
    meterboard: Server, proxy: Proxy, spool: Path
) -> None:
    proxy.mode = "swallow answers"
    with Meter(proxy.url, meterboard.key, spool=spool, timeout=1, _timing=IMPATIENT) as meter:
        for _ in range(500):
            meter.record(application="lost answers")
        eventually(lambda: counted(meterboard, "lost answers") == 500)
        proxy.mode = "pass"
        assert meter.flush()

        assert meter.stats.duplicates == 500
        assert meter.stats.sent == 0
    assert counted(meterboard, "lost answers") == 500


def test_the_bound_of_the_spool_drops_the_newest_and_counts_them(
    meterboard: Server, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Meter(
        NOWHERE, meterboard.key, spool=spool, spool_bytes=4 * SEGMENT_BYTES, _timing=IMPATIENT
    ) as meter:
        for number in range(500):
            meter.record(application="bound", user=f"{number} {'x' * 9_950}")
        stats = meter.stats
        assert stats.recorded == 500
        assert stats.dropped > 50
        assert stats.spooled + stats.dropped == 500
        assert sum(file.stat().st_size for file in spool.iterdir()) == 4 * SEGMENT_BYTES
    assert f"{stats.dropped} usage events were dropped and will not be counted" in caplog.text

    assert sends_what_is_left(meterboard, spool) == stats.spooled
    rows = meterboard.get(
        "/v1/statistics/breakdown", params={"by": "user", "application": "bound", "limit": 1_000}
    ).json()["rows"]
    kept = {int(row["name"].split()[0]) for row in rows}
    assert kept == set(range(stats.spooled))  # the oldest


def test_there_is_room_again_once_meterboard_took_what_waited(
    meterboard: Server, proxy: Proxy, spool: Path
) -> None:
    proxy.mode = "refuse"
    with Meter(
        proxy.url, meterboard.key, spool=spool, spool_bytes=4 * SEGMENT_BYTES, _timing=IMPATIENT
    ) as meter:
        for _ in range(450):
            meter.record(application="room again", user="x" * 9_990)
        dropped = meter.stats.dropped
        assert dropped
        proxy.mode = "pass"
        assert meter.flush(20)
        eventually(lambda: meter._journal._spare)
        for _ in range(100):
            meter.record(application="room again")
        assert meter.flush()

        assert meter.stats.dropped == dropped
        assert counted(meterboard, "room again") == 550 - dropped


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for two segments."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={2 * SEGMENT_BYTES + 100_000}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_keeps_events_in_memory_and_then_drops_the_newest(
    meterboard: Server, proxy: Proxy, small_disk: Path
) -> None:
    proxy.mode = "refuse"
    with Meter(proxy.url, meterboard.key, spool=small_disk / "spool", timeout=1, _timing=IMPATIENT) as meter:
        for _ in range(700):
            meter.record(application="full disk", user="x" * 9_990)
        stats = meter.stats
        assert 150 < stats.spooled < 210
        assert 350 < stats.in_memory < 420
        assert stats.dropped > 50
        assert adds_up(stats)
        assert "can't be written to" in (meter._journal.last_error or "")

        proxy.mode = "pass"
        assert meter.flush(20)
        assert counted(meterboard, "full disk") == 700 - stats.dropped
        assert meter.stats.dropped == stats.dropped


def test_no_room_for_a_file_of_that_size(meterboard: Server, spool: Path) -> None:
    """A limit on the size of files is met where the disk would be full: nothing is lost, nothing dies."""
    program = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({SEGMENT_BYTES // 2}, {SEGMENT_BYTES // 2}))\n"
        "from meterboard.client import Meter\n"
        "with Meter(sys.argv[1], sys.argv[2], spool=sys.argv[3]) as meter:\n"
        "    for _ in range(9_000):\n        meter.record(application='limited')\n"
        "    assert meter.stats.in_memory or meter.stats.sent\n    assert meter.flush(20)\n"
        "print(meter.stats.sent, meter.stats.dropped)"
    )
    said = subprocess.check_output(
        [sys.executable, "-c", program, meterboard.url, meterboard.key, str(spool)], text=True
    )

    assert said.split() == ["9000", "0"]
    assert counted(meterboard, "limited") == 9_000


def test_without_a_usable_spool_calls_are_counted_while_the_process_runs(
    meterboard: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with Meter(meterboard.url, meterboard.key, spool="/proc/meterboard") as meter:
        meter.record(application="no spool")
        assert meter.flush()

    assert counted(meterboard, "no spool") == 1
    assert "Events are kept in memory, as long as the process runs." in caplog.text


def test_the_spool_is_removed_under_a_running_process(meterboard: Server, proxy: Proxy, spool: Path) -> None:
    proxy.mode = "refuse"
    with Meter(proxy.url, meterboard.key, spool=spool, _timing=IMPATIENT) as meter:
        meter.record(application="removed spool")
        for file in spool.iterdir():
            file.unlink()
        spool.rmdir()
        for _ in range(10_000):
            meter.record(application="removed spool")
        proxy.mode = "pass"
        assert meter.flush(20)

    assert counted(meterboard, "removed spool") == 10_001


def test_damaged_and_foreign_files_in_the_spool(
    meterboard: Server, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a power failure: a page that never reached the disk takes its events, and no others."""
    ended(application(meterboard, spool, "damaged", 1_000, "kill", url=NOWHERE))
    (file,) = [path for path in spool.iterdir() if path.stat().st_size and path.read_bytes()[8:9] == b"{"]
    content = bytearray(file.read_bytes())
    content[40_960:45_056] = bytes(4_096)
    file.write_bytes(content)
    (spool / "README").write_text("not ours")
    (spool / "short.events").write_bytes(b"abc")

    sends_what_is_left(meterboard, spool)

    stored = counted(meterboard, "damaged")
    assert 950 < stored < 1_000
    assert "a power failure damaged them in the spool" in caplog.text
    assert [path.name for path in spool.iterdir()] == ["README"]


@pytest.mark.parametrize("jump_seconds", [-3 * 3600, 3 * 3600])
def test_the_clock_jumps(meterboard: Server, spool: Path, jump_seconds: int) -> None:
    """The wall clock gives the time of a call, and is used for nothing else."""
    name, clock = f"clock {jump_seconds}", ManualClock()
    with Meter(meterboard.url, meterboard.key, spool=spool, _timing=Timing(time_ns=clock.time_ns)) as meter:
        meter.record(application=name)
        clock.seconds = jump_seconds
        for _ in range(3):
            meter.record(application=name)
        assert meter.flush()
        clock.seconds = 0
        meter.record(application=name)
        assert meter.flush()

        assert counted(meterboard, name) == 5
        assert meter.stats.rejected == 0


def fork(work: Any) -> int:
    """Run `work` in a forked child that ends without a farewell; its exit status."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001  # its exit status says so
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_fork_sends_what_each_process_recorded_once(meterboard: Server, proxy: Proxy, spool: Path) -> None:
    proxy.mode = "refuse"
    with Meter(proxy.url, meterboard.key, spool=spool, _timing=IMPATIENT) as meter:
        for _ in range(100):
            meter.record(application="parent")

        def child() -> None:
            assert meter.stats.recorded == 0
            for _ in range(50):
                meter.record(application="child")
            assert not meter.flush(0.2)
            assert meter.stats.spooled == 50

        assert fork(child) == 0
        proxy.mode = "pass"
        assert meter.flush()
        assert (meter.stats.sent, meter.stats.recorded) == (100, 100)

    sends_what_is_left(meterboard, spool)
    assert (counted(meterboard, "parent"), counted(meterboard, "child")) == (100, 50)


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_sends_by_itself(meterboard: Server, meter: Meter) -> None:
    meter.record(application="forked parent")
    assert meter.flush()

    def child() -> None:
        for _ in range(50):
            meter.record(application="forked child")
        assert meter.flush()
        assert meter.stats.sent == 50

    assert fork(child) == 0
    meter.record(application="forked parent")
    assert meter.flush()
    assert (counted(meterboard, "forked parent"), counted(meterboard, "forked child")) == (2, 50)
