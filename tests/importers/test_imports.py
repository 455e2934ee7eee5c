"""Files are counted whole, once, in bounded memory, whatever they are packed in and however often they are imported."""

import gzip
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import BinaryIO

import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from meterboard.importers.formats.named import read_format
from meterboard.importers.reading.fields import ParseOptions
from meterboard.importers.reading.lines import split_into_pieces
from meterboard.importers.reading.reading import Reader
from tests.importers.lines_read import read_all
from tests.server import Server, command_here
from tests.waiting import eventually

IMPORT_AND_PRINT_PEAK = """
from meterboard.cli import main

try:
    main()
finally:
    print(*(row for row in open("/proc/self/status") if row.startswith("VmHWM")), end="")
"""
LONG_AGO = {"retention_days": "36000"}


def line(number: int) -> str:
    """Lines of which every third is equal to the one before."""
    second = (number - number % 3 // 2) // 4
    return (
        f"203.0.113.{second % 7} - maria [23/Nov/2026:{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02} +0000] "
        f'"GET /crm/v8/{("Leads", "Deals")[second % 2]}/{100_000 + second} HTTP/1.1" 200 5 "-" "curl/8.1"\n'
    )


def log(count: int) -> bytes:
    return "".join(map(line, range(count))).encode()


def imported(data: Path, *arguments: str) -> str:
    done = command_here("import", "acme", *arguments, data=data, **LONG_AGO)
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(data: Path, *arguments: str, stdin: BinaryIO | None = None) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "meterboard", "import", "acme", *arguments, "--data", str(data)],
        env=os.environ | {"METERBOARD_RETENTION_DAYS": "36000"},
        stdout=subprocess.PIPE,
        text=True,
        stdin=stdin,
    )


class TestSources:
    def test_a_pattern_names_many_files_plain_gzip_and_zstd(self, data: Path, tmp_path: Path) -> None:
        (tmp_path / "access.log").write_bytes(log(100))
        (tmp_path / "access.log.1.gz").write_bytes(gzip.compress(log(100)))
        (tmp_path / "access.log.2.zst").write_bytes(zstandard.compress(log(130)))

        assert "330 lines: 330 new, 0 duplicates." in imported(data, f"{tmp_path}/access.log*")
        assert "330 lines: 0 new, 330 duplicates." in imported(data, f"{tmp_path}/access.log*")

    def test_standard_input_may_be_compressed(self, data: Path, tmp_path: Path) -> None:
        packed = tmp_path / "packed"
        packed.write_bytes(zstandard.compress(log(50)))
        with packed.open("rb") as stdin:
            done = start(data, "-", stdin=stdin)
            assert "50 new" in done.communicate(timeout=60)[0]

    def test_a_pattern_that_names_nothing_is_told(self, data: Path) -> None:
        done = command_here("import", "acme", "nothing*.log", data=data)

        assert (done.returncode, done.stderr) == (1, "Error: No file matches nothing*.log.\n")

    def test_the_first_ten_unreadable_lines_are_shown_and_all_are_kept(
        self, data: Path, tmp_path: Path
    ) -> None:
        file, rejects = tmp_path / "access.log", tmp_path / "rejects"
        file.write_bytes(log(3) + b"".join(b"nonsense %d\n" % number for number in range(12)))

        said = imported(data, str(file), "--rejects", str(rejects)).splitlines()

        assert said[1] == "access.log: format combined (guessed)"
        assert said[2] == "12 lines could not be parsed; the first, line 4: nonsense 0"
        assert said[3:] == [f"  line {number + 4}: nonsense {number}" for number in range(1, 10)]
        assert rejects.read_bytes() == b"".join(b"nonsense %d\n" % number for number in range(12))

    def test_a_server_that_runs_takes_the_calls_and_knows_them_again(self, tmp_path: Path) -> None:
        file = tmp_path / "access.log"
        file.write_bytes(log(12_000))
        server = Server(tmp_path / "data", **LONG_AGO).prepare().start()
        try:
            assert "12,000 new, 0" in imported(server.data, str(file))
            assert server.get("/v1/statistics/summary?period=2026-11-23").json()["calls"] == 12_000
        finally:
            server.stop()
        assert "0 new, 12,000 duplicates" in imported(server.data, str(file))


