"""The captioner that comes along was trained anew: what an earlier one made of pictures means other things."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forget its vectors; the pictures are looked at again while nothing else is to do."""
    op.execute("DELETE FROM looks WHERE model = 'pocket-captioner'")
