"""Using the usage store from the command line: this process's own, or the server's when one runs on the folder."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

from meterboard.address import address_of_running, connection_to_running
from meterboard.commands.base import open_accounts
from meterboard.domain.access import KeyScope
from meterboard.domain.organization import Organization
from meterboard.errors import DataFolderError
from meterboard.importers.delivery import FolderServer
from meterboard.services import Accounts, Services
from meterboard.settings import Settings, read_settings

log = logging.getLogger("meterboard")

KEY_LIFETIME = timedelta(hours=24)
"""How long the key of a command that was killed stays valid."""
RENEW_SECONDS = 3_600.0
"""How often a command that runs extends its key."""
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
    """A key for the running server, which is revoked at the end of the block, and soon expires if the process is killed."""
    with open_accounts(data) as accounts:
        secret = accounts.keys.create(organization, name=name, scope=scope, lifetime=KEY_LIFETIME)
        ended = Event()
        renewing = Thread(target=_renew, args=(accounts, secret, ended), daemon=True)
        renewing.start()
        try:
            yield secret
        finally:
            ended.set()
            renewing.join()
            accounts.keys.revoke(secret)


@contextmanager
def server_of_folder(
    data: Path, organization: Organization, name: str, scope: KeyScope
) -> Iterator[FolderServer]:
    """The server that holds a data folder, with a passing key of an organisation."""
    with passing_key(data, organization, name, scope) as secret:
        yield FolderServer(lambda: connection_to_running(data), secret)


def _renew(accounts: Accounts, secret: str, ended: Event) -> None:
    while not ended.wait(RENEW_SECONDS):
        try:
            accounts.keys.extend(secret, KEY_LIFETIME)
        except Exception as error:  # noqa: BLE001  # a locked database, say: the next try may succeed
            log.warning("A temporary key could not be extended: %s", type(error).__name__)
