"""Using the usage store from the command line: this process's own, or the server's when one runs on the folder."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meterboard.address import address_of_running
from meterboard.commands.base import open_accounts
from meterboard.domain.access import KeyScope
from meterboard.domain.organization import Organization
from meterboard.errors import DataFolderError
from meterboard.services import Services
from meterboard.settings import Settings, read_settings

OPEN_SECONDS = 5.0
"""How long to wait for a data folder that another command holds: one that follows a log holds it to deliver only."""
LOOK_SECONDS = 0.1
"""How often to try again meanwhile."""
IN_USE = "in use by another"
"""In the message of a store that another process holds."""


@contextmanager
def open_services(
    data: Path, settings: Settings | None = None, *, wait_seconds: float = OPEN_SECONDS
) -> Iterator[Services]:
    """
    Everything behind the API, in this process.

    Raises: DataFolderError: a server holds the folder, or another command for longer than `wait_seconds`.
    """
    services = _services(data, settings or read_settings(data), wait_seconds)
    try:
        yield services
    finally:
        services.close()


def _services(data: Path, settings: Settings, wait_seconds: float) -> Services:
    give_up = time.monotonic() + wait_seconds
    while True:
        try:
            return Services(data, settings)
        except DataFolderError as error:
            if IN_USE not in str(error) or time.monotonic() >= give_up or address_of_running(data):
                raise
        time.sleep(LOOK_SECONDS)


@contextmanager
def passing_key(data: Path, organization: Organization, name: str, scope: KeyScope) -> Iterator[str]:
    """A key for the running server, which ends with the block."""
    with open_accounts(data) as accounts:
        secret = accounts.keys.create(organization, name=name, scope=scope)
        try:
            yield secret
        finally:
            accounts.keys.revoke(secret)
