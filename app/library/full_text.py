"""The condition behind the search by prompt text.

SQLite asks the trigram index `images_text`, which a migration made: it finds parts of words, and Chinese, which has no
spaces. PostgreSQL needs no index of ours: its ILIKE is asked directly.
"""

import sys

from sqlalchemy import ColumnElement, Connection, FromClause, Integer, Select, and_, column, func, select, table, text

from app.core.errors import FieldError, InvalidRequest
from app.database import images

MAX_QUERY_CHARS = 1000
MAX_QUERY_WORDS = 64
MIN_TRIGRAM_CHARS = 3
MOST_FEW = 4_000  # places of a short word, up to which they are looked at one by one


def prompt_has(
    words: str, dialect: str, of: FromClause = images, seqs: tuple[int, int] | None = None
) -> ColumnElement[bool]:
    """The condition that a prompt has every word of `words` somewhere, in any order and case.

    Words of one or two characters have no trigram and are looked for row by row; of rare ones see `few_with`.
    `seqs`: only these numbers of images are asked about. Raises InvalidRequest for text that no prompt can hold, over
    1000 characters or over 64 different words.
    """
    parts = _parts(words)
    long = _indexed(parts, dialect)
    short = [part for part in parts if part not in long]
    conditions: list[ColumnElement[bool]] = []
    if short and dialect == "sqlite" and seqs is None:
        # The rows are found in the index of prompts, which is a small part of the table.
        every = images.alias("every")
        conditions.append(of.c.seq.in_(select(every.c.seq).where(*(_has(every, part, dialect) for part in short))))
    else:
        conditions += [_has(of, part, dialect) for part in short]
    if long:
        conditions.append(of.c.seq.in_(_matching(long, seqs)))
    return and_(*conditions) if conditions else func.length(of.c.prompt) >= 0


def index_of(words: str, dialect: str) -> Select[tuple[int]] | None:
    """The numbers of the images whose prompts have all these words, from the index alone; None if it cannot tell."""
    parts = _parts(words)
    long = _indexed(parts, dialect)
    return _matching(long, None) if parts and len(long) == len(parts) else None


def few_with(connection: Connection, words: str) -> tuple[int, ...] | None:
    """The numbers of all images whose prompts can have the rarest of the short words in `words`; SQLite only.

    None if there is no such word, if it stands in too many prompts, or if the index cannot tell.
    """
    found = [_few(connection, part) for part in _parts(words) if len(part) < MIN_TRIGRAM_CHARS]
    known = sorted((few for few in found if few is not None), key=len)
    return tuple(sorted(known[0])) if known else None


_IN_TRIGRAMS = text("SELECT doc FROM images_text_terms WHERE term >= :first AND term < :end LIMIT :most")
_AT_ENDS = text("SELECT seq FROM images_text_ends WHERE ending >= :first AND ending < :end LIMIT :most")


def _few(connection: Connection, part: str) -> set[int] | None:
    # The index knows no case, as far as Unicode has one; the conditions know none of ASCII letters only.
    first, end = part.lower(), ord(part.lower()[-1]) + 1
    if not (part.isascii() or part.lower() == part.upper()) or end > sys.maxunicode or 0xD800 <= end <= 0xDFFF:
        return None
    span = {"first": first, "end": first[:-1] + chr(end), "most": MOST_FEW + 1}
    found: set[int] = set()
    for query in (_IN_TRIGRAMS, _AT_ENDS):
        numbers = connection.scalars(query, span).all()
        if len(numbers) > MOST_FEW:
            return None
        found.update(numbers)
    return found


def _parts(words: str) -> list[str]:
    parts = list(dict.fromkeys(words.split()))
    legal = not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in words)
    if not legal or len(words) > MAX_QUERY_CHARS or len(parts) > MAX_QUERY_WORDS:
        allowed = f"allowed is valid text of at most {MAX_QUERY_CHARS} characters and {MAX_QUERY_WORDS} words"
        raise InvalidRequest([FieldError("q", words, allowed)])
    return parts


def _indexed(parts: list[str], dialect: str) -> list[str]:
    return [part for part in parts if len(part) >= MIN_TRIGRAM_CHARS] if dialect == "sqlite" else []


def _matching(parts: list[str], seqs: tuple[int, int] | None) -> Select[tuple[int]]:
    match = " ".join('"' + part.replace('"', '""') + '"' for part in parts)
    index = table("images_text", column("rowid", Integer))
    found = select(index.c.rowid).where(text("images_text MATCH :match").bindparams(match=match))
    return found if seqs is None else found.where(index.c.rowid.between(*seqs))


def _has(of: FromClause, part: str, dialect: str) -> ColumnElement[bool]:
    # SQLite's LIKE takes no notice of the case of ASCII letters; lower() around it would cost twice the time again.
    if dialect == "sqlite":
        found: ColumnElement[bool] = of.c.prompt.contains(part, autoescape=True)
        return found
    return of.c.prompt.icontains(part, autoescape=True)
