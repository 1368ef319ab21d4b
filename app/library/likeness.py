"""Pictures by what they show: a vector of each, kept beside its row, and all of them looked through for the nearest.

A vector is a signed byte for each number. Looking through 100,000 of 640 numbers takes about a fifth of a second and a
few megabytes: the database hands them over in blocks, one after the other in one piece, and only the best of each are
kept.
"""

import heapq
from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, Engine, delete, insert, select, text

from app.core.schema import SavedImage
from app.database import images, looks, reading, writing
from app.image_rows import image_of

BLOCK = 1024  # rows that are compared at a time
# By rowid, which is the order in the file. What is put together as text is made bytes again as it is.
SQLITE_BLOCK = text(
    "SELECT group_concat(image_id, ' '), CAST(group_concat(vector, '') AS BLOB) FROM looks"
    " WHERE rowid BETWEEN :first AND :last AND model = :model AND length(vector) = :size"
)
POSTGRES_BLOCK = text(
    "SELECT string_agg(image_id, ' '), string_agg(vector, CAST('' AS bytea)), max(image_id) FROM"
    " (SELECT image_id, vector FROM looks WHERE model = :model AND length(vector) = :size AND image_id > :after"
    " ORDER BY image_id LIMIT :block) AS block"
)


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
    with reading(database) as connection:
        for ids, vectors in _blocks(connection, model, len(vector)):
            best = heapq.nlargest(limit, [*best, *_nearest_of(ids, vectors, vector, limit)])
        ids = [image_id for _, image_id in best]
        found = connection.execute(select(images).where(images.c.id.in_(ids))).mappings().all()
    by_id = {row["id"]: image_of(row) for row in found}
    return [by_id[each] for each in ids if each in by_id]


def _blocks(connection: Connection, model: str, size: int) -> Iterator[tuple[list[str], bytes]]:
    """Every image that `model` has a vector of `size` bytes of: some ids at a time, and their vectors in one piece."""
    same = {"model": model, "size": size}
    if connection.dialect.name == "sqlite":
        last = connection.scalar(text("SELECT max(rowid) FROM looks")) or 0
        for first in range(1, last + 1, BLOCK):
            within = {"first": first, "last": first + BLOCK - 1}
            ids, vectors = connection.execute(SQLITE_BLOCK, same | within).one()
            if ids:
                yield ids.split(), vectors
        return
    after = ""
    while after is not None:
        ids, vectors, after = connection.execute(POSTGRES_BLOCK, same | {"after": after, "block": BLOCK}).one()
        if ids:
            yield ids.split(), vectors


def _nearest_of(ids: list[str], vectors: bytes, vector: bytes, limit: int) -> list[tuple[float, str]]:
    """Cosine and id of those that come nearest."""
    import numpy as np  # takes a service memory that it needs for nothing else

    numbers = np.frombuffer(vectors, np.int8).reshape(len(ids), len(vector)).astype(np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", numbers, numbers)) + 1e-6
    # Not `@`, whose threads wait for each other: beside an engine at work that takes ten times as long.
    cosines = np.einsum("ij,j->i", numbers, np.frombuffer(vector, np.int8).astype(np.float32)) / lengths
    first = np.argpartition(cosines, -limit)[-limit:] if len(ids) > limit else range(len(ids))
    return [(float(cosines[place]), ids[place]) for place in first]
