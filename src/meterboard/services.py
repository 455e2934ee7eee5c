"""
The composition root: settings -> stores -> services.

The only file that creates objects that have to be closed.
"""

from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex

from meterboard import __version__
from meterboard.accounts.database import FILE as ACCOUNTS_FILE
from meterboard.accounts.database import Database
from meterboard.accounts.import_files import ImportFiles
from meterboard.accounts.keys import Keys
from meterboard.accounts.organizations import Organizations
from meterboard.accounts.people import People
from meterboard.clock import Clock, SystemClock
from meterboard.data_folder import not_usable, prepare_folder
from meterboard.domain.dimensions import parse_dimensions, parse_sources
from meterboard.errors import DataFolderError
from meterboard.service.access import Access
from meterboard.service.credits import LiveCredits
from meterboard.service.export import Exports
from meterboard.service.ingest.intake import Ingest
from meterboard.service.ingest.meter import Meter
from meterboard.service.jobs.health import Health
from meterboard.service.jobs.refresh import Refresh
from meterboard.service.jobs.retention import Retention
from meterboard.service.jobs.schedule import Job
from meterboard.service.reads import Reads
from meterboard.service.schedules import Schedules
from meterboard.service.statistics.statistics import Statistics
from meterboard.service.verify import Verify
from meterboard.settings import Settings
from meterboard.usage.duckdb.store import FILE as USAGE_FILE
from meterboard.usage.duckdb.store import DuckDBStore


class Accounts:
    """The control plane of a data folder. The command line opens it beside a running server."""

    def __init__(self, data: Path, clock: Clock | None = None) -> None:
        """Raises: DataFolderError."""
        prepare_folder(data)
        clock = clock or SystemClock()
        self.database = Database(data)
        self.organizations = Organizations(self.database, clock)
        self.keys = Keys(self.database, clock)
        self.people = People(self.database, clock)
        self.import_files = ImportFiles(self.database)

    @staticmethod
    def exists(data: Path) -> bool:
        """Returns whether a folder has accounts. Raises: DataFolderError: this user can't read it."""
        try:
            return (data / ACCOUNTS_FILE).exists()
        except PermissionError as error:
            raise DataFolderError(not_usable(data, data)) from error

    def close(self) -> None:
        self.database.close()


def _access(accounts: Accounts) -> Access:
    return Access(
        key=accounts.keys.bearer,
        is_key=accounts.keys.is_known,
        viewer=accounts.people.viewer,
        is_session=accounts.people.is_session,
        sign_in=accounts.people.sign_in,
        sign_out=accounts.people.sign_out,
    )


class Services:
    """Everything behind the API and the pages. One process at a time can hold a data folder's usage."""

    def __init__(self, data: Path, settings: Settings, clock: Clock | None = None) -> None:
        """Raises: DataFolderError. SettingError: the dimensions of the settings can't be used."""
        self.clock = clock or SystemClock()
        self.settings = settings
        self.instance_secret = token_hex(32)  # proves this server's identity to commands: see server.json
        self.accounts = Accounts(data, self.clock)
        self.schedules = Schedules(self.accounts.organizations.schedule_text)
        self.dimensions = parse_dimensions(settings.dimensions)
        self.dimension_attributes = self._dimension_sources("dimension_attributes")
        self.dimension_extensions = self._dimension_sources("dimension_extensions")
        self.store = DuckDBStore(
            data, memory=settings.memory, dimensions=self.dimensions, now=self.clock.now()
        )
        self._add_writing()
        self._add_reading(data)
        self.access = _access(self.accounts)

    def _dimension_sources(self, setting: str) -> dict[str, str]:
        return parse_sources(setting, getattr(self.settings, setting), self.dimensions)

    def _add_writing(self) -> None:
        settings, clock, store = self.settings, self.clock, self.store
        retention = timedelta(days=settings.retention_days)
        receipts = store.receipt_hours()
        self.health = Health(__version__, clock)
        self.meter = Meter(
            store,
            clock,
            max_waiting=settings.queue_events,
            committed=self.health.committed,
            failed=self.health.commit_failed,
        )
        self.health.watch(
            waiting=lambda: self.meter.waiting,
            max_waiting=settings.queue_events,
            watermark=self._watermark,
        )
        self.refresh = Refresh(self.meter, clock, settings.refresh_interval)
        self.retention = Retention(self.meter, clock, retention, receipts=receipts)
        self.ingest = Ingest(
            self.meter,
            clock,
            retention=retention,
            schedule=self.schedules.of,
            organizations=self.accounts.organizations.with_names,
            dimensions=self.dimensions,
            answered=self.health.received,
        )

    def _add_reading(self, data: Path) -> None:
        allowances = self.accounts.organizations.allowances
        retention = timedelta(days=self.settings.retention_days)
        self.reads = Reads(self.store.interrupt)
        self.exports = Exports(data)
        self.live_credits = LiveCredits(self.store, self.meter, self.clock, allowances=allowances)
        self.statistics = Statistics(
            self.store,
            self.refresh,
            self.clock,
            retention=retention,
            allowances=allowances,
            dimensions=self.dimensions,
        )
        self.verify = Verify(self.store, self.refresh, self.clock)

    @staticmethod
    def exists(data: Path) -> bool:
        """Returns whether a folder holds usage. A folder with accounts alone doesn't."""
        return (data / USAGE_FILE).exists()

    def _watermark(self) -> datetime:
        with self.store.snapshot() as snapshot:
            return snapshot.watermark

    def jobs(self) -> list[Job]:
        """Returns what the server does at fixed moments."""
        refresh, retention = self.refresh, self.retention
        minute, hour = timedelta(minutes=1), timedelta(hours=1)
        jobs = [
            Job("refresh", refresh.run, refresh.interval, refresh.first_due)
            if refresh.interval
            else Job("refresh", refresh.run, minute),
            Job("retention", lambda _: retention.enforce(), hour),
            Job("maintain", lambda _: retention.maintain(), minute),
        ]
        return [self.health.watched(job) for job in jobs]

    def close(self) -> None:
        """Stores the events that wait, then releases the folder."""
        self.reads.close()
        self.access.close()
        self.meter.close()
        self.store.close()
        self.accounts.close()
