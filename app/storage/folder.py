"""Files in a folder. A file is named by a path inside it, with `/`; no symbolic link is followed."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from app.core.errors import DiskFull, StorageUnavailable
from app.storage.store import Listed

TMP_SUFFIX = ".tmp"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EISDIR)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Folder:
    """A store that is a folder. It is made with the first file; a file of the mode 0644 is its owner's to write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, data: bytes) -> None:
        """Temporary name in the same folder, fsync, rename, fsync of the folder.

        After an error nothing is left, as far as that disk lets itself be tidied.
        """
        target = self.root / path
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}{TMP_SUFFIX}")
        try:
            _make_folder(target.parent)
            try:
                _write_new(temporary, data)
                put_in_place(temporary, target)
            except BaseException:
                with suppress(OSError):  # a disk that cannot write may not be able to remove either
                    temporary.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise _problem(error) from error

    def read(self, path: str) -> bytes:
        """A symbolic link, there or in its folder, is not followed: FileNotFoundError, as for all but regular files."""
        target = self.root / path
        if target.parent != self.root and target.parent.is_symlink():
            raise FileNotFoundError(errno.ENOENT, "its folder is a symbolic link", str(target))
        try:
            descriptor = os.open(target, os.O_RDONLY | _NO_FOLLOW)
        except OSError as error:
            if error.errno in _NOT_THERE and self.root.is_dir():
                raise FileNotFoundError(errno.ENOENT, error.strerror or "cannot be opened", str(target)) from error
            raise _problem(error) from error
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileNotFoundError(errno.ENOENT, "is not a regular file", str(target))
            try:
                return stream.read()
            except OSError as error:
                raise _problem(error) from error

    def has(self, path: str) -> bool:
        """What a symbolic link points to counts."""
        return (self.root / path).exists()

    def remove(self, path: str) -> None:
        """What a symbolic link points to is never touched."""
        target = self.root / path
        try:
            if target.parent == self.root or not target.parent.is_symlink():
                target.unlink(missing_ok=True)
        except OSError as error:
            raise _problem(error) from error

    def check_writable(self, folder: str, needed_bytes: int = 0) -> None:
        """Asks for the free room, and writes a byte."""
        probe = self.root / folder / f".{secrets.token_hex(4)}{TMP_SUFFIX}"
        try:
            _make_folder(probe.parent)
            if shutil.disk_usage(probe.parent).free < needed_bytes:
                raise DiskFull
            try:
                _write_new(probe, b"x")
                _sync_file(probe)
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise _problem(error) from error

    def folders(self) -> list[str]:
        """Symbolic links are passed over."""
        if not self.root.is_dir():
            return []
        with os.scandir(self.root) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]

    def files(self, folder: str) -> Iterator[Listed]:
        """Symbolic links are passed over."""
        place = self.root / folder
        if not place.is_dir() or place.is_symlink():
            return
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    yield Listed(entry.name, entry.stat(follow_symlinks=False).st_mtime)

    def free_bytes(self) -> int | None:
        """None while there is no folder."""
        try:
            return shutil.disk_usage(self.root).free
        except OSError:
            return None


def put_in_place(finished: Path, target: Path) -> None:
    """Rename a file, which is in the same folder, to `target`, so that either name survives a power cut whole.

    Raises OSError. If the new name could not be made safe it is gone.
    """
    _sync_file(finished)
    os.replace(finished, target)
    try:
        _sync_folder(target.parent)
    except BaseException:
        with suppress(OSError):
            target.unlink(missing_ok=True)
        raise


def _problem(error: OSError) -> StorageUnavailable:
    if error.errno in _FULL:
        return DiskFull()
    reason = error.strerror or type(error).__name__
    return StorageUnavailable(
        f"The folder of the pictures cannot be used right now ({reason}). Nothing is lost: accepted jobs wait.",
        hint="Look after the disk of ATELIER_OUTPUT_FOLDER; it goes on by itself once the folder can be used again.",
    )


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


def _sync_file(file: Path) -> None:
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; NTFS journals the rename itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
