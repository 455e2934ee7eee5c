"""Where `meterboard import --follow` delivers: to the server while one runs, else to the store, which it never keeps."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from meterboard.address import address_of_running
from meterboard.commands.running import open_services, server_of_folder
from meterboard.domain.access import ApiKey
from meterboard.domain.organization import Organization
from meterboard.errors import DataFolderError, StoreFailed, Unauthenticated
from meterboard.importers.delivery import Delivery, FolderServer, KeyRefused, calls_as_events, calls_to_server
from meterboard.importers.fields import Wanted
from meterboard.importers.following import Following
from meterboard.service.calls import Calls, Outcome
from meterboard.services import Accounts

RETRY_SECONDS = 0.5
"""After a server went away or the folder was held by another process: how long until the next try."""
PAUSE_SECONDS = 5.0
"""Between two deliveries to the store, which is opened for each: a server that starts meanwhile finds it free."""
MANY = 5_000
"""Calls. While so many come at once, the log is behind, and there is no pause."""


@contextmanager
def deliver_while_following(
    data: Path, accounts: Accounts, organization: Organization, following: Following
) -> Iterator[Delivery]:
    """Delivers wherever it can, and waits where it can't. Calls that may have counted are sent again: ids tell."""
    deliveries = _Deliveries(data, accounts, organization, following)
    try:
        yield Delivery(deliveries.deliver, Wanted(organization=organization.id))
    finally:
        deliveries.close()


class _Deliveries:
    def __init__(
        self, data: Path, accounts: Accounts, organization: Organization, following: Following
    ) -> None:
        self._data = data
        self._accounts = accounts
        self._organization = organization
        self._following = following
        self._key = ExitStack()
        self._server: FolderServer | None = None
        self._reason = ""
        self._pause = 0.0

    def deliver(self, calls: Calls) -> Outcome:
        """Delivers calls. Raises: DataFolderError: it was told to stop before there was anywhere to deliver them."""
        while True:
            try:
                outcome = self._try(calls)
            except (DataFolderError, StoreFailed) as error:
                self._tell(str(error))
                if self._following.wait(RETRY_SECONDS):
                    raise
            else:
                self._reason = ""
                return outcome

    def _try(self, calls: Calls) -> Outcome:
        running = address_of_running(self._data)
        if running is None and self._pause:
            self._following.wait(self._pause)
            self._pause = 0.0
            running = address_of_running(self._data)
        if running is not None:
            server = self._server_with_key()
            try:
                return calls_to_server(server).calls(calls)
            except KeyRefused:
                self._check_key(server.secret)
                raise
        if not calls.times:
            return Outcome()
        with open_services(self._data, wait_seconds=0) as services:
            # Named again: a schedule or a charge may have changed since.
            organization = services.accounts.organizations.named(self._organization.name)
            outcome = calls_as_events(services.ingest, ApiKey(organization, "ingest"))(calls)
            services.refresh.now()
        self._pause = PAUSE_SECONDS if len(calls.times) < MANY else 0.0
        return outcome

    def _server_with_key(self) -> FolderServer:
        if self._server is None:
            passing = server_of_folder(self._data, self._organization, "import", "ingest")
            self._server = self._key.enter_context(passing)
        return self._server

    def _check_key(self, secret: str) -> None:
        """Forgets a key that was revoked."""
        try:
            self._accounts.keys.bearer(secret)
        except Unauthenticated:
            self.close()

    def _tell(self, reason: str) -> None:
        """Says once why nothing is delivered."""
        if reason != self._reason:
            click.echo(f"Waiting to deliver: {reason}", file=sys.stderr)
        self._reason = reason

    def close(self) -> None:
        """Revokes the key, if one was made."""
        self._server = None
        self._key.close()
