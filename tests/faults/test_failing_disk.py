"""
Whatever write, flush or truncation fails: each batch counts as it was answered, ids are known, and the store recovers.

A C library in front of the system's fails one call after another, see `story` and `failing_disk.c`.
"""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import story

ROOT = Path(__file__).parent.parent.parent
WRITE, SYNC, TRUNCATE, RENAME, UNLINK = 1, 2, 4, 8, 16
"""As in failing_disk.c."""
ONCE, TWICE, FOR_GOOD = 1, 2, 0
EVERY_CALL = "METERBOARD_EVERY_CALL"
"""The variable of the environment that makes each call fail in turn: ten minutes."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("failing calls of the C library need Linux and a C compiler (gcc), to be preloaded")
    made = tmp_path_factory.mktemp("library") / "failing_disk.so"
    source = Path(__file__).with_name("failing_disk.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", made, source, "-ldl"], check=True)
    return made


@pytest.mark.parametrize(
    ("kinds", "times", "error", "step"),
    [
        (WRITE, ONCE, errno.ENOSPC, 9),
        (WRITE, FOR_GOOD, errno.ENOSPC, 6),
        (WRITE | TRUNCATE, TWICE, errno.ENOSPC, 10),
        (SYNC, ONCE, errno.EIO, 7),
        (SYNC, FOR_GOOD, errno.EIO, 6),
        (SYNC | TRUNCATE, TWICE, errno.EIO, 6),
        (UNLINK, ONCE, errno.EIO, 1),
        (WRITE | SYNC | TRUNCATE | RENAME | UNLINK, FOR_GOOD, errno.EROFS, 7),
    ],
)
def test_every_batch_counts_as_it_was_answered(
    library: Path, kinds: int, times: int, error: int, step: int
) -> None:
    """
    With a step of 1 each call fails in turn, as `make faults` does; a larger one keeps the suite quick.

    Files are cut off only after another failure, and DuckDB renames none in these lives, so neither fails alone.
    """
    step = 1 if EVERY_CALL in os.environ else step
    told = subprocess.run(
        [sys.executable, "-m", story.__name__, *map(str, (kinds, times, error, step))],
        env=os.environ | {"LD_PRELOAD": str(library)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1_200,
    )

    assert told.returncode == 0, told.stdout + told.stderr
