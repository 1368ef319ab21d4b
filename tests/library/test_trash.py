"""The trash: what was deleted comes back as it was, for as long as the owner says, and is gone for good after that."""

import pytest
from sqlalchemy import insert, select

from app.core.errors import StorageUnavailable, UnknownImage
from app.core.schema import JobState, SavedImage
from app.database import events, jobs, reading, writing
from app.library import Library
from app.storage import Folder

from .conftest import Shelf

DAY_S = 86_400.0


@pytest.fixture
def library(shelf: Shelf) -> Library:
    """A library whose trash keeps pictures for two days."""
    return Library(shelf.database, Folder(shelf.folder), shelf.thumbnails, trash_days=2, now=lambda: shelf.time)


def prompt_of_job(shelf: Shelf, image: SavedImage) -> str:
    with reading(shelf.database) as connection:
        request = connection.scalar(select(jobs.c.request).where(jobs.c.id == image.job_id))
    assert request is not None
    return str(request["prompt"])


def an_image_with_its_job(shelf: Shelf, prompt: str) -> SavedImage:
    job = shelf.job(prompt)
    shelf.add_job_row(job, JobState.SUCCEEDED)
    return shelf.commit(shelf.library.write(job, shelf.picture(job)))


def test_a_deleted_picture_is_found_nowhere_and_comes_back_as_it_was(shelf: Shelf, library: Library) -> None:
    image = an_image_with_its_job(shelf, "a heron")
    image = library.favourite(image.id, True)
    before = library.open(image.id)
    library.delete(image.id)
    assert library.search(q="heron").items == ()
    with pytest.raises(UnknownImage):
        library.open(image.id)
    [trashed] = library.trashed()
    assert (trashed.id, trashed.deleted_at.timestamp()) == (image.id, shelf.time)
    assert library.restore(image.id) == image
    assert library.search(q="heron").items == (image,)
    assert library.open(image.id) == before
    assert library.trashed() == []
    with pytest.raises(UnknownImage):
        library.restore(image.id)


def test_what_was_in_the_trash_for_its_time_is_gone_with_its_file_and_words(shelf: Shelf, library: Library) -> None:
    old, new = an_image_with_its_job(shelf, "an old secret"), an_image_with_its_job(shelf, "a new secret")
    library.delete(old.id)
    assert prompt_of_job(shelf, old) == "an old secret"
    shelf.time += 1.5 * DAY_S
    library.delete(new.id)
    assert library.empty_trash() == 0
    shelf.time += 0.5 * DAY_S
    assert library.empty_trash() == 1
    assert [image.id for image in library.trashed()] == [new.id]
    assert not (shelf.folder / old.path).exists()
    assert prompt_of_job(shelf, old) == ""
    assert (shelf.folder / new.path).exists()
    assert library.empty_trash(all=True) == 1
    assert not (shelf.folder / new.path).exists()


def test_a_picture_can_be_deleted_for_good_at_once_from_library_and_trash(shelf: Shelf, library: Library) -> None:
    one, other = shelf.save(count=2)
    library.delete(one.id, forever=True)
    library.delete(other.id)
    library.delete(other.id, forever=True)
    assert library.trashed() == []
    assert list(shelf.folder.rglob("*.png")) == []


def test_neither_a_rebuild_nor_the_janitor_touches_what_is_in_the_trash(shelf: Shelf, library: Library) -> None:
    image = an_image_with_its_job(shelf, "left alone")
    library.delete(image.id)
    assert library.rebuild().kept == 1
    shelf.time += DAY_S
    assert library.collect_orphans(min_age_s=-10 * DAY_S) == 0
    assert library.restore(image.id) == image


def test_the_trash_counts_as_used_room(shelf: Shelf) -> None:
    library = Library(shelf.database, Folder(shelf.folder), shelf.thumbnails, trash_days=2, max_bytes=2**20)
    [image] = shelf.save()
    library.delete(image.id)
    library.room.count_again()
    assert library.room.used_bytes() == image.bytes
    library.empty_trash(all=True)
    assert library.room.used_bytes() == 0


def test_a_file_that_cannot_be_removed_stays_in_the_trash(
    shelf: Shelf, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = an_image_with_its_job(shelf, "stays")
    library.delete(image.id)

    def refuse(*_: object) -> None:
        raise StorageUnavailable("not now")

    with monkeypatch.context() as patch:
        patch.setattr("app.storage.Folder.remove", refuse)
        with pytest.raises(StorageUnavailable):
            library.empty_trash(all=True)
    assert [each.id for each in library.trashed()] == [image.id]
    assert prompt_of_job(shelf, image) == "stays"
    assert library.restore(image.id) == image


def test_only_the_deleted_pictures_own_event_loses_its_notes(shelf: Shelf) -> None:
    going, staying = an_image_with_its_job(shelf, "goes"), an_image_with_its_job(shelf, "stays")
    with writing(shelf.database) as connection:
        for image in (going, staying):
            told = {"id": image.id, "notes": [f"of {image.prompt}"]}
            connection.execute(
                insert(events).values(job_id=image.job_id, seq=2, kind="image", data=told, at=shelf.time)
            )
    shelf.library.delete(going.id, forever=True)
    with reading(shelf.database) as connection:
        notes = {row.job_id: row.data["notes"] for row in connection.execute(select(events)).all()}
    assert notes == {going.job_id: [], staying.job_id: ["of stays"]}
