"""Where imports go."""

from pathlib import Path

import pytest

from tests.server import command


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the organisation `acme`."""
    command("org", "create", "acme", data=tmp_path / "data")
    return tmp_path / "data"
