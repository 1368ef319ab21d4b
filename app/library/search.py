"""Finding images: pages of them, newest first, by cursor."""

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, FromClause, func, select, tuple_

from app.core.errors import FieldError, InvalidRequest
from app.core.pages import ListPage
from app.core.schema import SavedImage
from app.database import images, reading
from app.image_rows import image_of
from app.library.full_text import few_with, index_of, prompt_has

MAX_LIMIT = 200
NEWEST_FIRST = (images.c.created_at.desc(), images.c.seq.desc())
OLDEST_FIRST = (images.c.created_at.asc(), images.c.seq.asc())


# How many of the newest images are looked through for words before all are: finding a frequent word everywhere and then
# sorting takes a second in a million, and here it is found at once.
WINDOWS = (5_000, 100_000)


@dataclass(frozen=True)
class Window:
    """The images made after a moment: the numbers of all of them lie between `seqs`, and are `among` these if given."""

    after: float
    seqs: tuple[int, int]
    among: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Filter:
    """Which images: every condition that is not None must hold.

    `q` is words of the prompt; `after` a moment in seconds since 1970, of the first image that fits.
    """

    q: str | None = None
    model: str | None = None
    seed: int | None = None
    favourite: bool | None = None
    width: int | None = None
    height: int | None = None
    after: float | None = None

    def where(self, dialect: str, of: FromClause = images, within: Window | None = None) -> list[ColumnElement[bool]]:
        """The conditions in SQL on `images`, or on an alias of it. Raises InvalidRequest for a wrong `q`."""
        conditions = [
            of.c[name] == value
            for name in ("model", "seed", "favourite", "width", "height")
            if (value := getattr(self, name)) is not None
        ]
        if self.after is not None:
            conditions.append(of.c.created_at >= self.after)
        if within is not None:
            conditions += [of.c.created_at > within.after, of.c.seq.between(*within.seqs)]
        if within is not None and within.among is not None:
            conditions.append(of.c.seq.in_(within.among))
        if self.words:
            conditions.append(prompt_has(self.words, dialect, of, within.seqs if within else None))
        return conditions

    @property
    def words(self) -> str:
        """`q`, or nothing for one without a word."""
        return self.q if self.q and self.q.strip() else ""


def search(
    database: Engine, wanted: Filter, limit: int, cursor: str | None, *, oldest: bool = False
) -> ListPage[SavedImage]:
    """One page of single images, newest first, or the `oldest`. Raises InvalidRequest for a wrong limit or cursor."""
    check_limit(limit)
    dialect = database.dialect.name
    place, order = tuple_(images.c.created_at, images.c.seq), OLDEST_FIRST if oldest else NEWEST_FIRST
    before = None
    if cursor is not None:
        before = place > tuple_(*decode(cursor)) if oldest else place < tuple_(*decode(cursor))
    with reading(database) as connection:
        for window in [_few(connection, wanted)] if oldest else windows(connection, wanted, before):
            # Narrow first: a sort that carries whole rows, recipes included, costs ten times as much.
            places = select(images.c.seq).where(*wanted.where(dialect, within=window))
            places = places.order_by(*order).limit(limit + 1)
            if before is not None:
                places = places.where(before)
            query = select(images).where(images.c.seq.in_(places)).order_by(*order)
            rows = connection.execute(query).mappings().all()
            if len(rows) > limit:
                break
    shown = rows[:limit]
    more = len(rows) > limit
    return ListPage(
        tuple(image_of(row) for row in shown),
        encode(shown[-1]["created_at"], shown[-1]["seq"]) if more else None,
    )


def windows(connection: Connection, wanted: Filter, before: ColumnElement[bool] | None) -> Iterator[Window | None]:
    """Where to look for words, one after the other until a page is full: among the newest, then (None) everywhere."""
    dialect = connection.dialect.name
    by_row = bool(wanted.words) and index_of(wanted.words, dialect) is None
    for number in WINDOWS[: 1 if by_row else None] if wanted.words and dialect == "sqlite" else ():
        newest = select(images.c.created_at, images.c.seq).order_by(*NEWEST_FIRST).limit(number)
        newest = newest if before is None else newest.where(before)
        ends = newest.subquery()
        query = select(func.count(), func.min(ends.c.created_at), func.min(ends.c.seq), func.max(ends.c.seq))
        count, after, low, high = connection.execute(query).one()
        if count < number:
            break
        yield Window(after, (low, high))
    yield _few(connection, wanted)


def _few(connection: Connection, wanted: Filter) -> Window | None:
    """Everywhere: but where a short word is rare, only the images that may have it."""
    few = few_with(connection, wanted.words) if wanted.words and connection.dialect.name == "sqlite" else None
    return None if few is None else Window(-1.0, (min(few, default=0), max(few, default=0)), few)


def count(database: Engine, wanted: Filter) -> int:
    """How many images fit."""
    dialect = database.dialect.name
    with reading(database) as connection:
        where = wanted.where(dialect, within=_few(connection, wanted))
        query = select(func.count()).select_from(images).where(*where)
        if wanted == Filter(wanted.q) and (found := index_of(wanted.words, dialect)) is not None:
            query = select(func.count()).select_from(found.subquery())  # ten times as quick as with their rows
        return connection.scalar(query) or 0


def check_limit(limit: int) -> None:
    """Raise InvalidRequest for a page of another length than 1 to 200."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest([FieldError("limit", limit, f"allowed is 1 to {MAX_LIMIT}")])


def encode(at: float, seq: int) -> str:
    """The cursor behind an image: its time and number."""
    return base64.urlsafe_b64encode(json.dumps([at, seq]).encode()).decode().rstrip("=")


def decode(cursor: str) -> tuple[float, int]:
    """Time and number of the image that a cursor stands behind. Raises InvalidRequest for text that is no cursor."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        at, seq = values
        if isinstance(at, float) and type(seq) is int and abs(seq) < 2**63 and at == at:
            return at, seq
    except (ValueError, TypeError, binascii.Error, RecursionError):
        pass
    raise InvalidRequest([FieldError("cursor", cursor, "allowed is the `next` of a page before")])
