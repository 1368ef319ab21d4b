"""Where log lines go: files that only the owner can read, and a console that stays small when it is a file."""

import logging
import os
import shutil
import stat
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

MAX_LOG_BYTES = 10 * 2**20
KEPT_LOG_FILES = 5
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700


def make_private_folder(folder: Path) -> None:
    """Make the folder, and what is missing above it, for its owner alone. One that is there is left as it is."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


class _Quiet(logging.Handler):
    """A line that cannot be written is told by the kind of error alone: logging itself would print its values."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        kind = sys.exc_info()[0]
        if sys.stderr is not None and kind is not BrokenPipeError:
            sys.stderr.write(f"A log line of {record.name} could not be written: {kind.__name__ if kind else '?'}\n")


class PrivateLogFile(_Quiet, RotatingFileHandler):
    """A rotating file (10 MiB, 5 old ones kept) of mode 0600, whatever the umask and whoever made it."""

    def __init__(self, file: Path) -> None:
        make_private_folder(file.parent)
        super().__init__(file, maxBytes=MAX_LOG_BYTES, backupCount=KEPT_LOG_FILES, encoding="utf-8")

    def shouldRollover(self, record: logging.LogRecord) -> int:
        """Called by logging. The line itself is not made for that, as it would be: a file may be a line too long."""
        del record
        return int(self.stream is not None and os.fstat(self.stream.fileno()).st_size >= self.maxBytes)

    def _open(self) -> Any:
        def opener(path: str, flags: int) -> int:
            descriptor = os.open(path, flags, PRIVATE_FILE)
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, PRIVATE_FILE)
            return descriptor

        return open(self.baseFilename, self.mode, encoding=self.encoding, errors="backslashreplace", opener=opener)


class Console(_Quiet, logging.StreamHandler[TextIO]):
    """Standard error. Where it is redirected to a file (with `>>`), that file is turned over after 10 MiB:

    its content moves to `FILE.1`, which replaces an earlier one. Several processes may share the file.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        super().emit(record)
        try:
            _turn_over(self.stream.fileno())
        except (OSError, ValueError, AttributeError):  # no file at all, or one that may not be changed
            return


def _turn_over(descriptor: int) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size < MAX_LOG_BYTES or sys.platform == "win32":
        return
    import fcntl  # no such module on Windows

    if not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND:
        return  # after a cut this process would go on writing at its old place
    name = Path(f"/proc/self/fd/{descriptor}")
    if name.exists():
        file = name.resolve()
        with file.open("rb") as source, open(f"{file}.1", "wb", opener=_private) as target:
            shutil.copyfileobj(source, target)
    os.ftruncate(descriptor, 0)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE_FILE)
