"""Who asked for a job, and its turn among the jobs of all callers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LINE = ["state", "priority", "turn", "seq", "caller", "model", "megapixel_steps", "created_at"]


def upgrade() -> None:
    """Jobs that wait already keep their order: they belong to nobody, and their turns are their numbers."""
    op.add_column("jobs", sa.Column("caller", sa.String(64), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("turn", sa.Integer, nullable=False, server_default="0"))
    op.execute("UPDATE jobs SET turn = seq WHERE state IN ('queued', 'running')")
    op.drop_index("jobs_by_state", "jobs")
    op.create_index("jobs_by_state", "jobs", LINE)
    op.create_index("jobs_by_caller", "jobs", ["caller", "state", "turn"])
