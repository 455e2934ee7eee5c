"""API keys: created once, shown once, stored as hashes."""

from datetime import timedelta
from hashlib import sha256
from secrets import token_urlsafe

from sqlalchemy import delete, select

from meterboard.accounts.database import Database
from meterboard.accounts.organizations import organization_of
from meterboard.accounts.tables import KeyRow, OrganizationRow
from meterboard.clock import Clock
from meterboard.domain.access import ApiKey, KeyScope
from meterboard.domain.organization import Organization
from meterboard.errors import Unauthenticated

PREFIX = "mb_"


class Keys:
    """The keys of every organisation."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        organization: Organization | None,
        *,
        name: str,
        scope: KeyScope,
        lifetime: timedelta | None = None,
    ) -> str:
        """
        Creates a key and returns its secret, which can't be read again. Without an organisation the key is
        provider-wide, without a `lifetime` it does not expire.

        Expired keys are deleted: they are those of commands that were killed.
        """
        secret = PREFIX + token_urlsafe(32)
        now = self._clock.now()
        with self._database.transaction() as session:
            session.execute(delete(KeyRow).where(KeyRow.expires_at <= now))
            session.add(
                KeyRow(
                    organization_id=organization and organization.id,
                    name=name,
                    scope=scope,
                    hash=digest(secret),
                    hint=secret[: len(PREFIX) + 4],
                    created_at=now,
                    expires_at=None if lifetime is None else now + lifetime,
                )
            )
        return secret

    def extend(self, secret: str, lifetime: timedelta) -> None:
        """Makes a key expire that long from now, unless it was revoked."""
        with self._database.transaction() as session:
            row = session.scalar(select(KeyRow).where(KeyRow.hash == digest(secret)))
            if row is not None:
                row.expires_at = self._clock.now() + lifetime

    def revoke(self, secret: str) -> None:
        """Revokes a key. A key with a lifetime is deleted: it was a command's, and no record of it is kept."""
        with self._database.transaction() as session:
            row = session.scalar(select(KeyRow).where(KeyRow.hash == digest(secret)))
            if row is None:
                return
            if row.expires_at is None:
                row.revoked_at = self._clock.now()
            else:
                session.delete(row)

    def is_known(self, secret: str) -> bool:
        """Returns whether there is such a key, in microseconds."""
        return self._database.has_row(
            "select 1 from api_key where hash = ? and revoked_at is null", digest(secret)
        )

    def bearer(self, secret: str) -> ApiKey:
        """
        Returns the key of a secret. Raises: Unauthenticated: there is no such key, or it was revoked or has expired.
        """
        is_valid = KeyRow.revoked_at.is_(None) & (
            KeyRow.expires_at.is_(None) | (KeyRow.expires_at > self._clock.now())
        )
        held = select(KeyRow, OrganizationRow).outerjoin(
            OrganizationRow, KeyRow.organization_id == OrganizationRow.id
        )
        with self._database.transaction() as session:
            found = session.execute(held.where(KeyRow.hash == digest(secret), is_valid)).first()
            if found is None:
                raise Unauthenticated(
                    "The key in the Authorization header is unknown, revoked or expired. "
                    "Create one: meterboard key create ORG"
                )
            key, organization = found
            # Of an outer join the second row may be missing, which its type does not say.
            holder: OrganizationRow | None = organization
            return ApiKey(organization_of(holder) if holder else None, key.scope)


def digest(secret: str) -> str:
    """
    Returns a secret's SHA-256 in hexadecimal. Enough for a random 256-bit secret, which can't be guessed or reversed.
    """
    return sha256(secret.encode()).hexdigest()
