"""A damaged file is told in a sentence; what came before the damage counts, and nothing twice once it is mended."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from tests.importers.test_imports import LONG_AGO, imported, log
from tests.server import command_here

ROWS = 3 * 4_096
Pack = Callable[[bytes], bytes]


def flipped(whole: bytes, at: int) -> bytes:
    """64 bytes of which every bit is wrong."""
    return whole[:at] + bytes(byte ^ 0xFF for byte in whole[at : at + 64]) + whole[at + 64 :]


def told(data: Path, *files: Path) -> str:
    """The one line that is said when an import fails."""
    done = command_here("import", "acme", *map(str, files), data=data, **LONG_AGO)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"Error: .+\n", done.stderr), done.stderr
    return done.stderr


def calls(data: Path) -> int:
    """The calls of the organisation, after a check that the statistics agree with the stored events."""
    said = command_here("verify", data=data, **LONG_AGO).stdout
    (count,) = re.findall(r"acme: ([\d,]+) events, difference 0", said)
    return int(count.replace(",", ""))


class TestParquet:
    @pytest.fixture
    def whole(self, tmp_path: Path) -> bytes:
        """Three row groups."""
        times = [f"2026-11-23T10:{number // 60 % 60:02}:{number % 60:02}Z" for number in range(ROWS)]
        table = pyarrow.table({"id": [f"call {number}" for number in range(ROWS)], "time": times})
        pyarrow.parquet.write_table(table, tmp_path / "whole", row_group_size=ROWS // 3, compression="zstd")
        return (tmp_path / "whole").read_bytes()

    def test_row_groups_before_flipped_bytes_and_files_before_count(
        self, data: Path, tmp_path: Path, whole: bytes
    ) -> None:
        log_before, file = tmp_path / "access.log", tmp_path / "usage.parquet"
        log_before.write_bytes(log(100))
        last = (
            pyarrow.parquet.ParquetFile(tmp_path / "whole").metadata.row_group(2).column(0).data_page_offset
        )
        file.write_bytes(flipped(whole, last))

        assert f"The file {file} can't be read as Parquet: " in told(data, log_before, file)

        file.write_bytes(whole)
        again = imported(data, str(log_before), str(file))
        assert f"{ROWS // 3:,} new, {100 + ROWS * 2 // 3:,} duplicates" in again
        assert calls(data) == 100 + ROWS

    def test_of_a_file_that_is_cut_off_nothing_counts_but_the_files_before(
        self, data: Path, tmp_path: Path, whole: bytes
    ) -> None:
        """Where its row groups are is told at its end."""
        log_before, file = tmp_path / "access.log", tmp_path / "usage.parquet"
        log_before.write_bytes(log(100))
        file.write_bytes(whole[: len(whole) // 2])

        assert f"The file {file} can't be read as Parquet: " in told(data, log_before, file)

        file.write_bytes(whole)
        assert f"{ROWS:,} new, 100 duplicates" in imported(data, str(log_before), str(file))
        assert calls(data) == 100 + ROWS


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
class TestCompressedLogs:
    def test_lines_before_the_cut_count(self, data: Path, tmp_path: Path, pack: Pack) -> None:
        file = tmp_path / "access.log"
        whole = pack(log(20_000))
        file.write_bytes(whole[: len(whole) // 2])

        said = told(data, file)

        assert f"The file {file} can't be read to its end: Compressed file ended before" in said
        (number,) = re.findall(r" ([\d,]+) calls were imported so far", said)
        counted = int(number.replace(",", ""))
        assert 20_000 // 3 < counted < 20_000

        file.write_bytes(whole)
        assert f"{20_000 - counted:,} new, {counted:,} duplicates" in imported(data, str(file))
        assert calls(data) == 20_000

    def test_a_cut_near_the_beginning_or_the_end_is_told_too(
        self, data: Path, tmp_path: Path, pack: Pack
    ) -> None:
        file = tmp_path / "access.log"
        for whole, cut in (
            (pack(log(1_000)), 5),
            (pack(log(1_000)), -1),
            (pack(log(10)) + pack(log(10)), -1),
        ):
            file.write_bytes(whole[:cut])
            assert "can't be read to its end: Compressed file ended before" in told(data, file)

    def test_flipped_bytes_are_told_and_files_before_count(
        self, data: Path, tmp_path: Path, pack: Pack
    ) -> None:
        log_before, file = tmp_path / "access.log", tmp_path / "access.log.1"
        log_before.write_bytes(log(100))
        whole = pack(log(20_000))
        file.write_bytes(flipped(whole, len(whole) // 2))

        said = told(data, log_before, file)

        assert f"The file {file} can't be read to its end: " in said
        assert " 100 calls were imported so far" in said

        file.write_bytes(whole)
        assert "20,000 new, 0 duplicates" in imported(data, str(file))
        assert calls(data) == 20_100
