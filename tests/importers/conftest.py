"""Where imports go."""

from pathlib import Path

import pytest

from tests.server import Server


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the organisation `acme`."""
    return Server(tmp_path / "data").prepare().data
