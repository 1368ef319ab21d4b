"""People put their jobs into another order, and clear ended ones from the list."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns: jobs that are there already stand where they stood and are shown."""
    op.add_column("jobs", sa.Column("moved", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("cleared", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("jobs_shown", "jobs", ["cleared", "seq", "state"])
