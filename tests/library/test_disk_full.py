"""A disk without room: an error that says so, and never a torn file."""

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.errors import DiskFull, StorageUnavailable
from app.library import Library
from app.storage import Folder
from tests.library.conftest import Shelf


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_whole_files_only_and_works_again_with_room(shelf: Shelf, small_disk: Path) -> None:
    library = Library(shelf.database, Folder(small_disk), shelf.thumbnails, now=lambda: shelf.time)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(200 * 1024))
    saved = []

    def fill() -> None:
        for _ in range(100):
            job = shelf.job()
            saved.append(shelf.commit(library.write(job, shelf.picture(job))))

    with pytest.raises(DiskFull):
        fill()
    assert saved
    assert len(list(small_disk.glob("*/*"))) == len(saved)
    assert not list(small_disk.rglob("*.tmp"))
    for image in saved:
        assert len(library.open(image.id)) == image.bytes
    filler.unlink()
    job = shelf.job()
    assert library.open(shelf.commit(library.write(job, shelf.picture(job))).id)


@pytest.mark.parametrize("step", ["sync of the file", "sync of the folder", "replace", "open"])
@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_at_any_step_of_a_write_is_disk_full_and_leaves_nothing(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, step: str, reason: int
) -> None:
    shelf.save()
    before = sorted(shelf.folder.rglob("*"))

    sync, refused = os.fsync, []

    def refuse(*_: object, **__: object) -> None:
        refused.append(step)
        raise OSError(reason, "no room")

    def refuse_one_kind(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        (refuse if is_folder == (step == "sync of the folder") else sync)(descriptor)

    job = shelf.job()
    with monkeypatch.context() as patched:
        name, replacement = ("fsync", refuse_one_kind) if step.startswith("sync") else (step, refuse)
        patched.setattr(os, name, replacement)
        with pytest.raises(DiskFull):
            shelf.library.write(job, shelf.picture(job))
    assert refused == [step]
    assert sorted(shelf.folder.rglob("*")) == before


@pytest.mark.parametrize("reason", [errno.EIO, errno.EROFS, errno.ESTALE, errno.EACCES, errno.ENOTDIR])
def test_another_fault_of_the_disk_is_told_as_it_is_and_not_called_a_full_one(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    job = shelf.job()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        for call in (lambda: shelf.library.write(job, shelf.picture(job)), shelf.library.check_storage):
            with pytest.raises(StorageUnavailable, match=os.strerror(reason)) as told:
                call()
            assert not isinstance(told.value, DiskFull)
    assert not list(shelf.folder.rglob("*.png"))
    assert not list(shelf.folder.rglob("*.tmp"))
    shelf.library.check_storage()


def test_a_disk_with_less_room_than_is_needed_is_full(shelf: Shelf) -> None:
    with pytest.raises(DiskFull):
        shelf.library.check_storage(2**62)


def test_a_thumbnail_is_made_even_when_it_cannot_be_kept(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    (image,) = shelf.save()

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        assert shelf.library.thumbnail(image.id, 256)
    assert not list(shelf.thumbnails.rglob("*.webp"))
