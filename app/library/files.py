"""The names of the library's files, and what is there of them. How they are written is `app/storage.py`'s."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.storage import TMP_SUFFIX

# `<day>/<job id>-<index>.png`; a job that ran again adds its attempt, so that no two attempts share a name.
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAME = re.compile(r"(?P<job>[0-9A-Za-z-]{1,64}?)-(?P<index>\d{1,4})(?:\.(?P<attempt>\d{1,9}))?\.png")


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


def _folders(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    with os.scandir(root) as entries:
        return [entry.name for entry in entries if _DAY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)]
