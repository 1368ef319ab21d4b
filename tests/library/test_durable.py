"""What is on the disk when the power goes: a picture is synced before its name, and its name before anybody is told."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.errors import StorageUnavailable
from app.storage import Folder
from tests.library.conftest import Shelf

Act = tuple[str, str, int]


@pytest.fixture
def acts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Act]]:
    """Every sync and rename that really happens: what, which path, and how many bytes a file had then."""
    done: list[Act] = []
    sync, rename = os.fsync, os.replace

    def watched_sync(descriptor: int) -> None:
        path, status = os.readlink(f"/proc/self/fd/{descriptor}"), os.fstat(descriptor)
        sync(descriptor)
        done.append(("sync", path, status.st_size if stat.S_ISREG(status.st_mode) else 0))

    def watched_rename(source: Path, target: Path) -> None:
        rename(source, target)
        done.append(("rename", f"{source} {target}", 0))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", watched_sync)
        patched.setattr(os, "replace", watched_rename)
        yield done


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells the path of an open file")
def test_a_picture_is_synced_whole_then_named_then_its_name_is_synced(shelf: Shelf, acts: list[Act]) -> None:
    job = shelf.job(num_images=2)
    first = shelf.library.write(job, shelf.picture(job))
    day = shelf.folder / first.path.split("/")[0]
    names = [what for what, _, _ in acts]
    # The day's folder is new: its own name has to survive too.
    assert names == ["sync", "sync", "rename", "sync"]
    assert acts[0][1] == str(shelf.folder)
    temporary = acts[1][1]
    assert temporary.startswith(str(day / "."))
    assert acts[1][2] == first.bytes
    assert acts[2][1] == f"{temporary} {shelf.folder / first.path}"
    assert acts[3][1] == str(day)
    acts.clear()
    shelf.library.write(job, shelf.picture(job, 1))
    assert [what for what, _, _ in acts] == ["sync", "rename", "sync"]


def test_what_the_disk_will_not_read_or_remove_is_told(tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    with pytest.raises(StorageUnavailable):
        Folder(tmp_path).remove("a folder")
    with pytest.raises(StorageUnavailable):
        Folder(Path("/proc/self")).read("mem")  # a regular file whose first byte is an error of the disk's kind
