"""Deleted pictures stay in a trash for some days."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "trash",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("job_id", sa.String(36), nullable=False),
        sa.Column("path", sa.Text, nullable=False, unique=True),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("image", sa.JSON, nullable=False),
        sa.Column("deleted_at", sa.Float, nullable=False),
    )
    op.create_index("ix_trash_job_id", "trash", ["job_id"])
    op.create_index("ix_trash_deleted_at", "trash", ["deleted_at"])
