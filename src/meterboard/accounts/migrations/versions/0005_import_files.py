"""The log files that lines were imported from."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "import_file",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("organization_id", sa.Integer, sa.ForeignKey("organization.id"), nullable=False),
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("place", sa.String(255)),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("start", sa.LargeBinary, nullable=False),
        sa.Column("beginnings", sa.LargeBinary, nullable=False),
        sa.Column("modified", sa.Integer, nullable=False),
        sa.Column("is_part", sa.Boolean, nullable=False),
        sa.UniqueConstraint("organization_id", "place"),
    )
    op.create_index("import_file_start", "import_file", ["organization_id", "start"])


def downgrade() -> None:
    op.drop_table("import_file")
