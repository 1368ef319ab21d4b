"""Pictures that jobs start from."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the two tables."""
    op.create_table(
        "inputs",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("mode", sa.String(4), nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("said", sa.JSON, nullable=False),
        sa.Column("uploaded_at", sa.Float, nullable=False),
    )
    op.create_index("inputs_by_age", "inputs", ["uploaded_at", "bytes"])
    op.create_table(
        "job_inputs",
        sa.Column("job_id", sa.String(36), primary_key=True),
        sa.Column("sha256", sa.String(64), sa.ForeignKey("inputs.sha256"), primary_key=True),
    )
    op.create_index("job_inputs_by_input", "job_inputs", ["sha256"])
