"""The condition behind the search by prompt text.

SQLite asks the trigram index `images_text`, which a migration made: it finds parts of words, and Chinese, which has no
spaces. PostgreSQL needs no index of ours: its ILIKE is asked directly.
"""

from sqlalchemy import ColumnElement, and_, column, func, select, table, text

from app.core.errors import FieldError, InvalidRequest
from app.database import images

MAX_QUERY_CHARS = 1000
MAX_QUERY_WORDS = 64
MIN_TRIGRAM_CHARS = 3


def prompt_has(words: str, dialect: str) -> ColumnElement[bool]:
    """The condition that a prompt has every word of `words` somewhere, in any order and case.

    Words of one or two characters have no trigram and are looked for row by row. Raises InvalidRequest for text
    that no prompt can hold, over 1000 characters or over 64 different words.
    """
    parts = list(dict.fromkeys(words.split()))
    legal = not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in words)
    if not legal or len(words) > MAX_QUERY_CHARS or len(parts) > MAX_QUERY_WORDS:
        allowed = f"allowed is valid text of at most {MAX_QUERY_CHARS} characters and {MAX_QUERY_WORDS} words"
        raise InvalidRequest([FieldError("q", words, allowed)])
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
