"""One or two characters are found in prompts without looking at each: by the first characters of trigrams, and by ends.

Words of less than three characters have no trigram of their own, but wherever they stand before the last two characters
of a prompt, a trigram begins with them. `images_text_ends` has what the trigrams do not: the last character, and the
last two. SQLite only, as the trigrams are. A later step that rebuilds `images` must create the triggers again.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ENDS = " UNION ".join(f"SELECT lower(substr({{of}}prompt, -{last})), {{of}}seq {{source}}" for last in (2, 1))
_NEW = "INSERT INTO images_text_ends " + _ENDS.format(of="new.", source="")
_OLD = """DELETE FROM images_text_ends
    WHERE ending IN (lower(substr(old.prompt, -2)), lower(substr(old.prompt, -1))) AND seq = old.seq"""
STATEMENTS = (
    "CREATE VIRTUAL TABLE images_text_terms USING fts5vocab(images_text, instance)",
    """CREATE TABLE images_text_ends (ending TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (ending, seq))
        WITHOUT ROWID""",
    "CREATE TRIGGER images_ends_insert AFTER INSERT ON images BEGIN " + _NEW + "; END",
    "CREATE TRIGGER images_ends_delete AFTER DELETE ON images BEGIN " + _OLD + "; END",
    "CREATE TRIGGER images_ends_update AFTER UPDATE OF prompt ON images BEGIN " + _OLD + "; " + _NEW + "; END",
    "INSERT INTO images_text_ends " + _ENDS.format(of="", source="FROM images"),  # the images that are there already
)


def upgrade() -> None:
    """Create the tables over the images there are, and the triggers."""
    if op.get_bind().dialect.name == "sqlite":
        for statement in STATEMENTS:
            op.get_bind().exec_driver_sql(statement)
