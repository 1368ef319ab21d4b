"""Images of one size are found in an index of their own."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.create_index("images_by_size", "images", ["width", "height", "created_at"])
