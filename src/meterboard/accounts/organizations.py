"""Organisations and their allowances."""

from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import select

from meterboard.accounts.database import Database
from meterboard.accounts.tables import AllowanceRow, OrganizationRow
from meterboard.clock import Clock
from meterboard.domain.allowance import Allowance
from meterboard.domain.organization import Organization
from meterboard.errors import AlreadyExists, InvalidParameter, NotFound

MAX_ALLOWANCE = 2**53
"""Past this a browser's numbers are no longer exact."""


class Organizations:
    """Those whose credits are spent."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, name: str, *, allowance: int | None, time_zone: str, schedule: str) -> Organization:
        """
        A new organisation; `allowance` None is unlimited.

        Raises: AlreadyExists: the name is taken. InvalidParameter: the name, zone or allowance can't be.
        """
        _check(name, allowance, time_zone)
        with self._database.transaction() as session:
            if session.scalar(select(OrganizationRow).where(OrganizationRow.name == name)):
                raise AlreadyExists(f"There is an organisation {name!r} already. Choose another name.")
            now = self._clock.now()
            row = OrganizationRow(name=name, time_zone=time_zone, schedule=schedule, created_at=now)
            session.add(row)
            session.flush()
            session.add(AllowanceRow(organization_id=row.id, credits=allowance, starts_at=now))
            return organization_of(row)

    def named(self, name: str) -> Organization:
        """Raises: NotFound: there is none of that name."""
        with self._database.transaction() as session:
            row = session.scalar(select(OrganizationRow).where(OrganizationRow.name == name))
            if row is None:
                raise NotFound(
                    f"There is no organisation {name!r}. Create it: meterboard org create {name!r}"
                )
            return organization_of(row)

    def all(self) -> list[Organization]:
        """Every organisation, the oldest first."""
        with self._database.transaction() as session:
            return [organization_of(row) for row in session.scalars(select(OrganizationRow).order_by("id"))]

    def allowances(self, organization: int) -> list[Allowance]:
        """An organisation's allowances in order of their start."""
        chosen = select(AllowanceRow).where(AllowanceRow.organization_id == organization)
        with self._database.transaction() as session:
            rows = session.scalars(chosen.order_by(AllowanceRow.starts_at, AllowanceRow.id))
            return [Allowance(row.credits, row.starts_at) for row in rows]

    def set_allowance(self, organization: Organization, credits: int | None) -> None:
        """
        From now on an organisation may use `credits` in 24 hours; what was allowed before stays in its history.

        Raises: InvalidParameter: it can't be.
        """
        _check_allowance(credits)
        with self._database.transaction() as session:
            starts_at = self._clock.now()
            session.add(AllowanceRow(organization_id=organization.id, credits=credits, starts_at=starts_at))


def organization_of(row: OrganizationRow) -> Organization:
    """The value behind a row."""
    return Organization(row.id, row.name, ZoneInfo(row.time_zone), row.schedule)


def _check(name: str, allowance: int | None, time_zone: str) -> None:
    if not name.strip() or name == "*" or len(name) > 255 or not name.isprintable():
        raise InvalidParameter(
            "name", f"The name is {name!r}: use 1 to 255 printable characters, not * alone."
        )
    _check_allowance(allowance)
    if time_zone not in available_timezones():
        raise InvalidParameter(
            "time_zone", f"The time zone is {time_zone!r}: use a name such as Asia/Kolkata or UTC."
        )


def _check_allowance(credits: int | None) -> None:
    if credits is not None and not 0 <= credits <= MAX_ALLOWANCE:
        raise InvalidParameter(
            "allowance", f"The allowance is {credits}: use a whole number from 0 to {MAX_ALLOWANCE:,}."
        )
