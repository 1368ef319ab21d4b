"""Finding images: pages of single images and of groups, newest first, by cursor."""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Engine, and_, false, func, or_, select, tuple_

from app.core.errors import FieldError, InvalidRequest
from app.core.pages import ListPage
from app.core.schema import SavedImage
from app.database import images, reading
from app.image_rows import image_of
from app.library.full_text import prompt_has

MAX_LIMIT = 200
MAX_GROUP_IMAGES = 64  # shown of one group; `count` says how many there are
NEWEST_FIRST = (images.c.created_at.desc(), images.c.seq.desc())
GroupBy = Literal["prompt", "job"]


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

    def where(self, dialect: str) -> list[ColumnElement[bool]]:
        """The conditions in SQL. Raises InvalidRequest for a `q` that no prompt can hold."""
        conditions = [
            images.c[name] == value
            for name in ("model", "seed", "favourite", "width", "height")
            if (value := getattr(self, name)) is not None
        ]
        if self.after is not None:
            conditions.append(images.c.created_at >= self.after)
        if self.q and self.q.strip():
            conditions.append(prompt_has(self.q, dialect))
        return conditions


@dataclass(frozen=True)
class Group:
    """Images of one prompt and model (or of one job), newest first, at most 64 of `count`.

    `seconds` is the working time of all `count` images together, None if no file says it; `created_at` and `job_id`
    are the newest image's.
    """

    prompt: str
    model: str
    seconds: float | None
    created_at: datetime
    images: tuple[SavedImage, ...]
    job_id: str
    count: int


def search(database: Engine, wanted: Filter, limit: int, cursor: str | None) -> ListPage[SavedImage]:
    """One page of single images, the newest first. Raises InvalidRequest for a wrong limit or cursor."""
    _check_limit(limit)
    # Narrow first: a sort that carries whole rows, recipes included, costs ten times as much.
    places = select(images.c.seq).where(*wanted.where(database.dialect.name)).order_by(*NEWEST_FIRST).limit(limit + 1)
    if cursor is not None:
        places = places.where(tuple_(images.c.created_at, images.c.seq) < tuple_(*_decode(cursor)))
    query = select(images).where(images.c.seq.in_(places)).order_by(*NEWEST_FIRST)
    with reading(database) as connection:
        rows = connection.execute(query).mappings().all()
    shown = rows[:limit]
    more = len(rows) > limit
    return ListPage(
        tuple(image_of(row) for row in shown),
        _encode(shown[-1]["created_at"], shown[-1]["seq"]) if more else None,
    )


def count(database: Engine, wanted: Filter) -> int:
    """How many images fit."""
    with reading(database) as connection:
        where = wanted.where(database.dialect.name)
        return connection.scalar(select(func.count()).select_from(images).where(*where)) or 0


def groups(database: Engine, wanted: Filter, by: GroupBy, limit: int, cursor: str | None) -> ListPage[Group]:
    """One page of groups, the one with the newest image first. Raises InvalidRequest for a wrong limit or cursor."""
    _check_limit(limit)
    where = wanted.where(database.dialect.name)
    key = (images.c.job_id,) if by == "job" else (images.c.prompt, images.c.model)
    newest, last = func.max(images.c.created_at), func.max(images.c.seq)
    query = (
        select(*key, newest.label("newest"), last.label("last"), func.count().label("count"))
        .add_columns(func.sum(images.c.seconds).label("total_seconds"))
        .where(*where)
        .group_by(*key)
        .order_by(newest.desc(), last.desc())
        .limit(limit + 1)
    )
    if cursor is not None:
        query = query.having(tuple_(newest, last) < tuple_(*_decode(cursor)))
    names = [column.name for column in key]
    with reading(database) as connection:
        rows = connection.execute(query).mappings().all()
        shown = rows[:limit]
        place = func.row_number().over(partition_by=key, order_by=NEWEST_FIRST).label("place")
        same = or_(false(), *(and_(*(images.c[name] == row[name] for name in names)) for row in shown))
        ranked = select(images.c.seq, place).where(same, *where).subquery()
        first = select(ranked.c.seq).where(ranked.c.place <= MAX_GROUP_IMAGES)
        members = select(images).where(images.c.seq.in_(first)).order_by(*NEWEST_FIRST)
        found: dict[tuple[Any, ...], list[SavedImage]] = {}
        for row in connection.execute(members).mappings() if shown else ():
            found.setdefault(tuple(row[name] for name in names), []).append(image_of(row))
    items = tuple(_group(row, found[tuple(row[name] for name in names)]) for row in shown)
    return ListPage(items, _encode(shown[-1]["newest"], shown[-1]["last"]) if len(rows) > limit else None)


def _group(row: Any, members: list[SavedImage]) -> Group:
    first = members[0]
    newest = datetime.fromtimestamp(row["newest"], UTC)
    return Group(first.prompt, first.model, row["total_seconds"], newest, tuple(members), first.job_id, row["count"])


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest([FieldError("limit", limit, f"allowed is 1 to {MAX_LIMIT}")])


def _encode(at: float, seq: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([at, seq]).encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[float, int]:
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        at, seq = values
        if isinstance(at, float) and type(seq) is int and abs(seq) < 2**63 and at == at:
            return at, seq
    except (ValueError, TypeError, binascii.Error, RecursionError):
        pass
    raise InvalidRequest([FieldError("cursor", cursor, "allowed is the `next` of a page before")])
