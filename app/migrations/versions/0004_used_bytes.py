"""How much the library takes is summed up from an index alone."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.create_index("images_by_bytes", "images", ["bytes"])
