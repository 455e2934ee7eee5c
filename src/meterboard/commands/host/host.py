"""The one interface that commands use an installation by, and the choice of its implementation."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Protocol

from meterboard.commands.host.keys import TemporaryKeys, temporary_keys
from meterboard.commands.host.local import OPEN_SECONDS, LocalHost
from meterboard.commands.host.remote import RemoteHost
from meterboard.domain.organization import Organization
from meterboard.domain.query import DimensionName
from meterboard.importers.delivery import Delivery
from meterboard.network.running_server import running_server
from meterboard.service.export import FileFormat
from meterboard.service.ingest.calls import Calls, Outcome
from meterboard.service.verify import Verification


class Host(AbstractContextManager["Host"], Protocol):
    """An installation. What it opens, it closes at the end of its block."""

    @property
    def holds_store(self) -> bool:
        """Returns whether this process opens the usage store, which prevents a server from starting meanwhile."""
        ...

    @property
    def address(self) -> str:
        """Returns the URL of the server, or the one that it will have."""
        ...

    def usage_status(self) -> str:
        """Returns the state of the usage store in a few words. Raises: DataFolderError: it can't be opened."""
        ...

    def port_status(self) -> str:
        """Returns the state of the server's port in a few words. Raises: AddressError: it is taken."""
        ...

    def verify(self, organization: Organization) -> Verification:
        """Compares an organisation's statistics with its events."""
        ...

    def export(
        self,
        organization: Organization,
        *,
        period: str,
        columns: Sequence[DimensionName],
        form: FileFormat,
        output: IO[bytes],
    ) -> None:
        """Writes an organisation's table of usage to a file."""
        ...

    def bulk_import(self, organization: Organization) -> AbstractContextManager[Delivery]:
        """Yields the delivery of many calls, whose statistics follow at the end of the block at the latest."""
        ...

    def deliver(self, organization: Organization, calls: Calls) -> Outcome:
        """Stores calls, each priced as its organisation prices it now, and brings statistics up to date."""
        ...


def host_of(data: Path, keys: TemporaryKeys, *, wait_seconds: float = OPEN_SECONDS) -> Host:
    """
    Returns the server that holds a data folder if one runs, else the folder itself.

    `wait_seconds`: how long to wait for a folder that another command holds.
    """
    running = running_server(data)
    return RemoteHost(data, running, keys) if running else LocalHost(data, wait_seconds)


@contextmanager
def open_host(data: Path, command: str) -> Iterator[Host]:
    """Yields the host of a data folder for a command, which the keys are named after."""
    with temporary_keys(data, command) as keys, host_of(data, keys) as host:
        yield host
