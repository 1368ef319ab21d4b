"""What waits is counted by how long it takes, and the turn that is served is found, without sorting the line."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes."""
    columns = ["state", "model", "megapixel_steps", "priority", "turn", "seq"]
    op.create_index("jobs_by_work", "jobs", columns)
    op.create_index("jobs_by_turn", "jobs", ["state", "turn"])
