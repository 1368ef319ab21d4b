"""Which services there are, and whether the queue is paused: for several services on one table."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the two tables."""
    op.create_table(
        "services",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("devices", sa.Integer, nullable=False),
        sa.Column("present_until", sa.Float, nullable=False),
    )
    op.create_table(
        "switches",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("set_at", sa.Float, nullable=False),
    )
