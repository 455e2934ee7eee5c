"""Whoever waits for an import at a terminal sees how far it is; where nobody looks, nothing is drawn."""

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.importers.test_imports import LONG_AGO, log
from tests.server import command


def seen_on_a_terminal(data: Path, *files: str) -> str:
    """What `meterboard import` writes to a terminal as its standard error, less what moves and colours the text."""
    ours, its = os.openpty()
    environment = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TTY_COMPATIBLE")
    }
    with subprocess.Popen(
        [sys.executable, "-m", "meterboard", "import", "acme", *files, "--data", str(data)],
        env=environment | {"TERM": "xterm", "COLUMNS": "160", "METERBOARD_RETENTION_DAYS": "36000"},
        stdout=subprocess.DEVNULL,
        stderr=its,
    ) as running:
        os.close(its)
        seen = b""
        try:
            while piece := os.read(ours, 65_536):
                seen += piece
        except OSError:  # how Linux says that nobody writes any more
            pass
        os.close(ours)
    assert running.returncode == 0
    return re.sub(" +", " ", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode()))


def test_a_bar_shows_each_files_name_position_lines_and_rate(data: Path, tmp_path: Path) -> None:
    plain, packed = tmp_path / "access.log", tmp_path / "access.log.1.gz"
    plain.write_bytes(log(20_000))
    packed.write_bytes(gzip.compress(log(12_345)))
    size = packed.stat().st_size / 1000

    seen = seen_on_a_terminal(data, str(plain), str(packed))

    assert re.search(r"access\.log .* 0\.0/2\.1 MB 0 lines, 0 lines/s", seen)
    (rate, *_) = re.findall(r"access\.log .* 2\.1/2\.1 MB 20,000 lines, ([\d,]+) lines/s", seen)
    assert int(rate.replace(",", "")) > 0
    assert re.search(
        rf"access\.log\.1\.gz .* {size:.1f}/{size:.1f} kB 12,345 lines, [1-9][\d,]* lines/s", seen
    )


def test_nothing_is_drawn_where_standard_error_is_no_terminal(data: Path, tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(log(100))

    done = command("import", "acme", str(tmp_path / "access.log"), data=data, **LONG_AGO)

    assert (done.stdout, done.stderr) == (
        "100 lines: 100 new, 0 duplicates.\naccess.log: format combined (guessed)\n",
        "",
    )
