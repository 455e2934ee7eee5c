"""The control plane's tables. Times are stored as UTC; secrets only as SHA-256, since they are long and random."""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime in any database, whatever zone its server is in."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The tables' common root."""

    type_annotation_map = {datetime: UtcDateTime, str: String(255)}  # noqa: RUF012 (SQLAlchemy's own form)


class OrganizationRow(Base):
    __tablename__ = "organization"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    time_zone: Mapped[str]
    schedule: Mapped[str]
    charges_tasks: Mapped[bool]
    created_at: Mapped[datetime]


class ScheduleRow(Base):
    """
    An organisation's own credit schedule; it never changes, and prices what came after `created_at`.

    `OrganizationRow.schedule` names one as `name#id`, and a built-in one by its name alone.
    """

    __tablename__ = "schedule"
    id: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id"), index=True)
    name: Mapped[str]
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class AllowanceRow(Base):
    """Credits in any rolling 24 hours from `starts_at` on; null: unlimited."""

    __tablename__ = "allowance"
    id: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id"), index=True)
    credits: Mapped[int | None]
    starts_at: Mapped[datetime]


class KeyRow(Base):
    """
    An API key; without an organisation it is provider-wide. `hint` is its beginning, to tell keys apart. One without
    `expires_at` does not expire.
    """

    __tablename__ = "api_key"
    id: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[int | None] = mapped_column(ForeignKey("organization.id"), index=True)
    name: Mapped[str]
    scope: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]


class PersonRow(Base):
    """A person; `email` is in lower case."""

    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class MembershipRow(Base):
    __tablename__ = "membership"
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id"), primary_key=True)
    role: Mapped[str]


class SignInLinkRow(Base):
    """A link that signs one person in once; its use deletes it."""

    __tablename__ = "sign_in_link"
    hash: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id"))
    expires_at: Mapped[datetime]


class SessionRow(Base):
    __tablename__ = "session"
    hash: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id"))
    expires_at: Mapped[datetime]


class ImportFileRow(Base):
    """
    A log file that lines were imported from; see `domain.import_file`. `start` is the first of `beginnings`, empty for
    a file that was shorter. `path` is as the file system has it, which may not be UTF-8.
    """

    __tablename__ = "import_file"
    __table_args__ = (
        UniqueConstraint("organization_id", "place"),
        Index("import_file_start", "organization_id", "start"),
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str]
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id"))
    path: Mapped[bytes]
    place: Mapped[str | None]
    length: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes]
    start: Mapped[bytes]
    beginnings: Mapped[bytes]
    modified: Mapped[int] = mapped_column(BigInteger)
    is_part: Mapped[bool]
