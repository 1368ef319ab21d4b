"""The index behind the search by prompt text.

SQLite: an FTS5 table with the trigram tokenizer, because it finds parts of words and Chinese, which has no spaces
(https://sqlite.org/fts5.html#the_trigram_tokenizer). It keeps no text; triggers hold it in step with `images`.
PostgreSQL needs nothing: its ILIKE is asked directly.
"""

from sqlalchemy import ColumnElement, Connection, and_, column, func, select, table, text

from app.core.errors import FieldError, InvalidRequest
from app.database import images

MAX_QUERY_CHARS = 1000
MIN_TRIGRAM_CHARS = 3

_CREATE = (
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
    "INSERT INTO images_text (images_text) VALUES ('rebuild')",
)
_DROP = (
    "DROP TRIGGER images_text_insert",
    "DROP TRIGGER images_text_delete",
    "DROP TRIGGER images_text_update",
    "DROP TABLE images_text",
)


def create_index(connection: Connection) -> None:
    """Make the index over the images there are. Nothing to do but on SQLite. Called by a migration, once."""
    _execute(connection, _CREATE)


def drop_index(connection: Connection) -> None:
    """Undo `create_index`."""
    _execute(connection, _DROP)


def prompt_has(words: str, dialect: str) -> ColumnElement[bool]:
    """The condition that a prompt has every word of `words` somewhere, in any order and case.

    Words of one or two characters have no trigram and are looked for row by row. Raises InvalidRequest for text
    that no prompt can hold or over 1000 characters.
    """
    if len(words) > MAX_QUERY_CHARS or any(char == "\0" or "\ud800" <= char <= "\udfff" for char in words):
        raise InvalidRequest([FieldError("q", words, f"allowed is valid text of at most {MAX_QUERY_CHARS} characters")])
    parts = words.split()
    long = [part for part in parts if len(part) >= MIN_TRIGRAM_CHARS] if dialect == "sqlite" else []
    conditions: list[ColumnElement[bool]] = [
        images.c.prompt.icontains(part, autoescape=True) for part in parts if part not in long
    ]
    if long:
        match = " ".join('"' + part.replace('"', '""') + '"' for part in long)
        index = table("images_text", column("rowid"))
        found = select(index.c.rowid).where(text("images_text MATCH :match").bindparams(match=match))
        conditions.append(images.c.seq.in_(found))
    return and_(*conditions) if conditions else func.length(images.c.prompt) >= 0


def _execute(connection: Connection, statements: tuple[str, ...]) -> None:
    if connection.dialect.name == "sqlite":
        for statement in statements:
            connection.exec_driver_sql(statement)
