"""Saved images: file and row, thumbnails, search, favourites, delete, rebuild. One folder a day below `folder`."""

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, select, update

from app.core.answers import Chain
from app.core.errors import DatabaseBusy, StorageUnavailable, UnknownImage
from app.core.pages import ListPage
from app.core.schema import Job, SavedImage, TrashedImage
from app.database import images, reading, writing
from app.engine.base import Picture
from app.image_rows import image_of
from app.input_rows import credentials_lost, made_by_machines
from app.inputs.upkeep import free_of_job
from app.library import files, likeness, trash, upkeep
from app.library import groups as grouping
from app.library import search as finding
from app.library.by_job import JobImages, jobs_with_images
from app.library.chain import chain_of
from app.library.room import LibraryRoom
from app.library.words import forget_words
from app.picture import png
from app.picture import thumbnail as small
from app.picture.recipe import stated
from app.storage import Folder, Store

DAY_S = 86_400.0
CREDENTIALS_LOST = "The picture it starts from had Content Credentials (C2PA); the new file has none."
logger = logging.getLogger(__name__)


class Library:
    """All saved images. Every method may be called by any thread; no path ever comes from a caller.

    Files are `<day>/<job id>-<index>.png` in `store`, UTC days; the folder `thumbnails` is a cache that may be deleted
    at any time. `room` knows how much of `max_bytes` is used. Deleted images can be had back for `trash_days`; 0 =
    there is no trash.
    """

    def __init__(
        self,
        database: Engine,
        store: Store,
        thumbnails: Path,
        *,
        max_bytes: int | None = None,
        trash_days: float = 0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._store = store
        self._thumbnails = Folder(thumbnails)
        self._trash_s = trash_days * DAY_S
        self._now = now
        self.room = LibraryRoom(database, store, max_bytes)

    def write(self, job: Job, picture: Picture) -> SavedImage:
        """The image of `picture`, its PNG durably on the disk. Its row is not: commit it with the job, or `discard`.

        Raises DiskFull or StorageUnavailable; no file is left then. A job that runs again writes under a new name, so
        an attempt that comes too late can neither overwrite nor discard the file of the one that won.
        """
        now = datetime.fromtimestamp(self._now(), UTC)
        image_id = str(uuid.uuid4())
        asked = stated(job.request, picture)
        made = {
            "image_id": image_id,
            "job_id": job.id,
            "index": picture.index,
            "seed": picture.seed,
            "origin": job.origin,
            "created_at": now.isoformat(),
            "request": asked.model_dump(mode="json"),
            "how": picture.how,
        }
        if job.request.inputs:
            machines, lost = self._of_inputs(job)
            made["composite"] = not machines
            if lost:
                made["how"] = {**picture.how, "notes": [*(picture.how.get("notes") or ()), CREDENTIALS_LOST]}
        data = png.encode(asked, picture.rgb, picture.width, picture.height, made, image_id=image_id)
        path = files.picture_path(self._today(), job.id, picture.index, job.attempt)
        self._store.write(path, data)
        return upkeep.image_from(asked, made, path=path, data=data, width=picture.width, height=picture.height)

    def check_storage(self, needed_bytes: int = 0) -> None:
        """Raise what `write` would raise now, for pictures that take `needed_bytes` at most. Tries it on the disk."""
        self._store.check_writable(self._today(), needed_bytes)

    def discard(self, image: SavedImage) -> None:
        """Remove a written file whose row was not committed. Idempotent."""
        self._store.remove(image.path)

    def get(self, id: str) -> SavedImage:
        """The image of one id. Raises UnknownImage."""
        with reading(self._database) as connection:
            row = connection.execute(select(images).where(images.c.id == id)).mappings().first()
        if row is None:
            raise UnknownImage(f"There is no image {id!r}.")
        return image_of(row)

    def open(self, id: str) -> bytes:
        """The bytes of the PNG file as it was saved. Raises UnknownImage, also if someone removed the file."""
        return self._read(self.get(id))

    def thumbnail(self, id: str, width: int, *, deleted: bool = False) -> bytes:
        """A WebP whose longer side is at most `width` (256 or 512). Raises UnknownImage, InvalidRequest.

        With `deleted` it is of an image in the trash.
        """
        image = trash.find(self._database, id) if deleted else self.get(id)
        path = _thumbnail_path(image.sha256, width)
        try:
            return self._thumbnails.read(path)
        except (FileNotFoundError, StorageUnavailable):
            pass  # it is only a cache
        data = small.thumbnail(self._read(image), width)
        try:
            self._thumbnails.write(path, data)
        except StorageUnavailable as error:
            logger.warning("A thumbnail of image %s is not kept: %s", id, error.message)
        return data

    def chain(self, id: str) -> Chain:
        """What an image was made from, and what it became. Raises UnknownImage."""
        return chain_of(self._database, self.get(id))

    def search(
        self,
        *,
        q: str | None = None,
        model: str | None = None,
        seed: int | None = None,
        favourite: bool | None = None,
        width: int | None = None,
        height: int | None = None,
        after: float | None = None,
        limit: int = 50,
        cursor: str | None = None,
        oldest: bool = False,
    ) -> ListPage[SavedImage]:
        """One page of images, newest first, or the `oldest`.

        `q`: words that the prompt has, parts of words and Chinese included.

        `after` is a moment, in seconds since 1970: images made then or later.

        Raises InvalidRequest for a limit outside 1 to 200, a cursor that is none, a `q` that no prompt can hold.
        """
        wanted = finding.Filter(q, model, seed, favourite, width, height, after)
        return finding.search(self._database, wanted, limit, cursor, oldest=oldest)

    def nearest(self, model: str, vector: bytes, limit: int) -> list[SavedImage]:
        """The images that look most like what `vector` stands for, the nearest first."""
        finding.check_limit(limit)
        return likeness.nearest(self._database, model, vector, limit)

    def look_of(self, model: str, id: str) -> bytes:
        """The vector of an image; nothing if `model` has not looked at it."""
        return likeness.vector_of(self._database, model, id)

    def not_looked_at(self, model: str, after: int, limit: int) -> tuple[list[str], int]:
        """Ids of images without a vector, of `limit` rows behind number `after`; and the number of the last of them."""
        return likeness.not_looked_at(self._database, model, after, limit)

    def keep_looks(self, model: str, vectors: Mapping[str, bytes]) -> None:
        """Keep vectors by image ids."""
        likeness.keep(self._database, model, vectors)

    def count(self, wanted: finding.Filter) -> int:
        """How many images fit. Raises InvalidRequest for a `q` that no prompt can hold."""
        return finding.count(self._database, wanted)

    def groups(
        self,
        *,
        q: str | None = None,
        model: str | None = None,
        favourite: bool | None = None,
        by: grouping.GroupBy = "prompt",
        limit: int = 20,
        cursor: str | None = None,
    ) -> ListPage[grouping.Group]:
        """One page of groups, the one with the newest image first: a prompt and model's images, or a job's.

        Only images that fit the filter count. Raises InvalidRequest as `search` does.
        """
        wanted = finding.Filter(q, model, None, favourite)
        return grouping.groups(self._database, wanted, by, limit, cursor)

    def by_job(self) -> Iterator[JobImages]:
        """Every job that is over and has images, the one with the newest image first. See `jobs_with_images`."""
        return jobs_with_images(self._database)

    def favourite(self, id: str, value: bool) -> SavedImage:
        """Mark or unmark an image; the image as it is then. Raises UnknownImage."""
        with writing(self._database) as connection:
            connection.execute(update(images).where(images.c.id == id).values(favourite=value))
        return self.get(id)

    def delete(self, id: str, *, forever: bool = False) -> None:
        """Put an image into the trash; or, `forever` or where there is no trash, remove it for good.

        For good go row, file, thumbnails, the words in the job, and with its last picture what the job started from.
        Idempotent: an unknown id is no error.

        The row goes first: after a crash in between there is a file without a row, which `collect_orphans` removes,
        and never a row without a file. Raises StorageUnavailable if the file cannot be removed; the row is back then.
        """
        if self._trash_s and not forever:
            with writing(self._database) as connection:
                trash.throw_away(connection, id, self._now())
            return
        with writing(self._database) as connection:
            taken = trash.take_out(connection, id)
            if taken is None:
                return
            row, back = taken
            undo = forget_words(connection, row["job_id"], id)
        try:
            self._store.remove(row["path"])
        except StorageUnavailable:
            with writing(self._database) as connection:
                for statement in (back, *undo):
                    connection.execute(statement)
            raise
        self.room.count_again()
        free_of_job(self._database, self._store, row["job_id"])
        for width in small.WIDTHS:
            self._thumbnails.remove(_thumbnail_path(row["sha256"], width))

    def trashed(self) -> list[TrashedImage]:
        """The deleted images that can still be had back, the latest first, at most 500."""
        return trash.listed(self._database)

    def restore(self, id: str) -> SavedImage:
        """A deleted image, back in the library. Raises UnknownImage if it is not in the trash."""
        return trash.restore(self._database, id)

    def empty_trash(self, *, all: bool = False) -> int:
        """Remove for good what has been in the trash for as long as it may, or `all`; how many images.

        Each image is its own commit. Raises StorageUnavailable as `delete` does.
        """
        before, removed = self._now() - (0 if all else self._trash_s), 0
        while ids := trash.deleted_before(self._database, before):
            for id in ids:
                self.delete(id, forever=True)
            removed += len(ids)
        return removed

    def rebuild(self, on_progress: upkeep.OnProgress | None = None) -> upkeep.RebuildReport:
        """Give every picture file without a row its row back. See `upkeep.rebuild`."""
        return upkeep.rebuild(self._database, self._store, on_progress)

    def collect_orphans(self, min_age_s: float = 3600) -> int:
        """Remove what a crash left and is older than `min_age_s`; how many files. See `upkeep.collect_orphans`."""
        before = self._now() - min_age_s
        return upkeep.collect_orphans(self._database, self._store, self._thumbnails.root, before=before)

    def _of_inputs(self, job: Job) -> tuple[bool, bool]:
        """Of what the job started from: is all of it known to be AI's, and had a file Content Credentials?

        What cannot be asked now is not known.
        """
        try:
            with reading(self._database) as connection:
                return made_by_machines(connection, job.request), credentials_lost(connection, job.request)
        except DatabaseBusy:
            return False, False

    def _today(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).date().isoformat()

    def _read(self, image: SavedImage) -> bytes:
        try:
            return self._store.read(image.path)
        except FileNotFoundError as error:
            raise UnknownImage(f"The file of image {image.id!r} is gone: {image.path}.") from error


def _thumbnail_path(sha256: str, width: int) -> str:
    return f"{sha256[:2]}/{sha256}-{width}.webp"
