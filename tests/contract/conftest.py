"""The stores that the contract is run against."""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from meterboard.domain.period import parse_period
from meterboard.domain.query import Filters, Scope
from meterboard.usage.duckdb.store import DuckDBStore
from meterboard.usage.store import Snapshot, UsageStore

ENGINES: dict[str, Callable[[Path], UsageStore]] = {"duckdb": DuckDBStore}
"""How a store is opened whose data is to be kept in a folder. Another engine is another line."""


class Stores:
    """Opens stores of one engine, and closes them."""

    def __init__(self, engine: Callable[[Path], UsageStore], folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._numbers = count()
        self._opened: dict[str, UsageStore] = {}

    def open(self, name: str = "usage") -> UsageStore:
        """Opens the store of a name, after closing it if it is open."""
        self.close(name)
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        self._opened[name] = self._engine(folder)
        return self._opened[name]

    def new_name(self) -> str:
        """Returns the name of a store that does not exist yet."""
        return f"usage {next(self._numbers)}"

    def close(self, name: str) -> None:
        """Closes the store of a name if it is open."""
        if name in self._opened:
            self._opened.pop(name).close()

    def close_all(self) -> None:
        """Closes every store."""
        for name in list(self._opened):
            self.close(name)


def scope(
    snapshot: Snapshot,
    *,
    now: datetime,
    text: str = "last_30_days",
    zone: str = "UTC",
    organization: int = 1,
    filters: Filters | None = None,
) -> Scope:
    """Returns the scope of a question to a snapshot."""
    period = parse_period(text, zone=ZoneInfo(zone), now=now, as_of=snapshot.watermark)
    return Scope(organization, period, filters or {}, snapshot.watermark)


@pytest.fixture(params=ENGINES)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    opened = Stores(ENGINES[request.param], tmp_path)
    yield opened
    opened.close_all()


@pytest.fixture
def store(stores: Stores) -> UsageStore:
    return stores.open()
