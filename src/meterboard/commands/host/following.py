"""Delivery of `meterboard import --follow`: to the server while one runs, else to the store, which it holds briefly."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from meterboard.commands.host.host import host_of
from meterboard.commands.host.keys import TemporaryKeys, temporary_keys
from meterboard.domain.organization import Organization
from meterboard.errors import DataFolderError, MeterboardError, ServerRefused, Unavailable
from meterboard.importers.delivery import Delivery
from meterboard.importers.following import Following
from meterboard.importers.reading.fields import ParseOptions
from meterboard.service.ingest.calls import Calls, Outcome

NO_HOST: tuple[type[MeterboardError], ...] = (DataFolderError, ServerRefused, Unavailable)
"""Errors after which a delivery is tried again."""
RETRY_SECONDS = 0.5
"""After a server stopped, or the folder was held by another process: how long until the next try."""
PAUSE_SECONDS = 5.0
"""Between two deliveries to the store, which is opened for each: a server that starts meanwhile finds it free."""
MANY = 5_000
"""Calls. While so many come at once, the import is behind the log, and there is no pause."""


@contextmanager
def deliver_while_following(
    data: Path, organization: Organization, following: Following
) -> Iterator[Delivery]:
    """Yields a delivery that waits while there is no host, and sends again what may have been stored: ids tell."""
    with temporary_keys(data, "import") as keys:
        deliveries = _Deliveries(data, keys, organization, following)
        yield Delivery(deliveries.deliver, ParseOptions(organization=organization.id))


class _Deliveries:
    def __init__(
        self, data: Path, keys: TemporaryKeys, organization: Organization, following: Following
    ) -> None:
        self._data = data
        self._keys = keys
        self._organization = organization
        self._following = following
        self._reason = ""
        self._pause = 0.0

    def deliver(self, calls: Calls) -> Outcome:
        """Delivers calls. Raises: one of NO_HOST: following was stopped before there was a host."""
        if not calls.times:
            return Outcome()
        while True:
            try:
                outcome = self._try(calls)
            except NO_HOST as error:
                self._report(str(error))
                if self._following.wait(RETRY_SECONDS):
                    raise
            else:
                self._reason = ""
                return outcome

    def _try(self, calls: Calls) -> Outcome:
        host = host_of(self._data, self._keys, wait_seconds=0)
        if host.holds_store and self._pause:
            self._following.wait(self._pause)
            self._pause = 0.0
            host = host_of(self._data, self._keys, wait_seconds=0)
        with host:
            outcome = host.deliver(self._organization, calls)
        self._pause = PAUSE_SECONDS if host.holds_store and len(calls.times) < MANY else 0.0
        return outcome

    def _report(self, reason: str) -> None:
        """Reports a reason why nothing is delivered once."""
        if reason != self._reason:
            click.echo(f"Waiting to deliver: {reason}", file=sys.stderr)
        self._reason = reason
