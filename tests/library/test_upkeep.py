"""Rows from files alone, and files that nobody will ever need."""

import os
from collections.abc import Callable

import pytest

from app.core.schema import JobState
from app.library import RebuildReport
from tests.library.conftest import Shelf


def test_all_rows_come_back_from_the_files_alone(new_shelf: Callable[..., Shelf]) -> None:
    lost = new_shelf()
    saved = [*lost.save("a red apple", count=2), *lost.save("a\nNegative prompt: b 中文 😀", negative_prompt="c")]
    empty = new_shelf("another.db")
    told: list[tuple[int, int]] = []
    assert empty.library.rebuild(lambda *far: told.append(far)) == RebuildReport(files=3, restored=3)
    assert told == [(0, 3)]
    assert {image.id: image for image in empty.library.search().items} == {image.id: image for image in saved}
    assert [image.prompt for image in empty.library.search(q="apple").items] == ["a red apple"] * 2
    assert empty.library.rebuild() == RebuildReport(files=3, kept=3)


def test_a_rebuild_keeps_favourites_and_names_what_it_cannot_read(shelf: Shelf) -> None:
    one, two = shelf.save(count=2)
    shelf.library.favourite(one.id, True)
    day = (shelf.folder / one.path).parent
    data = (shelf.folder / two.path).read_bytes()
    (day / "torn-0.png").write_bytes(data[:-20])
    (day / "flipped-0.png").write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    (day / "text-0.png").write_text("no picture")
    (day / "holiday.png").write_bytes(data)
    (day / "link-0.png").symlink_to(shelf.folder / two.path)
    report = shelf.library.rebuild()
    assert (report.files, report.restored, report.kept, report.doubled) == (5, 0, 2, 0)
    assert [path.split("/")[1] for path in report.unreadable] == ["flipped-0.png", "text-0.png", "torn-0.png"]
    assert shelf.library.get(one.id).favourite


def test_of_two_attempts_of_an_image_one_is_restored(new_shelf: Callable[..., Shelf]) -> None:
    shelf = new_shelf()
    for attempt in (1, 2):
        job = shelf.job(job_id="same", attempt=attempt)
        last = shelf.library.write(job, shelf.picture(job))
    assert shelf.library.rebuild() == RebuildReport(files=2, restored=1, doubled=1)
    assert shelf.library.search().items == (last,)


def test_a_file_moved_to_another_day_keeps_its_row(shelf: Shelf) -> None:
    (image,) = shelf.save()
    shelf.library.favourite(image.id, True)
    (shelf.folder / "2020-01-01").mkdir()
    (shelf.folder / image.path).rename(shelf.folder / "2020-01-01" / "moved-0.png")
    assert shelf.library.rebuild().restored == 1
    moved = shelf.library.get(image.id)
    assert (moved.path, moved.favourite) == ("2020-01-01/moved-0.png", True)
    shelf.library.open(image.id)


@pytest.mark.parametrize(
    ("state", "removed"), [(JobState.QUEUED, 1), (JobState.FAILED, 1), (JobState.SUCCEEDED, 1), (JobState.RUNNING, 0)]
)
def test_a_file_without_a_row_goes_when_its_job_is_not_running(shelf: Shelf, state: JobState, removed: int) -> None:
    job = shelf.job()
    image = shelf.library.write(job, shelf.picture(job))
    (kept,) = shelf.save()
    shelf.add_job_row(job, state)
    _age(shelf, image.path, 7200)
    assert shelf.library.collect_orphans() == removed
    assert (shelf.folder / image.path).exists() is not bool(removed)
    assert shelf.library.open(kept.id)


def test_a_young_file_without_a_row_stays(shelf: Shelf) -> None:
    job = shelf.job()
    image = shelf.library.write(job, shelf.picture(job))
    shelf.add_job_row(job, JobState.QUEUED)
    _age(shelf, image.path, 3000)
    assert shelf.library.collect_orphans() == 0
    assert shelf.library.collect_orphans(min_age_s=0) == 1


def test_pictures_of_a_lost_database_wait_for_the_rebuild(new_shelf: Callable[..., Shelf]) -> None:
    for image in new_shelf().save(count=3):
        _age(new_shelf(f"{image.index}.db"), image.path, 7200)
    empty = new_shelf("empty.db")
    assert empty.library.collect_orphans() == 0
    assert empty.library.rebuild().restored == 3


def test_what_a_crash_left_of_a_write_goes_and_the_users_own_files_stay(shelf: Shelf) -> None:
    (image,) = shelf.save()
    day = (shelf.folder / image.path).parent
    for name in (".job-0.png.abcd.tmp", "notes.txt", "holiday.png", "draft.tmp"):
        (day / name).write_text("x")
        _age(shelf, f"2027-01-15/{name}", 7200)
    assert shelf.library.collect_orphans() == 1
    assert sorted(file.name for file in day.iterdir()) == sorted(
        ["notes.txt", "holiday.png", "draft.tmp", f"{image.job_id}-0.png"]
    )


def test_thumbnails_of_pictures_that_are_gone_go_too(shelf: Shelf) -> None:
    one, two = shelf.save(count=2)
    for image in (one, two):
        shelf.library.thumbnail(image.id, 256)
        file = shelf.thumbnails / image.sha256[:2] / f"{image.sha256}-256.webp"
        os.utime(file, (shelf.time - 7200,) * 2)
    with shelf.database.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM images WHERE id = '{one.id}'")
    assert shelf.library.collect_orphans() == 1
    assert [file.name[:64] for file in shelf.thumbnails.glob("*/*")] == [two.sha256]


def _age(shelf: Shelf, path: str, seconds: float) -> None:
    os.utime(shelf.folder / path, (shelf.time - seconds,) * 2)
