"""
The composition root: settings -> stores -> services.

The only file that builds things with a lifetime.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from secrets import token_hex

from meterboard import __version__
from meterboard.accounts.database import FILE as ACCOUNTS_FILE
from meterboard.accounts.database import Database
from meterboard.accounts.import_files import ImportFiles
from meterboard.accounts.keys import Keys
from meterboard.accounts.organizations import OWN, Organizations
from meterboard.accounts.people import People
from meterboard.clock import Clock, SystemClock
from meterboard.data_folder import not_usable, prepare_folder
from meterboard.domain.schedule import CreditSchedule, read_schedule
from meterboard.errors import DataFolderError, ScheduleError
from meterboard.service.access import Access
from meterboard.service.credits import LiveCredits
from meterboard.service.export import Exports
from meterboard.service.health import Health
from meterboard.service.ingest import Ingest
from meterboard.service.jobs import Job
from meterboard.service.meter import Meter
from meterboard.service.reads import Reads
from meterboard.service.refresh import Refresh
from meterboard.service.retention import Retention
from meterboard.service.statistics import Statistics
from meterboard.service.verify import Verify
from meterboard.settings import Settings
from meterboard.usage.duckdb import FILE as USAGE_FILE
from meterboard.usage.duckdb import DuckDBStore

SCHEDULES = files("meterboard") / "schedules"


@lru_cache(maxsize=64)
def schedule_named(name: str) -> CreditSchedule:
    """
    The credit schedule of that name.

    Raises: ScheduleError: there is none, or it can't be read.
    """
    return read_schedule(schedule_text(name))


def schedule_text(name: str) -> str:
    """The text of a schedule that comes with Meterboard. Raises: ScheduleError: there is none."""
    if name not in schedule_names():
        raise ScheduleError(f"There is no schedule {name!r}. Use one of {', '.join(schedule_names())}.")
    return (SCHEDULES / f"{name}.toml").read_text()


def schedule_names() -> list[str]:
    """The schedules that come with Meterboard."""
    return sorted(
        file.name.removesuffix(".toml") for file in SCHEDULES.iterdir() if file.name.endswith(".toml")
    )


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
    def are_in(data: Path) -> bool:
        """Has a folder been used before? Raises: DataFolderError: this user can't look into it."""
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
        """Raises: DataFolderError."""
        clock = clock or SystemClock()
        self.clock = clock
        self.settings = settings
        self.instance_secret = token_hex(32)  # proves to commands that it is this server: see server.json
        retention = timedelta(days=settings.retention_days)
        self.accounts = Accounts(data, clock)
        self._own_schedules: dict[str, CreditSchedule] = {}
        allowances = self.accounts.organizations.allowances
        self.store = DuckDBStore(data, memory=settings.memory)
        self.reads = Reads(self.store.interrupt)
        receipts = self.store.receipt_hours()
        self.store.take_back_watermark(clock.now())  # an earlier start may have had a clock that was ahead
        self.exports = Exports(data)
        self.health = Health(__version__, clock)
        self.meter = Meter(
            self.store,
            clock,
            most_waiting=settings.queue_events,
            committed=self.health.committed,
            failed=self.health.commit_failed,
        )
        self.health.watch(
            waiting=lambda: self.meter.waiting,
            most_waiting=settings.queue_events,
            watermark=self._watermark,
        )
        self.refresh = Refresh(self.meter, clock, settings.refresh_interval)
        self.retention = Retention(self.meter, clock, retention, receipts=receipts)
        self.ingest = Ingest(
            self.meter,
            clock,
            retention=retention,
            schedule=self.schedule,
            organizations=self.accounts.organizations.with_names,
            answered=self.health.received,
        )
        self.live_credits = LiveCredits(self.store, self.meter, clock, allowances=allowances)
        self.statistics = Statistics(
            self.store, self.refresh, clock, retention=retention, allowances=allowances
        )
        self.verify = Verify(self.store, self.refresh, clock)
        self.access = _access(self.accounts)

    @staticmethod
    def are_in(data: Path) -> bool:
        """Does a folder hold usage? A folder with accounts alone doesn't."""
        return (data / USAGE_FILE).exists()

    def schedule(self, reference: str) -> CreditSchedule:
        """The schedule that an organisation names. Raises: ScheduleError, NotFound."""
        if OWN not in reference:
            return schedule_named(reference)
        if reference not in self._own_schedules:  # an own schedule never changes: a new one gets a new number
            self._own_schedules[reference] = read_schedule(
                self.accounts.organizations.schedule_text(reference)
            )
        return self._own_schedules[reference]

    def _watermark(self) -> datetime:
        with self.store.snapshot() as snapshot:
            return snapshot.watermark

    def jobs(self) -> list[Job]:
        """What happens by itself."""
        refresh, retention = self.refresh, self.retention
        minute, hour = timedelta(minutes=1), timedelta(hours=1)
        jobs = [
            Job("refresh", refresh.run, refresh.interval, refresh.first_due)
            if refresh.interval
            else Job("refresh", refresh.run, minute),
            Job("retention", lambda _: retention.enforce(), hour),
            Job("merge", lambda _: retention.merge(), hour),
            Job("rest", lambda _: retention.rest(), minute),
        ]
        return [self.health.watched(job) for job in jobs]

    def close(self) -> None:
        """Store what is waiting, then let go of the folder."""
        self.reads.close()
        self.access.close()
        self.meter.close()
        self.store.close()
        self.accounts.close()
