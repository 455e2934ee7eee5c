"""An installation in this process."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import copyfileobj
from types import TracebackType
from typing import IO, Self

from meterboard.domain.access import ApiKey
from meterboard.domain.organization import Organization
from meterboard.domain.query import DimensionName
from meterboard.errors import DataFolderError
from meterboard.importers.delivery import Delivery, calls_as_events, calls_to_meter
from meterboard.network.running_server import address_of_running, free_port, http_address
from meterboard.service.export import FileFormat, write_in_full
from meterboard.service.ingest.calls import Calls, Outcome
from meterboard.service.verify import Verification
from meterboard.services import Services
from meterboard.settings import Settings, read_settings

OPEN_SECONDS = 5.0
"""How long to wait for a data folder that another command holds: one that follows a log holds it to deliver only."""
RETRY_SECONDS = 0.1
"""How often to try again meanwhile."""
IN_USE = "in use by another"
"""In the message of a store that another process holds."""


@contextmanager
def open_services(
    data: Path, settings: Settings | None = None, *, wait_seconds: float = OPEN_SECONDS
) -> Iterator[Services]:
    """
    Opens everything behind the API, in this process.

    Raises: DataFolderError: a server holds the folder, or another command for longer than `wait_seconds`.
    """
    services = _services(data, settings or read_settings(data), wait_seconds)
    try:
        yield services
    finally:
        services.close()


def _services(data: Path, settings: Settings, wait_seconds: float) -> Services:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return Services(data, settings)
        except DataFolderError as error:
            if IN_USE not in str(error) or time.monotonic() >= deadline or address_of_running(data):
                raise
        time.sleep(RETRY_SECONDS)


class LocalHost:
    """A data folder that no server holds. Its services are opened when they are first needed."""

    def __init__(self, data: Path, wait_seconds: float) -> None:
        self._data = data
        self._wait_seconds = wait_seconds
        self._resources = ExitStack()
        self._services: Services | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()
        self._services = None

    def _open(self) -> Services:
        if self._services is None:
            self._services = self._resources.enter_context(
                open_services(self._data, wait_seconds=self._wait_seconds)
            )
        return self._services

    @property
    def holds_store(self) -> bool:
        return True

    @property
    def address(self) -> str:
        settings = read_settings(self._data)
        return http_address(settings.host, settings.port)

    def usage_status(self) -> str:
        if not Services.exists(self._data):
            return "no events yet"
        with self._open().store.snapshot() as snapshot:
            return f"opens; statistics as of {snapshot.watermark:%Y-%m-%d %H:%M} UTC"

    def port_status(self) -> str:
        settings = read_settings(self._data)
        return f"{free_port(settings.host, settings.port)} is free"

    def verify(self, organization: Organization) -> Verification:
        return self._open().verify.check(organization)

    def export(
        self,
        organization: Organization,
        *,
        period: str,
        columns: Sequence[DimensionName],
        form: FileFormat,
        output: IO[bytes],
    ) -> None:
        services = self._open()
        services.refresh.now()
        file = services.exports.open(organization.id)
        with services.statistics.read(organization) as reading:
            read = reading.period(period)
            write_in_full(
                lambda limit, offset: reading.table(
                    read, {}, columns=columns, page=offset // limit + 1, page_size=limit, in_full=True
                ),
                file,
                format=form,
                with_estimates=reading.has_estimates(read, {}),
            )
        copyfileobj(file.content, output)
        services.exports.close(file)

    @contextmanager
    def bulk_import(self, organization: Organization) -> Iterator[Delivery]:
        services = self._open()
        schedule = services.schedules.of(organization.schedule)
        yield calls_to_meter(services.ingest, services.refresh, organization, schedule)
        services.refresh.now()

    def deliver(self, organization: Organization, calls: Calls) -> Outcome:
        services = self._open()
        # Read again: a schedule or a charge may have changed since.
        current = services.accounts.organizations.named(organization.name)
        outcome = calls_as_events(services.ingest, ApiKey(current, "ingest"))(calls)
        services.refresh.now()
        return outcome
