"""Keeping rows and files in step: rows restored from the files alone, files removed that no row will ever name."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.core.errors import StorageUnavailable, UnreadablePicture
from app.core.schema import GenerationRequest, JobState, SavedImage
from app.database import images, jobs, reading, trash, writing
from app.image_rows import image_row
from app.inputs.upkeep import restore as restore_inputs
from app.library import files
from app.picture import png, recipe
from app.storage import Store

logger = logging.getLogger(__name__)
_BATCH = 500
OnProgress = Callable[[int, int], object]


@dataclass(frozen=True)
class RebuildReport:
    """What `rebuild` found: `files` looked at = restored + kept + doubled + unreadable.

    `kept` had their row already, `doubled` are a second file of the same image (an attempt that crashed after
    writing), `unreadable` names the files that are torn or carry no recipe of ours.
    """

    files: int = 0
    restored: int = 0
    kept: int = 0
    doubled: int = 0
    unreadable: tuple[str, ...] = ()


def rebuild(database: Engine, store: Store, on_progress: OnProgress | None = None) -> RebuildReport:
    """Give every picture file without a row its row back, from the recipe in the file alone.

    Rows that are there are not touched, so favourites stay; a favourite whose row is lost is lost, because files
    are never written again. What is in the trash stays there. Safe to run at any time and to run again after a crash:
    each row is its own commit. `on_progress` is told after every 500 files how many of how many were looked at.
    """
    with reading(database) as connection:
        known = {path for table in (images, trash) for path in connection.execute(select(table.c.path)).scalars()}
    counts = {"files": 0, "restored": 0, "kept": 0, "doubled": 0}
    unreadable: list[str] = []
    # The last attempt of an image first: it is the one whose row was committed.
    there = sorted(files.pictures(store), key=lambda found: (found.path[:10], -found.attempt, found.path))
    for found in there:
        if on_progress is not None and counts["files"] % _BATCH == 0:
            on_progress(counts["files"], len(there))
        counts["files"] += 1
        if found.path in known:
            counts["kept"] += 1
            continue
        try:
            image = _image_in(store, found.path)
        except (UnreadablePicture, FileNotFoundError, StorageUnavailable) as error:
            logger.warning("cannot restore %s: %s", found.path, error)
            unreadable.append(found.path)
            continue
        counts["restored" if _restore(database, store, image) else "doubled"] += 1
    return RebuildReport(**counts, unreadable=tuple(unreadable))


def collect_orphans(database: Engine, store: Store, thumbnails: Path, *, before: float) -> int:
    """Remove temporary files, pictures without a row and thumbnails without a picture, last written before `before`.

    A picture is removed only if its job is in this database and not running: files of another database, or of one
    that was lost, wait for `rebuild`. Returns how many files were removed.
    """
    doomed = [path for path, modified in files.temporaries(store) if modified < before]
    old = (found for found in files.pictures(store) if found.modified < before)
    while batch := list(islice(old, _BATCH)):
        doomed += _without_row(database, batch)
    for path in doomed:
        store.remove(path)
    return len(doomed) + _collect_thumbnails(database, thumbnails, before)


def _without_row(database: Engine, batch: list[files.Found]) -> Iterator[str]:
    paths = [found.path for found in batch]
    job_ids = {found.job_id for found in batch}
    with reading(database) as connection:
        ended = select(jobs.c.id).where(jobs.c.id.in_(job_ids), jobs.c.state != JobState.RUNNING)
        ours = set(connection.execute(ended).scalars())
        named = [select(table.c.path).where(table.c.path.in_(paths)) for table in (images, trash)]
        known = {path for wanted in named for path in connection.execute(wanted).scalars()}
    return (found.path for found in batch if found.path not in known and found.job_id in ours)


def _collect_thumbnails(database: Engine, folder: Path, before: float) -> int:
    removed = 0
    cached = (file for file in folder.glob("??/*") if not file.is_symlink() and file.stat().st_mtime < before)
    while batch := list(islice(cached, _BATCH)):
        hashes = {file.name[:64] for file in batch}
        with reading(database) as connection:
            alive = set(connection.execute(select(images.c.sha256).where(images.c.sha256.in_(hashes))).scalars())
        for file in batch:
            if file.name[:64] not in alive:
                file.unlink(missing_ok=True)
                removed += 1
    return removed


def _image_in(store: Store, path: str) -> SavedImage:
    data = store.read(path)
    seen = png.inspect(data)
    if seen.recipe is None:
        raise UnreadablePicture("It carries no recipe of ours.")
    request = recipe.request_of(seen.recipe)
    return image_from(request, seen.recipe, path=path, data=data, width=seen.width, height=seen.height)


def image_from(
    request: GenerationRequest, made: dict[str, Any], *, path: str, data: bytes, width: int, height: int
) -> SavedImage:
    """The image of a request's recipe and the file's bytes that carry it.

    Raises UnreadablePicture if a value is missing.
    """
    try:
        return SavedImage(
            id=made["image_id"],
            job_id=made["job_id"],
            index=made["index"],
            seed=made["seed"],
            width=width,
            height=height,
            path=path,
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            model=request.model or "",
            origin=made["origin"],
            seconds=made["how"].get("seconds"),
            created_at=datetime.fromisoformat(made["created_at"]).astimezone(UTC),
            recipe=made,
        )
    except (TypeError, ValueError) as error:
        raise UnreadablePicture(f"The recipe in this file is not valid: {error}") from error


def _restore(database: Engine, store: Store, image: SavedImage) -> bool:
    """Insert the row; False if the image has one already under another file that is still there."""
    try:
        with writing(database) as connection:
            connection.execute(insert(images).values(**image_row(image)))
            restore_inputs(connection, store, image.job_id, recipe.request_of(image.recipe))
    except IntegrityError:
        with writing(database) as connection:
            path = connection.execute(select(images.c.path).where(images.c.id == image.id)).scalar()
            if path is None or store.has(path):
                return False
            # The file was moved to another day's folder: the row follows it.
            moved = update(images).where(images.c.id == image.id).values(path=image.path, sha256=image.sha256)
            connection.execute(moved)
    return True
