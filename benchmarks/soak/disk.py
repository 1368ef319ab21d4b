"""A disk that can be filled: a small file system in memory, and all of its room taken for some seconds."""

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOLD_FULL_S = 6.0


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path | None]:
    """A file system of that size, so that it can be filled; None where mounting is not allowed."""
    folder.mkdir(parents=True)
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    """No room at all for some seconds."""
    filler = disk / "filler"
    try:
        take_all_room(filler)
        time.sleep(HOLD_FULL_S)
    finally:
        filler.unlink(missing_ok=True)


def take_all_room(filler: Path) -> None:
    """Make this file as large as the disk allows, to the last byte."""
    with filler.open("wb", buffering=0) as stream:
        for size in (2**20, 4096, 1):
            block = bytes(size)
            try:
                while stream.write(block):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