class TestCountingOnce:
    @given(
        sizes=st.lists(st.integers(1, 50), min_size=3, max_size=20),
        order=st.randoms(use_true_random=False),
        repeated=st.integers(0, 2),
    )
    @settings(max_examples=6)
    def test_any_cut_order_and_repetition_of_files_gives_the_same_calls(
        self, sizes: list[int], order: Random, repeated: int
    ) -> None:
        texts = log(80).splitlines()
        once = read_all(log(80), "combined").events
        found: dict[str, int] = {}
        for _ in range(1 + repeated):
            reader = Reader(read_format("combined", {}), ParseOptions(fold=True))
            at, number = 0, 0
            while at < len(texts):
                size = sizes[number % len(sizes)]
                calls = reader.read(split_into_pieces(at + 1, b"\n".join(texts[at : at + size]))).calls
                found |= dict(zip(calls.ids(), calls.times, strict=True))
                at, number = at + size, number + 1
            reader.close()
            order.shuffle(sizes)

        assert sorted(found) == sorted(str(event.id) for event in once)
        assert Counter(found.values()) == Counter(
            round(event.time.timestamp() * 1e6) for event in once if event.time
        )

    def test_an_import_that_was_killed_is_made_whole_by_the_next(self, data: Path, tmp_path: Path) -> None:
        file = tmp_path / "access.log"
        count = 300_000
        file.write_bytes(log(count))
        killed = start(data, str(file))
        log_of_store = data / "usage.duckdb.wal"

        def has_stored_calls() -> bool:
            assert killed.poll() is None, "the import ended before it was killed"
            return log_of_store.exists() and log_of_store.stat().st_size > 1_000_000

        eventually(has_stored_calls)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()

        again = imported(data, str(file))
        counted, before = (
            int(part.split()[0].replace(",", ""))
            for part in again.split(": ")[1].split(" duplicates")[0].split(" new, ")
        )

        assert counted + before == count
        assert before > 0
        assert f"acme: {count:,} events, difference 0" in command_here("verify", data=data, **LONG_AGO).stdout


def test_a_file_larger_than_memory_takes_no_more_of_it(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "access.log.gz"
    with gzip.open(file, "wb", compresslevel=1) as stream:  # 600 MB
        for _ in range(1_500):
            stream.write(b"x" * 399_999 + b"\n")
        stream.write(log(1_000))
    arguments = ["import", "acme", str(file), "--format", "combined", "--data", str(data)]
    output = subprocess.check_output(
        [sys.executable, "-c", IMPORT_AND_PRINT_PEAK, *arguments],
        env=os.environ | {"METERBOARD_RETENTION_DAYS": "36000"},
        text=True,
    )

    assert "1,000 new" in output
    assert int(output.splitlines()[-1].split()[1]) * 1_024 < 500_000_000


class TestFollowing:
    def test_a_file_is_followed_across_both_kinds_of_rotation(self, tmp_path: Path) -> None:
        server = Server(tmp_path / "data", **LONG_AGO).prepare().start()
        file = tmp_path / "access.log"
        file.write_bytes(log(10))
        running = start(server.data, str(file), "--follow")
        texts = [line(number) for number in range(0, 400, 4)]  # each of a second of its own

        def has_counted(calls: int) -> bool:
            counted = server.get("/v1/statistics/summary?period=2026-11-23").json()["calls"]
            assert counted <= calls
            return bool(counted == calls)

        try:
            eventually(lambda: has_counted(10))
            with file.open("a") as writer:
                writer.write("".join(texts[10:20]) + texts[20][:30])
                writer.flush()
                eventually(lambda: has_counted(20))
                writer.write(texts[20][30:])
                writer.flush()
                eventually(lambda: has_counted(21))
                file.rename(tmp_path / "access.log.1")
                writer.write(texts[21])  # by a process that has not heard of the new file yet
            file.write_text("".join(texts[22:30]))
            eventually(lambda: has_counted(30))
            (tmp_path / "access.log.2").write_bytes(file.read_bytes())
            os.truncate(file, 0)
            with file.open("a") as writer:
                writer.write(texts[30])
            eventually(lambda: has_counted(31))
            running.send_signal(signal.SIGINT)
            said = running.communicate(timeout=30)[0]
            assert running.returncode == 0
            assert "31 new, 0 duplicates" in said
            assert "0 new" in imported(server.data, f"{tmp_path}/access.log*")
        finally:
            running.kill()
            server.stop()

    def test_one_file_at_a_time_is_followed(self, data: Path) -> None:
        done = command_here("import", "acme", "a", "b", "--follow", data=data)

        assert done.returncode == 2
        assert "--follow takes one file" in done.stderr
