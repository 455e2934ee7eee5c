"""Using the usage store from the command line: this process's own, or the server's when one runs on the folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meterboard.app import Services
from meterboard.commands.base import open_accounts
from meterboard.domain.access import KeyScope
from meterboard.domain.organization import Organization
from meterboard.server import address_of_running
from meterboard.settings import read_settings


@contextmanager
def open_services(data: Path) -> Iterator[Services]:
    """Everything behind the API, in this process. Raises: DataFolderError: a server holds the folder."""
    services = Services(data, read_settings(data))
    try:
        yield services
    finally:
        services.close()


@contextmanager
def server_key(
    data: Path, organization: Organization, name: str, scope: KeyScope
) -> Iterator[tuple[str, str]]:
    """The running server's address, and a key that ends with the block."""
    address = address_of_running(data)
    assert address is not None
    with open_accounts(data) as accounts:
        secret = accounts.keys.create(organization, name=name, scope=scope)
        try:
            yield address, secret
        finally:
            accounts.keys.revoke(secret)
