"""Indexes of the library: lists by model, seed and favourite, groups by prompt, and parts of a prompt.

The last two are for SQLite only: PostgreSQL cannot index a long prompt and is asked with ILIKE. Parts of a prompt are
found by FTS5 with the trigram tokenizer (https://sqlite.org/fts5.html#the_trigram_tokenizer); it keeps no text of its
own, triggers hold it in step with `images`. A later step that rebuilds `images` must create the triggers again.
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
    """Create the indexes over the images there are, and the triggers."""
    for column in ("model", "seed", "favourite"):
        op.create_index(f"images_by_{column}", "images", [column, "created_at"], if_not_exists=True)
    if op.get_bind().dialect.name == "sqlite":
        columns = ["prompt", "model", "created_at", "seconds"]
        op.create_index("images_by_prompt", "images", columns, if_not_exists=True)
        for statement in STATEMENTS:
            op.get_bind().exec_driver_sql(statement)
