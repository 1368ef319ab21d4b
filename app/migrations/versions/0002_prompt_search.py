"""An index to find images by parts of their prompt. SQLite only: PostgreSQL is asked with ILIKE.

FTS5 with the trigram tokenizer (https://sqlite.org/fts5.html#the_trigram_tokenizer). The index keeps no text of its
own; triggers hold it in step with `images`. A later step that rebuilds `images` must create the triggers again.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE VIRTUAL TABLE images_text USING fts5(prompt, content='images', content_rowid='seq', tokenize='trigram')",
    """CREATE TRIGGER images_text_insert AFTER INSERT ON images BEGIN
        INSERT INTO images_text (rowid, prompt) VALUES (new.seq, new.prompt);
    END""",
    """CREATE TRIGGER images_text_delete AFTER DELETE ON images BEGIN
        INSERT INTO images_text (images_text, rowid, prompt) VALUES ('delete', old.seq, old.prompt);
    END""",
    """CREATE TRIGGER images_text_update AFTER UPDATE OF prompt ON images BEGIN
        INSERT INTO images_text (images_text, rowid, prompt) VALUES ('delete', old.seq, old.prompt);
        INSERT INTO images_text (rowid, prompt) VALUES (new.seq, new.prompt);
    END""",
    "INSERT INTO images_text (images_text) VALUES ('rebuild')",  # the images that are there already
)


def upgrade() -> None:
    """Create the index over the images there are, and the triggers."""
    if op.get_bind().dialect.name == "sqlite":
        for statement in STATEMENTS:
            op.get_bind().exec_driver_sql(statement)
