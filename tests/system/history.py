"""The history checker: what the clients were promised, against what is in the table, the library and the folder."""

import hashlib
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from PIL import Image
from sqlalchemy import select

from app.core.schema import GenerationRequest, Job, JobState
from app.database import events, images, jobs, open_database, trash
from app.library import Library
from app.storage import Folder, Store
from tests.buckets import UNFINISHED

Draw = Callable[[GenerationRequest, int], bytes]


class Asked(Protocol):
    """The part of a client that the checker needs."""

    def job(self, job_id: str) -> Job: ...
    def image_bytes(self, image_id: str) -> bytes: ...


@dataclass
class Promises:
    """What clients were told: the request and the job id behind each idempotency key; which images they deleted."""

    requests: dict[str, GenerationRequest] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    def note(self, key: str, job: Job) -> None:
        """A submit was acknowledged. One key must always mean the same job."""
        known = self.ids.setdefault(key, job.id)
        assert known == job.id, f"key {key} gave {known} and then {job.id}"


def check_answers(client: Asked, promises: Promises, expected: Draw) -> None:
    """Every acknowledged job succeeded with each picture once, its file as hashed, its pixels as expected."""
    for key, job_id in promises.ids.items():
        job, asked = client.job(job_id), promises.requests[key]
        assert job.state is JobState.SUCCEEDED, f"{key}: {job.state} {job.error}"
        assert [image.index for image in job.images] == list(range(asked.num_images)), key
        for image in job.images:
            data = client.image_bytes(image.id)
            assert hashlib.sha256(data).hexdigest() == image.sha256, f"{key}: the file is not the one that was saved"
            assert image.seed == job.request.seed + image.index, key
            with Image.open(io.BytesIO(data)) as picture:
                assert picture.tobytes() == expected(job.request, image.index), f"{key}: other pixels"


def check_table(url: str, promises: Promises) -> Counter[int]:
    """The table holds the promised jobs and no other; events are without gaps; one success each. Gives attempts."""
    database = open_database(url)
    try:
        with database.connect() as connection:
            rows = connection.execute(select(jobs)).all()
            history = connection.execute(select(events).order_by(events.c.job_id, events.c.seq)).all()
            pictures = Counter(connection.scalars(select(images.c.job_id)))
    finally:
        database.dispose()
    assert {row.id for row in rows} == set(promises.ids.values())
    assert {row.idempotency_key: row.id for row in rows} == promises.ids
    kinds: dict[str, list[str]] = {row.id: [] for row in rows}
    for event in history:
        kinds[event.job_id].append(event.kind)
        assert event.seq == len(kinds[event.job_id]), f"job {event.job_id}: a gap before event {event.seq}"
    for row in rows:
        assert kinds[row.id].count("succeeded") == 1, kinds[row.id]
        assert kinds[row.id].count("image") == row.num_images, kinds[row.id]
        assert kinds[row.id][-1] == "succeeded", kinds[row.id]
        assert pictures[row.id] == row.num_images
    return Counter(row.attempt for row in rows)


def check_history(url: str, promises: Promises) -> Counter[str]:
    """The rules that hold for any mix of doors, kills, cancels and deletes; gives the number of jobs in each state.

    Every acknowledged submit has one row, which is finished. No job failed. Events have no gap and one end, which is
    the state. A job that succeeded showed each picture once, a cancelled one some of them; their rows are there unless
    somebody deleted them.
    """
    database = open_database(url)
    try:
        with database.connect() as connection:
            rows = connection.execute(select(jobs)).all()
            history = connection.execute(select(events).order_by(events.c.job_id, events.c.seq)).all()
            pictures = connection.execute(select(images.c.job_id, images.c.id)).all()
    finally:
        database.dispose()
    keys = {row.idempotency_key: row.id for row in rows if row.idempotency_key}
    assert {key: keys.get(key) for key in promises.ids} == promises.ids
    kinds: dict[str, list[str]] = {row.id: [] for row in rows}
    shown: dict[str, set[str]] = {row.id: set() for row in rows}
    indexes: dict[str, list[int]] = {row.id: [] for row in rows}
    for event in history:
        kinds[event.job_id].append(event.kind)
        assert event.seq == len(kinds[event.job_id]), f"job {event.job_id}: a gap before event {event.seq}"
        if event.kind == "image":
            shown[event.job_id].add(event.data["id"])
            indexes[event.job_id].append(event.data["index"])
    kept: dict[str, set[str]] = {row.id: set() for row in rows}
    for job_id, image_id in pictures:
        kept[job_id].add(image_id)
    for row in rows:
        told = kinds[row.id]
        assert row.state in ("succeeded", "cancelled"), f"job {row.id}: {row.state} {row.error}"
        assert told[-1] == row.state, f"job {row.id} is {row.state}, and its events say {told}"
        assert sum(kind in ("succeeded", "failed", "cancelled") for kind in told) == 1, f"job {row.id}: {told}"
        wanted = range(row.num_images)
        assert len(set(indexes[row.id])) == len(indexes[row.id]) == len(shown[row.id]), f"job {row.id}: {told}"
        assert set(indexes[row.id]) <= set(wanted), f"job {row.id}: {told}"
        assert row.state == "cancelled" or len(indexes[row.id]) == len(wanted), f"job {row.id}: {told}"
        assert shown[row.id] - promises.deleted <= kept[row.id] <= shown[row.id], f"job {row.id}: other pictures"
    return Counter(row.state for row in rows)


def check_files(url: str, folder: Path, scratch: Path, store: Store | None = None) -> int:
    """With the service stopped: after the janitor the folder holds the rows' files and nothing else.

    With a `store`, the janitor works on that, and the folder is what lies beneath it. Gives the number of files that
    crashes had left and the janitor removed.
    """
    database = open_database(url)
    try:
        orphans = Library(database, store or Folder(folder), scratch).collect_orphans(min_age_s=0)
        with database.connect() as connection:
            rows = {row.path: row.sha256 for row in connection.execute(select(images.c.path, images.c.sha256))}
            rows |= {path: image["sha256"] for path, image in connection.execute(select(trash.c.path, trash.c.image))}
    finally:
        database.dispose()
    files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if _is_kept(file)}
    assert set(files) == set(rows)
    for path, file in files.items():
        assert hashlib.sha256(file.read_bytes()).hexdigest() == rows[path], path
    return orphans


def _is_kept(file: Path) -> bool:
    """What a killed server of buckets had not finished is its own, and no bucket shows it."""
    return file.is_file() and not file.name.startswith(UNFINISHED)
