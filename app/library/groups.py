"""Images in groups, the group with the newest image first: of one prompt and model, or of one job."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Column, Connection, Engine, Select, and_, exists, false, func, or_, select, tuple_

from app.core.pages import ListPage
from app.core.schema import SavedImage
from app.database import images, reading
from app.image_rows import image_of
from app.library.search import NEWEST_FIRST, Filter, Window, check_limit, decode, encode, windows

MAX_GROUP_IMAGES = 64  # shown of one group; `count` says how many there are
GroupBy = Literal["prompt", "job"]
Key = tuple[Column[Any], ...]
BY_JOB: Key = (images.c.job_id,)
BY_PROMPT: Key = (images.c.prompt, images.c.model)


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


def groups(database: Engine, wanted: Filter, by: GroupBy, limit: int, cursor: str | None) -> ListPage[Group]:
    """One page of groups, the one with the newest image first. Raises InvalidRequest for a wrong limit or cursor."""
    check_limit(limit)
    key = BY_JOB if by == "job" else BY_PROMPT
    after = None if cursor is None else decode(cursor)
    sqlite = database.dialect.name == "sqlite"
    before = None if after is None else tuple_(images.c.created_at, images.c.seq) < tuple_(*after)
    with reading(database) as connection:
        for window in windows(connection, wanted, before):
            newest = _walking(wanted, key, after, window) if sqlite else _sorting(wanted, key, after)
            rows = connection.execute(newest.limit(limit + 1)).all()
            if len(rows) > limit:
                break
        shown = rows[:limit]
        keys = [tuple(row[2:]) for row in shown]
        totals, members = _members(connection, wanted, key, keys)
    items = tuple(
        _group(members[values], totals[values], datetime.fromtimestamp(row[0], UTC))
        for row, values in zip(shown, keys, strict=True)
    )
    return ListPage(items, encode(shown[-1][0], shown[-1][1]) if len(rows) > limit else None)


def _walking(wanted: Filter, key: Key, after: tuple[float, int] | None, window: Window | None) -> Select[Any]:
    """Time and number of each group's newest image, and its key: those images that no newer one of their group follows.

    SQLite walks down the index of times and looks each image's group up in the group's own index, so that the first
    page of a million costs what the first page of a thousand does.
    """
    newer = images.alias("newer")
    later = tuple_(newer.c.created_at, newer.c.seq) > tuple_(images.c.created_at, images.c.seq)
    same = [newer.c[column.name] == column for column in key]
    # Said twice, because an index is looked up by the first alone.
    sooner = newer.c.created_at >= images.c.created_at
    others = select(newer.c.seq).where(*same, sooner, later, *_within(wanted, key).where("sqlite", newer))
    follows = exists(
        others.with_hint(newer, "INDEXED BY " + ("ix_images_job_id" if key is BY_JOB else "images_by_prompt"))
    )
    fits = wanted.where("sqlite", within=window)
    query = select(images.c.created_at, images.c.seq, *key).where(*fits, ~follows)
    if after is not None:
        query = query.where(tuple_(images.c.created_at, images.c.seq) < tuple_(*after))
    return query.order_by(*NEWEST_FIRST)


def _within(wanted: Filter, key: Key) -> Filter:
    """What is left of a filter inside a group that fits: where the prompt is the key, its words are those of all."""
    return wanted if key is BY_JOB else replace(wanted, q=None)


def _sorting(wanted: Filter, key: Key, after: tuple[float, int] | None) -> Select[Any]:
    """The same for PostgreSQL, which has no index of prompts: all groups are made, then sorted."""
    newest, last = func.max(images.c.created_at), func.max(images.c.seq)
    query = select(newest, last, *key).where(*wanted.where("postgresql")).group_by(*key)
    if after is not None:
        query = query.having(tuple_(newest, last) < tuple_(*after))
    return query.order_by(newest.desc(), last.desc())


def _members(
    connection: Connection, wanted: Filter, key: Key, keys: Sequence[tuple[Any, ...]]
) -> tuple[dict[tuple[Any, ...], tuple[int, float | None]], dict[tuple[Any, ...], list[SavedImage]]]:
    """Number and working time of these groups' images, and the first of the images themselves."""
    where = _within(wanted, key).where(connection.dialect.name)
    same = or_(
        false(), *(and_(*(column == value for column, value in zip(key, values, strict=True))) for values in keys)
    )
    sums = select(*key, func.count(), func.sum(images.c.seconds)).where(same, *where).group_by(*key)
    totals = {tuple(row[:-2]): (row[-2], row[-1]) for row in connection.execute(sums)}
    place = func.row_number().over(partition_by=key, order_by=NEWEST_FIRST).label("place")
    ranked = select(images.c.seq, place).where(same, *where).subquery()
    first = select(ranked.c.seq).where(ranked.c.place <= MAX_GROUP_IMAGES)
    members: dict[tuple[Any, ...], list[SavedImage]] = {}
    for row in connection.execute(select(images).where(images.c.seq.in_(first)).order_by(*NEWEST_FIRST)).mappings():
        members.setdefault(tuple(row[column.name] for column in key), []).append(image_of(row))
    return totals, members


def _group(members: list[SavedImage], total: tuple[int, float | None], newest: datetime) -> Group:
    first, (count, seconds) = members[0], total
    return Group(first.prompt, first.model, seconds, newest, tuple(members), first.job_id, count)
