"""The trash: deleted pictures that can still come back. Only rows move; a picture's file stays where it is."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Insert, delete, insert, select
from sqlalchemy.exc import IntegrityError

from app.core.errors import UnknownImage
from app.core.schema import SavedImage, TrashedImage
from app.database import images, reading, trash, writing
from app.image_rows import image_of
from app.library.likeness import forget

MAX_LISTED = 500


def throw_away(connection: Connection, id: str, now: float) -> bool:
    """Move an image's row into the trash; False if there is no such image."""
    row = connection.execute(delete(images).where(images.c.id == id).returning(images)).mappings().first()
    if row is None:
        return False
    forget(connection, id)
    kept = {name: value for name, value in row.items() if name != "seq"}
    known = {name: row[name] for name in ("id", "job_id", "path", "bytes")}
    connection.execute(insert(trash).values(**known, image=kept, deleted_at=now))
    return True


def restore(database: Engine, id: str) -> SavedImage:
    """The image, back in the library. Raises UnknownImage if it is not in the trash or was made again meanwhile."""
    with writing(database) as connection:
        row = connection.execute(delete(trash).where(trash.c.id == id).returning(trash.c.image)).scalar()
        if row is None:
            raise UnknownImage(f"There is no image {id!r} in the trash.")
        try:
            connection.execute(insert(images).values(**row))
        except IntegrityError as error:
            raise UnknownImage(f"The image {id!r} was made again since it was deleted.") from error
    return image_of(row)


def find(database: Engine, id: str) -> SavedImage:
    """An image that is in the trash. Raises UnknownImage."""
    with reading(database) as connection:
        row = connection.execute(select(trash.c.image).where(trash.c.id == id)).scalar()
    if row is None:
        raise UnknownImage(f"There is no image {id!r} in the trash.")
    return image_of(row)


def take_out(connection: Connection, id: str) -> tuple[dict[str, Any], Insert] | None:
    """An image's values, its row gone from library and trash alike, and what would put that row back; None if unknown.

    The row's number in the table is a new one then.
    """
    for table in (images, trash):
        row = connection.execute(delete(table).where(table.c.id == id).returning(table)).mappings().first()
        if row is not None:
            forget(connection, id)
            values = {name: value for name, value in row.items() if name != "seq"}
            return dict(row.get("image", values)), insert(table).values(**values)
    return None


def listed(database: Engine, limit: int = MAX_LISTED) -> list[TrashedImage]:
    """What is in the trash, the latest first."""
    found = select(trash.c.image, trash.c.deleted_at).order_by(trash.c.deleted_at.desc(), trash.c.id).limit(limit)
    with reading(database) as connection:
        rows = connection.execute(found).all()
    return [
        TrashedImage(**dict(image_of(row.image)), deleted_at=datetime.fromtimestamp(row.deleted_at, UTC))
        for row in rows
    ]


def deleted_before(database: Engine, moment: float, limit: int = MAX_LISTED) -> list[str]:
    """The ids of images that were thrown away at `moment` (seconds since 1970) or earlier."""
    with reading(database) as connection:
        return list(connection.scalars(select(trash.c.id).where(trash.c.deleted_at <= moment).limit(limit)))
