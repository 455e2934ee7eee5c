"""The users of an organisation's dashboard, their one-time sign-in links and their sessions."""

from datetime import datetime, timedelta
from secrets import token_urlsafe

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from meterboard.accounts.database import Database
from meterboard.accounts.keys import digest
from meterboard.accounts.organizations import organization_of
from meterboard.accounts.tables import (
    MembershipRow,
    OrganizationRow,
    PersonRow,
    SessionRow,
    SignInLinkRow,
)
from meterboard.clock import Clock
from meterboard.domain.access import SESSION_LIFE, Role, Viewer
from meterboard.domain.organization import Organization
from meterboard.errors import InvalidParameter, Unauthenticated

LINK_LIFE = timedelta(hours=24)


class People:
    """The members of organisations."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, organization: Organization, email: str, *, role: Role) -> str:
        """
        Makes a person a member, or changes the role of a member. Returns the secret of a new sign-in link.

        Addresses are compared and stored in lower case. Raises: InvalidParameter: `email` is not an address.
        """
        name, at, host = email.partition("@")
        if not (name and at and host) or not email.isprintable() or " " in email or len(email) > 254:
            raise InvalidParameter(
                "email", f"The e-mail address is {email!r}: use one such as maria@acme.example."
            )
        email = email.lower()
        with self._database.transaction() as session:
            person = session.scalar(select(PersonRow).where(PersonRow.email == email))
            if person is None:
                person = PersonRow(email=email, created_at=self._clock.now())
                session.add(person)
                session.flush()
            session.merge(MembershipRow(person_id=person.id, organization_id=organization.id, role=role))
            return self._link(session, person.id, organization.id)

    def link_for_first_owner(self) -> str | None:
        """Returns the secret of a sign-in link for the earliest owner; None: there is no owner yet."""
        owners = select(MembershipRow).where(MembershipRow.role == "owner")
        with self._database.transaction() as session:
            first = session.scalar(owners.order_by(MembershipRow.organization_id, MembershipRow.person_id))
            return self._link(session, first.person_id, first.organization_id) if first else None

    def _link(self, session: Session, person: int, organization: int) -> str:
        secret = token_urlsafe(32)
        now = self._clock.now()
        expires_at = now + LINK_LIFE
        _delete_expired(session, now)
        session.add(
            SignInLinkRow(
                hash=digest(secret), person_id=person, organization_id=organization, expires_at=expires_at
            )
        )
        return secret

    def sign_in(self, secret: str) -> str:
        """
        Uses up a sign-in link. Returns the secret of the new session.

        Raises: Unauthenticated: the link is unknown, was used or has expired.
        """
        now = self._clock.now()
        with self._database.transaction() as session:
            _delete_expired(session, now)
            # One statement decides, so that of two people who open a link at the same moment only one gets in.
            link = session.execute(
                delete(SignInLinkRow)
                .where(SignInLinkRow.hash == digest(secret))
                .returning(SignInLinkRow.person_id, SignInLinkRow.organization_id)
            ).first()
            if link is None:
                raise Unauthenticated(
                    "This sign-in link was used or has expired. Ask for a new one: "
                    "meterboard user create ORG EMAIL"
                )
            fresh = token_urlsafe(32)
            session.add(
                SessionRow(
                    hash=digest(fresh),
                    person_id=link.person_id,
                    organization_id=link.organization_id,
                    expires_at=now + SESSION_LIFE,
                )
            )
            return fresh

    def is_session(self, session_secret: str) -> bool:
        """Returns whether there is such a session, expired or not, in microseconds."""
        return self._database.has_row("select 1 from session where hash = ?", digest(session_secret))

    def viewer(self, session_secret: str) -> Viewer:
        """
        Returns the viewer of a session. Raises: Unauthenticated: no such session, it has ended, or its user is no
        longer a member.
        """
        found = (
            select(PersonRow.email, MembershipRow.role, OrganizationRow)
            .select_from(SessionRow)
            .join(PersonRow, PersonRow.id == SessionRow.person_id)
            .join(OrganizationRow, OrganizationRow.id == SessionRow.organization_id)
            .join(
                MembershipRow,
                (MembershipRow.person_id == SessionRow.person_id)
                & (MembershipRow.organization_id == SessionRow.organization_id),
            )
            .where(SessionRow.hash == digest(session_secret), SessionRow.expires_at > self._clock.now())
        )
        with self._database.transaction() as session:
            row = session.execute(found).first()
            if row is None:
                raise Unauthenticated(
                    "You are not signed in, or your session has ended. Open a new sign-in link."
                )
            email, role, organization = row
            return Viewer(email, role, organization_of(organization))

    def sign_out(self, session_secret: str) -> None:
        """Ends a session."""
        with self._database.transaction() as session:
            session.execute(delete(SessionRow).where(SessionRow.hash == digest(session_secret)))


def _delete_expired(session: Session, now: datetime) -> None:
    for row in (SignInLinkRow, SessionRow):
        session.execute(delete(row).where(row.expires_at <= now))
