"""Writing, opening and deleting saved images."""

import hashlib
import os
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from app.core.errors import InvalidRequest, StorageUnavailable, UnknownImage
from app.picture import png
from app.picture.recipe import request_of
from tests.library.conftest import Shelf


def test_a_saved_image_is_opened_as_the_very_bytes_that_its_row_names(shelf: Shelf) -> None:
    (image,) = shelf.save("a red apple")
    data = shelf.library.open(image.id)
    assert hashlib.sha256(data).hexdigest() == image.sha256
    assert len(data) == image.bytes
    assert shelf.library.get(image.id) == image
    assert image.path == f"2027-01-15/{image.job_id}-0.png"
    assert (shelf.folder / image.path).read_bytes() == data


def test_the_file_carries_the_recipe_of_its_row_and_the_pixels_of_the_engine(shelf: Shelf) -> None:
    job = shelf.job("a\nNegative prompt: 中文", negative_prompt="blur", num_images=2)
    image = shelf.library.write(job, shelf.picture(job, 1))
    seen = png.inspect((shelf.folder / image.path).read_bytes())
    assert seen.recipe == image.recipe
    assert request_of(image.recipe) == job.request.model_copy(update={"num_images": 1, "seed": 8})
    assert Image.open(shelf.folder / image.path).tobytes() == shelf.picture(job, 1).rgb


def test_a_write_leaves_no_temporary_file_and_no_row(shelf: Shelf) -> None:
    job = shelf.job()
    image = shelf.library.write(job, shelf.picture(job))
    assert [file.name for file in (shelf.folder / "2027-01-15").iterdir()] == [f"{job.id}-0.png"]
    with pytest.raises(UnknownImage):
        shelf.library.get(image.id)


def test_a_discarded_image_leaves_no_file_and_discarding_twice_is_the_same(shelf: Shelf) -> None:
    job = shelf.job()
    image = shelf.library.write(job, shelf.picture(job))
    shelf.library.discard(image)
    shelf.library.discard(image)
    assert not (shelf.folder / image.path).exists()


def test_a_late_attempt_can_neither_overwrite_nor_discard_the_file_that_won(shelf: Shelf) -> None:
    late, winner = shelf.job(job_id="same"), shelf.job(job_id="same", attempt=2)
    won = shelf.commit(shelf.library.write(winner, shelf.picture(winner)))
    lost = shelf.library.write(late, shelf.picture(late))
    shelf.library.discard(lost)
    assert hashlib.sha256(shelf.library.open(won.id)).hexdigest() == won.sha256


def test_an_unknown_id_is_an_unknown_image_whatever_it_looks_like(shelf: Shelf) -> None:
    for name in ("nobody", "../../etc/passwd", "a/b", "", "x" * 5000, "%", "\n"):
        for call in (shelf.library.get, shelf.library.open):
            with pytest.raises(UnknownImage):
                call(name)


def test_a_file_removed_by_hand_is_an_unknown_image_that_names_it(shelf: Shelf) -> None:
    (image,) = shelf.save()
    (shelf.folder / image.path).unlink()
    with pytest.raises(UnknownImage, match=image.path):
        shelf.library.open(image.id)


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="needs a system with O_NOFOLLOW")
def test_a_link_in_place_of_a_file_or_of_a_day_is_never_followed(shelf: Shelf, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (image,) = shelf.save()
    file = shelf.folder / image.path
    file.rename(secret / file.name)
    file.symlink_to(secret / file.name)
    with pytest.raises(UnknownImage):
        shelf.library.open(image.id)
    shelf.library.delete(image.id)
    assert (secret / file.name).exists()
    (other,) = shelf.save()
    day = (shelf.folder / other.path).parent
    day.rename(tmp_path / "elsewhere")
    day.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnknownImage):
        shelf.library.open(other.id)
    job = shelf.job()
    with pytest.raises(StorageUnavailable):
        shelf.library.write(job, shelf.picture(job))
    assert shelf.library.rebuild().files == 0


def test_a_pipe_in_place_of_a_file_does_not_block(shelf: Shelf) -> None:
    (image,) = shelf.save()
    (shelf.folder / image.path).unlink()
    os.mkfifo(shelf.folder / image.path)
    with pytest.raises(UnknownImage):
        shelf.library.open(image.id)


def test_a_thumbnail_is_a_small_webp_that_is_kept_by_the_hash_of_the_picture(shelf: Shelf) -> None:
    (image,) = shelf.save()
    data = shelf.library.thumbnail(image.id, 256)
    assert Image.open(BytesIO(data)).format == "WEBP"
    kept = shelf.thumbnails / image.sha256[:2] / f"{image.sha256}-256.webp"
    assert kept.read_bytes() == data
    kept.write_bytes(b"from the cache")
    assert shelf.library.thumbnail(image.id, 256) == b"from the cache"
    with pytest.raises(InvalidRequest, match="256 or 512"):
        shelf.library.thumbnail(image.id, 300)


def test_deleting_removes_row_file_and_thumbnails_and_twice_is_the_same(shelf: Shelf) -> None:
    (image,) = shelf.save()
    for width in (256, 512):
        shelf.library.thumbnail(image.id, width)
    shelf.library.delete(image.id)
    shelf.library.delete(image.id)
    assert not (shelf.folder / image.path).exists()
    assert not list(shelf.thumbnails.glob("*/*"))
    assert shelf.library.search().items == ()
    with pytest.raises(UnknownImage):
        shelf.library.open(image.id)


def test_a_crash_in_the_middle_of_a_delete_leaves_no_row_without_a_file(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    (image,) = shelf.save()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.storage.Folder.remove", crash)
    with pytest.raises(KeyboardInterrupt):
        shelf.library.delete(image.id)
    with pytest.raises(UnknownImage):
        shelf.library.get(image.id)


def test_a_favourite_stays_one_until_it_is_unmarked(shelf: Shelf) -> None:
    (image,) = shelf.save()
    assert shelf.library.favourite(image.id, True).favourite
    assert shelf.library.favourite(image.id, True).favourite
    assert shelf.library.get(image.id).favourite
    assert not shelf.library.favourite(image.id, False).favourite
    with pytest.raises(UnknownImage):
        shelf.library.favourite("nobody", True)
