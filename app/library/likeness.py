"""Pictures by what they show: a vector of each, kept beside its row, and all of them looked through for the nearest.

A vector is a signed byte for each number. Looking through 100,000 of 512 numbers takes about a quarter of a second and
a few megabytes: rows come in blocks, and only the best of each are kept.
"""

import heapq
from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select

from app.core.schema import SavedImage
from app.database import images, looks, reading, writing
from app.image_rows import image_of

BLOCK = 2048  # rows that are compared at a time


def not_looked_at(database: Engine, model: str, after: int, limit: int) -> tuple[list[str], int]:
    """Ids of images that `model` has not looked at, of the `limit` rows behind number `after`; the last row's number.

    The number is `after` itself if there is no further row.
    """
    with reading(database) as connection:
        rows = select(images.c.seq, images.c.id).where(images.c.seq > after).order_by(images.c.seq).limit(limit)
        found = connection.execute(rows).all()
        ids = [row.id for row in found]
        known = select(looks.c.image_id).where(looks.c.image_id.in_(ids), looks.c.model == model)
        done = set(connection.scalars(known))
    return [each for each in ids if each not in done], found[-1].seq if found else after


def keep(database: Engine, model: str, vectors: Mapping[str, bytes]) -> None:
    """Keep the vectors of images by their ids, in the place of older ones; of images that are gone, none."""
    with writing(database) as connection:
        there = list(connection.scalars(select(images.c.id).where(images.c.id.in_(list(vectors)))))
        connection.execute(delete(looks).where(looks.c.image_id.in_(there)))
        if there:
            rows = [{"image_id": each, "model": model, "vector": vectors[each]} for each in there]
            connection.execute(insert(looks), rows)


def forget(connection: Connection, image_id: str) -> None:
    """The image is deleted, in the same transaction."""
    connection.execute(delete(looks).where(looks.c.image_id == image_id))


def vector_of(database: Engine, model: str, image_id: str) -> bytes:
    """What is kept of an image; nothing if `model` has not looked at it."""
    wanted = select(looks.c.vector).where(looks.c.image_id == image_id, looks.c.model == model)
    with reading(database) as connection:
        return connection.scalar(wanted) or b""


def nearest(database: Engine, model: str, vector: bytes, limit: int) -> list[SavedImage]:
    """The images whose vectors point most nearly where `vector` points, the nearest first."""
    best: list[tuple[float, str]] = []
    query = select(looks.c.image_id, looks.c.vector).where(looks.c.model == model)
    with reading(database) as connection:
        sql = str(query.compile(dialect=database.dialect, compile_kwargs={"literal_binds": True}))
        rows = connection.connection.cursor()  # the driver's own: as values of SQLAlchemy rows take three times as long
        rows.execute(sql)
        while block := rows.fetchmany(BLOCK):
            best = heapq.nlargest(limit, [*best, *_nearest_of(block, vector, limit)])
        rows.close()
        ids = [image_id for _, image_id in best]
        found = connection.execute(select(images).where(images.c.id.in_(ids))).mappings().all()
    by_id = {row["id"]: image_of(row) for row in found}
    return [by_id[each] for each in ids if each in by_id]


def _nearest_of(block: Sequence[Any], vector: bytes, limit: int) -> list[tuple[float, str]]:
    """Cosine and id of the rows that come nearest, of those that can be compared."""
    import numpy as np  # takes a service memory that it needs for nothing else

    ids, vectors = zip(*block, strict=True)
    size = len(vector)
    fits = [len(each) == size for each in vectors]
    if not all(fits):
        ids, vectors = tuple(compress(ids, fits)), tuple(compress(vectors, fits))
    if not ids:
        return []
    numbers = np.frombuffer(b"".join(vectors), np.int8).reshape(len(ids), size).astype(np.float32)
    cosines = (
        numbers
        @ np.frombuffer(vector, np.int8).astype(np.float32)
        / (np.sqrt(np.einsum("ij,ij->i", numbers, numbers)) + 1e-6)
    )
    first = np.argpartition(cosines, -limit)[-limit:] if len(ids) > limit else range(len(ids))
    return [(float(cosines[place]), ids[place]) for place in first]
