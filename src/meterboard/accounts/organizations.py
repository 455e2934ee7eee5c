"""Organisations and their allowances."""

from collections.abc import Collection, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import Update, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meterboard.accounts.database import Database
from meterboard.accounts.tables import AllowanceRow, OrganizationRow, ScheduleRow
from meterboard.clock import Clock
from meterboard.domain.allowance import Allowance
from meterboard.domain.organization import Organization
from meterboard.errors import AlreadyExists, InvalidParameter, NotFound

MAX_ALLOWANCE = 2**53
"""The largest number that browsers represent exactly."""
MAX_NAME = 255
"""The most characters of a name."""
NAMES_IN_A_QUERY = 10_000
"""How many names are looked up at once: as many as a request has events, and fewer than SQLite can bind."""
OWN = "#"
"""The separator of the name and the number of an organisation's own schedule."""


class Organizations:
    """The organisations of an installation."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self, name: str, *, allowance: int | Sequence[Allowance] | None, time_zone: str, schedule: str
    ) -> Organization:
        """
        Creates an organisation; `allowance` None is unlimited; that of a plan is a history in order of its starts.

        Raises: AlreadyExists: the name is taken. InvalidParameter: the name, zone or allowance is invalid.
        """
        _check(name, time_zone)
        with self._database.transaction() as session:
            now = self._clock.now()
            row = OrganizationRow(
                name=name, time_zone=time_zone, schedule=schedule, charges_tasks=True, created_at=now
            )
            session.add(row)
            try:
                session.flush()
            except IntegrityError as error:
                raise AlreadyExists(
                    f"There is an organisation {name!r} already. Choose another name."
                ) from error
            _allow(session, row.id, _history(allowance, now))
            return organization_of(row)

    def named(self, name: str) -> Organization:
        """Returns the organisation of that name. Raises: NotFound: there is none."""
        with self._database.transaction() as session:
            row = session.scalar(select(OrganizationRow).where(OrganizationRow.name == name))
            if row is None:
                raise NotFound(
                    f"There is no organisation {name!r}. Create it: meterboard org create {name!r}"
                )
            return organization_of(row)

    def with_names(self, names: Collection[str]) -> dict[str, Organization]:
        """Returns the organisations that have one of these names, by name."""
        wanted = [name for name in names if len(name) <= MAX_NAME]
        found: dict[str, Organization] = {}
        with self._database.transaction() as session:
            for start in range(0, len(wanted), NAMES_IN_A_QUERY):
                some = wanted[start : start + NAMES_IN_A_QUERY]
                rows = session.scalars(select(OrganizationRow).where(OrganizationRow.name.in_(some)))
                found |= {row.name: organization_of(row) for row in rows}
        return found

    def all(self) -> list[Organization]:
        """Returns all organisations, oldest first."""
        with self._database.transaction() as session:
            return [organization_of(row) for row in session.scalars(select(OrganizationRow).order_by("id"))]

    def allowances(self, organization: int) -> list[Allowance]:
        """Returns an organisation's allowances in order of their start."""
        chosen = select(AllowanceRow).where(AllowanceRow.organization_id == organization)
        with self._database.transaction() as session:
            rows = session.scalars(chosen.order_by(AllowanceRow.starts_at, AllowanceRow.id))
            return [Allowance(row.credits, row.starts_at) for row in rows]

    def set_allowance(self, organization: Organization, allowance: int | Sequence[Allowance] | None) -> None:
        """
        Sets the allowance from now on (of a plan: the part of its history that is in force).

        Earlier allowances stay in the history. Raises: InvalidParameter: it is invalid.
        """
        now = self._clock.now()
        *_, latest = _history(allowance, now)
        with self._database.transaction() as session:
            _allow(session, organization.id, [Allowance(latest.credits, now)])

    def charge_tasks(self, organization: Organization, charged: bool) -> None:
        """Sets whether integration tasks are charged to the allowance from now on, or only counted in statistics."""
        with self._database.transaction() as session:
            session.execute(_of(organization).values(charges_tasks=charged))

    def use_schedule(self, organization: Organization, name: str, text: str | None) -> None:
        """Sets the schedule that prices calls from now on; `text` None: a built-in one."""
        with self._database.transaction() as session:
            if text is not None:
                row = ScheduleRow(
                    organization_id=organization.id, name=name, text=text, created_at=self._clock.now()
                )
                session.add(row)
                session.flush()
                name = f"{name}{OWN}{row.id}"
            session.execute(_of(organization).values(schedule=name))

    def own_schedule_text(self, organization: Organization, name: str) -> str | None:
        """Returns the text of the schedule that prices its calls, if that is its own one called `name`."""
        own, mark, _ = organization.schedule.rpartition(OWN)
        return self.schedule_text(organization.schedule) if mark and own == name else None

    def schedule_text(self, reference: str) -> str:
        """Returns the text of an organisation's own schedule. Raises: NotFound."""
        with self._database.transaction() as session:
            row = session.get(ScheduleRow, int(reference.rpartition(OWN)[2]))
            if row is None:
                raise NotFound(f"There is no schedule {reference!r}.")
            return row.text


def organization_of(row: OrganizationRow) -> Organization:
    """Returns the organisation of a row."""
    return Organization(row.id, row.name, ZoneInfo(row.time_zone), row.schedule, row.charges_tasks)


def _of(organization: Organization) -> Update:
    return update(OrganizationRow).where(OrganizationRow.id == organization.id)


def _allow(session: Session, organization: int, history: Sequence[Allowance]) -> None:
    for allowance in history:
        _check_allowance(allowance.credits)
        row = AllowanceRow(
            organization_id=organization, credits=allowance.credits, starts_at=allowance.starts_at
        )
        session.add(row)


def _history(allowance: int | Sequence[Allowance] | None, now: datetime) -> Sequence[Allowance]:
    return [Allowance(allowance, now)] if allowance is None or isinstance(allowance, int) else allowance


def _check(name: str, time_zone: str) -> None:
    if not name.strip() or name == "*" or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidParameter(
            "name", f"The name is {name!r}: use 1 to {MAX_NAME} printable characters, not * alone."
        )
    if time_zone not in available_timezones():
        raise InvalidParameter(
            "time_zone", f"The time zone is {time_zone!r}: use a name such as Asia/Kolkata or UTC."
        )


def _check_allowance(credits: int | None) -> None:
    if credits is not None and not 0 <= credits <= MAX_ALLOWANCE:
        raise InvalidParameter(
            "allowance", f"The allowance is {credits}: use a whole number from 0 to {MAX_ALLOWANCE:,}."
        )
