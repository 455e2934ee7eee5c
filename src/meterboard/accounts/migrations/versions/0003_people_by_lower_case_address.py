"""
E-mail addresses in lower case, and used sign-in links are deleted.

People whose addresses differ in case alone become one: the oldest stays, with the role that it has; organisations that
only a later one was a member of are added to it, and its sessions and links are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

person = sa.table("person", sa.column("id"), sa.column("email"))
membership = sa.table("membership", sa.column("person_id"), sa.column("organization_id"))
link = sa.table("sign_in_link", sa.column("person_id"), sa.column("used_at"))
session = sa.table("session", sa.column("person_id"))


def upgrade() -> None:
    connection = op.get_bind()
    first: dict[str, int] = {}
    for number, email in connection.execute(sa.select(person.c.id, person.c.email).order_by("id")).all():
        oldest = first.setdefault(email.lower(), number)
        if oldest != number:
            _merge(connection, number, oldest)
    for email, number in first.items():
        connection.execute(person.update().where(person.c.id == number).values(email=email))
    connection.execute(link.delete().where(link.c.used_at.is_not(None)))
    op.drop_column("sign_in_link", "used_at")


def _merge(connection: sa.Connection, later: int, oldest: int) -> None:
    of_oldest = sa.select(membership.c.organization_id).where(membership.c.person_id == oldest)
    held_twice = membership.c.organization_id.in_(of_oldest.scalar_subquery())
    connection.execute(membership.delete().where(membership.c.person_id == later, held_twice))
    for table in (membership, link, session):
        connection.execute(table.update().where(table.c.person_id == later).values(person_id=oldest))
    connection.execute(person.delete().where(person.c.id == later))


def downgrade() -> None:
    op.add_column("sign_in_link", sa.Column("used_at", sa.DateTime))
