"""Freeing pictures that nothing names any more, and giving those back their rows that a lost database knew."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection, Engine, delete, exists, func, insert, select
from sqlalchemy.exc import IntegrityError

from app.core.control import pictures_of
from app.core.errors import UnreadablePicture
from app.core.schema import GenerationRequest
from app.database import clock, inputs, job_inputs, jobs, reading, writing
from app.input_rows import known_inputs, let_go
from app.inputs import files
from app.picture import outside
from app.storage import Store

GRACE_S = 3600.0  # for a picture whose job is on its way
_COLOUR_TYPE = 25  # the byte of a PNG file that says it: https://www.w3.org/TR/png-3/#11IHDR
_MODES = {0: "L", 2: "RGB", 6: "RGBA"}
BATCH = 100  # freed in one transaction: others want to write meanwhile


def free_unused(database: Engine, store: Store, min_age_s: float = GRACE_S) -> int:
    """Remove every picture that no open job and no saved picture names; how many. Raises StorageUnavailable.

    Those that were uploaded less than `min_age_s` ago stay. So do files without a row that are older than anything in
    this database: they belong to one that was lost, and wait for `rebuild`.
    """
    freed = 0
    with writing(database) as connection:
        let_go(connection)
    while True:
        with reading(database) as connection:
            batch = _unused(connection, clock(connection) - min_age_s).limit(BATCH)
            hashes = list(connection.scalars(batch))
        if not hashes:
            break
        removed = _free(database, store, hashes, min_age_s)
        freed += removed
        if not removed:  # all of them found a job meanwhile
            break
    _collect_orphans(database, store, min_age_s)
    return freed


def free_of_job(database: Engine, store: Store, job_id: str, min_age_s: float = GRACE_S) -> None:
    """A picture of this job was deleted: free what only it had held. Raises StorageUnavailable."""
    with writing(database) as connection:
        held = select(job_inputs.c.sha256).where(job_inputs.c.job_id == job_id)
        hashes = list(connection.scalars(held))
        if hashes:
            let_go(connection, job_id)
    if hashes:
        _free(database, store, hashes, min_age_s)


def restore(connection: Connection, store: Store, job_id: str, request: GenerationRequest) -> None:
    """A saved picture's row came back from its file: so do those of the pictures that it was made from, if here."""
    for sha256 in sorted(pictures_of(request)):
        if not known_inputs(connection, [sha256]) and not _restored(connection, store, sha256):
            continue
        held = (job_inputs.c.job_id == job_id, job_inputs.c.sha256 == sha256)
        if connection.scalar(select(func.count()).select_from(job_inputs).where(*held)) == 0:
            connection.execute(insert(job_inputs).values(job_id=job_id, sha256=sha256))


def _restored(connection: Connection, store: Store, sha256: str) -> bool:
    try:
        data = store.read(files.input_path(sha256))
        if hashlib.sha256(data).hexdigest() != sha256:
            return False
        file = outside.read(data)
    except (FileNotFoundError, UnreadablePicture):
        return False
    values = {
        "sha256": sha256,
        "width": file.width,
        "height": file.height,
        "mode": _MODES.get(data[_COLOUR_TYPE], "RGB"),
    }
    connection.execute(insert(inputs).values(**values, bytes=len(data), said={}, uploaded_at=clock(connection)))
    return True


def _unused(connection: Connection, before: float):  # type: ignore[no-untyped-def]
    held = exists().where(job_inputs.c.sha256 == inputs.c.sha256)
    return select(inputs.c.sha256).where(inputs.c.uploaded_at < before, ~held).order_by(inputs.c.uploaded_at)


def _free(database: Engine, store: Store, hashes: Sequence[str], min_age_s: float) -> int:
    try:
        with writing(database) as connection:
            before = clock(connection) - min_age_s
            unheld = ~exists().where(job_inputs.c.sha256 == inputs.c.sha256)
            gone = delete(inputs).where(inputs.c.sha256.in_(hashes), inputs.c.uploaded_at < before, unheld)
            freed = list(connection.scalars(gone.returning(inputs.c.sha256)))
            # Before the commit, so that whoever uploads the same picture meanwhile finds out that it is gone.
            for sha256 in freed:
                store.remove(files.input_path(sha256))
    except IntegrityError:  # on PostgreSQL: a job took one of them meanwhile; the next pass frees the others
        return 0
    return len(freed)


def _collect_orphans(database: Engine, store: Store, min_age_s: float) -> None:
    with reading(database) as connection:
        known, now = set(connection.scalars(select(inputs.c.sha256))), clock(connection)
        oldest = [
            connection.scalar(select(jobs.c.created_at).order_by(jobs.c.seq).limit(1)),
            connection.scalar(select(func.min(inputs.c.uploaded_at))),
        ]
    born = min((moment for moment in oldest if moment is not None), default=now)
    for path, modified in files.temporaries(store):
        if modified < now - min_age_s:
            store.remove(path)
    for sha256, modified in files.pictures(store):
        if sha256 in known or not born <= modified < now - min_age_s:
            continue
        with writing(database) as connection:  # nobody gives it a row meanwhile
            if not known_inputs(connection, [sha256]):
                store.remove(files.input_path(sha256))
