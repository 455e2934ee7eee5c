"""Schedules of organisations' own, and whether integration tasks are charged to the allowance."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "schedule",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "organization_id", sa.Integer, sa.ForeignKey("organization.id"), nullable=False, index=True
        ),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
    op.add_column(
        "organization", sa.Column("charges_tasks", sa.Boolean, nullable=False, server_default=sa.true())
    )


def downgrade() -> None:
    op.drop_column("organization", "charges_tasks")
    op.drop_table("schedule")
