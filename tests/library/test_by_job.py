"""The whole library as one line for each job."""

import pytest
from sqlalchemy import update

from app.core.schema import GenerationRequest
from app.database import images, writing
from app.jobs.table import JobTable
from tests.library.conftest import Shelf


def test_each_job_is_one_line_with_all_its_images_the_newest_job_first(shelf_on_each: Shelf) -> None:
    shelf = shelf_on_each
    older = shelf.save("a red apple", count=3, seed=40)
    (newer,) = shelf.save("a green pear", seed=9)
    first, second = shelf.library.by_job()
    assert (first.job_id, first.prompt, first.seed, first.image_ids) == (newer.job_id, "a green pear", 9, [newer.id])
    assert (second.job_id, second.prompt) == (older[0].job_id, "a red apple")
    assert sorted(second.image_ids) == sorted(image.id for image in older)
    assert second.seconds == pytest.approx(3 * 1.5)
    assert first.created_at == shelf.time
    assert first.created_at > second.created_at


def test_a_jobs_seed_is_that_of_its_first_image_even_if_that_is_deleted(shelf: Shelf) -> None:
    first, second, _ = shelf.save(count=3, seed=40)
    shelf.library.delete(first.id)
    shelf.library.delete(second.id)
    [line] = shelf.library.by_job()
    assert line.seed == 40
    assert len(line.image_ids) == 1


def test_an_image_without_its_seconds_counts_as_none(shelf: Shelf) -> None:
    shelf.save()
    with writing(shelf.database) as connection:
        connection.execute(update(images).values(seconds=None))
    [line] = shelf.library.by_job()
    assert line.seconds == 0.0


def test_an_empty_library_has_no_lines(shelf: Shelf) -> None:
    assert list(shelf.library.by_job()) == []


def test_a_job_that_is_still_drawn_has_no_line_yet(shelf: Shelf) -> None:
    [running, done] = [shelf.save(prompt)[0] for prompt in ("a red apple", "a green pear")]
    table = JobTable(shelf.database, boot_id="boot")
    job = table.submit(GenerationRequest(prompt="a red apple", model="pocket", seed=1), origin="playground")[0]
    with writing(shelf.database) as connection:
        connection.execute(update(images).where(images.c.id == running.id).values(job_id=job.id))
    assert [line.image_ids for line in shelf.library.by_job()] == [[done.id]]
    table.cancel(job.id)
    assert {line.image_ids[0] for line in shelf.library.by_job()} == {running.id, done.id}
