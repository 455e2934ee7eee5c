"""Using the usage store from the command line: this process's own, or the server's when one runs on the folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meterboard.commands.base import open_accounts
from meterboard.domain.access import KeyScope
from meterboard.domain.organization import Organization
from meterboard.services import Services
from meterboard.settings import Settings, read_settings


@contextmanager
def open_services(data: Path, settings: Settings | None = None) -> Iterator[Services]:
    """Everything behind the API, in this process. Raises: DataFolderError: a server holds the folder."""
    services = Services(data, settings or read_settings(data))
    try:
        yield services
    finally:
        services.close()


@contextmanager
def passing_key(data: Path, organization: Organization, name: str, scope: KeyScope) -> Iterator[str]:
    """A key for the running server, which ends with the block."""
    with open_accounts(data) as accounts:
        secret = accounts.keys.create(organization, name=name, scope=scope)
        try:
            yield secret
        finally:
            accounts.keys.revoke(secret)
