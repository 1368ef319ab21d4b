"""A job keeps its model's entry as the catalog had it when the job was accepted."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; jobs that are there already have none."""
    op.add_column("jobs", sa.Column("entry", sa.JSON()))
