"""Files of the library's folders, written so that a crash or a full disk leaves a whole file or none."""

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.core.errors import DiskFull, StorageUnavailable

TMP_SUFFIX = ".tmp"
# `<day>/<job id>-<index>.png`; a job that ran again adds its attempt, so that no two attempts share a name.
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAME = re.compile(r"(?P<job>[0-9A-Za-z-]{1,64}?)-(?P<index>\d{1,4})(?:\.(?P<attempt>\d{1,9}))?\.png")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EISDIR)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class Found:
    """One picture file: its path inside the folder with `/`, what its name says, and when it was last written."""

    path: str
    job_id: str
    index: int
    attempt: int
    modified: float


def picture_path(day: str, job_id: str, index: int, attempt: int) -> str:
    """The path, inside the library folder, of one image of one attempt."""
    suffix = f".{attempt}" if attempt > 1 else ""
    return f"{day}/{job_id}-{index}{suffix}.png"


def write_durably(root: Path, path: str, data: bytes) -> None:
    """Write `root/path` whole or not at all; when this returns it survives a power cut.

    Temporary name in the same folder, fsync, rename, fsync of the folder. Raises DiskFull, or StorageUnavailable for
    whatever else the disk says; nothing is left then, as far as that disk lets itself be tidied.
    """
    target = root / path
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}{TMP_SUFFIX}")
    try:
        _make_folder(target.parent)
        written = temporary
        try:
            _write_new(temporary, data)
            os.replace(temporary, target)
            written = target
            _sync_folder(target.parent)
        except BaseException:
            with suppress(OSError):  # a disk that cannot write may not be able to remove either
                written.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _problem(error) from error


def check_writable(root: Path, day: str, needed_bytes: int = 0) -> None:
    """Try for real whether a picture could be written into `root/day` now.

    Raises DiskFull if less than `needed_bytes` are free, StorageUnavailable for whatever else the disk says.
    """
    probe = root / day / f".{secrets.token_hex(4)}{TMP_SUFFIX}"
    try:
        _make_folder(probe.parent)
        if shutil.disk_usage(probe.parent).free < needed_bytes:
            raise DiskFull
        try:
            _write_new(probe, b"x")
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise _problem(error) from error


def read_regular(root: Path, path: str) -> bytes:
    """The bytes of the regular file `root/path`. A symbolic link, there or in its folder, is not followed.

    Raises FileNotFoundError for whatever is not a regular file, StorageUnavailable if the disk cannot say.
    """
    target = root / path
    if target.parent != root and target.parent.is_symlink():
        raise FileNotFoundError(errno.ENOENT, "its folder is a symbolic link", str(target))
    try:
        descriptor = os.open(target, os.O_RDONLY | _NO_FOLLOW)
    except OSError as error:
        if error.errno in _NOT_THERE and root.is_dir():
            raise FileNotFoundError(errno.ENOENT, error.strerror or "cannot be opened", str(target)) from error
        raise _problem(error) from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(errno.ENOENT, "is not a regular file", str(target))
        try:
            return stream.read()
        except OSError as error:
            raise _problem(error) from error


def remove(root: Path, path: str) -> None:
    """Remove `root/path` if it is there; what a symbolic link points to is never touched. Raises StorageUnavailable."""
    target = root / path
    try:
        if target.parent == root or not target.parent.is_symlink():
            target.unlink(missing_ok=True)
    except OSError as error:
        raise _problem(error) from error


def pictures(root: Path) -> Iterator[Found]:
    """Every picture file with a name of ours, newest day first; links and other names are passed over."""
    for day in sorted(_folders(root), reverse=True):
        with os.scandir(root / day) as entries:
            for entry in entries:
                name = _NAME.fullmatch(entry.name)
                if name and entry.is_file(follow_symlinks=False):
                    attempt = int(name["attempt"] or 1)
                    modified = entry.stat(follow_symlinks=False).st_mtime
                    yield Found(f"{day}/{entry.name}", name["job"], int(name["index"]), attempt, modified)


def temporaries(root: Path) -> Iterator[tuple[str, float]]:
    """Path and time of the last write of every temporary file that a crash left."""
    for day in _folders(root):
        with os.scandir(root / day) as entries:
            for entry in entries:
                ours = entry.name.startswith(".") and entry.name.endswith(TMP_SUFFIX)
                if ours and entry.is_file(follow_symlinks=False):
                    yield f"{day}/{entry.name}", entry.stat(follow_symlinks=False).st_mtime


def _problem(error: OSError) -> StorageUnavailable:
    if error.errno in _FULL:
        return DiskFull()
    reason = error.strerror or type(error).__name__
    return StorageUnavailable(
        f"The folder of the pictures cannot be used right now ({reason}). Nothing is lost: accepted jobs wait.",
        hint="Look after the disk of ATELIER_OUTPUT_FOLDER; it goes on by itself once the folder can be used again.",
    )


def _folders(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    with os.scandir(root) as entries:
        return [entry.name for entry in entries if _DAY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)]


def _make_folder(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if folder.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, "is a symbolic link; pictures are not written through it", str(folder))
    _sync_folder(folder.parent)


def _write_new(file: Path, data: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; NTFS journals the rename itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
